"""An extractive summary: the most central units of a text, in their original order, within a token limit."""

from __future__ import annotations

import math
import re

from sinks.extraction.centrality import rank
from sinks.extraction.units import Unit, count_tokens, cut_to_tokens, join_units, split_units, words

MOST_UNITS = 12
_LEAST_UNITS = 2
_FEW_WORDS = 3
_FULL_WORDS = 8
# Whole when short: "Thank you for your application LN-1 of 3 May for $12,000" says something.
_COURTESY = re.compile(
    r"(?:dear|hi|hello|hola|estimad[oa]s?|to whom|(?:kind |best |warm )?(?:regards|wishes)|sincerely|yours|thanks|thank you|atentamente)\b",
    re.IGNORECASE,
)
_PLUMBING = re.compile(
    r"(?:(?:from|to|cc|bcc|sent|date):|sent from|page \d|copyright|import |#include|unsubscribe|privileged and confidential"
    r"|this (?:e-?mail|message) (?:and|may|is|contains))",
    re.IGNORECASE,
)


def summarize(text: str, *, max_tokens: int) -> str:
    """The summary; empty only for a text without a visible character, never over `max_tokens` (but one character at the least)."""
    units = split_units(text)
    if not units:
        return ""
    ratings = rank([unit.text for unit in units])
    # LexRank favours very short units: all their few words are common ones.
    weights = [rating * min(1.0, len(words(unit.text)) / _FULL_WORDS) for rating, unit in zip(ratings, units, strict=True)]
    order = sorted(range(len(units)), key=lambda index: (says_little(units[index]), -weights[index], index))
    chosen = _choose(units, order, max_tokens=max_tokens)
    return join_units([units[index] for index in sorted(chosen)]) if chosen else cut_to_tokens(units[order[0]].text, max_tokens)


def _choose(units: list[Unit], order: list[int], *, max_tokens: int) -> list[int]:
    """The best units, without repetitions, as many as the length calls for and the limit has room for."""
    wanted = min(MOST_UNITS, max(_LEAST_UNITS, round(math.sqrt(len(units))) + 1))
    chosen: list[int] = []
    seen: set[tuple[str, ...]] = set()
    used_tokens = 0
    for index in order:
        key = tuple(words(units[index].text))
        tokens = count_tokens(units[index].text + "\n")  # rounded up for each, so never over the limit together
        if key in seen or used_tokens + tokens > max_tokens:
            continue
        seen.add(key)
        chosen.append(index)
        used_tokens += tokens
        if len(chosen) == wanted:
            break
    return chosen


def says_little(unit: Unit) -> bool:
    """Whether a unit is courtesy, mail plumbing or a bare word: used only when nothing better is left."""
    count = len(words(unit.text))
    if _PLUMBING.match(unit.text) or (count <= _FULL_WORDS and _COURTESY.match(unit.text)):
        return True
    return count < _FEW_WORDS and not any(character.isdigit() for character in unit.text)
