"""What a model inside says of a document is evidence like any other, but for one thing: it can only raise (invariant 9)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.document import LLM, Evidence, Judgement
from policies.decide import decide, decide_family
from policies.demand import demand_for
from policies.explain import explain
from policies.facts import satisfies
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import CLEAN, UNSCANNABLE, Lane
from policies.policy import Policy
from policies.thresholds import Thresholds
from tests.policies.random_policy import CLASSES, KINDS, examples, policies, whole_evidence

DEFAULT = load_policy(DEFAULT_POLICY)
NAMES = [*CLASSES, CLEAN, UNSCANNABLE, "NEVER_HEARD_OF", "not a class", "", "PHI "]

judgements = st.frozensets(st.builds(Judgement, data_class=st.sampled_from(NAMES), model=st.sampled_from(["judge", "other"])), max_size=4)


def judged(*names: str) -> Evidence:
    return Evidence(judged=frozenset(Judgement(data_class=name, model="judge") for name in names), settled=DEFAULT.kinds)


@examples(400)
@given(policy=policies(sound=True), evidence=whole_evidence(), settled=st.frozensets(st.sampled_from(KINDS)), said=judgements)
def test_a_verdict_never_frees_a_record(policy: Policy, evidence: Evidence, settled: frozenset[str], said: frozenset[Judgement]) -> None:
    without = replace(evidence, settled=evidence.settled & settled)
    before = decide("r", without, policy, "d")
    after = decide("r", without.merge(Evidence(judged=said, settled=frozenset({LLM}))), policy, "d")
    # A record that no route took may be taken inside once it is known what it is; nothing more comes of a verdict.
    assert set(after.lanes) - {Lane.LOCAL} <= set(before.lanes)
    assert set(before.data_classes) - set(after.data_classes) <= {CLEAN, *covered(policy)}
    if Lane.CLOUD in after.lanes:
        assert all(satisfies(after.cloud_requires.get(name), required) for name, required in before.cloud_requires.items())


def covered(policy: Policy) -> set[str]:
    return {name for name, rule in policy.classes.items() if rule.covered_by}


@examples(200)
@given(said=judgements, evidence=whole_evidence())
def test_under_the_bundled_policy_a_verdict_permits_a_subset_of_the_lanes(said: frozenset[Judgement], evidence: Evidence) -> None:
    known = replace(evidence, settled=DEFAULT.kinds, declared=evidence.declared & DEFAULT.classes.keys())
    before, after = decide("r", known, DEFAULT, "d"), decide("r", known.merge(Evidence(judged=said)), DEFAULT, "d")
    assert set(after.lanes) <= set(before.lanes)


@examples(200)
@given(policy=policies(), evidence=whole_evidence(), settled=st.frozensets(st.sampled_from(KINDS)), said=judgements)
def test_a_verdict_spares_no_detector(policy: Policy, evidence: Evidence, settled: frozenset[str], said: frozenset[Judgement]) -> None:
    some = replace(evidence, settled=evidence.settled & settled)
    assert demand_for(policy)(replace(some, judged=said)) == demand_for(policy)(some)


@pytest.mark.parametrize(
    ("said", "classes", "leaves"),
    [
        ((), ("CLEAN",), True),
        (("CLEAN",), ("CLEAN",), True),
        (("PHI",), ("PHI",), False),
        (("NPI", "PHI"), ("PHI", "NPI"), False),
        (("PII",), ("PII",), True),
        (("UNSCANNABLE",), ("UNSCANNABLE",), False),
        (("no class name",), ("UNSCANNABLE",), False),
        (("PHI", "CLEAN"), ("PHI",), False),
    ],
    ids=str,
)
def test_each_class_raises_itself(said: tuple[str, ...], classes: tuple[str, ...], leaves: bool) -> None:  # noqa: FBT001
    decision = decide("r", judged(*said), DEFAULT, "d")
    assert decision.data_classes == classes
    assert (Lane.CLOUD in decision.lanes) is leaves


def test_a_class_that_no_route_names_is_held() -> None:
    decision = decide("r", judged("NEVER_HEARD_OF"), DEFAULT, "d")
    assert (decision.lanes, decision.reason) == ((), "unknown_class")


def test_a_verdict_on_one_member_is_of_the_whole_family() -> None:
    decisions = [decide("a", judged(), DEFAULT, "d"), decide("b", judged("PRIVILEGED"), DEFAULT, "d")]
    first, second = decide_family(decisions, DEFAULT)
    assert first.data_classes == second.data_classes == ("PRIVILEGED",)
    assert first.inherited == ("PRIVILEGED",)
    assert Lane.CLOUD not in first.lanes


def test_merging_keeps_every_verdict() -> None:
    assert {one.data_class for one in judged("PHI").merge(judged("NPI")).merge(Evidence()).judged} == {"PHI", "NPI"}


def test_an_explanation_names_the_model() -> None:
    (reason,) = explain(DEFAULT, judged("PHI", "CLEAN"))
    assert (reason.data_class, reason.judged, reason.held, reason.declared) == ("PHI", ("judge",), None, False)
    assert reason.basis


def test_a_verdict_that_is_no_class_name_explains_unscannable() -> None:
    (reason,) = explain(DEFAULT, judged("no class name"))
    assert (reason.data_class, reason.failures) == (UNSCANNABLE, ("judged_name",))


@pytest.mark.parametrize(
    ("score", "within", "near"),
    [(0.5, 0.01, True), (0.41, 0.1, True), (0.39, 0.1, False), (0.9, 0.01, True), (0.0, 0.6, True), (math.nan, 0.01, True)],
    ids=["at the limit", "just below", "farther below", "above", "everything", "no number"],
)
def test_what_is_near_a_limit(score: float, within: float, near: bool) -> None:  # noqa: FBT001
    limits = replace(Thresholds.of(DEFAULT), topics={"health": (0.5, 0.9)})
    assert limits.near(Evidence(topics={"health": score}, settled=DEFAULT.kinds), within) is near


def test_a_topic_that_nobody_scored_counts_as_near() -> None:
    assert Thresholds.of(DEFAULT).near(Evidence(), 0.01)
    assert not Thresholds.of(DEFAULT).near(Evidence(settled=DEFAULT.kinds), 0.01)
