"""What a planned fault lets a reader see: an old listing, another state, other times. What is kept stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.emulator.calls import Call
from sinks.emulator.clock import Clock
from sinks.emulator.jobs import Job

UNKNOWN_STATE = "recalibrating"
BACKWARDS = "backwards"
_LAG_S, _SKEW_S = 3600.0, -3600.0


def not_lagging(jobs: Sequence[Job], call: Call, clock: Clock) -> list[Job]:
    """The jobs that a listing shows; a planned lag hides the young ones."""
    fault = call.planned("lag")
    if fault is None:
        return list(jobs)
    before = clock.now() - (_LAG_S if fault.seconds is None else fault.seconds)
    return [job for job in jobs if job.created_at < before]


def shown_state(call: Call, state: str, states: Sequence[str]) -> str:
    """The state to show: the true one, a planned one, the one before it, or one that nobody knows."""
    fault = call.planned("state")
    if fault is None:
        return state
    if fault.state != BACKWARDS:
        return fault.state or UNKNOWN_STATE
    position = states.index(state) if state in states else len(states)
    return states[max(position - 1, 0)]


def skew_s(call: Call) -> float:
    """How far the provider's clock is off in this answer, or, at a create, for good."""
    fault = call.planned("skew")
    if fault is None:
        return 0.0
    return _SKEW_S if fault.seconds is None else fault.seconds
