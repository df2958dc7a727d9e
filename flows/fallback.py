"""When an endpoint does not take records: the job says whether they go to the other lane, wait, or are held.

- An endpoint that failed is closed for the rest of the night, so that nothing more is sent into a wall. The next start tries it again.
- Going elsewhere is an assignment within the decision, with a clearance of its own, through the gate (invariant 3). A restricted record has
  no elsewhere.
- Only what cannot run at the provider any more goes elsewhere: of a hand-over that was refused or has ended. One of which nobody knows is
  never touched here (6); it is reconciled first.
- What waits is held with a code that begins with `waiting_`, and taken up by the next start of its run, be it a collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from flows.night import MAX_ATTEMPTS, Night
from policies.assign import assign
from policies.model import Assignment, Decision, Endpoint, Lane
from sinks.handover import THROTTLED, UNUSABLE
from sinks.lanes.bedrock_settings import CODES
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import job_runs, run_state
from sinks.ledger.segments import Ledger

CONTRADICTIONS = CODES
"""What an account may say otherwise than the registry. Then its endpoint is refused."""

WAITING = "waiting_"
RULEBOOK_CHANGED = "waiting_rulebook_changed"
CLOUD_DEADLINE = "cloud_deadline"
LOCAL_DOWN = "local_down"
DEADLINE = "deadline"

CLOUD_FAILURES = {
    "unreachable": "cloud_unreachable",
    UNUSABLE: "cloud_unreachable",
    "provider_unavailable": "cloud_unreachable",
    "quota_exceeded": "cloud_quota",
    "batch_expired": CLOUD_DEADLINE,
    DEADLINE: CLOUD_DEADLINE,
    **dict.fromkeys(THROTTLED, "cloud_throttled"),
}
"""What a provider's refusal means for the night. What is not here is about the request or the account: a person must look at it."""

LOCAL_FAILURES = frozenset({UNUSABLE, "unreachable", "timeout", "connection_lost", "engine_unavailable", "engine_crashed"})
"""What an engine inside says when it is not there; so does any HTTP status of a server that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Why an endpoint takes nothing more tonight, and what the job does then: use the other lane, wait, or hold."""

    failure: str
    way: Literal["local", "cloud", "wait", "hold"]

    @property
    def moves(self) -> bool:
        """Whether its records go to the other lane, where that is permitted."""
        return self.way in {"local", "cloud"}

    @property
    def reason(self) -> str:
        """Why a record that stays is held."""
        return self.failure if self.way == "hold" else f"{WAITING}{self.failure}"


def close(night: Night, endpoint: Endpoint, code: str) -> Closed | None:
    """Close an endpoint that failed with this code; None where the code is no failure of the endpoint.

    An account that contradicts the registry is refused, whatever the job says of failures: its records are held.
    """
    if night.keep is not None:  # a second look has nowhere else to go: what is not answered stays inside
        return None
    if endpoint.lane is Lane.CLOUD and code in CONTRADICTIONS:
        closed = Closed(failure=code, way="hold")
    elif endpoint.lane is Lane.CLOUD and code in CLOUD_FAILURES:
        closed = Closed(failure=CLOUD_FAILURES[code], way=night.job.on_cloud_failure)
    elif endpoint.lane is Lane.LOCAL and (code in LOCAL_FAILURES or code.startswith("http_5")):
        closed = Closed(failure=LOCAL_DOWN, way=night.job.on_local_failure)
    else:
        return None
    return night.closed.setdefault(endpoint.name, closed)


def give_way(night: Night, endpoint: Endpoint, code: str, record_ids: Sequence[str]) -> bool:
    """What becomes of records that an endpoint did not take; False where that is not for the job to say.

    Either they go the whole way again, and are then assigned elsewhere, or they are held.
    """
    closed = close(night, endpoint, code)
    if closed is None:
        return False
    if closed.moves:
        night.lost += len(record_ids)
        return True
    night.failures[closed.failure] += len(record_ids)
    now = datetime.now(UTC)
    night.ledger.commit(
        [
            Entry(event=Event.HELD, at=now, run_id=night.run_id, record_id=record_id, endpoint=endpoint.name, reason=closed.reason)
            for record_id in record_ids
        ]
    )
    return True


def choose(night: Night, decision: Decision, among: Sequence[Endpoint]) -> Assignment:
    """The assignment; for one at a closed endpoint, what the job wants instead: the other lane (`fallback_…`), or none, and why."""
    wanted = assign(decision, among, strategy=night.job.lanes.strategy, today=night.today)
    closed = night.closed.get(wanted.endpoint.name) if wanted.endpoint is not None else None
    if closed is None or wanted.endpoint is None:
        return wanted
    night.failures[closed.failure] += 1
    if closed.moves:
        others = [one for one in among if one.lane is not wanted.endpoint.lane and one.name not in night.closed]
        elsewhere = assign(decision, others, strategy=night.job.lanes.strategy, today=night.today)
        if elsewhere.endpoint is not None:
            return replace(elsewhere, reason=f"fallback_{closed.failure}")
    return replace(wanted, endpoint=None, reason=closed.reason)


def endure(night: Night, decision: Decision, among: Sequence[Endpoint]) -> tuple[Assignment, bool]:
    """As `choose`, and whether the endpoint lost this record too often. One that only ever says that it is down counts as down."""
    assignment = choose(night, decision, among)
    state, endpoint = night.states.get(decision.record_id), assignment.endpoint
    if state is None or endpoint is None or state.endpoint != endpoint.name or not night.was_lost(decision.record_id):
        return assignment, False
    if night.attempt(decision.record_id) <= MAX_ATTEMPTS:
        return assignment, False
    if close(night, endpoint, state.reason or "") is None:
        return assignment, True
    return choose(night, decision, among), False


def take_up_waiting(night: Night) -> int:
    """Release what waits in this run for a try, each record once a start; returns how many.

    A collection begins with one batch: the rest follows when no endpoint was closed over it. Once a newer run of the job has begun, what
    waits in older ones is that run's to send.
    """
    if night.closed or night.options.limit or not _is_latest(night):
        return 0
    waiting = [state for state in night.states.among("held") if waits(state.reason) and state.record_id not in night.taken_up]
    if night.options.collect_only and not night.taken_up:
        waiting = waiting[: night.job.batch_size]
    if not waiting:
        return 0
    night.taken_up.update(state.record_id for state in waiting)
    now = datetime.now(UTC)
    night.ledger.commit(
        [
            Entry(event=Event.RELEASED, at=now, run_id=night.run_id, record_id=state.record_id, reason="retry", before=state.reason)
            for state in waiting
        ]
    )
    night.refresh()
    return len(waiting)


def waits(reason: str | None) -> bool:
    """Whether a record held for this reason is taken up by itself."""
    return bool(reason) and str(reason).startswith(WAITING)


def waiting_run(ledger: Ledger | Path, job: str) -> str | None:
    """The latest run of a job, if records wait in it."""
    runs = job_runs(ledger, job)
    if not runs or not any(waits(state.reason) for state in run_state(ledger, runs[-1].run_id).among("held")):
        return None
    return runs[-1].run_id


def _is_latest(night: Night) -> bool:
    runs = job_runs(night.ledger, night.job.name)
    return bool(runs) and runs[-1].run_id == night.run_id
