"""How fast each endpoint of a job was: tokens and seconds of the hand-overs of earlier nights, by endpoint.

- A hand-over lasts from the moment it was handed over to the one at which its end was seen: what a night has to wait, polling included.
- Hand-overs that ran at the same time share their seconds: counted is the time during which at least one was under way.
- Only hand-overs that have ended and whose tokens are known count. Nothing is written, and a folder without a ledger measured nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sinks.ledger import files
from sinks.ledger.reader import folder_of, reading
from sinks.ledger.segments import Ledger

# One row a hand-over first, and those are few; then islands of time in which they overlap.
_MEASURED = """
WITH mine AS (SELECT DISTINCT run_id FROM entries WHERE event = 'run_started' AND job = $job),
spans AS (
    SELECT intent_id, any_value(endpoint) FILTER (event = 'submitting') AS endpoint,
           epoch_us(min("at") FILTER (event = 'submitting')) / 1e6 AS begun,
           epoch_us(max("at") FILTER (event = 'job_ended')) / 1e6 AS ended,
           count(*) FILTER (event IN ('completed', 'failed') AND tokens_out IS NOT NULL) AS records,
           coalesce(sum(tokens_in) FILTER (event IN ('completed', 'failed')), 0)::BIGINT AS tokens_in,
           coalesce(sum(tokens_out) FILTER (event IN ('completed', 'failed')), 0)::BIGINT AS tokens_out
    FROM entries
    WHERE event IN ('submitting', 'job_ended', 'completed', 'failed') AND intent_id IS NOT NULL
      AND run_id IN (FROM mine) AND "at" >= $since AND ($until IS NULL OR "at" < $until)
    GROUP BY intent_id
    HAVING endpoint IS NOT NULL AND ended > begun AND tokens_in + tokens_out > 0
), busy AS (
    SELECT *, max(ended) OVER (PARTITION BY endpoint ORDER BY begun, intent_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM spans
)
SELECT endpoint, count(*) AS jobs, sum(tokens_in + tokens_out)::BIGINT AS tokens, sum(tokens_out)::BIGINT AS tokens_out,
       sum(records)::BIGINT AS records, max(ended - begun) AS longest_s,
       sum(greatest(ended - greatest(begun, coalesce(before, begun)), 0)) AS seconds
FROM busy GROUP BY endpoint ORDER BY endpoint
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What an endpoint did for a job. tokens: in and out together; tokens_out: of these, out; records: with known tokens.

    seconds: during which at least one of its jobs was under way. longest_s: of its slowest job: what a provider's queue can take
    whatever the number of tokens.
    """

    tokens_per_s: float
    jobs: int
    tokens: int
    seconds: float
    tokens_out: int = 0
    records: int = 0
    longest_s: float = 0.0


def measured_throughput(ledger: Ledger | Path, job: str, since: datetime, *, until: datetime | None = None) -> Mapping[str, Throughput]:
    """What was measured at each endpoint, by its name, over the job's hand-overs since then. Empty where there is no ledger yet.

    until: only entries before then.
    """
    if not files.head(folder_of(ledger)):
        return {}
    with reading(ledger) as reader:
        rows = reader.table(_MEASURED, job=job, since=since, until=until).to_pylist()
    return {row.pop("endpoint"): Throughput(tokens_per_s=row["tokens"] / row["seconds"], **row) for row in rows if row["seconds"] > 0}
