"""What each strategy does, by example: names, reasons and scores, exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from policies.assign import Capacity, RecordFacts, assign_all
from policies.errors import RuleError
from policies.model import Assignment, Decision, Endpoint, Lane

TODAY = date(2026, 11, 22)
ANYWHERE, INSIDE, OUTSIDE = (Lane.LOCAL, Lane.CLOUD), (Lane.LOCAL,), (Lane.CLOUD,)


def endpoint(name: str, lane: Lane, tier: str = "", tokens_per_s: float | None = None) -> Endpoint:
    review_by = date(2027, 5, 31) if lane is Lane.CLOUD else None
    return Endpoint(name=name, lane=lane, engine="e", provider="p", model="m", tier=tier, tokens_per_s=tokens_per_s, review_by=review_by)


SMALL = endpoint("small", Lane.LOCAL, "small", 10.0)
LARGE = endpoint("large", Lane.LOCAL, "large", 5.0)
PLAIN = endpoint("plain", Lane.LOCAL)
CLOUD = endpoint("cloud", Lane.CLOUD, "medium")
BEST = endpoint("best", Lane.CLOUD, "frontier")
EVERY = [LARGE, SMALL, CLOUD, BEST]


def run(
    strategy: str, lanes: Sequence[tuple[Lane, ...]], endpoints: Sequence[Endpoint], facts: Sequence[RecordFacts] = (), **capacity: object
) -> list[Assignment]:
    decisions = [
        Decision(record_id=str(index), data_classes=(), lanes=permitted, rule="r", policy_hash="", detectors_hash="")
        for index, permitted in enumerate(lanes)
    ]
    known = list(facts) or [RecordFacts()] * len(decisions)
    return assign_all(decisions, endpoints, strategy=strategy, today=TODAY, facts=known, capacity=Capacity(**capacity))  # type: ignore[arg-type]


def said(assignments: Sequence[Assignment]) -> list[tuple[str | None, str]]:
    return [(one.endpoint.name if one.endpoint else None, one.reason) for one in assignments]


def of(tokens: int, **more: object) -> RecordFacts:
    return RecordFacts(tokens_in=tokens - tokens // 4, tokens_out=tokens // 4, **more)  # type: ignore[arg-type]


def test_cloud_first_looks_at_no_queue() -> None:
    assigned = run("cloud_first", [ANYWHERE, INSIDE, OUTSIDE], EVERY, [of(10**9)] * 3, seconds_left=1.0)
    assert said(assigned) == [("cloud", "preferred"), ("large", "only_permitted_lane"), ("cloud", "preferred")]
    assert [one.score for one in assigned] == [None] * 3


def test_local_first_overflows_what_would_end_after_the_deadline() -> None:
    # 10 tokens a second for 10 seconds are 100; 20 wait already.
    slow = replace(SMALL, tokens_per_s=99.0)
    assigned = run(
        "local_first",
        [ANYWHERE] * 4,
        [slow, CLOUD],
        [of(40), of(40), of(1), of(0)],
        seconds_left=10.0,
        tokens_per_s={"small": 10.0},
        queued_tokens={"small": 20.0},
    )
    assert said(assigned) == [("small", "preferred"), ("small", "preferred"), ("cloud", "overflow"), ("small", "preferred")]


@pytest.mark.parametrize(
    ("lanes", "sizes", "limits", "names"),
    [
        ([ANYWHERE, ANYWHERE, INSIDE], [60, 60, 60], {}, ["cloud", "cloud", "small"]),
        ([ANYWHERE, INSIDE, ANYWHERE], [30, 60, 30], {}, ["small", "small", "cloud"]),
        ([ANYWHERE, ANYWHERE], [50, 50], {"reserved_tokens": 50.0}, ["small", "cloud"]),
        ([ANYWHERE, ANYWHERE, ANYWHERE], [101, 60, 40], {}, ["cloud", "small", "small"]),
        ([ANYWHERE, ANYWHERE, ANYWHERE, ANYWHERE], [60, 50, 30, 10], {}, ["small", "cloud", "small", "small"]),
        ([ANYWHERE, INSIDE], [1, 1000], {}, ["cloud", "small"]),
        ([ANYWHERE], [10], {"seconds_left": 0.0}, ["cloud"]),
        ([ANYWHERE], [10], {"seconds_left": -5.0}, ["cloud"]),
        ([ANYWHERE], [10**12], {"seconds_left": math.inf}, ["small"]),
        ([ANYWHERE], [10], {"tokens_per_s": {"small": 0.0}}, ["cloud"]),
        ([ANYWHERE], [10**12], {"tokens_per_s": {"small": math.nan}}, ["small"]),
    ],
    ids=[
        "restricted first, whatever its place in the batch", "then in order", "work to come keeps its room", "one giant stops nobody",
        "smaller ones behind", "late restricted work takes all room", "no time", "deadline over", "no deadline", "nothing gets through",
        "throughput not known",
    ],
)  # fmt: skip
def test_local_first_reserves_room_for_what_may_not_leave(
    lanes: list[tuple[Lane, ...]], sizes: list[int], limits: dict[str, object], names: list[str]
) -> None:
    assigned = run("local_first", lanes, [SMALL, CLOUD], [of(size) for size in sizes], **{"seconds_left": 10.0} | limits)
    assert [one.endpoint.name for one in assigned if one.endpoint] == names
    assert all(one.reason == "overflow" for one in assigned if one.endpoint is CLOUD)


def test_local_first_fills_the_lane_in_order_and_lets_late_work_end_soonest() -> None:
    # 100 tokens fit into small, 50 into large.
    assigned = run("local_first", [ANYWHERE] * 4, [SMALL, LARGE, CLOUD], [of(60)] * 2 + [of(50)] * 2, seconds_left=10.0)
    assert said(assigned) == [("small", "preferred"), ("cloud", "overflow"), ("large", "preferred"), ("cloud", "overflow")]
    late = run("local_first", [INSIDE] * 6, [SMALL, LARGE], [of(100)] * 6, seconds_left=10.0)
    assert said(late)[0] == ("small", "preferred")
    assert said(late)[1:] == [(name, "soonest") for name in ("small", "large", "small", "small", "large")]


@pytest.mark.parametrize(
    ("complexity", "name", "reason"),
    [
        (0.0, "small", "tier_small"),
        (0.33, "small", "tier_small"),
        (1 / 3, "cloud", "tier_medium"),
        (2 / 3, "large", "tier_large"),
        (1.0, "large", "tier_large"),
        (math.nan, "large", "tier_large"),
    ],
)
def test_tiered_takes_the_tier_that_is_needed(complexity: float, name: str, reason: str) -> None:
    (assigned,) = run("tiered", [ANYWHERE], EVERY, [of(10, complexity=complexity)])
    assert said([assigned]) == [(name, reason)]
    assert assigned.score == (None if math.isnan(complexity) else complexity)


@pytest.mark.parametrize(
    ("endpoints", "complexity", "more", "expected"),
    [
        ([BEST, LARGE], 0.1, {}, ("large", "nearest_tier")),
        ([BEST, SMALL], 0.5, {}, ("best", "nearest_tier")),
        ([SMALL, CLOUD], 0.9, {}, ("cloud", "nearest_tier")),
        ([PLAIN, SMALL], 0.9, {}, ("small", "nearest_tier")),
        ([PLAIN], 0.9, {}, ("plain", "nearest_tier")),
        ([CLOUD, endpoint("mid", Lane.LOCAL, "medium")], 0.5, {}, ("mid", "tier_medium")),
        ([CLOUD, endpoint("other", Lane.CLOUD, "medium")], 0.5, {}, ("cloud", "tier_medium")),
        (EVERY, 0.1, {"quality_floor": "medium"}, ("cloud", "tier_medium")),
        (EVERY, 0.1, {"quality_floor": "frontier"}, ("best", "tier_frontier")),
        (EVERY, 0.5, {"medium_from": 0.6, "large_from": 0.9}, ("small", "tier_small")),
        ([SMALL, CLOUD], 0.1, {"seconds_left": 0.1}, ("cloud", "overflow")),
        ([SMALL, CLOUD], 0.5, {"tokens_per_s": {"cloud": 0.0}, "seconds_left": 9.0}, ("cloud", "soonest")),
    ],
    ids=[
        "nearest above", "frontier for want of a nearer one", "else the largest", "any tier before none", "nobody declared anything",
        "inside at equal tier", "else the job's order", "a floor lifts", "frontier as a floor", "own limits",
        "a full queue overflows upwards",
        "a tier is not traded for time",
    ],
)  # fmt: skip
def test_tiered_where_the_tier_is_not_there(
    endpoints: list[Endpoint], complexity: float, more: dict[str, object], expected: tuple[str, str]
) -> None:
    assert said(run("tiered", [ANYWHERE], endpoints, [of(10, complexity=complexity)], **more)) == [expected]


def test_tiered_keeps_restricted_records_inside_whatever_they_need() -> None:
    assigned = run("tiered", [INSIDE, INSIDE], [SMALL, BEST], [of(10, complexity=0.95), of(10, complexity=0.1)])
    assert said(assigned) == [("small", "nearest_tier"), ("small", "tier_small")]


@pytest.mark.parametrize(
    ("lanes", "facts", "limits", "expected"),
    [
        (ANYWHERE, of(10), {}, ("small", "preferred")),
        (ANYWHERE, of(10, escalated=True), {}, ("best", "escalated")),
        (ANYWHERE, of(10, escalated=True, avoid=frozenset({"best"})), {}, ("cloud", "escalated")),
        (ANYWHERE, of(10, escalated=True, avoid=frozenset({"best", "cloud"})), {}, (None, "low_confidence")),
        (INSIDE, of(10, escalated=True), {}, (None, "low_confidence")),
        (ANYWHERE, of(60), {"seconds_left": 10.0, "queued_tokens": {"small": 50.0, "large": 50.0}}, ("cloud", "overflow")),
        (ANYWHERE, of(40), {"seconds_left": 10.0, "queued_tokens": {"small": 70.0}}, ("large", "preferred")),
        (ANYWHERE, of(10, avoid=frozenset({"small", "large"})), {}, ("cloud", "fallback")),
        (OUTSIDE, of(10), {}, ("cloud", "only_permitted_lane")),
        (INSIDE, of(10, avoid=frozenset({"small"})), {}, ("large", "preferred")),
        (INSIDE, of(10, avoid=frozenset({"small", "large"})), {}, (None, "none_available")),
    ],
    ids=[
        "smallest inside", "escalated to the best", "escalated to the next best", "escalated to nowhere", "restricted never escalates",
        "no room inside", "the next inside", "closed inside", "cloud only", "the other one inside", "everything closed",
    ],
)  # fmt: skip
def test_waterfall(lanes: tuple[Lane, ...], facts: RecordFacts, limits: dict[str, object], expected: tuple[str | None, str]) -> None:
    assert said(run("waterfall", [lanes], EVERY, [facts], **limits)) == [expected]


@pytest.mark.parametrize("strategy", ["cloud_first", "local_first", "tiered", "cheapest"])
def test_an_escalated_record_goes_to_the_cloud_or_nowhere_by_any_strategy(strategy: str) -> None:
    assigned = run(strategy, [ANYWHERE, INSIDE], [SMALL, CLOUD], [of(10, escalated=True)] * 2)
    assert said(assigned) == [("cloud", "escalated"), (None, "low_confidence")]


def prices(**usd: str | None) -> dict[str, Decimal | None]:
    return {name: None if amount is None else Decimal(amount) for name, amount in usd.items()}


@pytest.mark.parametrize(
    ("lanes", "usd", "limits", "expected", "score"),
    [
        (ANYWHERE, prices(large="3", small="2", cloud="1", best="9"), {}, ("cloud", "cheapest"), 1.0),
        (INSIDE, prices(large="3", small="2", cloud="1"), {}, ("small", "cheapest"), 2.0),
        (ANYWHERE, prices(large="1", small="1", cloud="1", best="1"), {}, ("large", "cheapest"), 1.0),
        (ANYWHERE, prices(large="0.000000002", small="0.000000001", cloud="1"), {}, ("small", "cheapest"), 1e-9),
        (ANYWHERE, prices(small=None, cloud="1"), {}, ("cloud", "cheapest"), 1.0),
        (ANYWHERE, prices(small="-1", cloud="NaN", best="700"), {}, ("best", "cheapest"), 700.0),
        (ANYWHERE, prices(best="Infinity"), {}, ("large", "unpriced"), None),
        (INSIDE, {}, {}, ("large", "unpriced"), None),
        (ANYWHERE, prices(large="3", small="1", cloud="2", best="9"), {"quality_floor": "medium"}, ("cloud", "cheapest"), 2.0),
        (INSIDE, prices(large="3", small="1"), {"quality_floor": "frontier"}, ("large", "nearest_tier"), 3.0),
        (ANYWHERE, prices(large="3", small="1", cloud="2"), {"seconds_left": 0.5}, ("cloud", "cheapest_in_time"), 2.0),
        (INSIDE, prices(large="3", small="1"), {"seconds_left": 0.5}, ("small", "soonest"), 1.0),
        (INSIDE, prices(large="3", small="1"), {"seconds_left": 0.5, "quality_floor": "large"}, ("large", "soonest"), 3.0),
    ],
    ids=[
        "the cheapest", "the cheapest that is permitted", "ties by order", "billionths", "unknown is not free",
        "negative and NaN are unknown",
        "infinite is unknown", "unpriced where nothing else is", "within the floor", "below an unreachable floor: the best",
        "the cheapest in time", "none in time", "a floor is not traded for time",
    ],
)  # fmt: skip
def test_cheapest(
    lanes: tuple[Lane, ...], usd: dict[str, Decimal | None], limits: dict[str, object], expected: tuple[str, str], score: float | None
) -> None:
    (assigned,) = run("cheapest", [lanes], EVERY, [of(10, usd=usd)], **limits)
    assert said([assigned]) == [expected]
    assert assigned.score == score


def test_a_batch_is_assigned_as_its_records_are_one_by_one() -> None:
    lanes = [ANYWHERE, INSIDE, OUTSIDE, ()] * 3
    for strategy in ("cloud_first", "local_first", "tiered", "waterfall", "cheapest"):
        facts = [of(10, complexity=index / 12, usd=prices(small="1", cloud=str(index))) for index in range(12)]
        together = run(strategy, lanes, EVERY, facts)
        apart = [run(strategy, [one], EVERY, [fact])[0] for one, fact in zip(lanes, facts, strict=True)]
        assert said(together) == said(apart)
        assert [one.score for one in together] == [one.score for one in apart]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategy": "dearest"}, "strategy: expected one of cloud_first, local_first, tiered, waterfall, cheapest, found 'dearest'"),
        ({"quality_floor": "big"}, "quality_floor: expected one of small, medium, large, frontier, found 'big'"),
        ({"facts": [of(1)] * 2}, "facts: expected those of 1 records, found 2"),
        ({"facts": [of(2**70)]}, "facts: expected whole tokens"),
        ({"facts": [RecordFacts(complexity="hard")]}, "facts: expected whole tokens"),  # type: ignore[arg-type]
    ],
    ids=["strategy", "floor", "other records", "more than a machine word", "no number"],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(RuleError, match=message):
        run(**{"strategy": "tiered", "lanes": [ANYWHERE], "endpoints": EVERY} | change)  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", ["cloud_first", "local_first", "tiered", "waterfall", "cheapest"])
def test_nothing_to_assign_and_nowhere_to_go(strategy: str) -> None:
    assert run(strategy, [], EVERY) == []
    assert said(run(strategy, [ANYWHERE, ()], [])) == [(None, "no_permitted_endpoint"), (None, "no_rule")]
