"""Taking results in, on every way a job can end: results → Parquet → one commit → deletion at the provider → deletion in the spool.

Invariants kept here:
- Exactly one outcome per row (6): completed, failed, or released for a new attempt, all in the commit that also ends the job. Killed
  before it, the same results are collected again and give the same file; killed after it, only deletions are left to do.
- The result file is durable before the ledger speaks of it; nothing is deleted before the ledger has spoken.
- Answers that a provider counts and does not show are waited for, with a bound (`sinks/unshown.py`), and not deleted unfetched.
- A job in which all rows are somebody else's is not ours: its hand-over counts as not found, and is looked for on (`sinks/reconcile.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from policies.assign import LOW_CONFIDENCE
from policies.model import Endpoint
from policies.model import Lane as LaneName
from policies.prices import Price
from sinks.answers import CONFLICT, SCHEMA_FAILURES, Answers, sort_out
from sinks.errors import EndpointError, HeadMovedError
from sinks.freeze import row_id_of
from sinks.lanes import Lane
from sinks.ledger.alike import Alike, Entries
from sinks.ledger.entry import Entry, Event
from sinks.ledger.escalations import ESCALATED
from sinks.ledger.lookup import asked_to_hold, job_has_ended
from sinks.ledger.queries import OpenIntent
from sinks.ledger.repairs import REPAIR, repaired
from sinks.ledger.segments import Ledger
from sinks.pricing import priced
from sinks.reconcile import FOREIGN_JOB, NOT_FOUND
from sinks.request import Prompt
from sinks.retire import retire_quietly
from sinks.shard import JobStatus, LaneResult
from sinks.unshown import RESULTS_NOT_SHOWN, counts_more, may_still_come

NOTHING: Mapping[str, str] = MappingProxyType({})
CANCELLED_BY_HAND = "cancelled_by_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedRow:
    """One result on its way to Parquet: the record, what the lane gave for it, and what that cost; None: nobody can say.

    doubtful: with too little confidence, for review.
    """

    record_id: str
    intent_id: str
    endpoint: Endpoint
    attempt: int
    result: LaneResult = field(repr=False)
    doubtful: bool = False
    cost_usd: Decimal | None = None


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
class Doubts:
    """What becomes of answers that are doubted, by record id. escalated: to be asked in the cloud. low: an answer stays, and is marked."""

    escalated: frozenset[str] = frozenset()
    low: frozenset[str] = frozenset()


Weigh = Callable[[Mapping[str, LaneResult]], Doubts]
"""Judges the answers of a job by record id, those that failed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What one look at a job gave. ended False: it runs on, and nothing was changed. missing: records to be sent again.

    repairs: of the failed ones, records to be asked once more, in the template's repair form; escalated: in the cloud. held: records
    without an answer that were held in the same commit.
    """

    intent_id: str
    status: JobStatus
    ended: bool
    completed: int = 0
    failed: int = 0
    missing: tuple[str, ...] = ()
    held: int = 0
    repairs: tuple[str, ...] = ()
    escalated: tuple[str, ...] = ()
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
    held_as: Mapping[str, str] = NOTHING,
    hold_unshown: bool = False,
    weigh: Weigh | None = None,
    actor: str = "waybill",
) -> IngestReport:
    """Poll a submitted job; once it has ended, take all of it in.

    price: what a token cost there when the job was handed over; without one, what the records cost stays unknown. code: goes with the end
    of the job into the ledger. held_as: records that are held under these codes, in the same commit, if they have no answer, instead of
    being given back to be sent again. hold_unshown: likewise, where the provider counted answers and never showed them.
    weigh: what to do with answers that are doubted; without it none is.
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
    unshown = counts_more(endpoint, status, answers)
    if unshown and may_still_come(ledger, intent, endpoint, now, actor):
        return IngestReport(intent_id=intent.intent_id, status=status, ended=False)
    repairs = _repairs(ledger, intent, records, answers, prompt)
    answers, doubts = _weighed(weigh, answers, records, repairs)
    completed = [
        CompletedRow(
            record_id=records[row_id],
            intent_id=intent.intent_id,
            endpoint=endpoint,
            attempt=intent.attempt,
            result=result,
            doubtful=records[row_id] in doubts.low,
            cost_usd=answers.costs.get(row_id),
        )
        for row_id, result in answers.answered.items()
    ]
    places = write(completed) if completed else {}
    kept = FOREIGN_JOB if answers.foreign and endpoint.lane is LaneName.CLOUD else RESULTS_NOT_SHOWN if unshown else None
    whole = _reason_to_hold(ledger, intent, answers, kept if kept == FOREIGN_JOB or hold_unshown else None)
    hold = dict.fromkeys(intent.record_ids, whole) if whole else held_as
    missing = [records[row_id] for row_id in answers.missing]
    book = _Book(
        intent=intent,
        endpoint=endpoint,
        records=records,
        now=now,
        actor=actor,
        hold=hold,
        repairs=repairs,
        doubts=doubts,
        code=kept or code,
    )
    _commit_once(ledger, intent, book.entries(answers, places, status))
    return IngestReport(
        intent_id=intent.intent_id,
        status=status,
        ended=True,
        completed=len(answers.answered),
        failed=len(answers.failed),
        missing=tuple(record_id for record_id in missing if record_id not in hold),
        held=sum(record_id in hold for record_id in missing),
        repairs=tuple(records[row_id] for row_id in records if row_id in repairs),
        escalated=tuple(record_id for record_id in records.values() if record_id in doubts.escalated),
        quarantined=len(answers.conflicting) + sum(answers.strays.values()),
        deleted=kept is None and retire_quietly(ledger, lane, intent, spool=spool, now=now, actor=actor),
    )


