"""What a job is committed to pay at providers: a query over the ledger, so that no kill and no second runner loses a dollar of it.

- A hand-over reserves the most that it can cost, in its `submitting` entries (`cost_usd`), in the commit that precedes the request.
- A record's outcome settles its part by what the provider reported. One without usage settles nothing: its reservation stays.
- A refused hand-over costs nothing. One that the provider did not list (`not_found`) may still turn up: its reservation stays until nobody
  watches for it any more. A job that was there twice counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from policies.budget import Committed, Spent
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

# Summed by hand-over, which are few. Only where some records of one are settled and some are not, records are looked at one by one.
_EXPOSED = """
WITH mine AS (SELECT run_id, logical_date FROM runs WHERE job = $job),
tonight AS (SELECT logical_date FROM runs WHERE run_id = $run),
handed AS (
    SELECT i.intent_id, i.endpoint, i.state, i.last_seq, i."at", m.logical_date
    FROM intents i JOIN mine m ON m.run_id = i.run_id WHERE {chosen}
), sums AS (
    SELECT intent_id, any_value(coalesce(lane, 'cloud')) FILTER (event = 'submitting') AS lane,
           count(*) FILTER (event = 'submitting') AS records, coalesce(sum(cost_usd) FILTER (event = 'submitting'), 0) AS reserved,
           count(cost_usd) FILTER (event <> 'submitting') AS settled, coalesce(sum(cost_usd) FILTER (event <> 'submitting'), 0) AS cost,
           count(*) FILTER (event IN ('completed', 'failed')) AS answered,
           count(*) FILTER (event IN ('completed', 'failed') AND cost_usd IS NULL) AS unpriced
    FROM entries
    WHERE event IN ('submitting', 'completed', 'failed', 'released') AND intent_id IN (SELECT intent_id FROM handed)
    GROUP BY intent_id
), mixed AS (
    SELECT h.intent_id, sum(coalesce(o.cost, h.reserved)) AS committed, coalesce(sum(o.cost), 0) AS cost,
           coalesce(sum(h.reserved) FILTER (o.cost IS NOT NULL), 0) AS reserved
    FROM (SELECT intent_id, record_id, max(coalesce(cost_usd, 0)) AS reserved FROM entries
          WHERE event = 'submitting' AND intent_id IN (SELECT intent_id FROM sums WHERE settled NOT IN (0, records)) GROUP BY ALL) h
    LEFT JOIN (SELECT intent_id, record_id, max(cost_usd) AS cost FROM entries
               WHERE event IN ('completed', 'failed', 'released')
                 AND intent_id IN (SELECT intent_id FROM sums WHERE settled NOT IN (0, records)) GROUP BY ALL) o
           ON o.intent_id = h.intent_id AND o.record_id = h.record_id
    GROUP BY h.intent_id
), doubled AS (
    SELECT intent_id, count(DISTINCT provider_job_id) FILTER (state = 'extra_job')
                      + greatest(count(DISTINCT provider_job_id) FILTER (state = 'late_orphan') - 1, 0) AS jobs
    FROM entries WHERE event = 'cancelled' AND intent_id IN (SELECT intent_id FROM handed) GROUP BY intent_id
), exposed AS (
    SELECT h.endpoint, h."at", h.logical_date, s.lane, s.answered, s.unpriced, coalesce(m.cost, s.cost) AS cost,
           coalesce(m.reserved, CASE s.settled WHEN 0 THEN 0 ELSE s.reserved END) AS reserved_for_cost,
           CASE WHEN m.intent_id IS NOT NULL THEN m.committed
                WHEN s.settled > 0 THEN s.cost
                WHEN h.state = 'rejected' AND NOT (l.state IS NOT DISTINCT FROM 'not_found' AND l."at" >= $watched_since) THEN 0
                ELSE s.reserved END + coalesce(d.jobs, 0) * s.reserved AS committed
    FROM handed h
    JOIN sums s ON s.intent_id = h.intent_id
    JOIN entries l ON l.seq = h.last_seq
    LEFT JOIN mixed m ON m.intent_id = h.intent_id
    LEFT JOIN doubled d ON d.intent_id = h.intent_id
)
"""

_COMMITTED = (
    _EXPOSED.format(chosen="""i."at" >= $month OR m.logical_date = (FROM tonight)""")
    + """
SELECT endpoint, coalesce(sum(committed) FILTER (logical_date = (FROM tonight)), 0)::DECIMAL(38, 9) AS night,
       coalesce(sum(committed) FILTER ("at" >= $month), 0)::DECIMAL(38, 9) AS month
