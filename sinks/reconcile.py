"""Finding out what became of hand-overs that nobody recorded: at every start, before anything is sent.

An intent with `submitting` or `ambiguous` and no job id is looked for at the provider. Found: its earliest job is adopted, further ones are
cancelled. Not found in two listings some time apart: nothing runs there, and its records may be cleared again. The old intent is watched
on, so that a job that turns up late is adopted if nothing was sent in its place, else cancelled and counted. Without a token on the
provider's side exactly-once cannot be proven; whoever prefers to decide by hand sets `on_ambiguous: hold`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeGuard

from policies.model import EMULATOR, Endpoint
from policies.model import Lane as LaneName
from sinks.errors import EndpointError
from sinks.lanes import Lane, Sought
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import OpenIntent, jobs_of_others, open_intents, run_state
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

ADOPTED = "adopted"
NOT_LISTED = "not_listed"
NOT_FOUND = "not_found"
HELD = "held"
EXTRA_JOB = "extra_job"
LATE_ORPHAN = "late_orphan"
FOREIGN_JOB = "foreign_job"
"""The job that was taken for an intent's, by a person, has only rows of others: the intent's own is looked for like a late one."""

RECONCILE_AFTER_S = 120.0
# A provider's own window for a batch is a day; a job that has not turned up two days after its intent does not exist.
WATCH = timedelta(hours=48)


class OnAmbiguous(StrEnum):
    """What to do with a hand-over that the provider does not list: let its records be sent again, or wait for a person."""

    RESUBMIT = "resubmit"
    HOLD = "hold"


class RemoteLane(Lane, Protocol):
    """A lane whose provider runs jobs of its own: they can be stopped, and uploads without a job removed."""

    def cancel(self, provider_job_id: str) -> None:
        """Ask the provider to stop a job."""
        ...

    def sweep(self, intent_id: str) -> Sequence[str]:
        """Delete what the intent left at the provider without a job; returns the ids deleted."""
        ...


def is_remote(lane: Lane | None) -> TypeGuard[RemoteLane]:
    """Whether a lane's jobs can be stopped. `isinstance` would not do: since Python 3.12 it does not see what a wrapper passes on."""
    return callable(getattr(lane, "cancel", None)) and callable(getattr(lane, "sweep", None))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """Intent ids by what was found out. unreachable: their provider could not be asked, or cannot tell; reasons: why, for a person.

    stopped: ids of jobs cancelled as one too many.
    """

    adopted: tuple[str, ...] = ()
    not_found: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def reconcile(
    ledger: Ledger,
    lanes: Mapping[str, Lane],
    registry: Mapping[str, Endpoint],
    *,
    now: datetime,
    run_id: str | None = None,
    on_ambiguous: OnAmbiguous = OnAmbiguous.RESUBMIT,
    actor: str = "waybill",
) -> ReconcileReport:
    """Look every open hand-over without a job id up, and commit what was found. `lanes` and `registry` by endpoint name."""
    desk = _Desk(ledger=ledger, now=now, on_ambiguous=on_ambiguous, actor=actor)
    histories = _histories(ledger, run_id)
    found: dict[str, list[str]] = {state: [] for state in ("adopted", "not_found", "waiting", "held", "unreachable")}
    stopped: list[str] = []
    reasons: dict[str, None] = {}
    for intent in open_intents(ledger, run_id):
        lane, endpoint = lanes.get(intent.endpoint), registry.get(intent.endpoint)
        if lane is None or endpoint is None:
            found["unreachable"].append(intent.intent_id)
            continue
        if not _in_doubt(intent, lane, endpoint):
            continue
        try:
            state, extra = desk.settle(intent, lane, endpoint, histories.get(intent.intent_id, _History()))
        except EndpointError as error:  # a listing that fails proves nothing: the intent stays as it is
            state, extra = "unreachable", []
            reasons[str(error)] = None
        found[state].append(intent.intent_id)
        stopped += extra
    for intent in _watched(ledger, run_id, now - WATCH):
        lane = lanes.get(intent.endpoint)
        if is_remote(lane) and intent.intent_id not in found["not_found"]:
            with contextlib.suppress(EndpointError):  # asked again at the next start
                adopted, extra = desk.late(intent, lane)
                found["adopted"] += [intent.intent_id] if adopted else []
                stopped += extra
    return ReconcileReport(**{state: tuple(ids) for state, ids in found.items()}, stopped=tuple(stopped), reasons=tuple(reasons))


