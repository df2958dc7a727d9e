"""The rows of documents without a result, held and failed, as the ledger gives them: the same ledger gives the same rows."""

from __future__ import annotations

from pathlib import Path

from sinks.ledger.outcomes import explicit_rows
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import lookup
from sinks.parquet import ResultRow, Status


def explicit_result_rows(ledger: Ledger | Path, run_id: str, task: str) -> list[ResultRow]:
    """One row for each document of the run that is held or has failed, ordered by record id."""
    table = explicit_rows(ledger, run_id).to_pylist()
    names = lookup(ledger.path if isinstance(ledger, Ledger) else ledger, [row["record_id"] for row in table])
    return [
        ResultRow(
            run_id=run_id,
            task=task,
            source=names[row["record_id"]].source if row["record_id"] in names else None,
            source_id=names[row["record_id"]].source_id if row["record_id"] in names else None,
            **{**row, "status": Status(row["status"]), "data_classes": tuple(row["data_classes"] or ())},
        )
        for row in table
    ]
