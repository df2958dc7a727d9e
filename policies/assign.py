"""Decision → assignment: the endpoint chosen within what the decision permits.

- An endpoint is never chosen outside the decision's lanes, without the facts it requires, on facts past their review date, or after its
  model has retired (invariant 1). `permits` says so before a strategy sees a place, and is asked again about what the strategy answered.
- The strategy only orders what is permitted; within a lane the caller's order of endpoints decides. Sensitivity always comes first.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from policies.candidates import Capacity, RecordFacts, place_of, records_of, situation_of
from policies.errors import RuleError
from policies.facts import unmet
from policies.model import TIERS, Assignment, Decision, Endpoint, Lane
from policies.strategies import STRATEGIES
from policies.strategies.batch import NOWHERE, REASONS, Choice, Flags, Indices, Numbers, Reason

__all__ = ["Capacity", "RecordFacts", "StrategyName", "assign", "assign_all", "permits"]

StrategyName = Literal["cloud_first", "local_first", "tiered", "waterfall", "cheapest"]

PREFERENCE: dict[str, tuple[Lane, Lane]] = {
    "cloud_first": (Lane.CLOUD, Lane.LOCAL),
    "local_first": (Lane.LOCAL, Lane.CLOUD),
    "tiered": (Lane.LOCAL, Lane.CLOUD),
    "waterfall": (Lane.LOCAL, Lane.CLOUD),
    "cheapest": (Lane.LOCAL, Lane.CLOUD),
}
"""The lane that a strategy takes first where nothing about the record, its price or a queue speaks for the other."""

REFUSALS = ("facts_expired", "model_retired", "facts_missing", "lane_not_permitted")
"""Why an endpoint is refused, the nearest miss first: what an operator can mend soonest."""

ONLY_PERMITTED_LANE = "only_permitted_lane"
CODES = (*REASONS, ONLY_PERMITTED_LANE)

# Why a record has no endpoint, besides REFUSALS.
LOW_CONFIDENCE = "low_confidence"
NONE_AVAILABLE = "none_available"
NONE_CHOSEN = "none_chosen"

NO_FACTS = RecordFacts()
NO_LIMITS = Capacity()


def permits(decision: Decision, endpoint: Endpoint, *, today: date) -> str | None:
    """None when the record may go to the endpoint today, else a code of REFUSALS. The gate asks this again.

    A cloud endpoint without a review date vouches for nothing.
    """
    if endpoint.lane not in decision.lanes:
        return "lane_not_permitted"
    if endpoint.retires_on is not None and endpoint.retires_on <= today:
        return "model_retired"
    if endpoint.lane is Lane.CLOUD and unmet(endpoint, decision.cloud_requires):
        return "facts_missing"
    if endpoint.review_by is None:
        return "facts_expired" if endpoint.lane is Lane.CLOUD else None
    return "facts_expired" if endpoint.review_by < today else None


def assign(decision: Decision, endpoints: Sequence[Endpoint], *, strategy: StrategyName, today: date) -> Assignment:
    """Choose an endpoint, or none, for one record of which nothing more is known. Reasons as in `assign_all`."""
    return assign_all([decision], endpoints, strategy=strategy, today=today, facts=[NO_FACTS], capacity=NO_LIMITS)[0]


def assign_all(
    decisions: Sequence[Decision],
    endpoints: Sequence[Endpoint],
    *,
    strategy: StrategyName,
    today: date,
    facts: Sequence[RecordFacts],
    capacity: Capacity,
) -> list[Assignment]:
    """Choose an endpoint, or none, for every record of a batch. Raises RuleError for a strategy or a floor that does not exist.

    reason, when chosen: one of REASONS, `escalated` for every record that was, or `only_permitted_lane` (a `fallback` where the strategy's
    first lane is not permitted). When not: the decision's own reason, `low_confidence` (escalated, and it may not leave), `none_available`
    (what is permitted is closed to it), a code of REFUSALS, `no_permitted_endpoint`, or `none_chosen` (a strategy without a valid answer).
    """
    choose = STRATEGIES.get(strategy)
    if choose is None:
        raise RuleError(f"strategy: expected one of {', '.join(STRATEGIES)}, found {strategy!r}")
    if capacity.quality_floor not in ("", *TIERS):
        raise RuleError(f"quality_floor: expected one of {', '.join(TIERS)}, found {capacity.quality_floor!r}")
    if len(facts) != len(decisions):
        raise RuleError(f"facts: expected those of {len(decisions)} records, found {len(facts)}")
    decisions, endpoints = tuple(decisions), tuple(endpoints)
    groups = _Groups(decisions, endpoints, today)
    open_to = _open(groups, facts, endpoints)
    records = records_of(open_to.copy(), facts, endpoints)
    places = [place_of(endpoint, capacity) for endpoint in endpoints]
    choice = choose(records, places, situation_of(capacity))
    place, reason = _checked(strategy, choice, len(decisions))
    # Whatever a strategy answers, it is held against the permissions again: not the copy that it was shown, and `permits` anew.
    place = np.where(_within(place, open_to) & _within(place, groups.asked_again()), place, NOWHERE)
    code = np.where(groups.lacks(PREFERENCE.get(strategy)) & (reason == Reason.FALLBACK), CODES.index(ONLY_PERMITTED_LANE), reason)
    code = np.where([one.escalated for one in facts], Reason.ESCALATED, code)
    held = _WhyHeld(decisions, facts, groups, open_to)
    return _assignments(decisions, endpoints, strategy, place=place, code=code, score=choice.score, held=held)


class _Groups:
    """Decisions that are asked alike of an endpoint. permitted[group, m], of[n]: the group of each decision."""

    def __init__(self, decisions: Sequence[Decision], endpoints: Sequence[Endpoint], today: date) -> None:
        self._first: list[Decision] = []
        by_identity: dict[Hashable, int] = {}
        by_content: dict[Hashable, int] = {}
        of = []
        for decision in decisions:
            identity = (decision.lanes, id(decision.cloud_requires))  # a policy's decisions share their route's requirements
            group = by_identity.get(identity)
            if group is None:
                # True equals 1, and yet does not satisfy it: the type is part of the question.
                content = (decision.lanes, frozenset((name, type(value), repr(value)) for name, value in decision.cloud_requires.items()))
                group = by_content.setdefault(content, len(self._first))
                if group == len(self._first):
                    self._first.append(decision)
                by_identity[identity] = group
            of.append(group)
        self.of: Indices = np.array(of, dtype=np.intp)
        self._endpoints, self._today = endpoints, today
        self._refusals = self._ask()
        self.permitted = self._none(self._refusals)

    def _ask(self) -> list[list[str | None]]:
        return [[permits(decision, endpoint, today=self._today) for endpoint in self._endpoints] for decision in self._first]

    def _none(self, refusals: list[list[str | None]]) -> Flags:
        shape = (len(self._first), len(self._endpoints))
        return np.array([[code is None for code in row] for row in refusals], dtype=np.bool_).reshape(shape)

    def asked_again(self) -> Flags:
        """What is permitted to each decision, by `permits` anew: [n, m]."""
        result: Flags = self._none(self._ask())[self.of]
        return result

    def lacks(self, preference: tuple[Lane, Lane] | None) -> Flags:
        """Which decisions do not permit the first of these lanes: [n]."""
        lacking = [preference is not None and preference[0] not in decision.lanes for decision in self._first]
        result: Flags = np.array(lacking, dtype=np.bool_)[self.of]
        return result

    def nearest(self, index: int) -> str:
        """Why no endpoint is permitted to the decision: the nearest miss."""
        codes = self._refusals[self.of[index]]
        return next((code for code in REFUSALS[:-1] if code in codes), "no_permitted_endpoint")


def _open(groups: _Groups, facts: Sequence[RecordFacts], endpoints: Sequence[Endpoint]) -> Flags:
    """Where each record may go, as the decision, its escalation and what it is to avoid leave it: [n, m]."""
    result: Flags = groups.permitted[groups.of]
    escalated = [index for index, one in enumerate(facts) if one.escalated]
    result[escalated] &= np.array([endpoint.lane is Lane.CLOUD for endpoint in endpoints], dtype=np.bool_)
    avoiding = [index for index, one in enumerate(facts) if one.avoid]
    masks = {
        names: np.array([one.name not in names for one in endpoints], dtype=np.bool_)
        for names in {facts[index].avoid for index in avoiding}
    }
    for index in avoiding:
        result[index] &= masks[facts[index].avoid]
    return result


def _checked(strategy: str, choice: Choice, count: int) -> tuple[Indices, Indices]:
    """The answer of a strategy, if it is of the right form: otherwise nothing is assigned at all."""
    arrays = [np.asarray(choice.place), np.asarray(choice.reason), *([] if choice.score is None else [np.asarray(choice.score)])]
    formed = all(array.shape == (count,) for array in arrays) and all(np.issubdtype(array.dtype, np.integer) for array in arrays[:2])
    if not formed or (count and not 0 <= arrays[1].min() <= arrays[1].max() < len(REASONS)):
        raise RuleError(f"strategy {strategy}: expected a place and a reason for each of {count} records, found something else")
    return arrays[0].astype(np.intp), arrays[1].astype(np.intp)


def _within(place: Indices, permitted: Flags) -> Flags:
    """Whether each place exists and is permitted to its record."""
    exists: Flags = (place >= 0) & (place < permitted.shape[1])
    if not permitted.shape[1]:
        return exists
    result: Flags = exists & permitted[np.arange(len(place)), np.where(exists, place, 0)]
    return result


@dataclass(frozen=True, slots=True)
class _WhyHeld:
    decisions: Sequence[Decision]
    facts: Sequence[RecordFacts]
    groups: _Groups
    open_to: Flags

    def code(self, index: int) -> str:
        """Why a record has no endpoint."""
        decision = self.decisions[index]
        if not decision.lanes:
            return decision.reason or "no_rule"
        if self.open_to[index].any():
            return NONE_CHOSEN
        if not self.groups.permitted[self.groups.of[index]].any():
            return self.groups.nearest(index)
        return LOW_CONFIDENCE if self.facts[index].escalated else NONE_AVAILABLE


def _assignments(
    decisions: Sequence[Decision],
    endpoints: Sequence[Endpoint],
    strategy: str,
    *,
    place: Indices,
    code: Indices,
    score: Numbers | None,
    held: _WhyHeld,
) -> list[Assignment]:
    scores = (
        [None] * len(decisions) if score is None else [one if math.isfinite(one) else None for one in np.asarray(score, float).tolist()]
    )
    return [
        Assignment(record_id=decision.record_id, endpoint=endpoints[where], strategy=strategy, reason=CODES[why], score=value)
        if where >= 0
        else Assignment(record_id=decision.record_id, endpoint=None, strategy=strategy, reason=held.code(index))
        for index, (decision, where, why, value) in enumerate(zip(decisions, place.tolist(), code.tolist(), scores, strict=True))
    ]
