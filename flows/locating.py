"""Where a topic or a marker comes from: the shortest run of lines, as far as halving finds it, that still raises it by itself.

Evidence carries offsets for identifiers only. For an explanation the detectors that raise a topic or a marker are asked again about
ever shorter pieces of each part. Every piece that is told has been seen to raise it; a shorter one may do so too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from detectors.detector import Detector
from detectors.document import Document, Evidence, EvidenceKind
from detectors.normalize import normalize

LONGEST_UNIT = 200
"""Longer lines are cut at white space: a page without line breaks should not be pointed at as a whole."""

Raised = Callable[[Evidence], float | None]
"""The score at which evidence answers the question, None where it does not."""
Unit = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Where it was raised: offsets into the original text of `part`."""

    detector: str
    part: str
    start: int
    end: int
    score: float


def locate(kind: EvidenceKind, document: Document, detectors: Sequence[Detector], raised: Raised) -> Iterator[Passage]:
    """One passage per part and per detector that provides `kind` and raises it there."""
    for detector in detectors:
        if kind in detector.provides:
            for part, value in document.parts.items():
                passage = _shortest(detector, part, value, raised)
                if passage is not None:
                    yield passage


def _shortest(detector: Detector, part: str, value: str, raised: Raised) -> Passage | None:
    units = list(_units(value))

    def score(first: int, last: int) -> float | None:
        if first >= last:
            return None
        try:
            return raised(detector.detect([normalize(value[units[first][0] : units[last - 1][1]], part)])[0])
        except Exception:  # noqa: BLE001 - the scan has judged the whole; a piece that it cannot look at is no place to point at
            return None

    first, last = 0, len(units)
    if score(first, last) is None:
        return None
    step = (last - first) // 2
    while step:
        if score(first, last - step) is not None:
            last -= step
        elif score(first + step, last) is not None:
            first += step
        else:
            step //= 2
        step = min(step, (last - first) // 2)
    found = score(first, last)
    return Passage(detector=detector.name, part=part, start=units[first][0], end=units[last - 1][1], score=found or 0.0)


def _units(value: str) -> Iterator[Unit]:
    """Lines, without the white space around them; long ones in pieces."""
    start = 0
    for line in value.splitlines(keepends=True):
        end = start + len(line)
        low = start + len(line) - len(line.lstrip())
        while end - low > LONGEST_UNIT:
            cut = value.rfind(" ", low + 1, low + LONGEST_UNIT)
            cut = cut if cut > 0 else low + LONGEST_UNIT
            yield low, cut
            low = cut
        high = low + len(value[low:end].rstrip())
        if high > low:
            yield low, high
        start = end
