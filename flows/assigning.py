"""Decisions → assignments, a batch at a time: what the job's strategy asks for is gathered, and nothing else.

- What is chosen is within the decision: `policies.assign` filters before a strategy sees a place, and checks again after (invariant 1).
- A closed endpoint takes nothing: another one of its lane takes over (`fallback_…`), else the job says whether the other lane does.
- An escalated record goes to the cloud. Where no way leads there it is asked inside again, and that answer stays (`flows/escalating.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal

from detectors.document import Document, Evidence
from flows.expected_prices import expected_price
from flows.fallback import Closed, close, takes_over
from flows.night import MAX_ATTEMPTS, Night
from flows.sources import list_batches
from policies.assign import NO_FACTS, NO_LIMITS, Capacity, RecordFacts, StrategyName, assign_all
from policies.model import Assignment, Decision, Endpoint, Lane
from policies.prices import Price
from policies.strategies.calibration import probability_of
from sinks.ledger.elsewhere import FALLBACK
from sinks.tokens import input_tokens

EXHAUSTED = "attempts_exhausted"

Judged = tuple[Document, Evidence, Decision]
"""A record as it is assigned: what it holds, what was found, where it may go."""


def count_batches(night: Night) -> None:
    """Count what lies ahead of a pass over the documents, where the strategy asks how much of it must stay inside."""
    if night.load is not None:
        night.load.begin(sum(1 for _ in list_batches(night.job, limit=night.options.limit)))


def assign_records(night: Night, records: Sequence[Judged], among: Sequence[Endpoint] | None = None) -> list[Assignment]:
    """The assignment of each record, by the job's strategy, with what failed tonight left out; without an endpoint: why.

    among: where that is not a whole batch among all endpoints.
    """
    decisions = [decision for _, _, decision in records]
    facts = facts_of(night, records, night.endpoints if among is None else among)
    if night.load is not None and among is None:
        night.load.carried(decisions, facts)
    batch = _Batch(night, decisions, facts, night.endpoints if among is None else among)
    chosen = batch.choose(range(len(records)), batch.among)
    for _ in range(len(batch.among) + 1):  # an endpoint may be closed over a record that was lost there
        before = tuple(chosen)
        _leave_lost(batch, chosen)
        _leave_closed(batch, chosen)
        _stay_inside(batch, chosen)
        if all(one is other for one, other in zip(before, chosen, strict=True)):
            break
    return chosen


def inside_instead(night: Night, decision: Decision, reason: str) -> Assignment:
    """The assignment inside of an escalated record that has no way out; `reason`: why it has none, whatever comes of it."""
    return fellow_instead(night, decision, Lane.LOCAL, frozenset(), reason)


def fellow_instead(night: Night, decision: Decision, lane: Lane, without: AbstractSet[str], reason: str) -> Assignment:
    """The assignment of a record to an open endpoint of a lane, but not to these; `reason`: why it is not where it was to be."""
    left = [one for one in night.endpoints if one.lane is lane and one.name not in night.closed and one.name not in without]
    (found,) = _Batch(night, [decision], [NO_FACTS], left).choose([0], left)
    return replace(found, reason=reason)


def strategy_of(night: Night) -> StrategyName:
    """The job's. A second look has one place to go, and nothing to weigh."""
    strategy: StrategyName = night.job.lanes.strategy
    return strategy if night.keep is None or strategy == "cloud_first" else "local_first"


def facts_of(night: Night, records: Sequence[Judged], among: Sequence[Endpoint]) -> list[RecordFacts]:
    """What the strategy may know of each record. For `cloud_first` that is nothing, and costs nothing."""
    strategy = strategy_of(night)
    scored = night.score if strategy == "tiered" else None
    priced = _prices(night, among) if strategy == "cheapest" else {}
    counted = bool(priced) or (night.load is not None and night.keep is None)
    if scored is None and not counted and not night.escalated:
        return [NO_FACTS] * len(records)
    tokens_out = (night.load.tokens_out if night.load is not None else None) or night.prompt.max_tokens
    facts = []
    for document, evidence, _ in records:
        tokens = input_tokens(night.prompt, document.parts).expected if counted else 0
        facts.append(
            RecordFacts(
                tokens_in=tokens,
                tokens_out=tokens_out if counted else 0,
                complexity=scored(document, evidence) if scored is not None else 0.0,
                usd={name: _expected(price, tokens, tokens_out) for name, price in priced.items()},
                escalated=document.record_id in night.escalated,
            )
        )
    return facts


def _prices(night: Night, among: Sequence[Endpoint]) -> dict[str, Price | None]:
    speeds = night.load.speeds if night.load is not None else {}
    return {one.name: expected_price(night.prices, one, night.today, speeds.get(one.name)) for one in among}


def _expected(price: Price | None, tokens_in: int, tokens_out: int) -> Decimal | None:
    return None if price is None else price.bound(tokens_in, tokens_out, caching=False)


