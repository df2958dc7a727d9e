"""How much of what may leave a model inside has answered: of the records that were tried there, those whose last answer is from there.

A second look is no try: it is asked about a record, and never answers its question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sinks.ledger.cost_lines import answers_about
from sinks.ledger.segments import Ledger

_SHARES = """
WITH decided AS (
    SELECT run_id, record_id, arg_max(list_contains(lanes, 'cloud'), seq) AS may_leave FROM entries WHERE event = 'decided' GROUP BY ALL
), answered AS (
    SELECT run_id, record_id, arg_max(lane, seq) FILTER (event = 'completed') AS last_lane
    FROM entries WHERE event IN ('completed', 'failed') AND record_id IS NOT NULL
      AND intent_id NOT IN (SELECT unnest($looked))
    GROUP BY ALL HAVING bool_or(lane = 'local') AND max(day) >= $since AND max(day) < $until
)
SELECT coalesce(r.job, '') AS job, count(*) AS tried, count(*) FILTER (a.last_lane = 'local') AS kept
FROM answered a
JOIN decided d ON d.run_id = a.run_id AND d.record_id = a.record_id AND d.may_leave
LEFT JOIN (SELECT run_id, arg_max(job, seq) AS job FROM entries WHERE event = 'run_started' GROUP BY run_id) r ON r.run_id = a.run_id
GROUP BY ALL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalShare:
    """Records of a job that may leave. tried: with an outcome inside, failed ones too; kept: those whose last answer is from there."""

    job: str
    tried: int
    kept: int


def local_shares(ledger: Ledger | Path, *, since: date, until: date) -> dict[str, LocalShare]:
    """By job, over the records whose last outcome is of these days; `until` is not included."""
    found: dict[str, LocalShare] = {}
    for answer in answers_about(ledger, _SHARES, since=since, until=until):
        for row in answer.to_pylist():
            before = found.get(row["job"], LocalShare(job=row["job"], tried=0, kept=0))
            found[row["job"]] = LocalShare(job=row["job"], tried=before.tried + row["tried"], kept=before.kept + row["kept"])
    return found
