"""Money before it is spent: what a record may cost at the most, and whether that still fits the job's budget.

- A record is cleared for the cloud only if what it can cost at the most fits beside all that the ledger says is committed, and all
  that was cleared since. So no order of results, kills and starts brings a job above its budget.
- What does not fit stays inside, where the decision permits it and the job says `on_budget: local`, or is held for another night. With
  `on_budget: stop`, nothing more goes to any provider tonight, from the first record that does not fit: also after a kill, by the ledger.
  What had been given back to be asked in the cloud by then had found room, and goes if it still fits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from detectors.document import Document
from flows.night import Night
from policies.assign import assign
from policies.budget import (
    BUDGET_MONTH,
    BUDGET_NIGHT,
    BUDGET_STOPPED,
    ENDPOINT_MONTH,
    ENDPOINT_NIGHT,
    MONTH,
    NIGHT,
    SPENT,
    Committed,
    reached,
    refusal,
)
from policies.model import Assignment, Decision, Endpoint, Lane
from policies.prices import caches
from sinks.ledger.entry import Entry, Event
from sinks.ledger.escalations import ESCALATED
from sinks.ledger.spending import TOLD, EndpointCost, Told, alerts_told, committed, run_costs, stops
from sinks.ledger.told import Reason
from sinks.reconcile import WATCH
from sinks.tokens import input_tokens

BUDGET_FREED = "budget_freed"
_EVERYWHERE = ""
_LIMIT_OF = {BUDGET_NIGHT: NIGHT, BUDGET_MONTH: MONTH, ENDPOINT_NIGHT: NIGHT, ENDPOINT_MONTH: MONTH}


def count_committed(night: Night) -> None:
    """Read what the job is committed to from the ledger again: at the beginning of every pass over the documents."""
    night.committed = _committed(night) if night.job.budget.limited else Committed()
    if night.job.on_budget == "stop":
        # What a person has released since is no reason to stop any more: a larger budget, and `waybill held retry`, go on with the night.
        found = stops(night.ledger, night.job.name, run_id=night.run_id, held_as=SPENT | {BUDGET_STOPPED})
        night.spent_out |= {(one.endpoint, one.period) for one in found}
        night.stopped = night.stopped or bool(found)


def _committed(night: Night) -> Committed:
    now = datetime.now(UTC)
    return committed(night.ledger, night.job.name, run_id=night.run_id, month=_first_of_month(now), watched_since=now - WATCH)


def _first_of_month(now: datetime) -> datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def take_up_held(night: Night) -> bool:
    """Release what this run held for its budget, if results have freed some of it since; whether there is anything to carry again.

    It ends: a round in which nothing fits frees nothing.
    """
    held = [one for one in night.states.among("held") if one.reason in SPENT]
    if night.options.collect_only or night.stopped or not held:
        return False
    before = night.committed
    count_committed(night)
    if night.committed.night >= before.night and night.committed.month >= before.month:
        return False
    now = datetime.now(UTC)
    about = {"event": Event.RELEASED, "at": now, "run_id": night.run_id, "reason": BUDGET_FREED}
    night.ledger.commit([Entry(**about, record_id=one.record_id, before=one.reason) for one in held])  # type: ignore[arg-type]
    night.refresh()
    return True


def budget_use(night: Night) -> dict[str, tuple[Decimal, Decimal]]:
    """What is committed, and the limit, of each limit that the job has."""
    if not night.job.budget.limited:
        return {}
    count_committed(night)
    return {
        f"{period} at {name}" if name else period: (getattr(night.committed.at(name), period), limit)
        for name, period, limit in night.job.budget.of_all()
    }


def untold_shares(night: Night) -> list[Told]:
    """The limits that have come to a share of which nobody was told yet in their period; each with the highest such share.

    As of the ledger: of what is committed, and of the alerts that were sent.
    """
    if not night.job.budget.limited:
        return []
    count_committed(night)
    told = alerts_told(night.ledger, night.job.name, run_id=night.run_id, month=_first_of_month(datetime.now(UTC)))
    found = []
    for name, period, limit in night.job.budget.of_all():
        before = max((one.share for one in told if (one.endpoint, one.period) == (name, period)), default=0)
        full = (name, period) in night.spent_out
        now = max(reached(limit, getattr(night.committed.at(name), period), full=full), default=0)
        if now > before:
            found.append(Told(endpoint=name, period=period, share=now))
    return found


def enter_told(night: Night, shares: Iterable[Told], reasons: Iterable[Reason]) -> None:
    """State that somebody was told of these shares, a higher one standing for those below it, and of why records have no result."""
    now = datetime.now(UTC)
    about = {"event": Event.ALERTED, "at": now, "run_id": night.run_id}
    night.ledger.commit(
        [
            Entry(**about, endpoint=one.endpoint or None, state=one.period, reason=f"{TOLD}{one.share}")  # type: ignore[arg-type]
            for one in shares
        ]
        + [Entry(**about, state=state, reason=code) for state, code in reasons]  # type: ignore[arg-type]
    )


def night_costs(night: Night) -> list[EndpointCost]:
    """What this run cost, by endpoint."""
    return run_costs(night.ledger, night.job.name, night.run_id, watched_since=datetime.now(UTC) - WATCH)


def most_usd(night: Night, endpoint: Endpoint, document: Document) -> Decimal | None:
    """The most that one record can cost at an endpoint; None where nobody has said what a token costs there.

    It is charged as of the moment in which it is handed over, and midnight may come before that: the dearer of two days counts.
    """
    prices = night.prices_of(endpoint)
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    if all(price.free for price in known):
        return Decimal(0)
    tokens = input_tokens(night.prompt_for(document.record_id), document.parts, night.tokenizers.get(endpoint.name))
    return max(price.bound(tokens.at_most, night.prompt.max_tokens, caching=caches(endpoint)) for price in known)


def enter_spent(night: Night, code: str, endpoint: Endpoint) -> None:
    """A record did not fit into a limit: it counts as reached, and where the job says so, the night is stopped.

    That is true once `stop_entries` are committed, no later than what became of the record.
    """
    name, period = endpoint.name if code in {ENDPOINT_NIGHT, ENDPOINT_MONTH} else _EVERYWHERE, _LIMIT_OF[code]
    night.spent_out.add((name, period))
    if night.job.on_budget == "stop" and not night.stopped:
        night.stopped = True
        at = datetime.now(UTC)
        night.unstated.append(Entry(event=Event.STOPPED, at=at, run_id=night.run_id, endpoint=name or None, state=period, reason=code))


def stop_entries(night: Night) -> list[Entry]:
    """That the night is stopped, if no entry says so yet."""
    found, night.unstated = night.unstated, []
    return found


def _given_back(night: Night, record_id: str) -> bool:
    """Whether a record waits to be asked in the cloud. After a stop none is given back (`flows/escalating.py`)."""
    state = night.states.get(record_id)
    return state is not None and (state.state, state.reason) == ("released", ESCALATED)


def within_budget(night: Night, decision: Decision, document: Document, assignment: Assignment) -> tuple[Assignment, Decimal | None]:
    """The assignment, if its record fits the budget, and what is reserved for it; else the one inside, or none, with the reason."""
    endpoint = assignment.endpoint
    if endpoint is None:
        return assignment, None
    bound = most_usd(night, endpoint, document)
    if endpoint.lane is Lane.LOCAL:
        return assignment, bound
    stopped = night.stopped and not _given_back(night, document.record_id)
    code = BUDGET_STOPPED if stopped else refusal(night.job.budget, night.committed, bound, endpoint.name)
    if code is None:
        if bound:
            night.committed = night.committed.plus(bound, endpoint.name)
        return assignment, bound
    if code in SPENT:
        enter_spent(night, code, endpoint)
    if night.job.on_budget == "local":
        local = [one for one in night.endpoints if one.lane is Lane.LOCAL and one.name not in night.closed]
        inside = assign(decision, local, strategy=night.job.lanes.strategy, today=night.today)
        if inside.endpoint is not None:
            return replace(inside, reason=code), most_usd(night, inside.endpoint, document)
    return replace(assignment, endpoint=None, reason=code), None
