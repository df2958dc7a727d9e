"""One part of a document, ready to be looked at: normalised text, its words, and the way back to the original offsets.

Words are counted once and shared by all detectors. A word is a run of letters and digits, in lower case; a word of digits
only is `#`, so that `61-year-old` and `58-year-old` are the same phrase. Text never shows in the `repr` (invariant 5).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from detectors.document import Finding
from detectors.offsets import OffsetMap

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
NUMBER = "#"
DIGITS = re.compile(r"\d(?:\D{0,120}\d)*")  # digits with less than a line and a half between them
SHAPE = str.maketrans("123456789", "000000000")
WHITE = re.compile(r"\s")
DECIMAL = b"0123456789"
APART = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum() and chr(code) != "'"})
"""For ASCII text: what stands between words. An apostrophe may stand inside one."""
BEFORE_DIGIT = 60
AFTER_DIGIT = 120


@dataclass(frozen=True, kw_only=True)
class Normalized:
    """Normalised text of one part. maps: from the last step back to the first. failures: codes of what could not be judged."""

    text: str = field(repr=False)
    part: str = "text"
    maps: tuple[OffsetMap, ...] = field(default=(), repr=False)
    failures: frozenset[str] = frozenset()

    @cached_property
    def shared(self) -> dict[str, Any]:
        """What one look at the text has found for several detectors, by the name of the module that looked."""
        return {}

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that normalised `start:end` stands for."""
        for offsets in self.maps:
            start, end = offsets.span(start, end)
        return start, end

    def finding(self, detector: str, entity: str, span: tuple[int, int], score: float) -> Finding:
        """A finding at a normalised span, with its offsets put back into the original text."""
        start, end = self.original(*span)
        return Finding(detector=detector, entity=entity, start=start, end=end, score=score, part=self.part)

    @cached_property
    def lowered(self) -> str:
        """The text in lower case, character for character (the few letters that would grow are left alone)."""
        lowered = self.text.lower()
        if len(lowered) == len(self.text):
            return lowered
        return "".join(low if len(low := character.lower()) == 1 else character for character in self.text)

    @cached_property
    def words(self) -> list[str]:
        """Words in order, lower case, `#` for a number."""
        numbers = dict.fromkeys(filter(str.isdigit, {*self.tokens}), NUMBER)
        return list(map(numbers.get, self.tokens, self.tokens))

    @cached_property
    def tokens(self) -> list[str]:
        """The words as they stand, lower case, numbers too: the matches of `WORD`."""
        return _tokens(self.lowered)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The distinct words: the cheap question before any dear one."""
        return frozenset(self.words)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each distinct word occurs: indices into `words`."""
        places: defaultdict[str, list[int]] = defaultdict(list)
        for index, word in enumerate(self.words):
            places[word].append(index)
        return places

    @cached_property
    def digit_regions(self) -> list[tuple[int, int]]:
        """The stretches that a pattern with a digit in it can lie in: around digits, cut at white space. Most text has few."""
        regions: list[tuple[int, int]] = []
        for match in DIGITS.finditer(self.text):
            start, end = max(0, match.start() - BEFORE_DIGIT), match.end() + AFTER_DIGIT
            cut = WHITE.search(self.text, end) if end < len(self.text) else None
            end = cut.start() if cut else len(self.text)
            if regions and start <= regions[-1][1]:
                regions[-1] = (regions[-1][0], max(end, regions[-1][1]))
            else:
                regions.append((start, end))
        return regions

    @cached_property
    def digit_counts(self) -> list[int]:
        """How many digits each of `digit_regions` holds."""
        if not self.text.isascii():
            return [sum(map(str.isdigit, self.text[start:end])) for start, end in self.digit_regions]
        seen = self.text.encode()
        return [end - start - len(seen[start:end].translate(None, DECIMAL)) for start, end in self.digit_regions]

    def regions_with(self, digits: int) -> list[tuple[int, int]]:
        """The stretches around digits that hold at least so many of them: a card number is not in a line with one date."""
        if digits <= 1:
            return self.digit_regions
        return [region for region, count in zip(self.digit_regions, self.digit_counts, strict=True) if count >= digits]

    @cached_property
    def most_digits(self) -> int:
        """How many digits the stretch with the most of them holds."""
        return max(self.digit_counts, default=0)

    @cached_property
    def shaped(self) -> str:
        """The text with every ASCII digit written `0`: a number's shape is then a literal."""
        return self.text.translate(SHAPE)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Start and end of every word. Made only when somebody asks."""
        spans: list[tuple[int, int]] = []
        find, end = self.lowered.find, 0
        for token in self.tokens:  # between two words stands nothing that a word begins with, so the first place is the right one
            start = find(token, end)
            end = start + len(token)
            spans.append((start, end))
        return spans

    @cached_property
    def label(self) -> tuple[str, ...]:
        """The words of a metadata part's name: `metadata.account_number` is labelled account number."""
        if not self.part.startswith("metadata."):
            return ()
        return tuple(WORD.findall(self.part.removeprefix("metadata.").replace("_", " ").lower()))


def _tokens(lowered: str) -> list[str]:
    """The matches of `WORD`. In ASCII text they are what stands between blanks once all else is blank, but for apostrophes."""
    if not lowered.isascii():
        return WORD.findall(lowered)
    rough = lowered.translate(APART).split()
    if "'" not in lowered:
        return rough
    tokens: list[str] = []
    taken = 0
    for place in [place for place, token in enumerate(rough) if "'" in token]:
        tokens += rough[taken:place]
        tokens += WORD.findall(rough[place])
        taken = place + 1
    return tokens + rough[taken:]
