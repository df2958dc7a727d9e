"""What a text must have for a detector to find anything in it: the cheap questions that decide which detectors run at all.

A screen may only let too much through, never too little: a text that does not pass is one in which the detector would find nothing.
`tests/detectors/test_screen.py` holds every built-in screen against its detector.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.normalized import Normalized
from detectors.phrases import Phrases, occurring


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Every condition that is given must hold.

    digits: some stretch of the text has so many. shapes: one of these is in the text with every digit written `0`. needles: one of these
    is in the text. words: one of these is in its vocabulary. phrases: one of them occurs. unless_labelled: a metadata part, whose name
    may be all that the detector needs, always passes.
    """

    digits: int = 0
    shapes: tuple[str, ...] = ()
    needles: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    phrases: Phrases | None = field(default=None, repr=False)
    unless_labelled: bool = False

    def passes(self, text: Normalized) -> bool:
        """Whether the detector may find something here."""
        if self.unless_labelled and text.label:
            return True
        if self.digits and text.most_digits < self.digits:
            return False
        if self.phrases is not None and self.phrases.number not in occurring(text):
            return False
        if self.shapes and not _any_in(self.shapes, text.shaped):
            return False
        if self.needles and not _any_in(self.needles, text.text):
            return False
        return not (self.words and self.words.isdisjoint(text.vocabulary))


def _any_in(literals: tuple[str, ...], text: str) -> bool:
    return any(literal in text for literal in literals)


def screen_of(detector: object) -> Screen | None:
    """A detector's screen. Those from elsewhere (plug-ins, Presidio's own) have none and see every text."""
    found = getattr(detector, "screen", None)
    return found if isinstance(found, Screen) else None
