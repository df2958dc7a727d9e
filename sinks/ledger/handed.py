"""Every hand-over as the audit of a provider's account needs it: its jobs, what became of them, what was deleted; and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIntent:
    """A hand-over. jobs: taken for it. stopped: jobs of it that were one too many. retired: its remains there are stated as deleted.

    state: of the view `intents`. run_id, job: whose it is.
    """

    intent_id: str
    run_id: str
    job: str | None
    endpoint: str
    state: str
    at: datetime
    records: int
    jobs: frozenset[str]
    stopped: frozenset[str]
    retired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentMoney:
    """US dollars: reserved when it was handed over (None: nobody can say), settled by reported usage so far."""

    reserved_usd: Decimal | None
    settled_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWish:
    """A person's request that a job be cancelled. rest: what becomes of rows that are not done."""

    at: datetime
    actor: str
    rest: str


def handed_intents(ledger: Ledger | Path) -> list[HandedIntent]:
    """All hand-overs to cloud endpoints, oldest first."""
    with reading(ledger, ("intents", "runs")) as reader:
        rows = reader.table(
            """
            WITH told AS (
                SELECT intent_id,
                       list_distinct(list(provider_job_id) FILTER (event = 'submitted' AND provider_job_id IS NOT NULL)) AS jobs,
                       list_distinct(list(provider_job_id) FILTER (event = 'cancelled' AND provider_job_id IS NOT NULL)) AS stopped,
                       bool_or(event = 'deleted_remote') AS retired,
                       coalesce(max(lane) FILTER (event = 'submitting'), 'cloud') AS lane
                FROM entries WHERE intent_id IS NOT NULL GROUP BY intent_id
            )
            SELECT i.intent_id, i.run_id, r.job, i.endpoint, i.state, i."at", i.records, t.jobs, t.stopped, t.retired
            FROM intents i JOIN told t ON t.intent_id = i.intent_id LEFT JOIN runs r ON r.run_id = i.run_id
            WHERE t.lane <> 'local' ORDER BY i.seq
            """
        ).to_pylist()
    sets = ("jobs", "stopped")
    return [HandedIntent(**{**row, **{name: frozenset(row[name] or ()) for name in sets}}) for row in rows]


def money_of(ledger: Ledger | Path, intents: Sequence[str]) -> dict[str, IntentMoney]:
    """What these hand-overs reserved and cost, by id."""
    with reading(ledger, about=intents or None) as reader:
        rows = reader.table(
            """
            WITH parts AS (
                SELECT intent_id, record_id, max(cost_usd) FILTER (event = 'submitting') AS reserved,
                       max(cost_usd) FILTER (event <> 'submitting') AS settled
                FROM entries
                WHERE event IN ('submitting', 'completed', 'failed', 'released') AND list_contains($intents::VARCHAR[], intent_id)
                GROUP BY ALL
            )
            SELECT intent_id, CASE WHEN bool_and(reserved IS NOT NULL) THEN sum(reserved) END AS reserved_usd,
                   coalesce(sum(settled), 0)::DECIMAL(38, 9) AS settled_usd
            FROM parts GROUP BY intent_id
            """,
            intents=list(intents),
        ).to_pylist()
    return {row.pop("intent_id"): IntentMoney(**row) for row in rows}


def cancel_wishes(ledger: Ledger | Path, intents: Sequence[str]) -> dict[str, CancelWish]:
    """The latest request to cancel each of these hand-overs, by id."""
    with reading(ledger, about=intents or None) as reader:
        rows = reader.table(
            """
            SELECT intent_id, max("at") AS "at", arg_max(actor, seq) AS actor, arg_max(state, seq) AS rest
            FROM entries WHERE event = 'cancel_asked' AND list_contains($intents::VARCHAR[], intent_id) GROUP BY intent_id
            """,
            intents=list(intents),
        ).to_pylist()
    return {row.pop("intent_id"): CancelWish(**row) for row in rows}
