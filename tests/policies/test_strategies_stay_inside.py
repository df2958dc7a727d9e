"""No strategy, in any state of capacity, budget, failure or history, yields an endpoint outside what the decision permits.

The strategies are tried as they are, over arbitrary numbers, and so are hostile ones: what they answer is held against the permissions
again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from policies import assign as assigning
from policies.assign import Capacity, RecordFacts, assign_all, permits
from policies.errors import RuleError
from policies.model import TIERS, Decision, Endpoint, Lane
from policies.strategies import STRATEGIES
from policies.strategies.batch import NOWHERE, REASONS, Choice, Place, Records, Situation
from tests.policies.random_policy import examples, requirements

TODAY = date(2026, 11, 22)
DAYS = st.none() | st.dates(date(2026, 11, 20), date(2026, 11, 25))
NAMES = ("a", "b", "c", "d")

numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -1.0, 1.0, 1e-300, 1e300])
tokens = st.integers(-(10**6), 10**6) | st.sampled_from([0, 2**62, -(2**62)])
tiers = st.sampled_from(["", *TIERS])
amounts = st.none() | st.sampled_from([Decimal(text) for text in ("NaN", "-1", "0", "0.000001", "5", "1E+400", "Infinity", "-Infinity")])

endpoints = st.builds(
    Endpoint,
    name=st.sampled_from(NAMES),
    lane=st.sampled_from(list(Lane)),
    engine=st.just("openai_batch"),
    provider=st.just("example"),
    model=st.just("small-1"),
    facts=st.dictionaries(st.sampled_from(["dpa", "baa", "training_use"]), st.booleans()) | st.just({"retention_days": 7}),
    review_by=DAYS,
    tier=tiers,
    tokens_per_s=st.none() | numbers,
    retires_on=DAYS,
)
lanes = st.lists(st.sampled_from(list(Lane)), unique=True).map(tuple)
decisions = st.builds(
    lambda lanes, requires: Decision(
        record_id="r", data_classes=("PII",), lanes=lanes, rule="routes[1]", policy_hash="p", detectors_hash="d", cloud_requires=requires
    ),
    lanes,
    requirements,
)
facts = st.builds(
    RecordFacts,
    tokens_in=tokens,
    tokens_out=tokens,
    complexity=numbers,
    usd=st.dictionaries(st.sampled_from(NAMES), amounts),
    avoid=st.frozensets(st.sampled_from(NAMES)),
    escalated=st.booleans(),
)
by_name = st.dictionaries(st.sampled_from(NAMES), numbers)
capacities = st.builds(
    Capacity,
    seconds_left=numbers,
    tokens_per_s=by_name,
    queued_tokens=by_name,
    reserved_tokens=numbers,
    medium_from=numbers,
    large_from=numbers,
    quality_floor=tiers,
)
batches = st.lists(st.tuples(decisions, facts), max_size=12)


def check(strategy: str, batch: Sequence[tuple[Decision, RecordFacts]], offered: Sequence[Endpoint], capacity: Capacity) -> list[bool]:
    """Assign, and hold every answer against `permits`; returns which records found a place."""
    decided, known = [one for one, _ in batch], [fact for _, fact in batch]
    assigned = assign_all(decided, offered, strategy=cast("Any", strategy), today=TODAY, facts=known, capacity=capacity)
    assert len(assigned) == len(batch)
    for (decision, fact), one in zip(batch, assigned, strict=True):
        assert (one.record_id, one.strategy) == (decision.record_id, strategy)
        assert one.reason
        assert one.score is None or math.isfinite(one.score)
        if one.endpoint is None:
            continue
        assert any(one.endpoint is endpoint for endpoint in offered)
        assert permits(decision, one.endpoint, today=TODAY) is None
        assert one.endpoint.lane in decision.lanes
        assert one.endpoint.retires_on is None or one.endpoint.retires_on > TODAY
        assert one.endpoint.name not in fact.avoid
        assert one.endpoint.lane is Lane.CLOUD or not fact.escalated
    return [one.endpoint is not None for one in assigned]


@examples(300)
@given(strategy=st.sampled_from(sorted(STRATEGIES)), batch=batches, offered=st.lists(endpoints, max_size=6), capacity=capacities)
def test_no_strategy_in_any_state_leaves_the_decision(
    strategy: str, batch: list[tuple[Decision, RecordFacts]], offered: list[Endpoint], capacity: Capacity
) -> None:
    found = check(strategy, batch, offered, capacity)
    # And none holds what could go somewhere: a strategy orders, it does not refuse.
    for (decision, fact), somewhere in zip(batch, found, strict=True):
        able = [one for one in offered if permits(decision, one, today=TODAY) is None and one.name not in fact.avoid]
        assert somewhere == any(one.lane is Lane.CLOUD or not fact.escalated for one in able)


class Evil:
    """Answers what it likes, and tries to permit itself everything first."""

    def __init__(self, answers: Sequence[int], dtype: str) -> None:
        self._answers = answers
        self._dtype = dtype

    def __call__(self, records: Records, places: Sequence[Place], situation: Situation) -> Choice:
        for name in ("permitted", "escalated"):
            array: NDArray[Any] = getattr(records, name)
            array.flags.writeable = True
            array[...] = name == "permitted"
        cast("list[Place]", places).reverse()
        object.__setattr__(records, "permitted", np.ones_like(records.permitted))
        count = len(records.permitted)
        place = np.resize(np.array(self._answers, dtype=self._dtype), count)
        return Choice(place=cast("Any", place), reason=np.arange(count) % len(REASONS), score=np.full(count, np.nan))


@examples(150)
@given(
    answers=st.lists(st.integers(0, 7), min_size=1, max_size=12) | st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=12),
    dtype=st.sampled_from(["int64", "int32", "intp"]),
    batch=batches,
    offered=st.lists(endpoints, max_size=6),
    capacity=capacities,
)
def test_a_hostile_strategy_gains_nothing(
    answers: list[int], dtype: str, batch: list[tuple[Decision, RecordFacts]], offered: list[Endpoint], capacity: Capacity
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assigning, "STRATEGIES", {**STRATEGIES, "evil": Evil(answers, dtype)})
        check("evil", batch, offered, capacity)


def _answer(place: Any, reason: Any, score: Any = None) -> Callable[..., Choice]:
    return lambda *_: Choice(place=place, reason=reason, score=score)


@pytest.mark.parametrize(
    "evil",
    [
        _answer(np.zeros(2), np.zeros(2, dtype=int)),
        _answer(np.array([np.nan, 0.0]), np.zeros(2, dtype=int)),
        _answer(np.zeros(3, dtype=int), np.zeros(2, dtype=int)),
        _answer(np.zeros((2, 1), dtype=int), np.zeros(2, dtype=int)),
        _answer(0, 0),
        _answer(np.array([True, False]), np.zeros(2, dtype=int)),
        _answer(np.zeros(2, dtype=int), np.array([0, len(REASONS)])),
        _answer(np.zeros(2, dtype=int), np.array([-1, 0])),
        _answer(np.zeros(2, dtype=int), np.zeros(2, dtype=int), np.zeros(1)),
    ],
    ids=["no whole numbers", "nan", "too many", "a table", "one for all", "flags", "unknown reason", "negative reason", "scores of others"],
)
def test_an_answer_of_another_form_assigns_nothing(evil: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Endpoint(name="a", lane=Lane.LOCAL, engine="extractive", provider="p", model="m")
    decided = [Decision(record_id=name, data_classes=(), lanes=(Lane.LOCAL,), rule="r", policy_hash="", detectors_hash="") for name in "xy"]
    monkeypatch.setattr(assigning, "STRATEGIES", {"evil": evil})
    with pytest.raises(RuleError, match="strategy evil: expected a place and a reason for each of 2 records"):
        assign_all(decided, [inside], strategy=cast("Any", "evil"), today=TODAY, facts=[RecordFacts()] * 2, capacity=Capacity())


def test_what_a_strategy_does_not_place_is_held_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Endpoint(name="a", lane=Lane.LOCAL, engine="extractive", provider="p", model="m")
    outside = Endpoint(name="b", lane=Lane.CLOUD, engine="openai_batch", provider="p", model="m", review_by=TODAY)
    decided = [
        Decision(record_id=name, data_classes=(), lanes=(Lane.LOCAL,), rule="r", policy_hash="", detectors_hash="") for name in "xyz"
    ]
    monkeypatch.setattr(assigning, "STRATEGIES", {"evil": _answer(np.array([1, NOWHERE, 0]), np.zeros(3, dtype=int), np.ones(3))})
    assigned = assign_all(
        decided, [inside, outside], strategy=cast("Any", "evil"), today=TODAY, facts=[RecordFacts()] * 3, capacity=Capacity()
    )
    assert [(one.endpoint, one.reason, one.score) for one in assigned] == [
        (None, "none_chosen", None),
        (None, "none_chosen", None),
        (inside, "preferred", 1.0),
    ]
