"""A night on a virtual clock: the real strategies, permissions, budget and prices; only machines, providers and time are made up.

Records are carried in batches at the beginning. A place inside works in the order of its queue; the cloud returns everything after
tonight's turnaround. What an outage took away, and what lacks confidence, is carried again when it is known, by the hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from benchmarks.month.purse import Purse, expected_usd
from benchmarks.month.world import DEADLINE_S, EXPECTED_TOKENS_OUT, HOUR, KINDS, MAX_TOKENS, TURNAROUND_S, Night, World
from policies.assign import Capacity, RecordFacts, StrategyName, assign_all, permits
from policies.model import Assignment, Endpoint, Lane
from policies.prices import Usage
from policies.strategies.batch import Situation, level
from policies.strategies.reserve import reserve

BATCH, LEAST_BATCH = 500, 50
ESCALATE_BELOW = 0.55
PLANNED = 0.98
"""The share of the time left that is planned with: a record that may not leave must still fit in when it is longer than expected."""
RESTRICTED = KINDS.index("PHI")


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a strategy came to, over the month. late_nights: nights with a record that was late or without an answer."""

    records: int = 0
    late: int = 0
    held: int = 0
    late_nights: int = 0
    restricted_out: int = 0
    not_permitted: int = 0
    too_small: int = 0
    escalated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    by_endpoint: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, kw_only=True)
class Work:
    """One record in the queue of a place inside."""

    record: int
    start: float
    end: float


def run_month(world: World, strategy: StrategyName, purse: Purse, endpoints: Sequence[Endpoint]) -> Tally:
    """Every night of the world by one strategy, with one purse."""
    tally = Tally()
    for night in world.nights:
        _NightRun(world, night, strategy, purse, endpoints, tally).run()
        purse.end_night()
    return tally


