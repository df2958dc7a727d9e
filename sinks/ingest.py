"""Taking results in, on every way a job can end: results → Parquet → one commit → deletion at the provider → deletion in the spool.

Invariants kept here:
- Exactly one outcome per row (6): completed, failed, or released for a new attempt, all in the commit that also ends the job. Killed
  before it, the same results are collected again and give the same file; killed after it, only deletions are left to do.
- The result file is durable before the ledger speaks of it; nothing is deleted before the ledger has spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from policies.model import Endpoint
from policies.prices import Price
from sinks.answers import CONFLICT, SCHEMA_FAILURES, Answers, sort_out
from sinks.errors import EndpointError, HeadMovedError
from sinks.freeze import row_id_of, spool_path
from sinks.lanes import Lane
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lookup import asked_to_hold, job_has_ended
from sinks.ledger.queries import OpenIntent
from sinks.ledger.reader import reading
from sinks.ledger.repairs import REPAIR, repaired
from sinks.ledger.segments import Ledger
from sinks.pricing import priced
from sinks.request import Prompt
from sinks.shard import JobStatus, LaneResult

NOTHING_LEFT = "nothing_left"
CANCELLED_BY_HAND = "cancelled_by_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedRow:
    """One result on its way to Parquet: the record, and what the lane gave for it."""

    record_id: str
    intent_id: str
    endpoint: Endpoint
    attempt: int
    result: LaneResult = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPlace:
    """Where a result now is: file (relative to the results folder), row in it, keyed digest of the output.

    file, row: None for a result that is in the ledger itself.
    """

    file: str | None
    row: int | None
    digest: str


WriteResults = Callable[[Sequence[CompletedRow]], Mapping[str, ResultPlace]]
"""Makes rows durable as Parquet and says where each record's is. Called again with the same rows, it must give the same files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What one look at a job gave. ended False: it runs on, and nothing was changed. missing: records to be sent again.

    repairs: of the failed ones, records to be asked once more, in the template's repair form.
    """

    intent_id: str
    status: JobStatus
    ended: bool
    completed: int = 0
    failed: int = 0
    missing: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    quarantined: int = 0
    deleted: bool = False


def ingest(
    ledger: Ledger,
    lane: Lane,
    intent: OpenIntent,
    *,
    endpoint: Endpoint,
    prompt: Prompt,
    write: WriteResults,
    spool: Path,
    now: datetime,
    price: Price | None = None,
    code: str | None = None,
    actor: str = "waybill",
) -> IngestReport:
    """Poll a submitted job; once it has ended, take all of it in.

    price: what a token cost there when the job was handed over; without one, what the records cost stays unknown. code: goes with the end
    of the job into the ledger.
    Raises EndpointError when the provider cannot be asked or a download breaks: nothing was changed, try again later.
    """
    if intent.provider_job_id is None:
        msg = f"intent {intent.intent_id} has no job at a provider yet; reconcile it first"
        raise EndpointError(msg)
    status = lane.poll(intent.provider_job_id)
    if not status.ended:
        return IngestReport(intent_id=intent.intent_id, status=status, ended=False)
    records = {row_id_of(intent.intent_id, ordinal): record_id for ordinal, record_id in enumerate(intent.record_ids)}
    answers = priced(sort_out(lane.collect(intent.provider_job_id), tuple(records), prompt), price)
    completed = [
        CompletedRow(
            record_id=records[row_id],
            intent_id=intent.intent_id,
            endpoint=endpoint,
            attempt=intent.attempt,
            result=answers.answered[row_id],
        )
        for row_id in answers.answered
    ]
    places = write(completed) if completed else {}
    hold = bool(answers.missing) and asked_to_hold(ledger, intent.run_id, intent.intent_id)
    repairs = _repairs(ledger, intent, records, answers, prompt)
    book = _Book(intent=intent, endpoint=endpoint, records=records, now=now, actor=actor, hold=hold, repairs=repairs, code=code)
    _commit_once(ledger, intent, book.entries(answers, places, status))
    return IngestReport(
        intent_id=intent.intent_id,
        status=status,
        ended=True,
        completed=len(answers.answered),
        failed=len(answers.failed),
        missing=() if book.hold else tuple(records[row_id] for row_id in answers.missing),
        repairs=tuple(records[row_id] for row_id in records if row_id in repairs),
        quarantined=len(answers.conflicting) + sum(answers.strays.values()),
        deleted=_retire_quietly(ledger, lane, intent, spool=spool, now=now, actor=actor),
    )


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
    """Ended jobs whose remains were not deleted yet: what a kill or an unreachable provider left between commit and deletion."""
    with reading(ledger, ("intents",), run_id=run_id) as reader:
        rows = reader.table(
            """
            SELECT i.intent_id, i.run_id, i.endpoint, i.attempt, i.state, i."at", i.provider_job_id, i.shard_hmac
            FROM intents i
            WHERE i.state = 'job_ended' AND i.intent_id NOT IN
                  (SELECT intent_id FROM entries WHERE event = 'deleted_remote' AND intent_id IS NOT NULL)
            ORDER BY i.seq
            """
        ).to_pylist()
    return [OpenIntent(**row, record_ids=()) for row in rows]


def _repairs(ledger: Ledger, intent: OpenIntent, records: Mapping[str, str], answers: Answers, prompt: Prompt) -> frozenset[str]:
    """The failed rows that are asked once more: their answer did not keep to the schema, and their record was not given back before."""
    broken = [row_id for row_id, result in answers.failed.items() if result.error_code in SCHEMA_FAILURES]
    if not prompt.repair or not broken:
        return frozenset()
    before = repaired(ledger, intent.run_id)
    return frozenset(row_id for row_id in broken if records[row_id] not in before)


def _retire_quietly(ledger: Ledger, lane: Lane, intent: OpenIntent, *, spool: Path, now: datetime, actor: str) -> bool:
    """The results are safe: a provider that does not delete now is asked again at the next start (`unretired`)."""
    try:
        retire(ledger, lane, intent, spool=spool, now=now, actor=actor)
    except EndpointError:
        return False
    return True


def _commit_once(ledger: Ledger, intent: OpenIntent, entries: Sequence[Entry]) -> None:
    """Commit unless somebody else took the same job in meanwhile: two collectors give one outcome per record."""
    while True:
        head, ended = job_has_ended(ledger, intent.run_id, intent.intent_id)
        if ended and intent.state != Event.JOB_ENDED:
            return
        try:
            ledger.commit(entries, expected_head=head)
        except HeadMovedError:
            continue
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """Where answers become entries. hold: what has no answer is held, because a person cancelled the job, and not sent again."""

    intent: OpenIntent
    endpoint: Endpoint
    records: Mapping[str, str]
    now: datetime
    actor: str
    hold: bool = False
    repairs: frozenset[str] = frozenset()
    code: str | None = None

    def entries(self, answers: Answers, places: Mapping[str, ResultPlace], status: JobStatus) -> list[Entry]:
        """The one commit of a job: outcomes in row order, then oddities, then the end."""
        outcomes = []
        for row_id, record_id in self.records.items():
            if row_id in answers.answered:
                outcomes.append(self._outcome(Event.COMPLETED, record_id, answers.answered[row_id], places[record_id]))
            elif row_id in answers.failed:
                outcomes.append(self._outcome(Event.FAILED, record_id, answers.failed[row_id], None))
                if row_id in self.repairs:
                    outcomes.append(replace(self._entry(Event.RELEASED), record_id=record_id, reason=REPAIR))
            else:
                free = Decimal(0) if row_id in answers.never_run else None
                outcomes.append(replace(self._entry(Event.RELEASED), record_id=record_id, reason=answers.missing[row_id], cost_usd=free))
                if self.hold:
                    outcomes.append(replace(self._entry(Event.HELD), record_id=record_id, reason=CANCELLED_BY_HAND))
        odd = [
            replace(self._entry(Event.QUARANTINED), record_id=self.records[row_id], detail_code=CONFLICT) for row_id in answers.conflicting
        ]
        odd += [replace(self._entry(Event.QUARANTINED), detail_code=code) for code in sorted(answers.strays)]
        ended = replace(
            self._entry(Event.JOB_ENDED), provider_job_id=self.intent.provider_job_id, state=status.state, detail_code=self.code
        )
        return [*outcomes, *odd, ended]

    def _entry(self, event: Event) -> Entry:
        return Entry(
            event=event,
            at=self.now,
            run_id=self.intent.run_id,
            actor=self.actor,
            lane=self.endpoint.lane.value,
            endpoint=self.intent.endpoint,
            attempt=self.intent.attempt,
            intent_id=self.intent.intent_id,
        )

    def _outcome(self, event: Event, record_id: str, result: LaneResult, place: ResultPlace | None) -> Entry:
        return replace(
            self._entry(event),
            record_id=record_id,
            error_code=result.error_code,
            finish_reason=result.finish_reason,
            result_file=place.file if place else None,
            result_row=place.row if place else None,
            result_digest=place.digest if place else None,
            model=result.model,
            revision=result.revision,
            weights_digest=result.weights_digest,
            lora_digest=result.lora_digest,
            tokens_in=result.tokens_in,
            tokens_out=result.tokens_out,
            cost_usd=result.cost_usd,
            confidence=result.confidence,
        )
