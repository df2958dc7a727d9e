"""Assignments with endpoints that failed and records that were escalated: never outside the decision, never at a closed endpoint."""

from __future__ import annotations

from collections import Counter
from datetime import date
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.document import Document, Evidence
from flows.assigning import assign_records
from flows.fallback import CONTRADICTIONS, Closed
from flows.lane_keys import Lanes
from policies.assign import assign, permits
from policies.model import Decision, Endpoint, Lane
from policies.prices import Prices
from sinks.ledger.queries import RecordState
from sinks.request import Prompt, TaskKind

TODAY = date(2026, 11, 23)
ENDPOINTS = [
    Endpoint(
        name=name,
        lane=lane,
        engine="openai_batch",
        provider="p",
        model="m",
        tier=tier,
        facts={"dpa": name != "cloud-bare"},
        review_by=date(2099, 1, 1),
    )
    for name, lane, tier in [
        ("inside", Lane.LOCAL, "small"),
        ("inside-too", Lane.LOCAL, "medium"),
        ("cloud", Lane.CLOUD, "large"),
        ("cloud-bare", Lane.CLOUD, "frontier"),
    ]
]
BY_NAME = {one.name: one for one in ENDPOINTS}
CLOSED = st.builds(
    Closed, failure=st.sampled_from(["down", *sorted(CONTRADICTIONS)[:1]]), way=st.sampled_from(["local", "cloud", "wait", "hold"])
)
LANES = st.sampled_from([(), (Lane.LOCAL,), (Lane.CLOUD,), (Lane.LOCAL, Lane.CLOUD)])
STRATEGIES = st.sampled_from(["cloud_first", "local_first", "tiered", "waterfall", "cheapest"])


def night(strategy: str, closed: dict[str, Closed], escalated: dict[str, float | None], lost: dict[str, RecordState]) -> Any:
    """As much of a night as assigning looks at."""
    return SimpleNamespace(
        job=SimpleNamespace(lanes=Lanes.model_construct(strategy=strategy), on_cloud_failure="wait", on_local_failure="wait"),
        endpoints=ENDPOINTS,
        registry=BY_NAME,
        closed=closed,
        escalated=escalated,
        failures=Counter(),
        load=None,
        keep=None,
        score=lambda *_: 0.5,
        prices=Prices(version="1", prices=()),
        today=TODAY,
        prompt=Prompt(kind=TaskKind.SUMMARIZE, messages=(), max_tokens=10),
        was_lost=lambda record_id: record_id in lost,
        attempt=lambda record_id: 9 if record_id in lost else 1,
        states=lost,
    )


@settings(max_examples=150, deadline=None)
@given(
    lanes=st.lists(LANES, min_size=1, max_size=4),
    dpa=st.booleans(),
    strategy=STRATEGIES,
    closed=st.dictionaries(st.sampled_from(sorted(BY_NAME)), CLOSED, max_size=4),
    escalated=st.sets(st.integers(0, 3)),
    lost=st.dictionaries(st.integers(0, 3), st.tuples(st.sampled_from(sorted(BY_NAME)), st.sampled_from(["missing_row", "http_503"]))),
)
def test_within_the_decision_whatever_failed(  # noqa: PLR0917 - drawn
    lanes: list[tuple[Lane, ...]],
    dpa: bool,  # noqa: FBT001 - as above
    strategy: Any,
    closed: dict[str, Closed],
    escalated: set[int],
    lost: dict[int, tuple[str, str]],
) -> None:
    requires = {"dpa": True} if dpa else {}
    decisions = [
        Decision(record_id=f"r{index}", data_classes=(), lanes=some, rule="", policy_hash="", detectors_hash="", cloud_requires=requires)
        for index, some in enumerate(lanes)
    ]
    told: dict[str, float | None] = {f"r{index}": -1.0 for index in escalated}
    states = {
        f"r{index}": RecordState(record_id=f"r{index}", state="released", seq=1, endpoint=name, intent_id="i", attempt=8, reason=reason)
        for index, (name, reason) in lost.items()
    }
    tonight = night(strategy, dict(closed), told, states)
    records = [(Document(record_id=one.record_id, text="a", source="s"), Evidence(), one) for one in decisions]
    found = assign_records(tonight, records)
    assert [one.record_id for one in found] == [one.record_id for one in decisions]
    for decision, one in zip(decisions, found, strict=True):
        open_to = [place for place in ENDPOINTS if permits(decision, place, today=TODAY) is None and place.name not in tonight.closed]
        if one.endpoint is not None:
            assert one.endpoint in open_to
        elif decision.record_id in told and decision.record_id not in states:
            assert not any(place.lane is Lane.LOCAL for place in open_to), "an escalated record with a place inside is not held"
        if decision.record_id in told or decision.record_id in states or not set(closed) or one.reason == "attempts_exhausted":
            continue
        wanted = (
            assign(decision, ENDPOINTS, strategy=strategy, today=TODAY).endpoint if strategy in {"cloud_first", "local_first"} else None
        )
        if wanted is not None and wanted.name in closed and closed[wanted.name].failure not in CONTRADICTIONS:
            fellows = [place for place in open_to if place.lane is wanted.lane]
            assert not fellows or (one.endpoint in fellows and one.reason == "fallback_down")