class _NightRun:
    """One night: queues inside, what is closed, when each record has its answer and from where."""

    def __init__(  # noqa: PLR0917 - made in one place
        self, world: World, night: Night, strategy: StrategyName, purse: Purse, endpoints: Sequence[Endpoint], tally: Tally
    ) -> None:
        self.world, self.night, self.strategy, self.purse, self.tally = world, night, strategy, purse, tally
        self.endpoints = list(endpoints)
        self.cloud = frozenset(one.name for one in endpoints if one.lane is Lane.CLOUD)
        self.price = {name: purse.prices.of(world.rules.registry[name], night.day) for name in self.cloud}
        self.queues: dict[str, list[Work]] = {one.name: [] for one in endpoints if one.lane is Lane.LOCAL}
        self.closed: set[str] = set()
        self.answered: dict[int, tuple[float, Endpoint]] = {}
        self.usd = self._expected()

    def run(self) -> None:
        """Carry everything, then go through the hours, and count."""
        self.carry(range(len(self.night.kind)), 0.0)
        judged: set[int] = set()
        for hour in range(1, round(DEADLINE_S / HOUR) + 1):
            now = hour * HOUR
            for name in list(self.queues):
                if self.night.down_from_s(name) == now:
                    self.carry(self._lost(name, now), now)
            if self.strategy == "waterfall" and now + TURNAROUND_S <= DEADLINE_S:
                doubtful = self._doubtful(now, judged)
                judged.update(doubtful)
                self.carry(doubtful, now, escalated=True)
        self._count()

    def carry(self, records: Iterable[int], now: float, *, escalated: bool = False) -> None:
        """Assign records a batch at a time and hand them over; what is not taken is assigned again, elsewhere."""
        left = list(records)
        size = max(LEAST_BATCH, round(BATCH * self.world.scale))
        batches = [left[start : start + size] for start in range(0, len(left), size)]
        captive: list[float] = []
        for index, batch in enumerate(batches):
            captive.append(self._captive(batch))
            reserved = reserve(captive, len(batches) - index - 1)
            avoid = {record: frozenset(self.closed) for record in batch}
            refused: Sequence[int] = batch
            while refused:
                refused = self._refused(refused, avoid, now, reserved, escalated=escalated)

    def _refused(
        self, batch: Sequence[int], avoid: dict[int, frozenset[str]], now: float, reserved: float, *, escalated: bool
    ) -> list[int]:
        """Assign and hand over; returns the records to assign again, having learnt where they are not taken."""
        again = []
        for record, assignment in zip(batch, self._assign(batch, avoid, now, reserved, escalated=escalated), strict=True):
            endpoint = assignment.endpoint
            if endpoint is None:
                self.tally.held += not escalated  # an escalated one keeps its answer from inside
            elif endpoint.name in self.closed or not self._hand_over(record, endpoint, now):
                avoid[record] = avoid[record] | self.closed | {endpoint.name}
                again.append(record)
            else:
                self.tally.reasons[assignment.reason] += 1
                self.tally.escalated += escalated
        return again

    def _assign(
        self, batch: Sequence[int], avoid: dict[int, frozenset[str]], now: float, reserved: float, *, escalated: bool
    ) -> list[Assignment]:
        night = self.night
        facts = [
            RecordFacts(
                tokens_in=int(night.tokens_in[record]),
                tokens_out=EXPECTED_TOKENS_OUT,
                complexity=float(night.complexity[record]),
                usd=self.usd[record] if self.strategy == "cheapest" else {},
                avoid=avoid[record],
                escalated=escalated,
            )
            for record in batch
        ]
        speeds = {one.name: self.world.tokens_per_s(one) for one in self.endpoints if one.lane is Lane.LOCAL}
        capacity = Capacity(
            seconds_left=(DEADLINE_S - now) * PLANNED,
            tokens_per_s=speeds,
            queued_tokens={name: max(self._free_at(name, now) - now, 0.0) * speeds[name] for name in self.queues},
            reserved_tokens=reserved,
        )
        decisions = [night.decisions[record] for record in batch]
        return assign_all(decisions, self.endpoints, strategy=self.strategy, today=night.day, facts=facts, capacity=capacity)

    def _hand_over(self, record: int, endpoint: Endpoint, now: float) -> bool:
        """What gate, budget and provider make of it; False when it was not taken."""
        night = self.night
        if permits(night.decisions[record], endpoint, today=night.day) is not None:
            self.tally.not_permitted += 1
            return False
        if endpoint.lane is Lane.LOCAL:
            tokens = int(night.tokens_in[record]) + int(night.tokens_out[record])
            start = self._free_at(endpoint.name, now)
            end = start + tokens / (self.world.tokens_per_s(endpoint) * night.speed)
            self.queues[endpoint.name].append(Work(record=record, start=start, end=end))
            self.answered[record] = (end, endpoint)
            return True
        if night.cloud_down:
            self.closed |= self.cloud
            return False
        price = self.price[endpoint.name]
        tokens_in = int(night.tokens_in[record])
        if price is None or not self.purse.reserve(endpoint, price, tokens_in, MAX_TOKENS):
            return False
        self.tally.restricted_out += bool(night.kind[record] == RESTRICTED)
        self.purse.settle(price, Usage(tokens_in=tokens_in, tokens_out=int(night.tokens_out[record])))
        self.answered[record] = (now + night.turnaround_s, endpoint)
        return True

    def _free_at(self, name: str, now: float) -> float:
        queue = self.queues[name]
        return max(queue[-1].end if queue else 0.0, now)

    def _lost(self, name: str, now: float) -> list[int]:
        """A place inside stops: what it had not answered."""
        self.closed.add(name)
        lost = [work for work in self.queues[name] if work.end > now]
        self.queues[name] = [work for work in self.queues[name] if work.end <= now]
        self.queues[name] += [Work(record=work.record, start=work.start, end=now) for work in lost if work.start < now]
        for work in lost:
            del self.answered[work.record]
        return [work.record for work in lost]

    def _doubtful(self, now: float, judged: set[int]) -> list[int]:
        """Answers of the small model inside that have come, and lack confidence."""
        return [
            record
            for record, (end, endpoint) in self.answered.items()
            if end <= now and endpoint.tier == "small" and record not in judged and self.night.confidence[record] < ESCALATE_BELOW
        ]

    def _captive(self, batch: Sequence[int]) -> float:
        """Expected tokens of the records that may only stay inside."""
        inside = [record for record in batch if Lane.CLOUD not in self.night.decisions[record].lanes]
        return float(self.night.tokens_in[inside].sum()) + EXPECTED_TOKENS_OUT * len(inside)

    def _expected(self) -> list[dict[str, Decimal | None]]:
        """What each record will probably cost everywhere; only for the strategy that asks."""
        if self.strategy != "cheapest":
            return []
        about = {"prices": self.purse.prices, "day": self.night.day, "tokens_out": EXPECTED_TOKENS_OUT}
        return [
            {
                one.name: expected_usd(endpoint=one, tokens_in=tokens, tokens_per_s=self.world.declared(one), **about)  # type: ignore[arg-type]
                for one in self.endpoints
            }
            for tokens in self.night.tokens_in.tolist()
        ]

    def _count(self) -> None:
        """When every record had its answer, from where, and how long the machines were busy."""
        night, tally = self.night, self.tally
        late = sum(end > DEADLINE_S for end, _ in self.answered.values())
        tally.records += len(night.kind)
        tally.late += late
        tally.late_nights += late > 0 or len(self.answered) < len(night.kind)
        need = needed_levels(night)
        for record, (_, endpoint) in self.answered.items():
            tally.by_endpoint[endpoint.name] += 1
            tally.too_small += bool(level(endpoint.tier) < need[record])
        for name, queue in self.queues.items():
            busy = sum(work.end - work.start for work in queue)
            self.purse.worked(self.world.rules.registry[name], night.day, busy * self.world.scale)


def needed_levels(night: Night) -> NDArray[np.intp]:
    """The tier that each record asks for, by the limits that `tiered` has of its own."""
    usual = Situation()
    return np.searchsorted([usual.medium_from, usual.large_from], night.complexity, side="right")
