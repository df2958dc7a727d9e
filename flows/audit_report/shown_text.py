"""Names and codes as a page may show them: nothing invisible, nothing that turns the text around it, nothing endless.

Escaping is the template's business. This is for what HTML would let through and a reader could be misled by: control characters, direction
overrides (Unicode TR 36), zero-width characters and line separators become their visible code.
"""

from __future__ import annotations

import unicodedata

LONGEST = 300
"""Characters of one value; how many more there are is said."""

_MISLEADING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset({"\u200c", "\u200d"})
"""Zero-width joiners belong to the spelling of Persian, Hindi and many emoji; they move nothing."""


def shown(value: str | None, *, absent: str = "not stated") -> str:
    """The value, fit to be read."""
    if value is None:
        return absent
    rest = len(value) - LONGEST
    clean = "".join(_visible(character) for character in value[:LONGEST])
    return f"{clean}… (+{rest} characters)" if rest > 0 else clean


def fitted(text: str, width: int) -> str:
    """The text in at most so many columns, cut in the middle, because names often differ at their ends."""
    if _columns(text) <= width:
        return text
    tail = _first(text[::-1], width // 3)[::-1]
    return f"{_first(text, width - 1 - _columns(tail))}…{tail}"


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _MISLEADING or character in _JOINERS:
        return character
    return f"⟨U+{ord(character):04X}⟩"


def _first(text: str, width: int) -> str:
    taken = 0
    for position, character in enumerate(text):
        taken += _columns(character)
        if taken > width:
            return text[:position]
    return text


def _columns(text: str) -> int:
    return sum(0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