def settle_refused(ledger: Ledger, lane: Lane, intent: OpenIntent, *, pause: Callable[[], None], actor: str = "waybill") -> str | None:
    """Look up a hand-over that the provider said it did not take, and once more after a pause. Its job, if there is one after all.

    None: nothing runs there; the intent is watched on all the same. Raises EndpointError where a listing cannot tell: the intent stays
    ambiguous, and the next start goes on from there.
    """
    desk = _Desk(ledger=ledger, now=datetime.now(UTC), on_ambiguous=OnAmbiguous.RESUBMIT, actor=actor)
    jobs = desk.look_up(intent, lane)
    if not jobs:
        desk.commit(intent, Event.AMBIGUOUS, NOT_LISTED)
        pause()
        jobs = desk.look_up(intent, lane)
    if not jobs:
        desk.give_up(intent, lane)
        return None
    desk.adopt(intent, lane, jobs)
    return jobs[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What earlier starts found out about an intent: when it was first looked for in vain, and whether a person is to decide."""

    first_listing: datetime | None = None
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Where findings become entries."""

    ledger: Ledger
    now: datetime
    on_ambiguous: OnAmbiguous
    actor: str

    def settle(self, intent: OpenIntent, lane: Lane, endpoint: Endpoint, history: _History) -> tuple[str, list[str]]:
        """Look one intent up; returns its state in the report and the ids of jobs that were stopped."""
        jobs = self.look_up(intent, lane)
        if not jobs and endpoint.lane is LaneName.LOCAL:  # nothing is paid for twice, and nothing of it can turn up late
            self.commit(intent, Event.REJECTED, NOT_FOUND)
            return "not_found", []
        first_listing = history.first_listing or self.now
        if not jobs and history.first_listing is None:
            self.commit(intent, Event.AMBIGUOUS, NOT_LISTED)
            if not reconcile_after(endpoint):
                jobs = self.look_up(intent, lane)
        if jobs:
            return "adopted", self.adopt(intent, lane, jobs)
        if self.now - first_listing < reconcile_after(endpoint):
            return "waiting", []
        return self._give_up(intent, lane, history), []

    def _give_up(self, intent: OpenIntent, lane: Lane, history: _History) -> str:
        """Two listings did not show it."""
        if self.on_ambiguous is OnAmbiguous.HOLD:
            if not history.held:
                self.commit(intent, Event.AMBIGUOUS, HELD)
            return "held"
        self.give_up(intent, lane)
        return "not_found"

    def give_up(self, intent: OpenIntent, lane: Lane) -> None:
        """State that nothing runs for an intent, and delete what its request may have left."""
        self.commit(intent, Event.REJECTED, NOT_FOUND)
        if is_remote(lane):
            with contextlib.suppress(EndpointError):  # what stays there expires by itself
                lane.sweep(intent.intent_id)

    def late(self, intent: OpenIntent, lane: RemoteLane) -> tuple[bool, list[str]]:
        """Look a given-up intent up once more. Its job is adopted while nothing was done in its place, else stopped."""
        jobs = self.look_up(intent, lane)
        if not jobs:
            return False, []
        states = run_state(self.ledger, intent.run_id)
        mine = [state for record_id in intent.record_ids if (state := states.get(record_id)) is not None]
        if all(state.intent_id == intent.intent_id and (state.state == "rejected" or state.reason == FOREIGN_JOB) for state in mine):
            return True, self.adopt(intent, lane, jobs)
        self._stop(lane, jobs)
        self.ledger.commit([self._entry(intent, Event.CANCELLED, LATE_ORPHAN, job_id) for job_id in jobs])
        return False, jobs

    def look_up(self, intent: OpenIntent, lane: Lane) -> list[str]:
        """The jobs of an intent at its provider, earliest first."""
        return list(lane.find(_sought(intent, jobs_of_others(self.ledger, intent.intent_id))))

    def adopt(self, intent: OpenIntent, lane: Lane, jobs: Sequence[str]) -> list[str]:
        """The earliest job is the intent's; more than one means that somebody sent twice, which is stopped and counted.

        One commit, the adoption last: were the intent left `cancelled` by a kill in between, its records would be sent again.
        """
        extra = list(jobs[1:]) if is_remote(lane) else []
        if is_remote(lane):
            self._stop(lane, extra)
        stopped = [self._entry(intent, Event.CANCELLED, EXTRA_JOB, job_id) for job_id in extra]
        self.ledger.commit([*stopped, self._entry(intent, Event.SUBMITTED, ADOPTED, jobs[0])])
        return extra

    def _stop(self, lane: RemoteLane, jobs: Sequence[str]) -> None:
        for job_id in jobs:
            if not lane.poll(job_id).ended:
                with contextlib.suppress(EndpointError):  # it may end in this very moment
                    lane.cancel(job_id)

    def commit(self, intent: OpenIntent, event: Event, state: str) -> None:
        """State what was found out about an intent."""
        self.ledger.commit([self._entry(intent, event, state)])

    def _entry(self, intent: OpenIntent, event: Event, state: str, job_id: str | None = None) -> Entry:
        return Entry(
            event=event,
            at=self.now,
            run_id=intent.run_id,
            actor=self.actor,
            endpoint=intent.endpoint,
            attempt=intent.attempt,
            intent_id=intent.intent_id,
            provider_job_id=job_id,
            state=state,
            detail_code=state,
        )


def _in_doubt(intent: OpenIntent, lane: Lane, endpoint: Endpoint) -> bool:
    """Whether nobody knows what runs for an intent. A local job that died with its process counts: its lane no longer finds it."""
    if intent.provider_job_id is None:
        return intent.state in {Event.SUBMITTING, Event.AMBIGUOUS}
    if endpoint.lane is not LaneName.LOCAL or intent.state != Event.SUBMITTED:
        return False
    return not lane.find(_sought(intent))  # a local lane knows its own jobs by the intent


def _sought(intent: OpenIntent, known: frozenset[str] = frozenset()) -> Sought:
    return Sought(intent_id=intent.intent_id, digest=intent.shard_hmac or "", since=intent.at, rows=len(intent.record_ids), known=known)


def reconcile_after(endpoint: Endpoint) -> timedelta:
    """How long after a listing in vain another one counts."""
    default = 0.0 if endpoint.provider == EMULATOR else RECONCILE_AFTER_S
    return timedelta(seconds=float(endpoint.settings.get("reconcile_after_s", default)))


def _histories(ledger: Ledger, run_id: str | None) -> dict[str, _History]:
    with reading(ledger, run_id=run_id) as reader:
        rows = reader.table(
            """
            SELECT intent_id, min("at") FILTER (state = $listed) AS first_listing, bool_or(state = $held) AS held
            FROM entries WHERE event = 'ambiguous' AND state IN ($listed, $held) GROUP BY intent_id
            """,
            listed=NOT_LISTED,
            held=HELD,
        ).to_pylist()
    return {row["intent_id"]: _History(first_listing=row["first_listing"], held=row["held"]) for row in rows}


def _watched(ledger: Ledger, run_id: str | None, since: datetime) -> list[OpenIntent]:
    """Intents given up since then, as they were."""
    with reading(ledger, ("intents",), run_id=run_id) as reader:
        rows = reader.table(
            """
            SELECT i.intent_id, any_value(i.run_id) AS run_id, any_value(i.endpoint) AS endpoint, any_value(i.attempt) AS attempt,
                   any_value(i.state) AS state, any_value(i."at") AS "at", any_value(i.provider_job_id) AS provider_job_id,
                   any_value(i.shard_hmac) AS shard_hmac, list(e.record_id ORDER BY e.seq) AS record_ids
            FROM intents i
            JOIN entries last ON last.seq = i.last_seq AND last.event = $event AND last.state = $state AND last."at" >= $since
            JOIN entries e ON e.intent_id = i.intent_id AND e.event = 'submitting'
            GROUP BY i.intent_id ORDER BY min(i.seq)
            """,
            event=Event.REJECTED.value,
            state=NOT_FOUND,
            since=since,
        ).to_pylist()
    return [OpenIntent(**{**row, "record_ids": tuple(row["record_ids"])}) for row in rows]


def runs_with_foreign_jobs(ledger: Ledger | Path, since: datetime) -> frozenset[str]:
    """Runs with a hand-over that a person took for a job of others: its own may be out still, so a collection looks for it too."""
    with reading(ledger, ("intents",)) as reader:
        rows = reader.table(
            """
            SELECT DISTINCT i.run_id FROM intents i JOIN entries last ON last.seq = i.last_seq
            WHERE last.event = 'rejected' AND last.detail_code = $code AND last."at" >= $since
            """,
            code=FOREIGN_JOB,
            since=since,
        )
    return frozenset(rows["run_id"].to_pylist())
