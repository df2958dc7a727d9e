"""Deciding again from counts: the same as from the evidence itself, or no answer; never another one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.document import Evidence, EvidenceKind, Finding, Judgement
from policies.decide import decide
from policies.hindsight import Scanned, decide_in_hindsight
from policies.load import parse_policy
from policies.policy import Policy
from policies.yaml_value import Source

RULES = """version: 1
classes:
  PHI: {basis: house rule, all: [{topic: health, at_least: 0.5}, {any_entity: [PERSON, US_SSN]}]}
  NPI: {basis: house rule, entity: US_SSN, at_least_score: 0.8, count: 2}
  BOARD: {basis: house rule, marker: board_material}
  PII: {basis: house rule, entity: EMAIL_ADDRESS, covered_by: [PHI]}
routes:
  - {when: [PHI, NPI, BOARD, UNSCANNABLE], lanes: [local]}
  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""


def policy(text: str = RULES) -> Policy:
    return parse_policy(Source(name="policy.yaml", data=text.encode()))


THEN = policy()
OTHERS = {
    "the same": THEN,
    "a lower limit": policy(RULES.replace("at_least: 0.5", "at_least: 0.3")),
    "one is enough": policy(RULES.replace(", at_least_score: 0.8, count: 2", "")),
    "three are needed": policy(RULES.replace("count: 2", "count: 3")),
    "another question": policy(RULES.replace("entity: EMAIL_ADDRESS", "any_entity: [EMAIL_ADDRESS, PHONE_NUMBER]")),
    "another route": policy(
        RULES.replace("UNSCANNABLE], lanes: [local]", "UNSCANNABLE, PII], lanes: [local]").replace(
            "  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}\n", ""
        )
    ),
    "a class less": policy(RULES.replace("  BOARD: {basis: house rule, marker: board_material}\n", "").replace("NPI, BOARD", "NPI")),
}


@dataclass(frozen=True)
class Line:
    entity: str
    count: int
    max_score: float
    detector: str = "test"


def lines(evidence: Evidence) -> tuple[Line, ...]:
    found = Counter(finding.entity for finding in evidence.findings)
    best = {name: max(one.score for one in evidence.findings if one.entity == name) for name in found}
    return (
        *(Line(name, count, best[name]) for name, count in found.items()),
        *(Line(f"topic:{name}", 1, score) for name, score in evidence.topics.items() if score),
        *(Line(f"marker:{name}", 1, 1.0) for name in evidence.markers),
        *(Line(f"declared:{name}", 1, 1.0) for name in evidence.declared),
        *(Line(f"llm:{one.data_class}", 1, 1.0, one.model) for one in evidence.judged),
        *(Line(f"failure:{name}", 1, 1.0) for name in evidence.failures),
    )


def scanned(evidence: Evidence, *, settled: bool = True) -> Scanned:
    decided = decide("r1", evidence, THEN, "h")
    return Scanned(
        record_id="r1",
        counts=lines(evidence),
        settled=evidence.settled if settled else frozenset(),
        policy=THEN,
        data_classes=decided.data_classes,
        partial=decided.partial,
    )


ENTITIES = ("PERSON", "US_SSN", "EMAIL_ADDRESS", "PHONE_NUMBER")
ASKED = sorted(THEN.kinds | OTHERS["another question"].kinds)
EVIDENCE = st.builds(
    Evidence,
    findings=st.lists(
        st.builds(
            Finding,
            detector=st.just("test"),
            entity=st.sampled_from(ENTITIES),
            start=st.just(0),
            end=st.just(1),
            score=st.sampled_from([0.5, 0.7, 0.9]),
        ),
        max_size=5,
    ).map(tuple),
    topics=st.dictionaries(st.just("health"), st.sampled_from([0.0, 0.2, 0.4, 0.6])),
    markers=st.frozensets(st.just("board_material")),
    declared=st.frozensets(st.sampled_from(["PHI", "ODD"])),
    failures=st.frozensets(st.just("limit_characters"), max_size=1),
    judged=st.frozensets(st.builds(Judgement, data_class=st.sampled_from(["NPI", "PII"]), model=st.just("m")), max_size=1),
    settled=st.sampled_from([frozenset(map(EvidenceKind, ASKED)), frozenset(map(EvidenceKind, ASKED[::2])), frozenset[EvidenceKind]()]),
)


