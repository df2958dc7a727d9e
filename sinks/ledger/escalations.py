"""Which records of a run were given back to be asked in the cloud: the answer from inside had too little confidence, or was none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

ESCALATED = "escalated"
"""The reason of the `released` entry, which follows the `failed` one of the answer from inside in the same commit."""


def escalated(ledger: Ledger | Path, run_id: str) -> Mapping[str, float | None]:
    """Records that this run has given back for the cloud, once each at most, and the mean log-probability of their answer from inside."""
    with reading(ledger, run_id=run_id) as reader:
        rows = reader.table(
            """
            SELECT record_id, arg_min({confidence: confidence}, seq).confidence AS confidence
            FROM entries WHERE event = 'released' AND reason = $reason GROUP BY record_id
            """,
            reason=ESCALATED,
        )
    return dict(zip(rows["record_id"].to_pylist(), rows["confidence"].to_pylist(), strict=True))
