"""When an endpoint does not take records: another one of its lane takes over, else the job says: the other lane, wait, or hold.

- An endpoint that failed is closed for the rest of the night, so that nothing more is sent into a wall. The next start tries it again.
- Going elsewhere is an assignment within the decision, with a clearance of its own, through the gate (invariant 3). A restricted record has
  no elsewhere.
- Only what cannot run at the provider any more goes elsewhere: of a hand-over that was refused or has ended. One of which nobody knows is
  never touched here (6); it is reconciled first.
- What waits is held with a code that begins with `waiting_`, and taken up by the next start of its run, be it a collection.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from flows.night import Night
from policies.model import Endpoint, Lane
from sinks.handover import SERVER_ERROR, THROTTLED, UNUSABLE
from sinks.lanes.bedrock_settings import CODES
from sinks.ledger.entry import Entry, Event
from sinks.ledger.escalations import ESCALATED
from sinks.ledger.queries import RecordStates, job_runs, run_state
from sinks.ledger.repairs import REPAIR
from sinks.ledger.segments import Ledger

LOGGER = logging.getLogger("waybill")

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
    closed = _failure(night, endpoint, code)
    if closed is None:
        return None
    if endpoint.name not in night.closed:
        LOGGER.warning("%s: %s: nothing more is sent to it tonight", endpoint.name, closed.failure)
    return night.closed.setdefault(endpoint.name, closed)


def _failure(night: Night, endpoint: Endpoint, code: str) -> Closed | None:
    if night.keep is not None:  # a second look has nowhere else to go: what is not answered stays inside
        return None
    if endpoint.lane is Lane.CLOUD and code in CONTRADICTIONS:
        return Closed(failure=code, way="hold")
    if endpoint.lane is Lane.CLOUD and (code in CLOUD_FAILURES or code.startswith(SERVER_ERROR)):
        return Closed(failure=CLOUD_FAILURES.get(code, "cloud_unreachable"), way=night.job.on_cloud_failure)
    if endpoint.lane is Lane.LOCAL and (code in LOCAL_FAILURES or code.startswith(SERVER_ERROR)):
        return Closed(failure=LOCAL_DOWN, way=night.job.on_local_failure)
    return None


def would_hold(night: Night, endpoint: Endpoint, code: str, record_ids: Sequence[str]) -> dict[str, str]:
    """Which of these records `give_way` would hold, and why, if the endpoint failed with this code. Nothing is changed.

    So that they can be held in the commit that says that their job has ended: between two commits there is room for a kill, and after it
    for sending them again.
    """
    closed = night.closed.get(endpoint.name) or _failure(night, endpoint, code)
    if closed is None or closed.moves or takes_over(night, endpoint, closed):
        return {}
    return {record_id: closed.reason for record_id in record_ids if record_id not in night.escalated}


def give_way(night: Night, endpoint: Endpoint, code: str, record_ids: Sequence[str], *, held: int = 0) -> bool:
    """What becomes of records that an endpoint did not take; False where that is not for the job to say.

    Either they go the whole way again, and are then assigned elsewhere, or they are held. held: so many were, already.
    """
    closed = close(night, endpoint, code)
    if closed is None:
        return False
    night.failures[closed.failure] += held
    moves = closed.moves or takes_over(night, endpoint, closed)
    # An escalated record has an answer to go back to: it is asked inside again.
    staying = [] if moves else [record_id for record_id in record_ids if record_id not in night.escalated]
    night.lost += len(record_ids) - len(staying)
    if not staying:
        return True
    night.failures[closed.failure] += len(staying)
    now = datetime.now(UTC)
    night.ledger.commit(
        [
            Entry(event=Event.HELD, at=now, run_id=night.run_id, record_id=record_id, endpoint=endpoint.name, reason=closed.reason)
            for record_id in staying
        ]
    )
    return True


def takes_over(night: Night, endpoint: Endpoint, closed: Closed) -> bool:
    """Whether another endpoint of the lane stands in for a closed one. Not for one whose account contradicts the registry."""
    return closed.failure not in CONTRADICTIONS and any(
        one.lane is endpoint.lane and one.name not in {*night.closed, endpoint.name} for one in night.endpoints
    )


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
    """The latest run of a job, if records wait in it, or were given back to be asked again and then nobody went on."""
    runs = job_runs(ledger, job)
    if not runs:
        return None
    states = run_state(ledger, runs[-1].run_id)
    return runs[-1].run_id if given_back(states) or any(waits(state.reason) for state in states.among("held")) else None


def given_back(states: RecordStates) -> int:
    """How many records an answer was taken in for that is asked for again, by a repair or in the cloud."""
    return sum(state.reason in {REPAIR, ESCALATED} for state in states.among("released"))


def _is_latest(night: Night) -> bool:
    runs = job_runs(night.ledger, night.job.name)
    return bool(runs) and runs[-1].run_id == night.run_id
