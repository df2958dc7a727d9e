"""Splitting a text into chunks that a model can read, at the best borders there are. Pure.

- The chunks cover every character, in order: their concatenation is the text.
- Every chunk fits the budget by the caller's own count; counts need not add up, nor grow evenly with the text.
- Borders, best first: sections, sentences, lines, clauses, words; a text without any is cut between characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# Each matches up to the border: the next chunk begins where the match ends. None looks further than it consumes (linear time).
_BORDERS = (
    re.compile(r"\f|\n[ \t\r]*\n(?:[ \t\r]*\n)*|\n(?=#{1,6} |§)"),  # blank lines, page breaks, headings
    re.compile(r"[.!?…][\"')\]»”’]*\s|[。！？][」』）”’]*"),  # noqa: RUF001 - CJK: no space after a sentence
    re.compile(r"\n"),
    re.compile(r"[,;:]\s|[，、；：]"),  # noqa: RUF001 - likewise
    re.compile(r"\s"),
)
_FIRST_GUESS = 4  # characters per token of English text
_NEAR_ENOUGH = 16  # a chunk may stay this part below its limit: the border behind it takes more
_LONGEST_CLUSTER = 32


class UnsplittableError(ValueError):
    """Not even one character fits the budget."""


def split(text: str, count: Callable[[str], int], budget: int) -> list[tuple[int, int]]:
    """The chunks as (start, end) in characters.

    count: the tokens of a request that carries this piece of text, with all that goes around it. budget: the most that may be.
    Raises UnsplittableError when one character alone is over the budget.
    """
    chunks: list[tuple[int, int]] = []
    start, guess = 0, max(1, budget * _FIRST_GUESS)
    while start < len(text):
        fitting = _longest(text, start, count, budget, guess)
        guess = fitting - start
        end = fitting if fitting == len(text) else _border(text, start, fitting)
        # A shorter piece may have more tokens than a longer one; then the longer one's own end has to do.
        if end != fitting and count(text[start:end]) > budget:
            end = fitting
        chunks.append((start, end))
        start = end
    return chunks


def _longest(text: str, start: int, count: Callable[[str], int], budget: int, guess: int) -> int:
    """The end of a piece that fits and is near the longest that does."""
    rest = len(text) - start
    low, high, size, tries = 0, rest + 1, min(guess, rest), 0  # `low` characters fit, `high` do not
    while low < rest and (high > rest or high - low > max(1, low // _NEAR_ENOUGH)):
        tokens = count(text[start : start + size])
        low, high = (size, high) if tokens <= budget else (low, size)
        tries += 1
        by_share = size * budget // max(1, tokens)
        size = by_share if tries <= 2 and low < by_share < high else _between(low, high, rest)  # noqa: PLR2004 - then halve
    if not low:
        raise UnsplittableError("expected a budget that one character fits, found none; shorten the template")
    return start + low


def _between(low: int, high: int, rest: int) -> int:
    """The next size to try: twice as much while nothing was too long, else the middle."""
    return min(rest, max(1, low * 2)) if high > rest else (low + high) // 2


def _border(text: str, start: int, end: int) -> int:
    """The best border in the second half of the piece; a better kind further back goes before a worse one."""
    floor = start + (end - start) // 2
    for border in _BORDERS:
        found = 0
        for match in border.finditer(text, floor, end):
            found = match.end()
        if found > start:
            return found
    return _between_characters(text, max(floor, end - _LONGEST_CLUSTER), end)


def _between_characters(text: str, floor: int, end: int) -> int:
    """Not between a letter and its accents, nor inside a joined emoji, where that can be had."""
    cut = end
    while cut > floor + 1 and (_joins(text[cut]) or text[cut - 1] == "\u200d"):
        cut -= 1
    return cut if cut > floor + 1 else end


def _joins(character: str) -> bool:
    """Whether the character belongs to the one before it."""
    # Marks, joiners, and the skin tones of emoji.
    return unicodedata.category(character) in ("Mn", "Mc", "Me") or character == "\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff"
