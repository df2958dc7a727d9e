"""One document on its way through a scan: its texts, what is known, who has been asked, what is still wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from detectors.detector import EVERYTHING, LIMIT_FINDINGS, Detector
from detectors.document import Demand, Evidence, EvidenceKind
from detectors.normalized import Normalized


@dataclass(slots=True)
class Inquiry:
    """What is known of one document.

    open: for each question, how many detectors have not answered it yet. A question is settled when all of them have: the one
    that looks for a formatted number says nothing about the one behind a label. fresh, settled: answers not yet merged into `known`.
    """

    record_id: str
    texts: tuple[Normalized, ...] = field(repr=False)
    known: Evidence
    most_findings: int
    open: dict[EvidenceKind, int]
    asked: set[str] = field(default_factory=set)
    wanted: frozenset[EvidenceKind] | None = None
    fresh: list[Evidence] = field(default_factory=list)
    settled: set[EvidenceKind] = field(default_factory=set)

    @property
    def evidence(self) -> Evidence:
        """All that is known so far, in one piece."""
        if self.settled and not self.fresh:
            self.known = replace(self.known, settled=self.known.settled | self.settled)
            self.settled.clear()
        elif self.fresh:
            self.known = _merged([self.known, *self.fresh, Evidence(settled=frozenset(self.settled))], self.most_findings)
            self.fresh.clear()
            self.settled.clear()
        return self.known

    def ask(self, demand: Demand) -> frozenset[EvidenceKind]:
        """What the demand wants now. One that wants everything is not asked again: no answer can make it want more."""
        if not self.texts:
            self.wanted = frozenset()
        elif self.wanted is None or ((self.fresh or self.settled) and EVERYTHING not in self.wanted):
            found = demand(self.evidence)
            self.wanted = found if EVERYTHING in found else found - self.known.settled
        return self.wanted

    def wants(self, answers: frozenset[EvidenceKind], demand: Demand) -> bool:
        """Whether one of these questions is still open."""
        wanted = self.ask(demand) if self.wanted is None else self.wanted
        return not answers.isdisjoint(wanted) or EVERYTHING in wanted

    def add(self, detector: Detector, found: Sequence[Evidence]) -> None:
        """Take the answers in. What was found may end the inquiry, so the demand is asked again before the next detector."""
        left_open = self.open
        for kind in detector.provides:
            left = left_open[kind] = left_open[kind] - 1
            if not left:
                self.settled.add(kind)
        if found:
            self.fresh += found
            self._changed()

    def fail(self, code: str) -> None:
        """Record a reason why this document could not be judged."""
        self.fresh.append(Evidence(failures=frozenset({code})))
        self._changed()

    def _changed(self) -> None:
        if self.wanted is not None and EVERYTHING not in self.wanted:
            self.wanted = None


def _merged(pieces: Sequence[Evidence], most_findings: int) -> Evidence:
    """The union of all, with no more findings than the limit; past it the document fails."""
    topics: dict[str, float] = {}
    for piece in pieces:
        for name, score in piece.topics.items():
            topics[name] = max(score, topics.get(name, 0.0))
    findings = tuple(finding for piece in pieces for finding in piece.findings)
    failures = frozenset().union(*(piece.failures for piece in pieces))
    if len(findings) > most_findings:
        findings, failures = findings[:most_findings], failures | {LIMIT_FINDINGS}
    return Evidence(
        findings=findings,
        topics=topics,
        markers=frozenset().union(*(piece.markers for piece in pieces)),
        declared=frozenset().union(*(piece.declared for piece in pieces)),
        failures=failures,
        settled=frozenset().union(*(piece.settled for piece in pieces)),
    )
