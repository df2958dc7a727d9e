"""What a policy sees the same, it judges the same: why a demand may remember its answers."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.document import Evidence, Finding
from policies.demand import PlannedDemand, standing, undecided_kinds
from policies.load import DEFAULT_POLICY, load_policy
from policies.policy import Policy
from policies.rules import view
from policies.thresholds import Thresholds
from tests.policies.random_policy import ENTITIES, KINDS, TOPICS, examples, policies, whole_evidence

scores = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.2, 0.49, 0.5, 0.8, 1.0, math.nan]))


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    found = draw(st.lists(st.tuples(st.sampled_from(ENTITIES), scores), max_size=5))
    return replace(
        draw(whole_evidence()),
        findings=tuple(Finding(detector="oracle", entity=name, start=0, end=1, score=score) for name, score in found),
        topics=draw(st.dictionaries(st.sampled_from(TOPICS), scores)),
        settled=draw(st.frozensets(st.sampled_from(KINDS))),
    )


@examples(300)
@given(policy=policies(), one=evidence(), other=evidence())
def test_what_looks_the_same_is_judged_the_same(policy: Policy, one: Evidence, other: Evidence) -> None:
    thresholds = Thresholds.of(policy)
    other = replace(other, markers=one.markers, declared=one.declared, failures=one.failures, settled=one.settled)
    if thresholds.seen(one) == thresholds.seen(other):
        truths = standing(policy, one, view(one))
        assert truths == standing(policy, other, view(other))
        assert undecided_kinds(policy, view(one), truths) == undecided_kinds(policy, view(other), truths)


@examples(200)
@given(policy=policies(), many=st.lists(evidence(), min_size=1, max_size=6))
def test_a_remembered_answer_is_the_answer(policy: Policy, many: list[Evidence]) -> None:
    demand = PlannedDemand(policy)
    for found in [*many, *many]:
        seen = view(found)
        expected = undecided_kinds(policy, seen, standing(policy, found, seen)) if not policy.kinds <= found.settled else frozenset()
        assert demand(found) == expected
    copy = pickle.loads(pickle.dumps(demand))  # noqa: S301 - our own bytes
    assert copy == demand
    assert not copy._remembered


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.demand.MOST_REMEMBERED", 3)
    demand = PlannedDemand(load_policy(DEFAULT_POLICY))
    for count in range(20):
        demand(Evidence(markers=frozenset({f"marker {count}"})))
        assert 1 <= len(demand._remembered) <= 3
