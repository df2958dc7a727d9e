"""Documents in, evidence out: `scan` asks each document's open questions of the cheapest detector that can answer.

Invariants kept here:
- fail closed (1): an exception in a detector, a limit reached, an unreadable stretch or an unsupported language becomes a reason
  code in `Evidence.failures`; nothing is ever silently "not found";
- everything sendable is scanned (2): every part of a document, whatever its length;
- no text leaves (5): what is logged is a detector's name, a record id and the name of an exception class;
- evidence only grows (9).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from detectors.detector import EVERYTHING, LIMIT_FINDINGS, NOTHING, Detector, DetectorSet
from detectors.document import Demand, Document, Evidence, EvidenceKind, ReadProblem
from detectors.language import UNSUPPORTED_LANGUAGE, unsupported
from detectors.normalize import normalize
from detectors.normalized import Normalized

LOGGER = logging.getLogger(__name__)
LIMIT_CHARACTERS = "limit_characters"
DETECTOR_ERROR = "detector_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counted, not timed, so that a verdict is reproducible.

    max_characters: per document, over all parts; the rest is not looked at and the document fails. max_findings: per document.
    batch: documents whose texts go to a detector together.
    """

    max_characters: int = 20_000_000
    max_findings: int = 100_000
    batch: int = 32


DEFAULT_LIMITS = Limits()


def complete(evidence: Evidence) -> frozenset[EvidenceKind]:  # noqa: ARG001 - a demand is a function of the evidence
    """The demand for everything."""
    return frozenset({EVERYTHING})


COMPLETE: Demand = complete


@dataclass(slots=True)
class _State:
    """One document on its way: its texts, what is known, who has been asked.

    open: for each question, how many detectors have not answered it yet. A question is settled when all of them have: the one
    that looks for a formatted number says nothing about the one behind a label. fresh, settled: answers not yet merged into `known`.
    """

    record_id: str
    texts: tuple[Normalized, ...] = field(repr=False)
    known: Evidence
    limits: Limits
    open: dict[EvidenceKind, int]
    asked: set[str] = field(default_factory=set)
    wanted: frozenset[EvidenceKind] | None = None
    fresh: list[Evidence] = field(default_factory=list)
    settled: set[EvidenceKind] = field(default_factory=set)

    @property
    def evidence(self) -> Evidence:
        """All that is known so far, in one piece."""
        if self.fresh or self.settled:
            self.known = _merged([self.known, *self.fresh, Evidence(settled=frozenset(self.settled))], self.limits)
            self.fresh.clear()
            self.settled.clear()
        return self.known

    def wants(self, detector: Detector, demand: Demand) -> bool:
        """Whether this detector can answer a question that is still open."""
        if detector.name in self.asked or not self.texts:
            return False
        if self.wanted is None:
            self.wanted = demand(self.evidence)
        return EVERYTHING in self.wanted or not detector.provides.isdisjoint(self.wanted - self.evidence.settled)

    def add(self, detector: Detector, found: Sequence[Evidence]) -> None:
        """Take the answers in."""
        self._changed()
        for kind in detector.provides:
            self.open[kind] -= 1
            if not self.open[kind]:
                self.settled.add(kind)
        self.fresh += [evidence for evidence in found if evidence is not NOTHING]

    def fail(self, code: str) -> None:
        """Record a reason why this document could not be judged."""
        self._changed()
        self.fresh.append(Evidence(failures=frozenset({code})))

    def _changed(self) -> None:
        """Ask the demand again, unless it asks for everything anyway: then no answer can make it ask for more."""
        if self.wanted is None or EVERYTHING not in self.wanted:
            self.wanted = None


def _merged(pieces: Sequence[Evidence], limits: Limits) -> Evidence:
    """The union of all, with no more findings than the limit; past it the document fails."""
    topics: dict[str, float] = {}
    for piece in pieces:
        for name, score in piece.topics.items():
            topics[name] = max(score, topics.get(name, 0.0))
    findings = tuple(finding for piece in pieces for finding in piece.findings)
    failures = frozenset().union(*(piece.failures for piece in pieces))
    if len(findings) > limits.max_findings:
        findings, failures = findings[: limits.max_findings], failures | {LIMIT_FINDINGS}
    return Evidence(
        findings=findings,
        topics=topics,
        markers=frozenset().union(*(piece.markers for piece in pieces)),
        declared=frozenset().union(*(piece.declared for piece in pieces)),
        failures=failures,
        settled=frozenset().union(*(piece.settled for piece in pieces)),
    )


