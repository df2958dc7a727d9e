"""Why records of a night have no result, as far as somebody was told of it. Alerts about money are in `spending.py`."""

from __future__ import annotations

from pathlib import Path

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

Reason = tuple[str, str]
"""`held` or `failed`, and the code of the rows."""

_TOLD = """
WITH mine AS (SELECT run_id, logical_date FROM runs WHERE job = $job)
SELECT DISTINCT state, reason FROM entries
WHERE event = 'alerted' AND state IN ('held', 'failed')
  AND run_id IN (SELECT run_id FROM mine WHERE logical_date = (SELECT logical_date FROM mine WHERE run_id = $run))
"""


def reasons_told(ledger: Ledger | Path, job: str, *, run_id: str) -> frozenset[Reason]:
    """Which reasons were told of in the night of this run."""
    with reading(ledger, ("runs",)) as reader:
        return frozenset((row["state"], row["reason"]) for row in reader.table(_TOLD, job=job, run=run_id).to_pylist())
