"""How every benchmark reports: a table on the terminal, and `benchmarks/results/NAME.json`."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
WHOLE = 100  # from here on, decimals say nothing
REPORTED = ("waybill", "duckdb", "presidio-analyzer", "pyarrow", "spacy", "sumy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value. `target` is in words ("<= 15"); `met` is None where there is no target."""

    value: float
    unit: str
    target: str | None = None
    met: bool | None = None


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpus": os.cpu_count() or 0, "memory_gib": round(memory), "system": platform.system(), "python": platform.python_version()}


def write(name: str, figures: dict[str, Figure]) -> None:
    """Print the table and write the JSON file that the README's figures come from."""
    table = Table(title=f"{name} ({machine()['cpus']} cores, {machine()['memory_gib']} GiB)")
    for column in ("figure", "value", "unit", "target", "met"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for label, figure in figures.items():
        met = "" if figure.met is None else ("yes" if figure.met else "NO")
        table.add_row(label, f"{figure.value:,.{0 if figure.value >= WHOLE else 2}f}", figure.unit, figure.target or "", met)
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    report = {
        "figures": {label: asdict(figure) for label, figure in figures.items()},
        "machine": machine(),
        "versions": {package: version(package) for package in REPORTED},
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
