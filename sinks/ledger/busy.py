"""How long each place worked: the union of its hand-overs' intervals in the ledger, so that what ran side by side counts once.

An interval begins where the hand-over was `submitted` (or, where nobody recorded that, where it was begun) and ends with `job_ended`, or
with its last outcome. One that has neither has not ended, or nobody saw it end, and counts nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

_MICROSECONDS_PER_HOUR = 3_600_000_000

# The classic of gaps and islands: an interval begins a new island where it starts after everything before it has ended.
_BUSY = """
WITH spans AS (
    SELECT intent_id, any_value(endpoint) FILTER (event = 'submitting') AS endpoint,
           coalesce(min("at") FILTER (event = 'submitted'), min("at") FILTER (event = 'submitting')) AS begun,
           coalesce(max("at") FILTER (event = 'job_ended'), max("at") FILTER (event IN ('completed', 'failed'))) AS ended
    FROM entries WHERE intent_id IS NOT NULL AND event IN ('submitting', 'submitted', 'job_ended', 'completed', 'failed')
    GROUP BY intent_id
), clipped AS (
    SELECT p.place, greatest(epoch_us(s.begun), $from) AS begun,
           least(epoch_us(s.ended), $to) AS ended
    FROM spans s JOIN places p ON p.endpoint = s.endpoint WHERE s.ended IS NOT NULL  -- least() passes nulls over
), ordered AS (
    SELECT *, max(ended) OVER (PARTITION BY place ORDER BY begun, ended ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM clipped WHERE ended > begun
), islands AS (
    SELECT *, sum((before IS NULL OR begun > before)::INT) OVER (PARTITION BY place ORDER BY begun, ended) AS island FROM ordered
)
SELECT place, sum(ended - begun)::BIGINT AS busy FROM (
    SELECT place, island, min(begun) AS begun, max(ended) AS ended FROM islands GROUP BY ALL
) GROUP BY place
"""


def busy_hours(ledger: Ledger | Path, places: Mapping[str, Sequence[str]], *, since: date, until: date) -> dict[str, Decimal]:
    """Hours during which at least one hand-over was under way at any endpoint of a place, by place; `until` is not included.

    places: endpoints by the name of the place, such as a host with all that runs on it. Places that never worked are left out.
    """
    pairs = [(place, endpoint) for place, endpoints in places.items() for endpoint in endpoints]
    with reading(ledger) as reader:
        named = pa.table(
            {"place": pa.array([place for place, _ in pairs], pa.string()), "endpoint": pa.array([one for _, one in pairs], pa.string())}
        )
        reader.connection.register("places", named)
        rows = reader.table(_BUSY, **{"from": _microseconds(since), "to": _microseconds(until)}).to_pylist()
    return {row["place"]: Decimal(row["busy"]) / _MICROSECONDS_PER_HOUR for row in rows}


def _microseconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000