def _capacity(night: Night) -> Capacity:
    """What the strategy may know of the endpoints, and the limits that the job sets it."""
    lanes = night.job.lanes
    capacity = night.load.capacity() if night.load is not None and night.keep is None else NO_LIMITS
    if lanes.complexity is not None:
        capacity = replace(capacity, medium_from=lanes.complexity.medium_from, large_from=lanes.complexity.large_from)
    return capacity if lanes.quality_floor is None else replace(capacity, quality_floor=lanes.quality_floor)


class _Batch:
    """The records of one batch, and how any of them are assigned among any endpoints."""

    def __init__(self, night: Night, decisions: Sequence[Decision], facts: Sequence[RecordFacts], among: Sequence[Endpoint]) -> None:
        self.night, self.decisions, self.facts, self.among = night, decisions, facts, among
        self._strategy, self._capacity = strategy_of(night), _capacity(night)

    def choose(self, which: Sequence[int], endpoints: Sequence[Endpoint], *, plainly: bool = False) -> list[Assignment]:
        """Assign these of the records. plainly: an escalated one like any other."""
        facts = [self.facts[index] for index in which]
        chosen = assign_all(
            [self.decisions[index] for index in which],
            endpoints,
            strategy=self._strategy,
            today=self.night.today,
            facts=[replace(one, escalated=False) if one.escalated else one for one in facts] if plainly else facts,
            capacity=self._capacity,
        )
        if plainly or not self.night.escalated:
            return chosen
        # What an escalation goes by is the confidence of the answer from inside.
        told = self.night.escalated
        return [
            replace(one, score=probability_of(told.get(one.record_id))) if fact.escalated else one
            for one, fact in zip(chosen, facts, strict=True)
        ]

    def move(self, chosen: list[Assignment], which: Sequence[int], closed: Closed, endpoint: Endpoint) -> None:
        """Assign these of the records elsewhere, because their endpoint is closed; what has no elsewhere has a reason instead."""
        left = list(which)
        for others in _ways(self.night, self.among, endpoint, closed):
            found = self.choose(left, others, plainly=others[0].lane is not endpoint.lane)
            for index, one in zip(left, found, strict=True):
                if one.endpoint is not None:
                    chosen[index] = replace(one, reason=f"{FALLBACK}{closed.failure}")
            left = [index for index, one in zip(left, found, strict=True) if one.endpoint is None]
            if not left:
                return
        for index in left:
            chosen[index] = replace(chosen[index], endpoint=None, reason=closed.reason)


def _leave_closed(batch: _Batch, chosen: list[Assignment]) -> None:
    """Move the records whose endpoint failed tonight."""
    stranded: dict[str, list[int]] = {}
    if not batch.night.closed:
        return
    for index, one in enumerate(chosen):
        if one.endpoint is not None and one.endpoint.name in batch.night.closed:
            stranded.setdefault(one.endpoint.name, []).append(index)
    for name, which in stranded.items():
        closed = batch.night.closed[name]
        batch.night.failures[closed.failure] += len(which)
        batch.move(chosen, which, closed, batch.night.registry[name])


def _ways(night: Night, among: Sequence[Endpoint], endpoint: Endpoint, closed: Closed) -> Iterator[Sequence[Endpoint]]:
    """The open endpoints to try instead of a closed one: of its lane first, then of the other, where the job says so."""
    fellows = [one for one in among if one.lane is endpoint.lane and one.name not in night.closed]
    if fellows and takes_over(night, endpoint, closed):
        yield fellows
    others = [one for one in among if one.lane is not endpoint.lane and one.name not in night.closed]
    if others and closed.moves:
        yield others


def _leave_lost(batch: _Batch, chosen: list[Assignment]) -> None:
    """Look at records that their endpoint lost too often. One that only ever says that it is down counts as down."""
    night = batch.night
    for index, one in enumerate(chosen) if len(night.states) else ():
        endpoint = one.endpoint
        if endpoint is None or not night.was_lost(one.record_id) or night.attempt(one.record_id) <= MAX_ATTEMPTS:
            continue
        state = night.states.get(one.record_id)
        if state is None or state.endpoint != endpoint.name:
            continue
        closed = close(night, endpoint, state.reason or "")
        if closed is None:
            chosen[index] = replace(one, endpoint=None, reason=EXHAUSTED)
        else:
            night.failures[closed.failure] += 1
            batch.move(chosen, [index], closed, endpoint)


def _stay_inside(batch: _Batch, chosen: list[Assignment]) -> None:
    """An escalated record without a way out is asked inside again."""
    night = batch.night
    if not night.escalated:
        return
    left = [index for index, one in enumerate(chosen) if one.endpoint is None and one.reason != EXHAUSTED and batch.facts[index].escalated]
    local = [one for one in batch.among if one.lane is Lane.LOCAL and one.name not in night.closed]
    failures = {closed.reason: f"{FALLBACK}{closed.failure}" for closed in night.closed.values()}
    found = batch.choose(left, local, plainly=True) if left and local else []
    for index, one in zip(left, found, strict=bool(found)):
        if one.endpoint is not None:
            reason = chosen[index].reason
            chosen[index] = replace(one, reason=failures.get(reason, reason))