def scan(
    documents: Iterable[Document],
    detectors: DetectorSet | Sequence[Detector],
    demand: Demand = COMPLETE,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Evidence]:
    """One evidence per document, in order, lazily.

    Detectors run cheapest first and only where `demand` still asks for something they provide; when it asks for nothing more, the
    rest is left out. `settled` holds the questions that every detector providing them has answered; one that failed, or that no
    detector here provides, stays open.
    """
    chosen = detectors.detectors if isinstance(detectors, DetectorSet) else detectors
    ordered = sorted(chosen, key=lambda detector: (detector.cost, detector.name))
    remaining = iter(documents)
    providers = Counter(kind for detector in ordered for kind in detector.provides)
    while batch := [_prepare(document, limits, providers) for document in islice(remaining, limits.batch)]:
        # A demand may open a new question when another is answered, so the round is repeated until nobody is asked any more.
        while _round(batch, ordered, demand):
            pass
        yield from (state.evidence for state in batch)


def _round(batch: Sequence[_State], detectors: Sequence[Detector], demand: Demand) -> bool:
    asked = False
    for detector in detectors:
        states = [state for state in batch if state.wants(detector, demand)]
        if states:
            asked = True
            _ask(detector, states)
    return asked


def _ask(detector: Detector, states: Sequence[_State]) -> None:
    """Ask about many documents at once; if that fails, one by one, so that only the document at fault pays."""
    for state in states:
        state.asked.add(detector.name)
    try:
        found = _answers(detector, [text for state in states for text in state.texts])
    except Exception as error:  # noqa: BLE001 - whatever a detector raises must become a failure, never silence
        if len(states) > 1:
            for state in states:
                _ask(detector, [state])
            return
        LOGGER.warning("detector %s failed on record %s: %s", detector.name, states[0].record_id, type(error).__name__)
        states[0].fail(f"{DETECTOR_ERROR}:{detector.name}")
        return
    place = 0
    for state in states:
        state.add(detector, found[place : place + len(state.texts)])
        place += len(state.texts)


def _answers(detector: Detector, texts: Sequence[Normalized]) -> Sequence[Evidence]:
    found = detector.detect(texts)
    if len(found) != len(texts):
        raise ValueError(f"detector {detector.name}: expected {len(texts)} answers, got {len(found)}")
    return found


def _prepare(document: Document, limits: Limits, providers: Mapping[EvidenceKind, int]) -> _State:
    """Normalise every part within the limits, and settle what needs no detector: problems, language, undecodable runs."""
    failures: set[str] = set()
    if document.problem is not None:
        failures.add(str(document.problem))
    elif not document.text.strip():
        failures.add(str(ReadProblem.EMPTY))
    parts = document.parts if document.readable else {}  # without readable text the document is held, whatever its metadata
    left = limits.max_characters
    texts: list[Normalized] = []
    for part, value in parts.items():
        if not value:
            continue
        if len(value) > left:
            failures.add(LIMIT_CHARACTERS)
        if left > 0:
            texts.append(_judge(value[:left], part, failures))
        left = max(0, left - len(value))
    known = Evidence(failures=frozenset(failures), declared=document.declared)
    return _State(record_id=document.record_id, texts=tuple(texts), known=known, limits=limits, open=dict(providers))


def _judge(value: str, part: str, failures: set[str]) -> Normalized:
    try:
        text = normalize(value, part)
        failures.update(text.failures)
        if unsupported(text):
            failures.add(UNSUPPORTED_LANGUAGE)
    except Exception as error:  # noqa: BLE001 - as above: a text that cannot even be prepared is not judged clean
        LOGGER.warning("normalizing failed: %s", type(error).__name__)
        failures.add(f"{DETECTOR_ERROR}:normalize")
        return Normalized(text=value, part=part)
    return text