def told(evidence: Evidence, other: Policy, *, settled: bool) -> object:
    found = decide_in_hindsight(scanned(evidence, settled=settled), other)
    return None if found is None else (found.lanes, found.rule, dict(found.cloud_requires))


def direct(evidence: Evidence, other: Policy) -> object:
    found = decide("r1", evidence, other, "h")
    return found.lanes, found.rule, dict(found.cloud_requires)


def unasked(more: Evidence, settled: frozenset[EvidenceKind]) -> Evidence:
    """What would have been found, had the rest been asked."""
    return Evidence(
        findings=tuple(one for one in more.findings if f"entity:{one.entity}" not in settled),
        topics={name: score for name, score in more.topics.items() if f"topic:{name}" not in settled},
        markers=frozenset(name for name in more.markers if f"marker:{name}" not in settled),
        settled=frozenset(map(EvidenceKind, ASKED)),
    )


@settings(max_examples=500, deadline=None)
@given(evidence=EVIDENCE, more=EVIDENCE, name=st.sampled_from(sorted(OTHERS)), settled=st.booleans())
def test_never_another_answer_than_complete_evidence_gives(evidence: Evidence, more: Evidence, name: str, settled: bool) -> None:  # noqa: FBT001
    """Whatever was really there beside what was asked: the answer from counts is the right one, or there is none."""
    complete = evidence.merge(unasked(more, evidence.settled))
    assert told(evidence, OTHERS[name], settled=settled) in (None, direct(complete, OTHERS[name]))


CLEAN = Evidence(settled=THEN.kinds)
MAIL = Evidence(findings=(Finding(detector="test", entity="EMAIL_ADDRESS", start=0, end=1, score=0.9),), settled=THEN.kinds)
NUMBERS = Evidence(
    findings=tuple(Finding(detector="test", entity="US_SSN", start=0, end=1, score=score) for score in (0.9, 0.6, 0.6)), settled=THEN.kinds
)
HEALTH = Evidence(
    topics={"health": 0.4}, findings=(Finding(detector="test", entity="PERSON", start=0, end=1, score=0.9),), settled=THEN.kinds
)

TELLS = [
    pytest.param(CLEAN, True, "another route", ("CLEAN",), id="clean, everything asked"),
    pytest.param(CLEAN, False, "the same", ("CLEAN",), id="clean, by the decision of then"),
    pytest.param(CLEAN, False, "a class less", ("CLEAN",), id="clean, and less to be"),
    pytest.param(MAIL, False, "another route", ("PII",), id="found is found"),
    pytest.param(HEALTH, True, "a lower limit", ("PHI",), id="the score is kept"),
    pytest.param(NUMBERS, True, "one is enough", ("NPI",), id="the best one is enough"),
    pytest.param(CLEAN, False, "a lower limit", None, id="never asked"),
    pytest.param(CLEAN, True, "another question", None, id="a question that nobody asked then"),
    pytest.param(NUMBERS, True, "the same", None, id="how good the others were"),
]


@pytest.mark.parametrize(("evidence", "settled", "name", "classes"), TELLS)
def test_what_counts_tell(evidence: Evidence, settled: bool, name: str, classes: tuple[str, ...] | None) -> None:  # noqa: FBT001
    if classes is None and name == "the same":
        # Known to be false then, but the condition is asked again: of three numbers only the best one's score is on record.
        one = replace(scanned(evidence), policy=None)
        assert decide_in_hindsight(one, OTHERS[name]) is None
        return
    found = decide_in_hindsight(scanned(evidence, settled=settled), OTHERS[name])
    assert (None if found is None else found.data_classes) == classes


def test_a_partial_decision_says_nothing_of_what_it_does_not_list() -> None:
    one = replace(scanned(CLEAN, settled=False), partial=True)
    assert decide_in_hindsight(one, THEN) is None


def test_a_covered_class_may_have_been_true() -> None:
    evidence = Evidence(declared=frozenset({"PHI"}), settled=frozenset())
    one = replace(scanned(evidence, settled=False), partial=False, data_classes=("PHI",))
    found = decide_in_hindsight(
        one, policy(RULES.replace("{when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}", "{when: [PII], lanes: [local]}"))
    )
    assert found is not None
    assert (found.data_classes, found.partial) == (("PHI",), True)
