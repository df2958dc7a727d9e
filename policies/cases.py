"""`waybill policy test`: the case file beside a policy.

    cases:
      - name: a discharge summary
        evidence: {entities: {PERSON: 0.85, US_SSN: [0.9, 0.9]}, topics: {health: 0.9}, markers: […], declared: […], failures: […]}
        expect: {classes: [PHI], lanes: [local]}
      - name: the same, from the text
        text: "…"              invented; scanned by the installed detectors
        metadata: {from: …}    may be left out
        expect: {classes: [PHI], lanes: [local]}

In an evidence case every kind the policy asks for counts as answered, except those listed as `unsettled`. A text case should be
scanned with the complete demand, so that all its classes are found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detectors.document import Document, Evidence, EvidenceKind, Finding
from policies.decide import decide
from policies.load import read_source
from policies.model import CLASS_NAME, Lane
from policies.policy import Policy
from policies.rule_syntax import ENTITY, WORD
from policies.yaml_value import Source, YamlValue, parse

Scan = Callable[[Document], Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One expectation. Exactly one of `evidence` and `document` is set. unsettled: kinds the scan is supposed to have missed."""

    name: str
    line: int
    classes: frozenset[str]
    lanes: tuple[Lane, ...]
    evidence: Evidence | None = None
    document: Document | None = field(default=None, repr=False)
    unsettled: frozenset[EvidenceKind] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """How a case came out. skipped: a text case without a scanner; it has not passed."""

    case: Case
    classes: frozenset[str] = frozenset()
    lanes: tuple[Lane, ...] = ()
    skipped: bool = False

    @property
    def passed(self) -> bool:
        """Whether classes and lanes are exactly those expected."""
        return not self.skipped and self.classes == self.case.classes and self.lanes == self.case.lanes


def load_cases(path: Path) -> tuple[Case, ...]:
    """Read a case file. Raises PolicyFileError with FILE:LINE."""
    return parse_cases(read_source(path))


def run_cases(policy: Policy, cases: Sequence[Case], scan: Scan | None = None) -> list[CaseResult]:
    """Decide every case under the policy; text cases need `scan`."""
    return [_run(policy, case, scan) for case in cases]


def parse_cases(source: Source) -> tuple[Case, ...]:
    """Bytes → cases. Pure."""
    keys = parse(source).table(required=("cases",))
    cases = tuple(_case(item) for item in keys["cases"].items("a list of at least one case"))
    for index, case in enumerate(cases):
        if any(case.name == other.name for other in cases[:index]):
            keys["cases"].fail(f"each name once; the name in line {case.line} is taken")
    return cases


def _run(policy: Policy, case: Case, scan: Scan | None) -> CaseResult:
    if case.document is not None:
        if scan is None:
            return CaseResult(case=case, skipped=True)
        evidence = scan(case.document)
    else:
        evidence = (case.evidence or Evidence()).merge(Evidence(settled=policy.kinds - case.unsettled))
    decision = decide("case", evidence, policy, detectors_hash="")
    return CaseResult(case=case, classes=frozenset(decision.data_classes), lanes=decision.lanes)


def _case(value: YamlValue) -> Case:
    keys = value.table(required=("name", "expect"), optional=("evidence", "text", "metadata", "unsettled"))
    if ("evidence" in keys) == ("text" in keys):
        value.fail("either evidence or text")
    if "metadata" in keys and "text" not in keys:
        keys["metadata"].fail("no metadata without a text")
    expect = keys["expect"].table(required=("classes", "lanes"))
    unsettled = keys["unsettled"].names("kind such as entity:US_SSN", pattern=r"(entity|topic|marker):\w+") if "unsettled" in keys else ()
    return Case(
        name=keys["name"].text("a name"),
        line=value.line,
        classes=frozenset(expect["classes"].names("data class", pattern=CLASS_NAME.pattern)),
        lanes=_lanes(expect["lanes"]),
        evidence=_evidence(keys["evidence"]) if "evidence" in keys else None,
        document=_document(keys) if "text" in keys else None,
        unsettled=frozenset(EvidenceKind(kind) for kind in unsettled),
    )


def _lanes(value: YamlValue) -> tuple[Lane, ...]:
    """The permitted lanes in the policy's order; an empty list stands for held."""
    if value.is_empty_list():
        return ()
    return tuple(Lane(name) for name in value.names("lane, local or cloud", pattern="local|cloud"))


def _document(keys: dict[str, YamlValue]) -> Document:
    metadata = keys["metadata"].mapping("a table of texts") if "metadata" in keys else {}
    return Document(
        record_id="case",
        text=keys["text"].text("a text"),
        source="case",
        metadata={name: entry.text("a text") for name, entry in metadata.items()},
    )


def _evidence(value: YamlValue) -> Evidence:
    keys = value.table(optional=("entities", "topics", "markers", "declared", "failures"))
    entities = keys["entities"].mapping("a table of entities with their scores") if "entities" in keys else {}
    topics = keys["topics"].mapping("a table of topics with their scores") if "topics" in keys else {}
    return Evidence(
        findings=tuple(finding for name, entry in entities.items() for finding in _findings(name, entry)),
        topics={name: entry.score("a score from 0 to 1") for name, entry in topics.items()},
        markers=frozenset(keys["markers"].names("marker in lower case", pattern=WORD)) if "markers" in keys else frozenset(),
        declared=frozenset(keys["declared"].names("data class", pattern=CLASS_NAME.pattern)) if "declared" in keys else frozenset(),
        failures=frozenset(keys["failures"].names("reason code", pattern=WORD)) if "failures" in keys else frozenset(),
    )


def _findings(entity: str, value: YamlValue) -> list[Finding]:
    """One score, or a list of them: one finding each."""
    if not entity.isupper() or not set(entity) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"):
        value.fail(f"an entity in capitals ({ENTITY}) as the key")
    scores = value.items("a score or a list of scores") if value.is_list() else [value]
    return [Finding(detector="case", entity=entity, start=0, end=1, score=score.score("a score from 0 to 1")) for score in scores]
