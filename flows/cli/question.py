"""What every question to the ledger shares: its options, its answer, and what is said of a name that the ledger does not know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.brief import SPARE, brief
from flows.cli.output import FORMATS, show

DEFAULT_LEDGER = "out/ledger"
LEDGER = click.option("--ledger", type=click.Path(path_type=Path), default=DEFAULT_LEDGER, show_default=True, help="The ledger folder.")
NAMES = click.option("--names", is_flag=True, help="Say what records are called outside, too (needs the right to read LEDGER/sources).")


def with_ledger(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options every question shares."""
    target = click.Path(path_type=Path, dir_okay=False)
    command = click.option(
        "--output", type=target, help="Write the answer to this file, for its owner only; Parquet needs it on a terminal."
    )(command)
    command = click.option(
        "--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the answer."
    )(command)
    return LEDGER(command)


def with_filter(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that narrow a question."""
    day = click.DateTime(["%Y-%m-%d"])
    command = click.option("--endpoint", help="Only this endpoint.")(command)
    command = click.option("--class", "data_class", help="Only records of this data class.")(command)
    command = click.option("--until", type=day, help="Up to this day (UTC), not included.")(command)
    return click.option("--since", type=day, help="From this day on (UTC), included.")(command)


def ask(
    question: str,
    *,
    ledger: Path,
    fmt: str,
    output: Path | None,
    since: datetime | None,
    until: datetime | None,
    data_class: str | None,
    endpoint: str | None,
    names: bool = False,
    **about: str,
) -> None:
    """Put one of the questions of `sinks.ledger.audit`, and print the answer. Raises UsageError (exit 2) for a name nobody knows."""
    from sinks.ledger import audit as questions  # noqa: PLC0415 - heavy; `--help` must stay instant

    if since and until and since >= until:
        raise click.UsageError("--until is not after --since: no day is asked about (--since is included, --until is not)")
    wanted = questions.AuditFilter(
        since=since.date() if since else None, until=until.date() if until else None, data_class=data_class, endpoint=endpoint
    )
    table = getattr(questions, question)(ledger, wanted=wanted, **about)
    if not table.num_rows:
        check_names(ledger, data_class, endpoint)
    answer(question, table, ledger, fmt, names=names, output=output)


def answer(question: str, table: Any, ledger: Path, fmt: str, *, names: bool, output: Path | None = None) -> None:
    """Print an answer: what a person needs of it as a table, all of it in every other format. names: what records are called, too."""
    found = _names(table, ledger) if names else {}
    shown = brief(question, table, found) if fmt == "table" else _with_names(table, found) if names else table
    show(shown, fmt, spare=SPARE, output=output)


def _names(table: Any, ledger: Path) -> dict[str, Any]:
    from sinks.ledger.sources import lookup  # noqa: PLC0415

    try:
        return lookup(ledger, {record for record in table["record_id"].to_pylist() if record})
    except PermissionError:
        raise click.ClickException(f"{ledger}/sources: you may not read what records are called; ask again without --names") from None


def _with_names(table: Any, found: dict[str, Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    named = [found.get(record) for record in table["record_id"].to_pylist()]
    for column in ("source", "source_id"):
        if column not in table.column_names:
            table = table.append_column(column, pa.array([getattr(name, column, None) for name in named], pa.string()))
    return table


def check_names(ledger: Path, data_class: str | None, endpoint: str | None) -> None:
    """Nothing was found: because nothing is there, or because the name is misspelt?"""
    from policies.load import DEFAULT_REGISTRY  # noqa: PLC0415
    from policies.registry import load_registry  # noqa: PLC0415
    from sinks.ledger.audit_names import known_classes, known_endpoints  # noqa: PLC0415

    if data_class is not None and data_class not in (known := known_classes(ledger)):
        raise click.UsageError(f"--class: neither this ledger nor its policies know that class; they know {', '.join(sorted(known))}")
    if endpoint is not None and endpoint not in (known := known_endpoints(ledger)) and endpoint not in load_registry(DEFAULT_REGISTRY):
        raise click.UsageError(f"--endpoint: this ledger knows no endpoint of that name; it knows {', '.join(sorted(known)) or 'none'}")
