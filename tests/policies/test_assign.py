"""An assignment never leaves its decision, and a clearance never leaves its assignment."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.assign import PREFERENCE, assign, permits
from policies.clearance import clear, clearance_id
from policies.errors import ClearanceError, RuleError
from policies.model import Assignment, Decision, Endpoint, Lane
from tests.policies.random_policy import examples, requirements

TODAY = date(2026, 11, 22)
LOCAL = Endpoint(name="inside", lane=Lane.LOCAL, engine="extractive", provider="waybill", model="lexrank")
CLOUD = Endpoint(
    name="outside",
    lane=Lane.CLOUD,
    engine="openai_batch",
    provider="example",
    model="small-1",
    region="eu-west-1",
    facts={"dpa": True, "training_use": False, "retention_days": 30},
    review_by=date(2027, 5, 31),
)
HMAC = "0f" * 16


def decision(*lanes: Lane, **more: object) -> Decision:
    fields = {"data_classes": ("PII",), "rule": "routes[1]", "policy_hash": "p", "detectors_hash": "d"} | more
    return Decision(record_id="r1", lanes=lanes, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decided", "endpoint", "refusal"),
    [
        (decision(Lane.CLOUD), CLOUD, None),
        (decision(Lane.LOCAL), LOCAL, None),
        (decision(Lane.LOCAL), CLOUD, "lane_not_permitted"),
        (decision(Lane.CLOUD), LOCAL, "lane_not_permitted"),
        (decision(), LOCAL, "lane_not_permitted"),
        (decision(Lane.CLOUD, cloud_requires={"dpa": True, "training_use": False}), CLOUD, None),
        (decision(Lane.CLOUD, cloud_requires={"baa": True}), CLOUD, "facts_missing"),
        (decision(Lane.CLOUD, cloud_requires={"baa": False}), CLOUD, "facts_missing"),
        (decision(Lane.CLOUD, cloud_requires={"dpa": False}), CLOUD, "facts_missing"),
        (decision(Lane.CLOUD, cloud_requires={"retention_days": 30}), CLOUD, None),
        (decision(Lane.CLOUD, cloud_requires={"retention_days": 29}), CLOUD, "facts_missing"),
        (decision(Lane.CLOUD, cloud_requires={"retention_days": 30}), replace(CLOUD, facts={"retention_days": True}), "facts_missing"),
        (decision(Lane.CLOUD, cloud_requires={"region": "eu-west-1"}), CLOUD, None),
        (decision(Lane.CLOUD, cloud_requires={"region": "us-east-1"}), CLOUD, "facts_missing"),
        (decision(Lane.CLOUD), replace(CLOUD, review_by=TODAY), None),
        (decision(Lane.CLOUD), replace(CLOUD, review_by=date(2026, 11, 21)), "facts_expired"),
        (decision(Lane.CLOUD), replace(CLOUD, review_by=None), "facts_expired"),
        (decision(Lane.LOCAL, cloud_requires={"baa": True}), LOCAL, None),
        (decision(Lane.CLOUD), replace(CLOUD, retires_on=date(2026, 11, 23), deprecated_on=date(2026, 1, 1)), None),
        (decision(Lane.CLOUD), replace(CLOUD, retires_on=TODAY), "model_retired"),
        (decision(Lane.LOCAL), replace(LOCAL, retires_on=TODAY), "model_retired"),
        (decision(Lane.LOCAL), replace(CLOUD, retires_on=TODAY), "lane_not_permitted"),
    ],
    ids=[
        "cloud", "local", "cloud not permitted", "local not permitted", "held", "facts satisfied", "fact not stated", "absent is not false",
        "fact differs", "days at the bound", "days above the bound", "true is no number of days", "region", "other region", "last day",
        "day after", "undated cloud facts", "requirements are for the cloud", "retires tomorrow", "retires today", "retired inside",
        "retired and not permitted",
    ],
)  # fmt: skip
def test_permits(decided: Decision, endpoint: Endpoint, refusal: str | None) -> None:
    assert permits(decided, endpoint, today=TODAY) == refusal


@pytest.mark.parametrize(
    ("decided", "endpoints", "strategy", "name", "reason"),
    [
        (decision(Lane.LOCAL, Lane.CLOUD), [LOCAL, CLOUD], "cloud_first", "outside", "preferred"),
        (decision(Lane.CLOUD, Lane.LOCAL), [CLOUD, LOCAL], "local_first", "inside", "preferred"),
        (decision(Lane.LOCAL), [CLOUD, LOCAL], "cloud_first", "inside", "only_permitted_lane"),
        (decision(Lane.LOCAL, Lane.CLOUD, cloud_requires={"baa": True}), [CLOUD, LOCAL], "cloud_first", "inside", "fallback"),
        (decision(Lane.LOCAL, Lane.CLOUD), [CLOUD], "local_first", "outside", "fallback"),
        (decision(Lane.CLOUD), [replace(CLOUD, name="first"), CLOUD], "cloud_first", "first", "preferred"),
        (decision(Lane.CLOUD), [replace(CLOUD, name="old", review_by=date(2020, 1, 1)), CLOUD], "cloud_first", "outside", "preferred"),
        (decision(Lane.CLOUD), [LOCAL], "cloud_first", None, "no_permitted_endpoint"),
        (decision(Lane.LOCAL), [], "cloud_first", None, "no_permitted_endpoint"),
        (decision(Lane.CLOUD, cloud_requires={"baa": True}), [CLOUD, LOCAL], "cloud_first", None, "facts_missing"),
        (decision(Lane.CLOUD), [replace(CLOUD, review_by=date(2020, 1, 1))], "cloud_first", None, "facts_expired"),
        (decision(Lane.CLOUD), [replace(CLOUD, retires_on=TODAY)], "cloud_first", None, "model_retired"),
        (decision(Lane.CLOUD, Lane.LOCAL), [replace(CLOUD, retires_on=TODAY), LOCAL], "cloud_first", "inside", "fallback"),
        (decision(reason="no_rule"), [CLOUD, LOCAL], "cloud_first", None, "no_rule"),
        (decision(reason="encrypted"), [CLOUD, LOCAL], "local_first", None, "encrypted"),
    ],
    ids=[
        "cloud first", "local first", "cloud not permitted", "cloud lacks facts", "no local endpoint", "callers order", "skips the expired",
        "no endpoint of the lane", "no endpoint", "facts missing", "facts expired", "model retired", "retired, so inside", "no rule",
        "unreadable",
    ],
)  # fmt: skip
def test_assign(decided: Decision, endpoints: list[Endpoint], strategy: str, name: str | None, reason: str) -> None:
    chosen = assign(decided, endpoints, strategy=strategy, today=TODAY)  # type: ignore[arg-type]
    assert (chosen.endpoint.name if chosen.endpoint else None, chosen.reason) == (name, reason)
    assert (chosen.record_id, chosen.strategy) == ("r1", strategy)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(RuleError, match="expected one of cloud_first, local_first"):
        assign(decision(Lane.CLOUD), [CLOUD], strategy="dearest", today=TODAY)  # type: ignore[arg-type]


endpoints = st.builds(
    Endpoint,
    name=st.sampled_from(["a", "b", "c"]),
    lane=st.sampled_from(list(Lane)),
    engine=st.just("openai_batch"),
    provider=st.just("example"),
    model=st.just("small-1"),
    facts=st.dictionaries(st.sampled_from(["dpa", "baa", "training_use"]), st.booleans()) | st.just({"retention_days": 7}),
    review_by=st.none() | st.dates(date(2026, 1, 1), date(2027, 12, 31)),
)
decisions = st.builds(
    lambda lanes, requires: decision(*lanes, cloud_requires=requires), st.lists(st.sampled_from(list(Lane)), unique=True), requirements
)


@examples(200)
@given(decided=decisions, offered=st.lists(endpoints, max_size=5), strategy=st.sampled_from(sorted(PREFERENCE)))
def test_an_assignment_never_leaves_its_decision(decided: Decision, offered: list[Endpoint], strategy: str) -> None:
    chosen = assign(decided, offered, strategy=strategy, today=TODAY).endpoint  # type: ignore[arg-type]
    allowed = [endpoint for endpoint in offered if permits(decided, endpoint, today=TODAY) is None]
    assert (chosen is None) == (not allowed)
    if chosen is None:
        return
    assert chosen in offered
    assert chosen.lane in decided.lanes
    if chosen.lane is Lane.CLOUD:
        assert chosen.review_by is not None
        assert chosen.review_by >= TODAY
        for name, required in decided.cloud_requires.items():
            assert name in chosen.facts
            stated = chosen.facts[name]
            assert stated <= required if name == "retention_days" else stated is required  # type: ignore[operator]


# --- clearances


def cleared(decided: Decision, endpoint: Endpoint | None, **changes: object) -> object:
    record_id = str(changes.pop("record_id", "r1"))
    assignment = Assignment(
        record_id=record_id, endpoint=endpoint, strategy="cloud_first", reason="preferred" if endpoint else "facts_missing"
    )
    fields = {"run_id": "nightly-2026-11-22", "payload_hmac": HMAC, "payload_bytes": 120, "attempt": 1, "today": TODAY} | changes
    return clear(decided, assignment, **fields)  # type: ignore[arg-type]


def test_a_clearance_is_for_one_payload_endpoint_and_attempt() -> None:
    first = clear(
        decision(Lane.CLOUD),
        Assignment(record_id="r1", endpoint=CLOUD, strategy="cloud_first", reason="preferred"),
        run_id="nightly-2026-11-22",
        payload_hmac=HMAC,
        payload_bytes=120,
        attempt=1,
        today=TODAY,
    )
    assert (first.record_id, first.endpoint, first.lane, first.payload_hmac, first.payload_bytes) == (
        "r1",
        "outside",
        Lane.CLOUD,
        HMAC,
        120,
    )
    assert first == cleared(decision(Lane.CLOUD), CLOUD)
    others = [
        cleared(decision(Lane.CLOUD), CLOUD, run_id="nightly-2026-11-23"),
        cleared(decision(Lane.CLOUD), CLOUD, payload_hmac="1f" * 16),
        cleared(decision(Lane.CLOUD), CLOUD, attempt=2),
        cleared(decision(Lane.CLOUD), replace(CLOUD, name="elsewhere")),
    ]
    assert len({first.clearance_id, *(other.clearance_id for other in others)}) == 5  # type: ignore[attr-defined]


def test_the_clearance_id_is_unambiguous_and_stable() -> None:
    assert clearance_id("a", "bc", "e", HMAC, 1) != clearance_id("ab", "c", "e", HMAC, 1)
    assert clearance_id("run", "r1", "outside", HMAC, 1) == clearance_id("run", "r1", "outside", HMAC, 1)
    assert len(clearance_id("run", "r1", "outside", HMAC, 1)) == 32


@pytest.mark.parametrize(
    ("decided", "endpoint", "changes", "code"),
    [
        (decision(Lane.LOCAL), CLOUD, {}, "lane_not_permitted"),
        (decision(Lane.CLOUD, cloud_requires={"baa": True}), CLOUD, {}, "facts_missing"),
        (decision(Lane.CLOUD), CLOUD, {"today": date(2028, 1, 1)}, "facts_expired"),
        (decision(Lane.CLOUD), replace(CLOUD, retires_on=TODAY), {}, "model_retired"),
        (decision(Lane.CLOUD), None, {}, "facts_missing"),
        (decision(Lane.CLOUD), CLOUD, {"record_id": "r2"}, "record_mismatch"),
        (decision(Lane.CLOUD), CLOUD, {"attempt": 0}, "malformed"),
        (decision(Lane.CLOUD), CLOUD, {"payload_bytes": 0}, "malformed"),
        (decision(Lane.CLOUD), CLOUD, {"payload_hmac": "secret text"}, "malformed"),
    ],
    ids=["other lane", "missing fact", "expired", "retired", "held", "other record", "attempt", "empty payload", "no digest"],
)
def test_a_clearance_is_refused(decided: Decision, endpoint: Endpoint | None, changes: dict[str, object], code: str) -> None:
    with pytest.raises(ClearanceError, match="record r1: clearance refused") as caught:
        cleared(decided, endpoint, **changes)
    assert caught.value.code == code
    assert "secret text" not in str(caught.value)
