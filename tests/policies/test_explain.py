"""An explanation tells what holds: every raised class, only true conditions, only evidence that counts."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given

from detectors.document import Evidence, Finding
from policies.demand import standing
from policies.explain import Held, explain
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import CLEAN, UNSCANNABLE
from policies.policy import Policy
from policies.rules import AllOf, AnyOf, ClassDeclared, EntityFound, MarkerFound, TopicIs, view
from tests.policies.random_policy import examples, policies, whole_evidence

DEFAULT = load_policy(DEFAULT_POLICY)


def every(held: Held) -> Iterator[Held]:
    yield held
    for member in held.members:
        yield from every(member)


def finding(entity: str, score: float, start: int = 0) -> Finding:
    return Finding(detector="d", entity=entity, start=start, end=start + 4, score=score)


@examples(200)
@given(policy=policies(), evidence=whole_evidence())
def test_what_is_raised_is_explained_and_nothing_else(policy: Policy, evidence: Evidence) -> None:
    truths = standing(policy, evidence, view(evidence))
    reasons = explain(policy, evidence)
    assert {reason.data_class for reason in reasons} == {name for name, truth in truths.items() if truth and name != CLEAN}
    assert all(reason.held or reason.declared or reason.failures for reason in reasons)


@examples(200)
@given(policy=policies(), evidence=whole_evidence())
def test_every_condition_that_is_told_is_true_and_backed(policy: Policy, evidence: Evidence) -> None:
    seen = view(evidence)
    for held in (one for reason in explain(policy, evidence) if reason.held for one in every(reason.held)):
        match held.condition:
            case AllOf(conditions):
                assert len(held.members) == len(conditions)
            case AnyOf(conditions):
                assert len(held.members) == sum(one.holds(seen) is True for one in conditions) >= 1
            case EntityFound(count=count):
                assert len(held.findings) >= count
            case TopicIs(at_least=least):
                assert held.score is not None
                assert held.score >= least
            case MarkerFound():
                assert held.markers
            case other:
                assert isinstance(other, ClassDeclared)
                assert other.data_class in evidence.declared


def test_the_path_leads_to_the_condition_in_the_file() -> None:
    evidence = Evidence(findings=(finding("MEDICAL_RECORD_NUMBER", 0.9), finding("MEDICAL_RECORD_NUMBER", 0.2)), topics={"health": 0.3})
    (phi, *_) = explain(DEFAULT, evidence)
    assert phi.held is not None
    leaves = {held.path: held for held in every(phi.held) if not held.members}
    assert phi.data_class == "PHI"
    assert DEFAULT.source or phi.line > 0
    assert {held.says for held in leaves.values()} >= {"topic health at least 0.2"}
    (entity,) = [held for held in leaves.values() if held.findings]
    assert entity.path.startswith("any[")
    assert [one.score for one in entity.findings] == [0.9]


def test_a_covered_class_is_told_with_what_covers_it() -> None:
    evidence = Evidence(findings=(finding("US_SSN", 0.9),))
    reasons = {reason.data_class: reason for reason in explain(DEFAULT, evidence)}
    assert reasons["PII"].covered_by == ("NPI",)
    assert reasons["NPI"].covered_by == ()


def test_declarations_and_failures_need_no_condition() -> None:
    reasons = {
        reason.data_class: reason
        for reason in explain(DEFAULT, Evidence(declared=frozenset({"PHI"}), failures=frozenset({"limit_characters"})))
    }
    assert (reasons["PHI"].declared, reasons["PHI"].held) == (True, None)
    assert reasons[UNSCANNABLE].failures == ("limit_characters",)
    assert "45 CFR" in reasons[UNSCANNABLE].basis


def test_a_declared_name_that_is_no_class_explains_unscannable() -> None:
    (reason,) = explain(DEFAULT, Evidence(declared=frozenset({"not a class"})))
    assert (reason.data_class, reason.failures) == (UNSCANNABLE, ("declared_name",))


def test_nothing_found_needs_no_explanation() -> None:
    assert explain(DEFAULT, Evidence()) == ()
