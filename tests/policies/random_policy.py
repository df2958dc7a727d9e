"""Random policies, and an oracle that answers a demand: what the property tests of this folder draw from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from detectors.detector import EVERYTHING
from detectors.document import Demand, Evidence, EvidenceKind, Finding
from policies.facts import Fact
from policies.model import CLEAN, UNSCANNABLE, Lane
from policies.monotone import gains
from policies.policy import ClassRule, Policy, Route
from policies.rules import AllOf, AnyOf, ClassDeclared, Condition, EntityFound, MarkerFound, TopicIs

ENTITIES = ("PERSON", "US_SSN", "EMAIL_ADDRESS", "CREDENTIAL")
TOPICS = ("health", "personal_finance", "legal_advice")
MARKERS = ("privilege_header", "board_material", "source_code")
CLASSES = ("PHI", "NPI", "PRIVILEGED", "PII", "EXPORT_CONTROLLED")
KINDS = (*(f"entity:{name}" for name in ENTITIES), *(f"topic:{name}" for name in TOPICS), *(f"marker:{name}" for name in MARKERS))
SCORES = st.sampled_from([0.0, 0.2, 0.49, 0.5, 0.8, 1.0])
THRESHOLDS = st.sampled_from([0.2, 0.5, 0.9, 1.0])


def examples(count: int) -> settings:
    """Settings for a property test: no clock decides over it, and nothing is left on disk."""
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


predicates: st.SearchStrategy[Condition] = st.one_of(
    st.builds(TopicIs, st.sampled_from(TOPICS), THRESHOLDS),
    st.builds(EntityFound, st.frozensets(st.sampled_from(ENTITIES), min_size=1), THRESHOLDS, st.integers(1, 3)),
    st.builds(MarkerFound, st.frozensets(st.sampled_from(MARKERS), min_size=1)),
    st.builds(ClassDeclared, st.sampled_from(CLASSES)),
)


def _groups(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    members = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(AllOf, members), st.builds(AnyOf, members))


conditions = st.recursive(predicates, _groups, max_leaves=6)

requirements: st.SearchStrategy[dict[str, Fact]] = st.one_of(
    st.dictionaries(st.sampled_from(["dpa", "baa", "training_use"]), st.booleans(), max_size=2),
    st.sampled_from([0, 30]).map(lambda days: {"retention_days": days}),
)


@st.composite
def policies(draw: st.DrawFn, *, sound: bool = False) -> Policy:
    """Any policy; `sound` ones pass the loader's comparison of routes."""
    names = draw(st.lists(st.sampled_from(CLASSES), unique=True, min_size=1))
    classes = {name: ClassRule(name=name, basis="1 USC 1", condition=draw(conditions)) for name in names}
    mentions = st.frozensets(st.sampled_from([*names, UNSCANNABLE, CLEAN]), min_size=1, max_size=4)
    lanes = st.sampled_from([(Lane.LOCAL,), (Lane.CLOUD,), (Lane.LOCAL, Lane.CLOUD), (Lane.CLOUD, Lane.LOCAL)])
    table = [Route(when=draw(mentions), lanes=draw(lanes), cloud_requires=draw(requirements)) for _ in range(draw(st.integers(1, 4)))]
    policy = Policy(version="1", classes=classes, routes=tuple(table), hash="0" * 64)
    while sound and (faults := gains(policy)):
        table[faults[0].more] = Route(when=table[faults[0].more].when, lanes=(Lane.LOCAL,))
        policy = Policy(version="1", classes=classes, routes=tuple(table), hash="0" * 64)
    return policy


@st.composite
def whole_evidence(draw: st.DrawFn) -> Evidence:
    """What every detector together would find in a document."""
    found = draw(st.lists(st.tuples(st.sampled_from(ENTITIES), SCORES), max_size=6))
    return Evidence(
        findings=tuple(Finding(detector="oracle", entity=name, start=0, end=1, score=score) for name, score in found),
        topics=draw(st.dictionaries(st.sampled_from(TOPICS), SCORES)),
        markers=draw(st.frozensets(st.sampled_from(MARKERS))),
        declared=draw(st.frozensets(st.sampled_from([*CLASSES, CLEAN]), max_size=1)),
        failures=draw(st.frozensets(st.just("unsupported_language"))),
        settled=frozenset(EvidenceKind(kind) for kind in KINDS),
    )


@dataclass(frozen=True)
class Oracle:
    """Answers kinds of evidence from what is true of a document; failures of the document as a whole show from the start."""

    truth: Evidence

    def start(self) -> Evidence:
        return Evidence(declared=self.truth.declared, failures=self.truth.failures)

    def answer(self, kind: EvidenceKind) -> Evidence:
        group, _, name = kind.partition(":")
        return Evidence(
            findings=tuple(finding for finding in self.truth.findings if group == "entity" and finding.entity == name),
            topics={name: self.truth.topics[name]} if group == "topic" and name in self.truth.topics else {},
            markers=self.truth.markers & {name} if group == "marker" else frozenset(),
            settled=frozenset([kind]),
        )

    def scan(self, demand: Demand, choose: Callable[[list[EvidenceKind]], EvidenceKind]) -> Evidence:
        """Answer one demanded kind after another until nothing is asked, or nobody is left to ask."""
        evidence = self.start()
        while wanted := sorted(demand(evidence)):
            if EVERYTHING in wanted:
                wanted = sorted(self.truth.settled - evidence.settled)
            if not wanted:
                break
            evidence = evidence.merge(self.answer(choose(wanted)))
        return evidence
