"""The usual shape of a marker: phrases, each asked whether it stands where it means something."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from detectors.detector import NOTHING, EachText, marker_kind
from detectors.document import Evidence
from detectors.normalized import Normalized
from detectors.phrases import Phrases

Place = Callable[[Normalized, int, int], bool]
"""Whether the phrase at these characters counts."""


def phrase_marker(marker: str, phrases: Iterable[str], *, counts: Place | None = None, cost: int = 1) -> EachText:
    """Raised by any of the phrases in a place that counts."""
    index = Phrases.of(phrases)

    def raised(text: Normalized) -> bool:
        if counts is None:
            return index.any(text)
        return any(counts(text, start, end) for start, end, _ in index.spans(text))

    return question_marker(marker, raised, cost=cost)


def groups_marker(marker: str, groups: Iterable[Iterable[str]], *, cost: int = 2) -> EachText:
    """Raised when every group has a phrase in the text."""
    indexes = tuple(Phrases.of(group) for group in groups)
    return question_marker(marker, lambda text: all(index.any(text) for index in indexes), cost=cost)


def question_marker(marker: str, raised: Callable[[Normalized], bool], *, cost: int = 2) -> EachText:
    """Raised when the question is answered with yes."""
    evidence = Evidence(markers=frozenset({marker}))

    def look(text: Normalized) -> Evidence:
        return evidence if raised(text) else NOTHING

    return EachText(name=f"marker_{marker}", provides=frozenset({marker_kind(marker)}), look=look, cost=cost)
