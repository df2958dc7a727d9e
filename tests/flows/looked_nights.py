"""Nights with a second look: invented documents, of which one speaks of marzipan, and what became of each."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow.parquet as pq

from flows.night import NightOptions
from flows.nightly import run_night
from tests.flows.judge_server import KEYWORD

HARBOUR = "The harbour council will repave the promenade between the fish market and the old lighthouse this spring."
MUSEUM = "The museum opened a hall on the history of navigation, with instruments from four centuries."
RECIPE = f"The bakery on the promenade sells a cake of almonds and {KEYWORD}, and the museum opens on Sunday."
CLINIC = """Discharge summary. Patient: Goran Castellan. Date of birth: 14 March 1961. Medical record number: MRN 40718823.
The patient was admitted with chest pain. Diagnosis: unstable angina. Treated with aspirin, discharged in stable condition."""
THREE = {"harbour.txt": HARBOUR, "museum.txt": MUSEUM, "recipe.txt": RECIPE}


def run(night: Any, **options: Any) -> None:
    report = run_night(NightOptions(job=str(night.job), out=str(night.out), **options))
    assert report.pending == report.failed == 0


def rows(night: Any) -> dict[str, dict[str, Any]]:
    """The results by source: one row a document."""
    found = [row for path in night.results.rglob("*.parquet") for row in pq.ParquetFile(path).read().to_pylist()]
    assert len(found) == len({row["source"] for row in found})
    return {row["source"]: row for row in found}


def ask(night: Any, query: str) -> list[Any]:
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def places(night: Any) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: (row["lane"], tuple(row["data_classes"])) for name, row in rows(night).items()}
