"""What a night came to, by endpoint: records, tokens, dollars, and when the last hand-over ended. To be held against its plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sinks.ledger.escalations import ESCALATED
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

# An outcome that was stated twice counts once; a record that was asked twice used the tokens of both times.
_ACTUAL = """
WITH told AS (SELECT DISTINCT ON (entry_id) * FROM entries WHERE event IN ('completed', 'failed') ORDER BY entry_id, seq),
spans AS (SELECT endpoint, max("at") AS ended_at FROM entries WHERE event = 'job_ended' GROUP BY endpoint)
SELECT t.endpoint, any_value(t.lane) AS lane, count(DISTINCT t.record_id) AS records, coalesce(sum(t.tokens_in), 0)::BIGINT AS tokens_in,
       coalesce(sum(t.tokens_out), 0)::BIGINT AS tokens_out, coalesce(sum(t.cost_usd), 0)::DECIMAL(38, 9) AS cost_usd,
       count(*) FILTER (t.cost_usd IS NULL) AS unpriced, any_value(s.ended_at) AS ended_at
FROM told t LEFT JOIN spans s ON s.endpoint = t.endpoint
WHERE t.endpoint IS NOT NULL GROUP BY t.endpoint ORDER BY t.endpoint
"""


_RECORDS = """
SELECT count(DISTINCT record_id) FILTER (event IN ('completed', 'failed') AND endpoint IS NOT NULL) AS records,
       count(DISTINCT record_id) FILTER (event = 'released' AND reason = $escalated) AS escalated
FROM entries
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What an endpoint did in a run. records: with an outcome there. unpriced: outcomes whose cost is not known.

    ended_at: when the last hand-over was seen to have ended; None: none has.
    """

    endpoint: str
    lane: str
    records: int
    tokens_in: int
    tokens_out: int
    cost_usd: Decimal
    unpriced: int
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many different records a run had an outcome of, at any endpoint; and how many of them it asked again in the cloud."""

    records: int
    escalated: int


def asked(ledger: Ledger | Path, run_id: str) -> Asked:
    """In all: what was asked at two endpoints is in the figures of both, and here once. Raises LedgerError when there is no ledger."""
    with reading(ledger, run_id=run_id) as reader:
        return Asked(**reader.table(_RECORDS, escalated=ESCALATED).to_pylist()[0])


def actuals(ledger: Ledger | Path, run_id: str) -> list[Actual]:
    """By endpoint. Raises LedgerError when there is no ledger."""
    with reading(ledger, run_id=run_id) as reader:
        return [Actual(**row) for row in reader.table(_ACTUAL).to_pylist()]