def _reason_to_hold(ledger: Ledger, intent: OpenIntent, answers: Answers, odd: str | None) -> str | None:
    """Why nothing that has no answer is sent again, whatever else is to become of it. odd: what is strange about the job."""
    if odd is not None:
        return odd
    asked = bool(answers.missing) and asked_to_hold(ledger, intent.run_id, intent.intent_id)
    return CANCELLED_BY_HAND if asked else None


def _repairs(ledger: Ledger, intent: OpenIntent, records: Mapping[str, str], answers: Answers, prompt: Prompt) -> frozenset[str]:
    """The failed rows that are asked once more: their answer did not keep to the schema, and their record was not given back before."""
    broken = [row_id for row_id, result in answers.failed.items() if result.error_code in SCHEMA_FAILURES]
    if not prompt.repair or not broken:
        return frozenset()
    before = repaired(ledger, intent.run_id)
    return frozenset(row_id for row_id in broken if records[row_id] not in before)


def _weighed(weigh: Weigh | None, answers: Answers, records: Mapping[str, str], repairs: frozenset[str]) -> tuple[Answers, Doubts]:
    """The answers, an escalated one as the failed row that it is from now on. What is asked once more anyway is not weighed."""
    if weigh is None:
        return answers, Doubts()
    judged = {**answers.answered, **answers.failed}
    doubts = weigh({records[row_id]: result for row_id, result in judged.items() if row_id not in repairs})
    given_up = {row_id: result for row_id, result in answers.answered.items() if records[row_id] in doubts.escalated}
    left = {row_id: result for row_id, result in answers.answered.items() if row_id not in given_up}
    failed = {row_id: replace(result, output=None, error_code=LOW_CONFIDENCE) for row_id, result in given_up.items()}
    return replace(answers, answered=left, failed={**answers.failed, **failed}), doubts


def _commit_once(ledger: Ledger, intent: OpenIntent, entries: Entries) -> None:
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


_TOLD = (
    "finish_reason",
    "model",
    "revision",
    "weights_digest",
    "lora_digest",
    "tokens_in",
    "tokens_out",
    "confidence",
)
"""What an outcome's entry repeats of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """Where answers become entries. hold: why records without an answer are held, and not sent again."""

    intent: OpenIntent
    endpoint: Endpoint
    records: Mapping[str, str]
    now: datetime
    actor: str
    hold: Mapping[str, str] = field(default_factory=dict)
    repairs: frozenset[str] = frozenset()
    doubts: Doubts = field(default_factory=Doubts)
    code: str | None = None

    def entries(self, answers: Answers, places: Mapping[str, ResultPlace], status: JobStatus) -> list[Entry | Alike]:
        """The one commit of a job: results, other outcomes, each in row order, then oddities, then the end."""
        outcomes: list[Entry] = []
        for row_id, record_id in self.records.items():
            if row_id in answers.answered:
                continue
            if row_id in answers.failed:
                outcomes.append(self._failed(record_id, answers.failed[row_id], answers.costs.get(row_id)))
                if row_id in self.repairs:
                    outcomes.append(replace(self._entry(Event.RELEASED), record_id=record_id, reason=REPAIR))
                elif record_id in self.doubts.escalated:
                    confidence = answers.failed[row_id].confidence
                    outcomes.append(replace(self._entry(Event.RELEASED), record_id=record_id, reason=ESCALATED, confidence=confidence))
            else:
                free = Decimal(0) if row_id in answers.never_run else None
                outcomes.append(replace(self._entry(Event.RELEASED), record_id=record_id, reason=answers.missing[row_id], cost_usd=free))
                if record_id in self.hold:
                    outcomes.append(replace(self._entry(Event.HELD), record_id=record_id, reason=self.hold[record_id]))
        odd = [
            replace(self._entry(Event.QUARANTINED), record_id=self.records[row_id], detail_code=CONFLICT) for row_id in answers.conflicting
        ]
        odd += [self.oddity(code) for code in sorted(answers.strays)]
        ended = replace(
            self._entry(Event.JOB_ENDED), provider_job_id=self.intent.provider_job_id, state=status.state, detail_code=self.code
        )
        if self.code == FOREIGN_JOB:
            ended = replace(ended, event=Event.REJECTED, provider_job_id=None, state=NOT_FOUND)
        return [self._completed(answers, places), *outcomes, *odd, ended]

    def oddity(self, code: str) -> Entry:
        """Something about the whole job that a person may want to look at."""
        return replace(self._entry(Event.QUARANTINED), detail_code=code)

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

    def _completed(self, answers: Answers, places: Mapping[str, ResultPlace]) -> Alike:
        row_ids = [row_id for row_id in self.records if row_id in answers.answered]
        record_ids, results = [self.records[row_id] for row_id in row_ids], [answers.answered[row_id] for row_id in row_ids]
        found = [places[record_id] for record_id in record_ids]
        return Alike(
            self._entry(Event.COMPLETED),
            {
                "record_id": record_ids,
                "detail_code": [LOW_CONFIDENCE if record_id in self.doubts.low else None for record_id in record_ids],
                "result_file": [place.file for place in found],
                "result_row": [place.row for place in found],
                "result_digest": [place.digest for place in found],
                "cost_usd": [answers.costs.get(row_id) for row_id in row_ids],
                **{name: [getattr(result, name) for result in results] for name in _TOLD},
            },
        )

    def _failed(self, record_id: str, result: LaneResult, cost_usd: Decimal | None) -> Entry:
        told = {name: getattr(result, name) for name in _TOLD}
        return replace(self._entry(Event.FAILED), record_id=record_id, error_code=result.error_code, cost_usd=cost_usd, **told)
