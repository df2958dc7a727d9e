"""Which records of a run were given back to be asked once more: their answer did not keep to the job's schema."""

from __future__ import annotations

from pathlib import Path

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

REPAIR = "repair"
"""The reason of the `released` entry, which follows the `failed` one of the first answer in the same commit."""


def repaired(ledger: Ledger | Path, run_id: str) -> frozenset[str]:
    """Records that this run has given back for a repair. A record is given back once: what it is asked from then on is the repair."""
    with reading(ledger, run_id=run_id) as reader:
        rows = reader.table("SELECT DISTINCT record_id FROM entries WHERE event = 'released' AND reason = $reason", reason=REPAIR)
    return frozenset(rows["record_id"].to_pylist())