FROM exposed WHERE lane <> 'local' GROUP BY endpoint ORDER BY endpoint
"""
)

_BY_ENDPOINT = (
    _EXPOSED.format(chosen="i.run_id = $run")
    + """
SELECT lane, endpoint, sum(answered)::BIGINT AS records, sum(cost)::DECIMAL(38, 9) AS cost_usd,
       sum(reserved_for_cost)::DECIMAL(38, 9) AS reserved_usd, sum(committed - cost)::DECIMAL(38, 9) AS open_usd,
       sum(unpriced)::BIGINT AS unpriced
FROM exposed GROUP BY lane, endpoint ORDER BY lane, endpoint
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCost:
    """What the hand-overs of a run cost at one endpoint.

    records: with an outcome. cost_usd: settled, by reported usage. reserved_usd: what had been reserved for just that. open_usd: what is
    still reserved, for what is under way and for what is unpriced. unpriced: records whose usage the provider did not report.
    """

    lane: str
    endpoint: str
    records: int
    cost_usd: Decimal
    reserved_usd: Decimal
    open_usd: Decimal
    unpriced: int


def committed(ledger: Ledger | Path, job: str, *, run_id: str, month: datetime, watched_since: datetime) -> Committed:
    """What the job is committed to at providers, in all and at each.

    run_id: stands for its logical date, of which all runs are the night. month: its first moment; a hand-over counts in the month in
    which it was made. watched_since: hand-overs given up as `not_found` since then may still turn up.
    """
    with reading(ledger, ("intents", "runs")) as reader:
        rows = reader.table(_COMMITTED, job=job, run=run_id, month=month, watched_since=watched_since).to_pylist()
    return Committed(
        night=sum((row["night"] for row in rows), Decimal(0)),
        month=sum((row["month"] for row in rows), Decimal(0)),
        endpoints={row["endpoint"]: Spent(night=row["night"], month=row["month"]) for row in rows},
    )


def run_costs(ledger: Ledger | Path, job: str, run_id: str, *, watched_since: datetime) -> list[EndpointCost]:
    """What a run of the job cost, by endpoint."""
    with reading(ledger, ("intents", "runs")) as reader:
        rows = reader.table(_BY_ENDPOINT, job=job, run=run_id, watched_since=watched_since).to_pylist()
    return [EndpointCost(**row) for row in rows]


TOLD = "budget_"
"""The share follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An alert about a limit that was sent: the endpoint or "" for all, `night` or `month`, the share in percent."""

    endpoint: str
    period: str
    share: int


_TOLD = """
WITH mine AS (SELECT run_id, logical_date FROM runs WHERE job = $job)
SELECT DISTINCT coalesce(e.endpoint, '') AS endpoint, e.state AS period, split_part(e.reason, '_', 2)::INTEGER AS share
FROM entries e JOIN mine m ON m.run_id = e.run_id
WHERE e.event = 'alerted' AND e.state IN ('night', 'month')
  AND CASE e.state WHEN 'night' THEN m.logical_date = (SELECT logical_date FROM mine WHERE run_id = $run) ELSE e."at" >= $month END
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A limit that a record did not fit into, so that its night sends nothing more: the endpoint or "" for all, `night` or `month`."""

    endpoint: str
    period: str


# A person goes on with the night by releasing what it held for money.
_STOPS = """
WITH mine AS (SELECT run_id, logical_date FROM runs WHERE job = $job),
tonight AS (SELECT run_id FROM mine WHERE logical_date = (SELECT logical_date FROM mine WHERE run_id = $run)),
said AS (SELECT * FROM entries WHERE event IN ('stopped', 'released') AND run_id IN (FROM tonight))
SELECT DISTINCT coalesce(endpoint, '') AS endpoint, state AS period FROM said
WHERE event = 'stopped'
  AND seq > (SELECT coalesce(max(seq), 0) FROM said WHERE event = 'released' AND reason = 'retry' AND list_contains($held_as, before))
"""


def stops(ledger: Ledger | Path, job: str, *, run_id: str, held_as: Iterable[str]) -> frozenset[Stop]:
    """What has stopped the night of this run, and nobody has gone on with since. held_as: why records are held for money."""
    with reading(ledger, ("runs",)) as reader:
        return frozenset(Stop(**row) for row in reader.table(_STOPS, job=job, run=run_id, held_as=sorted(held_as)).to_pylist())


def alerts_told(ledger: Ledger | Path, job: str, *, run_id: str, month: datetime) -> frozenset[Told]:
    """Which alerts about the job's limits were sent, for the night of this run and for the month."""
    with reading(ledger, ("runs",)) as reader:
        return frozenset(Told(**row) for row in reader.table(_TOLD, job=job, run=run_id, month=month).to_pylist())
