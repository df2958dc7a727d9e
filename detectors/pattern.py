"""The two shapes most identifiers have: a pattern that stands alone, and a value behind its label.

Each asks a cheap question first (is there a digit, is the label's word in the vocabulary) and matches only where it pays.
Patterns are linear: no quantifier inside a quantifier over the same characters, every repeat bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from detectors.detector import BELIEVED, EachText, collect, entity_kind
from detectors.document import Finding
from detectors.normalized import WORD, Normalized
from detectors.phrases import Phrases
from detectors.screen import Screen

BEFORE = 60
AFTER = 30
GAP = (
    r"[ \t:#=.,\-()*|\"'_\[\]]{0,12}(?:\r?\n[ \t]{0,8})?"
    r"(?:(?i:no|nr|num|number|nbr|id|is|was|are|of|for|the|my|your|ending|ends|in|with|code)\b[ \t:#=.,\-()|\"'_]{0,6}){0,4}"
)
"""What may stand between a label and its value: punctuation, one line break, and up to four filler words."""

Verify = Callable[[str], bool]


def near(text: Normalized, start: int, end: int, words: frozenset[str]) -> bool:
    """Whether one of the words stands close by, or in the name of the metadata field."""
    around = text.lowered[max(0, start - BEFORE) : start] + " " + text.lowered[end : end + AFTER]
    return not words.isdisjoint(WORD.findall(around)) or not words.isdisjoint(text.label)


def pattern_detector(
    entity: str,
    pattern: str,
    *,
    name: str | None = None,
    score: float,
    verify: Verify | None = None,
    context: Iterable[str] = (),
    needles: tuple[str, ...] = (),
    words: Iterable[str] = (),
    digits: int = 1,
    shapes: tuple[str, ...] = (),
    flags: int = 0,
    cost: int = 2,
) -> EachText:
    """A pattern that stands alone. Below `BELIEVED` it needs a context word nearby, and then scores 0.85.

    needles: literals, one of which every match contains; without them every match contains a digit, and only the surroundings
    of digits are searched. words: every match contains one of these words. digits: every match contains so many digits.
    shapes: every match contains one of these once its digits are written `0`.
    """
    compiled = re.compile(pattern, flags)
    name = name or entity.lower()
    near_words = frozenset(context)

    def findings(text: Normalized) -> Iterator[Finding]:
        regions = [(0, len(text.text))] if needles else text.regions_with(digits)
        for match in (match for start, end in regions for match in compiled.finditer(text.text, start, end)):
            if verify is not None and not verify(match.group()):
                continue
            supported = bool(near_words) and near(text, *match.span(), near_words)
            if score >= BELIEVED or supported:
                yield text.finding(name, entity, match.span(), max(score, 0.85) if supported else score)

    screen = Screen(digits=0 if needles else digits, shapes=shapes, needles=needles, words=frozenset(words))
    provides = frozenset({entity_kind(entity)})
    return EachText(name=name, provides=provides, look=lambda text: collect(findings(text)), cost=cost, screen=screen)


def labelled_detector(
    entity: str,
    labels: Iterable[str],
    value: str,
    *,
    name: str | None = None,
    score: float = 0.9,
    verify: Verify | None = None,
    reach: int = 70,
) -> EachText:
    """A value behind its label (`Account number: 12345678`), or alone in a metadata field of that name."""
    labels = tuple(labels)
    phrases = Phrases.of(labels)
    names = frozenset(tuple(WORD.findall(alternative.lower())) for label in labels for alternative in label.split("|"))
    behind = re.compile(f"{GAP}(?P<value>{value})(?![A-Za-z0-9])")
    behind_in_lower_case = re.compile(behind.pattern, re.IGNORECASE)
    alone = re.compile(rf"\s*(?P<value>{value})(?![A-Za-z0-9])")
    name = name or f"{entity.lower()}_labelled"

    def matches(text: Normalized) -> Iterator[re.Match[str] | None]:
        if text.label and any(text.label[-len(words) :] == words for words in names):
            yield alone.match(text.text)
        # Where nothing at all is in capitals, the letters of a number are not either. Elsewhere small letters are words beside a number.
        pattern = behind_in_lower_case if text.text == text.lowered else behind
        yield from (pattern.match(text.text, end, min(len(text.text), end + reach)) for _, end, _ in phrases.spans(text))

    def findings(text: Normalized) -> Iterator[Finding]:
        seen: set[tuple[int, int]] = set()
        for match in matches(text):
            if match is None or match.span("value") in seen or (match.re is behind_in_lower_case and not _no_word(match.group("value"))):
                continue
            if verify is None or verify(match.group("value")):
                seen.add(match.span("value"))
                yield text.finding(name, entity, match.span("value"), score)

    screen = Screen(phrases=phrases, unless_labelled=True)
    provides = frozenset({entity_kind(entity)})
    return EachText(name=name, provides=provides, look=lambda text: collect(findings(text)), cost=1, screen=screen)


def _no_word(value: str) -> bool:
    """Whether no word stands in a value that was matched without regard to case: every piece of it has a digit, or is masked."""
    return all(any(map(str.isdigit, piece)) or not piece.strip("x*#\u2022-") for piece in value.split())


def digits_of(text: str) -> str:
    """The digits in a value, without its separators."""
    return "".join(character for character in text if character.isdigit())


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B check digit."""
    total = 0
    for index, character in enumerate(reversed(digits)):
        number = int(character) * (1 + index % 2)
        total += number - 9 if number > 9 else number  # noqa: PLR2004 - the sum of its two digits
    return total % 10 == 0
