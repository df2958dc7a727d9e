"""What a detector is, and how a set of them is named.

A detector answers questions (`EvidenceKind`) about normalised texts, many at a time. It is pure: no network, no clock, no
state between calls. What it emits is believed: a weak shape without context is dropped by the detector, not weighed later,
so every finding's score is at least `BELIEVED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from detectors.document import Evidence, EvidenceKind, Finding
from detectors.normalized import Normalized
from detectors.screen import Screen

BELIEVED = 0.5
EVERYTHING = EvidenceKind("*")
"""Asks every detector everything: what `evidence: complete` demands."""
LIMIT_FINDINGS = "limit_findings"
MOST_FINDINGS = 20_000
"""Per detector and part. Past this the document is not more sensitive, only larger; the limit is reported as a failure."""


def entity_kind(name: str) -> EvidenceKind:
    """The question whether an identifier of this entity occurs."""
    return EvidenceKind(f"entity:{name}")


def topic_kind(name: str) -> EvidenceKind:
    """The question how much a text is about this topic."""
    return EvidenceKind(f"topic:{name}")


def marker_kind(name: str) -> EvidenceKind:
    """The question whether this marker occurs."""
    return EvidenceKind(f"marker:{name}")


class Detector(Protocol):
    """Answers the questions in `provides` about each text. cost: relative work; the cheapest that can answer runs first."""

    @property
    def name(self) -> str:
        """Unique in a set; findings carry it."""

    @property
    def version(self) -> str:
        """Changed by its author whenever the same text may give another answer."""

    @property
    def provides(self) -> frozenset[EvidenceKind]:
        """The questions it answers. One is settled when all its detectors have answered."""

    @property
    def cost(self) -> int:
        """Relative work per text: 1 for a look at a few words, 100 for a neural network."""

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """One evidence per text, in order. May raise: the scan turns that into a failure code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EachText:
    """A detector that looks at one text at a time. screen: what every text has in which it finds something."""

    name: str
    provides: frozenset[EvidenceKind]
    look: Callable[[Normalized], Evidence] = field(repr=False)
    cost: int = 1
    version: str = "1"
    screen: Screen | None = None

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """Look at each."""
        return [self.look(text) for text in texts]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSet:
    """The detectors of one run, cheapest first.

    hash: over code, models, library versions and configuration, hex. kinds: every question that someone here answers.
    """

    detectors: tuple[Detector, ...]
    hash: str
    kinds: frozenset[EvidenceKind]


def collect(findings: Iterable[Finding]) -> Evidence:
    """Findings as evidence, up to the counted limit."""
    kept = tuple(islice(findings, MOST_FINDINGS + 1))
    if len(kept) > MOST_FINDINGS:
        return Evidence(findings=kept[:MOST_FINDINGS], failures=frozenset({LIMIT_FINDINGS}))
    return Evidence(findings=kept) if kept else NOTHING


NOTHING = Evidence()
"""Looked, and found nothing."""
