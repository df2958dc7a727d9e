"""Planned evaluation asks for little and changes nothing: the promise of `policies/demand.py`."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.detector import EVERYTHING
from detectors.document import Demand, Document, Evidence, EvidenceKind, Finding
from detectors.normalized import Normalized
from detectors.scan import scan
from policies.decide import decide
from policies.demand import demand_for, standing
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import CLEAN, UNSCANNABLE, Decision
from policies.policy import Policy
from policies.rules import view
from tests.policies.random_policy import CLASSES, KINDS, Oracle, examples, policies, whole_evidence

DEFAULT = replace(load_policy(DEFAULT_POLICY), evidence="planned")  # the bundled policy asks for complete evidence


def outcome(decision: Decision) -> tuple[object, ...]:
    return decision.lanes, decision.rule, dict(decision.cloud_requires), decision.reason


@examples(200)
@given(policy=policies(), truth=whole_evidence(), data=st.data())
def test_planned_and_complete_evaluation_give_the_same_outcome(policy: Policy, truth: Evidence, data: st.DataObject) -> None:
    oracle = Oracle(truth)
    planned = oracle.scan(demand_for(policy), lambda wanted: data.draw(st.sampled_from(wanted)))
    complete = oracle.scan(demand_for(policy, complete=True), lambda wanted: wanted[0])
    decided, expected = decide("r", planned, policy, "d"), decide("r", complete, policy, "d")
    assert outcome(decided) == outcome(expected)
    assert not expected.partial
    assert decided.partial or set(decided.data_classes) == set(expected.data_classes)


@st.composite
def default_evidence(draw: st.DrawFn) -> Evidence:
    kinds = sorted(DEFAULT.kinds)
    names = {group: [kind.partition(":")[2] for kind in kinds if kind.startswith(group)] for group in ("entity", "topic", "marker")}
    score = st.sampled_from([0.1, 0.25, 0.35, 0.5, 0.65, 0.95])
    found = draw(st.lists(st.tuples(st.sampled_from(names["entity"]), score), max_size=3))
    return Evidence(
        findings=tuple(Finding(detector="oracle", entity=name, start=0, end=1, score=value) for name, value in found),
        topics=draw(st.dictionaries(st.sampled_from(names["topic"]), score)),
        markers=draw(st.frozensets(st.sampled_from(names["marker"]), max_size=2)),
        settled=frozenset(kinds),
    )


@examples(100)
@given(truth=default_evidence(), data=st.data())
def test_the_default_policy_too(truth: Evidence, data: st.DataObject) -> None:
    oracle = Oracle(truth)
    planned = oracle.scan(demand_for(DEFAULT), lambda wanted: data.draw(st.sampled_from(wanted)))
    assert outcome(decide("r", planned, DEFAULT, "d")) == outcome(decide("r", truth, DEFAULT, "d"))


@examples(200)
@given(policy=policies(), truth=whole_evidence(), data=st.data())
def test_a_demand_only_asks_what_is_not_settled_and_shrinks_to_nothing(policy: Policy, truth: Evidence, data: st.DataObject) -> None:
    asked: list[EvidenceKind] = []

    def choose(wanted: list[EvidenceKind]) -> EvidenceKind:
        asked.append(data.draw(st.sampled_from(wanted)))
        return asked[-1]

    Oracle(truth).scan(demand_for(policy), choose)
    assert len(asked) == len(set(asked))
    assert set(asked) <= policy.kinds <= set(KINDS)


@examples(200)
@given(policy=policies(), truth=whole_evidence(), settled=st.frozensets(st.sampled_from(KINDS)))
def test_what_is_true_stays_true_as_evidence_grows(policy: Policy, truth: Evidence, settled: frozenset[str]) -> None:
    oracle = Oracle(truth)
    some = oracle.start()
    for kind in sorted(settled):
        some = some.merge(oracle.answer(EvidenceKind(kind)))
    before, after = standing(policy, some, view(some)), standing(policy, truth, view(truth))
    for name, value in before.items():
        assert value is None or after[name] is value


def test_a_class_on_the_first_route_ends_the_scan() -> None:
    evidence = Evidence(
        findings=(Finding(detector="x", entity="CREDENTIAL", start=0, end=1, score=0.9),),
        settled=frozenset({EvidenceKind("entity:CREDENTIAL")}),
    )
    assert demand_for(DEFAULT)(evidence) == frozenset()
    decision = decide("r", evidence, DEFAULT, "d")
    assert decision.data_classes == ("CREDENTIALS",)
    assert decision.partial


def test_names_are_not_asked_for_where_a_name_would_not_matter() -> None:
    dull = Evidence(settled=DEFAULT.kinds - {EvidenceKind("entity:PERSON")})
    assert demand_for(DEFAULT)(dull) == frozenset()
    clinical = Evidence(topics={"care": 0.9, "health": 0.9}, settled=dull.settled)
    assert demand_for(DEFAULT)(clinical) == {"entity:PERSON"}


def test_a_failure_ends_the_scan_as_unscannable() -> None:
    evidence = Evidence(failures=frozenset({"detector_error"}))
    assert demand_for(DEFAULT)(evidence) == frozenset()
    assert UNSCANNABLE in decide("r", evidence, DEFAULT, "d").data_classes


@pytest.mark.parametrize(
    "demand", [demand_for(DEFAULT, complete=True), demand_for(replace(DEFAULT, evidence="complete"))], ids=["asked", "the policy's wish"]
)
def test_complete_asks_for_everything_whatever_is_known(demand: Demand) -> None:
    for evidence in (Evidence(), Evidence(failures=frozenset({"detector_error"})), Evidence(settled=DEFAULT.kinds)):
        assert demand(evidence) == {EVERYTHING}


def test_policy_and_demands_survive_pickling() -> None:
    evidence = Evidence(topics={"care": 0.9, "health": 0.9})
    for demand in (demand_for(DEFAULT), demand_for(DEFAULT, complete=True)):
        copy = pickle.loads(pickle.dumps(demand))  # noqa: S301  our own bytes
        assert copy == demand
        assert copy(evidence) == demand(evidence)


@dataclass(frozen=True)
class Share:
    """A detector that knows part of the truth about its kinds; what two of them provide is settled when both have spoken."""

    name: str
    provides: frozenset[EvidenceKind]
    cost: int
    answer: Evidence
    asked: list[str] = field(default_factory=list, compare=False)
    version: str = "1"

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        self.asked.append(self.name)
        return [self.answer for _ in texts]


@st.composite
def shares(draw: st.DrawFn) -> list[Share]:
    """Detectors of random costs that together know everything; findings, topics and markers are spread over those that may have them."""
    truth = draw(whole_evidence())
    groups = draw(st.lists(st.frozensets(st.sampled_from(KINDS), min_size=1, max_size=4), max_size=6))
    groups.append(frozenset(KINDS) - frozenset().union(*groups) or frozenset(KINDS[:1]))
    costs = draw(st.lists(st.integers(1, 4) | st.just(100), min_size=len(groups), max_size=len(groups)))
    answers = [Evidence() for _ in groups]
    pieces = [
        *((f"entity:{finding.entity}", Evidence(findings=(finding,))) for finding in truth.findings),
        *((f"topic:{name}", Evidence(topics={name: score})) for name, score in truth.topics.items()),
        *((f"marker:{name}", Evidence(markers=frozenset({name}))) for name in truth.markers),
    ]
    for kind, piece in pieces:
        place = draw(st.sampled_from([place for place, group in enumerate(groups) if kind in group]))
        answers[place] = answers[place].merge(piece)
    return [
        Share(name=f"d{place}", provides=frozenset(map(EvidenceKind, group)), cost=cost, answer=answer)
        for place, (group, cost, answer) in enumerate(zip(groups, costs, answers, strict=True))
    ]


@examples(300)
@given(policy=policies(), detectors=shares(), declared=st.frozensets(st.sampled_from([*CLASSES, CLEAN]), max_size=1))
def test_planned_and_complete_scans_are_decided_alike(policy: Policy, detectors: list[Share], declared: frozenset[str]) -> None:
    document = Document(record_id="r", text="some words", source="s", declared=declared)
    (planned,) = scan([document], detectors, demand_for(policy))
    cheap = [name for detector in detectors for name in detector.asked]
    (complete,) = scan([document], detectors, demand_for(policy, complete=True))
    decided, expected = decide("r", planned, policy, "d"), decide("r", complete, policy, "d")
    assert outcome(decided) == outcome(expected)
    assert len(cheap) == len(set(cheap)) <= len(detectors)
    assert not expected.partial
