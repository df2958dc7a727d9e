"""The usual shape of a marker: phrases, each asked whether it stands where it means something."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from detectors.detector import NOTHING, EachText, marker_kind
from detectors.document import Evidence
from detectors.normalized import Normalized
from detectors.phrases import Phrases
from detectors.screen import Screen

Place = Callable[[Normalized, int, int], bool]
"""Whether the phrase at these characters counts."""


def phrase_marker(marker: str, phrases: Iterable[str], *, counts: Place | None = None, cost: int = 1) -> EachText:
    """Raised by any of the phrases in a place that counts."""
    index = Phrases.of(phrases)

    def raised(text: Normalized) -> bool:
        if counts is None:
            return index.any(text)
        return any(counts(text, start, end) for start, end, _ in index.spans(text))

    return question_marker(marker, raised, cost=cost, screen=Screen(phrases=index))


def groups_marker(marker: str, groups: Iterable[Iterable[str]], *, within: int = 200, cost: int = 2) -> EachText:
    """Raised when every group has a phrase in some stretch of `within` words: a digest of many pieces is not one paper."""
    indexes = tuple(Phrases.of(group) for group in groups)
    return question_marker(marker, lambda text: _together(text, indexes, within), cost=cost, screen=Screen(phrases=indexes[0]))


def _together(text: Normalized, indexes: tuple[Phrases, ...], within: int) -> bool:
    found = []
    for group, index in enumerate(indexes):
        positions = [(first, group) for first, _, _ in index.positions(text)]
        if not positions:
            return False
        found += positions
    last = [-within - 1] * len(indexes)
    for position, group in sorted(found):
        last[group] = position
        if position - min(last) <= within and min(last) >= 0:
            return True
    return False


def question_marker(marker: str, raised: Callable[[Normalized], bool], *, cost: int = 2, screen: Screen | None = None) -> EachText:
    """Raised when the question is answered with yes. screen: what every such text has."""
    evidence = Evidence(markers=frozenset({marker}))

    def look(text: Normalized) -> Evidence:
        return evidence if raised(text) else NOTHING

    return EachText(name=f"marker_{marker}", provides=frozenset({marker_kind(marker)}), look=look, cost=cost, screen=screen)
