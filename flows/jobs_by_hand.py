"""What a person decides about a hand-over: cancel its job, say which job it is, or say that there is none.

- Under the job's lock: no night, no collection and no second person is at the same hand-over meanwhile.
- The ledger speaks first where a crash afterwards could lose the wish (`cancel_asked`), and last where it states what was found out.
- A hand-over stays open until the job at the provider has ended and its results are taken in. A cancel that is ignored changes nothing.
- Records are given free only with a listing that does not show the job, or against an explicit `unsafe` word; the old hand-over is then
  watched for two days like any other (`sinks/reconcile.py`): a job that turns up late is adopted or stopped, and counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.errors import RequestRefusedError
from flows.job import Job
from flows.override_entry import check_reason
from flows.provider_access import open_providers
from sinks.clients.calls import PROVIDER_ID
from sinks.errors import EndpointError
from sinks.lanes import Sought
from sinks.lanes.inventory import FOREIGN, InventoryLane, ListedJob
from sinks.lanes.listing import CLOCK_SKEW
from sinks.ledger.entry import Entry, Event
from sinks.ledger.files import head
from sinks.ledger.lock import one_runner
from sinks.ledger.queries import OpenIntent, job_runs, jobs_of_others, open_intents
from sinks.ledger.segments import Ledger
from sinks.reconcile import ADOPTED, EXTRA_JOB, NOT_FOUND

SHORTEST = 8
BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who decides, and why: a code."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What came of a cancel. before, after: the job; after: None where it could not be asked. refused: why the provider did not take it."""

    intent_id: str
    before: ListedJob
    after: ListedJob | None
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What was entered. doubts: what could not be checked. stopped: further jobs of the same hand-over, which were cancelled."""

    intent_id: str
    records: int
    doubts: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


def cancel(job: Job, name: str, *, rest: str, person: Person) -> Cancelled:
    """Ask the provider to stop the job of a hand-over. rest: `hold` or `resend` what it leaves undone. Raises RequestRefusedError."""
    with _at_desk(job, name, person) as desk:
        intent, lane = desk.intent, desk.lane
        if intent.provider_job_id is None:
            raise RequestRefusedError(
                f"{intent.intent_id}: nobody knows its job at the provider; run the job again, or `waybill jobs resolve` it"
            )
        before = lane.look(intent.provider_job_id)
        if before.ended:
            raise RequestRefusedError(f"{intent.intent_id}: its job has ended ({before.state}); `waybill collect` takes the results in")
        desk.enter(Event.CANCEL_ASKED, rest, intent.provider_job_id)
        refused = None
        try:
            lane.cancel(intent.provider_job_id)
        except EndpointError as error:
            refused = str(error)
        after = None
        with contextlib.suppress(EndpointError):
            after = lane.look(intent.provider_job_id)
        return Cancelled(intent_id=intent.intent_id, before=before, after=after, refused=refused)


def adopt(job: Job, name: str, provider_job_id: str, *, person: Person) -> Resolved:
    """Say which job a hand-over in doubt is. Raises RequestRefusedError where the provider shows that it is another's."""
    with _at_desk(job, name, person) as desk:
        intent, lane = desk.in_doubt(), desk.lane
        if not PROVIDER_ID.fullmatch(provider_job_id):
            raise RequestRefusedError("--as: expected submitted:PROVIDER_JOB_ID, the id as the provider writes it")
        if provider_job_id in jobs_of_others(desk.ledger, intent.intent_id):
            raise RequestRefusedError(f"{provider_job_id} belongs to another hand-over of this ledger")
        shown = lane.look(provider_job_id)
        doubts = list(_check_adoption(shown, intent))
        others: list[str] = []
        try:
            others = [one for one in desk.found() if one != shown.job_id]
        except EndpointError as error:
            doubts.append(f"whether another job carries it too could not be found out: {error}")
        for other in others:
            if not lane.look(other).ended:
                with contextlib.suppress(EndpointError):  # it may end in this very moment
                    lane.cancel(other)
        # One commit, the adoption last, as in `sinks/reconcile.py`.
        stopped = [desk.entry(Event.CANCELLED, EXTRA_JOB, other) for other in others]
        desk.ledger.commit([*stopped, desk.entry(Event.SUBMITTED, ADOPTED, shown.job_id)])
        return Resolved(intent_id=intent.intent_id, records=len(intent.record_ids), doubts=tuple(doubts), stopped=tuple(others))


