"""Decisions fail closed, and a family is only as clean as its worst member."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.document import Evidence, EvidenceKind, Finding, ReadProblem
from policies.decide import decide, decide_family, decide_unreadable
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import CLEAN, UNSCANNABLE, Decision, Lane
from policies.policy import ClassRule, Policy, Route
from policies.rules import MarkerFound
from tests.policies.random_policy import examples, policies, whole_evidence

DEFAULT = load_policy(DEFAULT_POLICY)
LOCAL, BOTH, CLOUD_FIRST = (Lane.LOCAL,), (Lane.LOCAL, Lane.CLOUD), (Lane.CLOUD, Lane.LOCAL)


def found(*entities: str, score: float = 0.9, **evidence: object) -> Evidence:
    findings = tuple(Finding(detector="x", entity=entity, start=0, end=1, score=score) for entity in entities)
    return Evidence(findings=findings, **({"settled": DEFAULT.kinds} | evidence))  # type: ignore[arg-type]


def default_decision(record_id: str, evidence: Evidence) -> Decision:
    return decide(record_id, evidence, DEFAULT, "d")


@pytest.mark.parametrize(
    ("evidence", "classes", "lanes", "rule"),
    [
        (found(), (CLEAN,), CLOUD_FIRST, "routes[2]"),
        (found("US_PASSPORT"), ("PII",), BOTH, "routes[1]"),
        (found("CREDENTIAL"), ("CREDENTIALS",), LOCAL, "routes[0]"),
        (found("PERSON", topics={"care": 0.9, "health": 0.9}), ("PHI",), LOCAL, "routes[0]"),
        (found(failures=frozenset({"work_limit"})), (UNSCANNABLE,), LOCAL, "routes[0]"),
        (found("US_PASSPORT", failures=frozenset({"work_limit"})), ("PII", UNSCANNABLE), LOCAL, "routes[0]"),
        (found("US_SSN"), ("NPI",), LOCAL, "routes[0]"),
    ],
    ids=["clean", "pii", "credentials", "phi", "failure", "failure beside pii", "ssn: npi covers pii"],
)
def test_the_default_policy_decides(evidence: Evidence, classes: tuple[str, ...], lanes: tuple[Lane, ...], rule: str) -> None:
    decision = default_decision("r1", evidence)
    assert (decision.data_classes, decision.lanes, decision.rule) == (classes, lanes, rule)
    assert (decision.record_id, decision.policy_hash, decision.detectors_hash) == ("r1", DEFAULT.hash, "d")
    assert not decision.partial
    assert decision.reason == ""


def test_requirements_travel_with_the_cloud_lane() -> None:
    assert default_decision("r", found("US_PASSPORT")).cloud_requires == {"dpa": True, "training_use": False}
    assert default_decision("r", found("US_PASSPORT", failures=frozenset({"x"}))).cloud_requires == {}


TOPICS = ("care", "health", "personal_finance", "legal_advice")
BACKGROUNDS = {
    "blank": Evidence(),
    "clinical and financial": Evidence(topics=dict.fromkeys(TOPICS, 0.95)),
    "marked": Evidence(markers=frozenset({"confidential_marking", "counsel_participant"})),
}


def at_its_worst(kind: EvidenceKind) -> Evidence:
    """The answer to a kind that says the most."""
    group, _, name = kind.partition(":")
    return Evidence(
        findings=found(name, score=1.0).findings if group == "entity" else (),
        topics={name: 1.0} if group == "topic" else {},
        markers=frozenset({name}) if group == "marker" else frozenset(),
        settled=frozenset({kind}),
    )


@pytest.mark.parametrize("background", BACKGROUNDS.values(), ids=BACKGROUNDS.keys())
@pytest.mark.parametrize("kind", sorted(DEFAULT.kinds))
def test_an_answer_that_is_missing_is_never_taken_for_a_no(kind: EvidenceKind, background: Evidence) -> None:
    name = kind.partition(":")[2]
    topics = {topic: score for topic, score in background.topics.items() if topic != name}
    seen = Evidence(topics=topics, markers=background.markers - {name}, settled=DEFAULT.kinds - {kind})
    worst = default_decision("r", seen.merge(at_its_worst(kind)))
    assert Lane.CLOUD in worst.lanes or Lane.CLOUD not in default_decision("r", seen).lanes


@pytest.mark.parametrize("group", ["entity", "topic", "marker"])
def test_evidence_that_was_never_gathered_is_unscannable(group: str) -> None:
    evidence = Evidence(settled=frozenset(kind for kind in DEFAULT.kinds if not kind.startswith(group)))
    decision = default_decision("r", evidence)
    assert (decision.data_classes, decision.lanes, decision.partial) == ((UNSCANNABLE,), LOCAL, True)


@pytest.mark.parametrize("score", [math.nan, 7.0, math.inf], ids=["nan", "above one", "infinite"])
def test_a_score_that_is_none_counts_as_the_highest(score: float) -> None:
    assert default_decision("r", found("CREDIT_CARD", score=score)).lanes == LOCAL
    assert default_decision("r", found(topics={"business_secrecy": score})).lanes == LOCAL


def test_weak_findings_and_weak_entities_raise_nothing() -> None:
    assert default_decision("r", found("US_SSN", "CREDIT_CARD", "CREDENTIAL", score=0.4)).data_classes == (CLEAN,)
    topics = {"care": 1.0, "health": 1.0, "personal_finance": 1.0}
    assert default_decision("r", found("DATE_TIME", "URL", "LOCATION", "ORGANIZATION", "ZIP", topics=topics)).data_classes == (CLEAN,)


@pytest.mark.parametrize(
    ("declared", "classes", "lanes", "reason"),
    [
        ("PRIVILEGED", ("PRIVILEGED",), LOCAL, ""),
        ("EXPORT_CONTROLLED", ("EXPORT_CONTROLLED",), (), "unknown_class"),
        ("../../etc", (UNSCANNABLE,), LOCAL, ""),
        ("CLEAN", (CLEAN,), CLOUD_FIRST, ""),
    ],
    ids=["known", "unknown to the policy", "no class name", "clean adds nothing"],
)
def test_declared_classes(declared: str, classes: tuple[str, ...], lanes: tuple[Lane, ...], reason: str) -> None:
    decision = default_decision("r", found(declared=frozenset({declared})))
    assert (decision.data_classes, decision.lanes, decision.reason) == (classes, lanes, reason)


def test_declared_clean_lowers_nothing() -> None:
    assert default_decision("r", found("CREDIT_CARD", declared=frozenset({"CLEAN"}))).data_classes == ("NPI",)


def small_policy(*routes: Route) -> Policy:
    rules = {name: ClassRule(name=name, basis="1 USC 1", condition=MarkerFound(frozenset({name.lower()}))) for name in ("ALPHA", "BETA")}
    return Policy(version="1", classes=rules, routes=routes)


def test_a_class_without_a_route_holds_whatever_else_is_carried() -> None:
    policy = small_policy(Route(when=frozenset({"ALPHA", "CLEAN"}), lanes=CLOUD_FIRST))
    both = decide("r", Evidence(markers=frozenset({"alpha", "beta"}), settled=policy.kinds), policy, "d")
    assert (both.data_classes, both.lanes, both.rule, both.reason) == (("ALPHA", "BETA"), (), "default", "no_rule")


def test_no_route_for_clean_holds_clean_documents() -> None:
    policy = small_policy(Route(when=frozenset({"ALPHA", "BETA"}), lanes=LOCAL))
    decision = decide("r", Evidence(settled=policy.kinds), policy, "d")
    assert (decision.data_classes, decision.lanes, decision.reason) == ((CLEAN,), (), "no_rule")


def test_a_policy_without_classes_and_routes_holds_everything() -> None:
    decision = decide("r", Evidence(), Policy(version="1", classes={}, routes=()), "d")
    assert (decision.lanes, decision.rule, decision.reason) == ((), "default", "no_rule")


def test_a_cloud_only_route_holds_what_could_not_be_judged() -> None:
    policy = small_policy(Route(when=frozenset({"ALPHA", "BETA", "CLEAN", UNSCANNABLE}), lanes=(Lane.CLOUD,), cloud_requires={"dpa": True}))
    decision = decide("r", Evidence(failures=frozenset({"x"}), settled=policy.kinds), policy, "d")
    assert (decision.lanes, decision.reason, dict(decision.cloud_requires)) == ((), "unscannable", {})


def test_an_unreadable_record_is_held_for_its_problem() -> None:
    decision = decide_unreadable("r", ReadProblem.ENCRYPTED, DEFAULT, "d")
    assert (decision.data_classes, decision.lanes, decision.reason, decision.rule) == ((), (), "encrypted", "unreadable")


@examples(200)
@given(policy=policies(sound=True), less=whole_evidence(), more=whole_evidence())
def test_more_evidence_never_frees_a_document(policy: Policy, less: Evidence, more: Evidence) -> None:
    before, after = decide("r", less, policy, "d"), decide("r", less.merge(more), policy, "d")
    if Lane.CLOUD in after.lanes:
        assert Lane.CLOUD in before.lanes
        assert before.cloud_requires.keys() <= after.cloud_requires.keys()


# --- families


def test_every_member_gets_the_classes_of_all() -> None:
    mail, note = default_decision("mail", found()), default_decision("note", found("PERSON", topics={"care": 0.9, "health": 0.9}))
    family = decide_family([mail, note], DEFAULT)
    assert [member.data_classes for member in family] == [("PHI",), ("PHI",)]
    assert [member.lanes for member in family] == [LOCAL, LOCAL]
    assert [member.inherited for member in family] == [("PHI",), ()]
    assert family[0].rule == "routes[0]"
    assert family[1] == note


def test_a_family_keeps_what_each_member_carries() -> None:
    family = decide_family([default_decision("a", found("US_PASSPORT")), default_decision("b", found("CREDENTIAL"))], DEFAULT)
    assert [member.data_classes for member in family] == [("CREDENTIALS", "PII")] * 2
    assert [member.inherited for member in family] == [("CREDENTIALS",), ("PII",)]
    assert [dict(member.cloud_requires) for member in family] == [{}, {}]


def test_a_member_that_could_not_be_read_taints_its_siblings() -> None:
    mail, scan = default_decision("mail", found()), decide_unreadable("scan", ReadProblem.NO_TEXT_LAYER, DEFAULT, "d")
    mail_after, scan_after = decide_family([mail, scan], DEFAULT)
    assert (mail_after.data_classes, mail_after.lanes, mail_after.inherited) == ((UNSCANNABLE,), LOCAL, (UNSCANNABLE,))
    assert (scan_after.lanes, scan_after.reason, scan_after.data_classes) == ((), "no_text_layer", ())


def test_an_unreadable_member_inherits_and_stays_held() -> None:
    note, scan = default_decision("note", found("CREDENTIAL")), decide_unreadable("scan", ReadProblem.CORRUPT, DEFAULT, "d")
    after = decide_family([note, scan], DEFAULT)[1]
    assert (after.data_classes, after.inherited, after.lanes, after.reason) == (("CREDENTIALS",), ("CREDENTIALS",), (), "corrupt")


def test_a_clean_family_and_a_lone_document_stay_as_they_are() -> None:
    clean = [default_decision("a", found()), default_decision("b", found())]
    assert decide_family(clean, DEFAULT) == clean
    assert decide_family(clean[:1], DEFAULT) == clean[:1]
    assert decide_family([], DEFAULT) == []


def test_an_inherited_lower_bound_is_one() -> None:
    partial = decide("a", Evidence(failures=frozenset({"x"})), DEFAULT, "d")
    assert partial.partial
    assert decide_family([partial, default_decision("b", found())], DEFAULT)[1].partial


@examples(150)
@given(policy=policies(sound=True), members=st.lists(whole_evidence(), min_size=2, max_size=4))
def test_no_member_is_freer_than_any_sibling(policy: Policy, members: list[Evidence]) -> None:
    decisions = [decide(str(index), evidence, policy, "d") for index, evidence in enumerate(members)]
    for after in decide_family(decisions, policy):
        if Lane.CLOUD in after.lanes:
            assert all(Lane.CLOUD in alone.lanes for alone in decisions)
            assert all(alone.cloud_requires.keys() <= after.cloud_requires.keys() for alone in decisions)
