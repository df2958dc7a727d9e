"""After results are taken in: what an ended job left at its provider and in the spool is deleted, and that is recorded.

Nothing is deleted before the ledger has spoken of the results, and what nobody has fetched is not deleted at all.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sinks.errors import EndpointError
from sinks.freeze import spool_path
from sinks.lanes import Lane
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import OpenIntent
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.unshown import RESULTS_NOT_SHOWN

NOTHING_LEFT = "nothing_left"


def retire(ledger: Ledger, lane: Lane, intent: OpenIntent, *, spool: Path, now: datetime, actor: str = "waybill") -> None:
    """Delete what an ended job left at the provider and in the spool, and record it. Raises EndpointError when the provider refuses."""
    deleted = lane.discard(intent.provider_job_id) if intent.provider_job_id else ()
    ledger.commit(
        [
            Entry(
                event=Event.DELETED_REMOTE,
                at=now,
                run_id=intent.run_id,
                actor=actor,
                endpoint=intent.endpoint,
                intent_id=intent.intent_id,
                provider_job_id=intent.provider_job_id,
                state=f"deleted_{len(deleted)}" if deleted else NOTHING_LEFT,
            )
        ]
    )
    spool_path(spool, intent.intent_id).unlink(missing_ok=True)


def unretired(ledger: Ledger | Path, run_id: str | None = None) -> list[OpenIntent]:
    """Ended jobs whose remains were not deleted yet: what a kill or an unreachable provider left between commit and deletion.

    Without those whose remains nobody has fetched.
    """
    with reading(ledger, ("intents",), run_id=run_id) as reader:
        rows = reader.table(
            """
            SELECT i.intent_id, i.run_id, i.endpoint, i.attempt, i.state, i."at", i.provider_job_id, i.shard_hmac
            FROM intents i
            JOIN entries ended ON ended.seq = i.last_seq AND ended.detail_code IS DISTINCT FROM $kept
            WHERE i.state = 'job_ended' AND i.intent_id NOT IN
                  (SELECT intent_id FROM entries WHERE event = 'deleted_remote' AND intent_id IS NOT NULL)
            ORDER BY i.seq
            """,
            kept=RESULTS_NOT_SHOWN,
        ).to_pylist()
    return [OpenIntent(**row, record_ids=()) for row in rows]


def retire_quietly(ledger: Ledger, lane: Lane, intent: OpenIntent, *, spool: Path, now: datetime, actor: str) -> bool:
    """The results are safe: a provider that does not delete now is asked again at the next start (`unretired`)."""
    try:
        retire(ledger, lane, intent, spool=spool, now=now, actor=actor)
    except EndpointError:
        return False
    return True