def _check_adoption(shown: ListedJob, intent: OpenIntent) -> Iterator[str]:
    """What the provider's own data say against it is a refusal; what they do not say is a doubt."""
    if shown.mark == FOREIGN:
        raise RequestRefusedError(f"{shown.job_id} carries none of our hand-overs; it is somebody else's job")
    if shown.carries(intent.intent_id) is False:
        raise RequestRefusedError(f"{shown.job_id} carries the hand-over {shown.mark}, not {intent.intent_id}")
    if shown.digest and intent.shard_hmac and shown.digest != intent.shard_hmac:
        raise RequestRefusedError(f"{shown.job_id} carries this hand-over with another digest; its rows are not the ones that were cleared")
    if shown.total is not None and shown.total != len(intent.record_ids):
        raise RequestRefusedError(f"{shown.job_id} has {shown.total} rows, the hand-over {len(intent.record_ids)}")
    if shown.mark is None and shown.created_at is not None and shown.created_at < intent.at - CLOCK_SKEW:
        # Its rows would have told; without them (archived by now, say) all of the hand-over would count as lost, and be paid again.
        raise RequestRefusedError(
            f"{shown.job_id} was made at {shown.created_at:%Y-%m-%d %H:%M} UTC, before the hand-over; it is another's"
        )
    if shown.mark is None:
        yield "the provider cannot show whose job it is before it has ended; rows that are not this hand-over's will be quarantined"


def release(job: Job, name: str, *, person: Person, unsafe_unlisted: bool) -> Resolved:
    """Say that a hand-over in doubt was never taken, so that its records may be sent anew. Raises RequestRefusedError.

    unsafe_unlisted: even though the provider's list cannot be had, or cannot tell.
    """
    with _at_desk(job, name, person) as desk:
        intent = desk.in_doubt()
        doubts = []
        try:
            found = desk.found()
        except EndpointError as error:
            if not unsafe_unlisted:
                raise RequestRefusedError(
                    f"{error}; so nobody can tell whether it is paid for already: ask again later, or insist with --unsafe-unlisted"
                ) from None
            doubts.append(f"unsafe_unlisted: the provider's list could not tell: {error}")
            found = []
        if found:
            raise RequestRefusedError(
                f"{intent.intent_id}: the provider lists its job {', '.join(found)}; resolve it --as submitted:{found[0]}"
            )
        desk.enter(Event.REJECTED, NOT_FOUND)
        with contextlib.suppress(EndpointError):  # what stays there expires by itself; `waybill audit reconcile` names it
            desk.lane.sweep(intent.intent_id)
        return Resolved(intent_id=intent.intent_id, records=len(intent.record_ids), doubts=tuple(doubts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """One open hand-over under the lock, its provider, and the person at it."""

    ledger: Ledger
    intent: OpenIntent
    lane: InventoryLane
    person: Person

    def in_doubt(self) -> OpenIntent:
        if self.intent.provider_job_id is not None:
            raise RequestRefusedError(
                f"{self.intent.intent_id}: its job is known ({self.intent.provider_job_id}); collect it, or cancel it"
            )
        return self.intent

    def found(self) -> list[str]:
        """The jobs that carry it, as the recovery would find them. Raises EndpointError where the list cannot tell."""
        intent = self.intent
        return list(
            self.lane.find(
                Sought(
                    intent_id=intent.intent_id,
                    digest=intent.shard_hmac or "",
                    since=intent.at,
                    rows=len(intent.record_ids),
                    known=jobs_of_others(self.ledger, intent.intent_id),
                )
            )
        )

    def enter(self, event: Event, state: str, provider_job_id: str | None = None) -> None:
        self.ledger.commit([self.entry(event, state, provider_job_id)])

    def entry(self, event: Event, state: str, provider_job_id: str | None = None) -> Entry:
        return Entry(
            event=event,
            at=datetime.now(UTC),
            run_id=self.intent.run_id,
            actor=self.person.actor,
            reason=self.person.reason,
            endpoint=self.intent.endpoint,
            attempt=self.intent.attempt,
            intent_id=self.intent.intent_id,
            provider_job_id=provider_job_id,
            state=state,
            detail_code=BY_HAND,
        )


@contextlib.contextmanager
def _at_desk(job: Job, name: str, person: Person) -> Iterator[_Desk]:
    """Take the job's lock, find the one open hand-over of that name, and open its provider."""
    check_reason(person.reason, person.actor)
    if not head(job.ledger.path):
        raise RequestRefusedError(f"{job.ledger.path}: no ledger here yet; nothing was handed over")
    with one_runner(job.ledger.path, job.name):
        ledger = Ledger.open(job.ledger.path, keys=job.ledger_keys)
        intent = _named(ledger, job, name)
        with open_providers(job, [intent.endpoint]) as providers:
            lane = providers.lanes.get(intent.endpoint)
            if lane is None:
                raise RequestRefusedError(f"endpoint {intent.endpoint}: {providers.silent[intent.endpoint]}")
            yield _Desk(ledger=ledger, intent=intent, lane=lane, person=person)


def _named(ledger: Ledger, job: Job, name: str) -> OpenIntent:
    runs = {run.run_id for run in job_runs(ledger, job.name)}
    found = [
        intent
        for intent in open_intents(ledger)
        if intent.run_id in runs and (intent.intent_id == name or (len(name) >= SHORTEST and intent.intent_id.startswith(name)))
    ]
    if len(found) != 1:
        raise RequestRefusedError(
            f"INTENT: expected the id of one open hand-over of job {job.name}, or {SHORTEST} digits or more of it, found {len(found)}; "
            "`waybill jobs` lists them"
        )
    return found[0]
