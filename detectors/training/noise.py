"""How documents arrive: lower case, ALL CAPS, scanned badly, typed in haste. Changes keep the length, so that name spans stay true."""

from __future__ import annotations

import random
from collections.abc import Callable

LOOKS_LIKE = {
    "l": "1I",
    "1": "lI",
    "I": "l1",
    "O": "0",
    "0": "O",
    "o": "0",
    "S": "5",
    "5": "S",
    "e": "c",
    "c": "e",
    "B": "8",
    "8": "B",
    "g": "q",
    "h": "b",
    "n": "u",
    "u": "n",
    "m": "n",
    "t": "f",
    "i": "j",
    "z": "2",
    "a": "o",
}
"""Letters and digits that a scanner takes for one another."""
SCAN_RATE = 0.03
"""Characters misread in a bad scan: 97% right is what a fax gives."""

Noise = Callable[[str, random.Random], str]


def lower(text: str, chance: random.Random) -> str:  # noqa: ARG001 - one signature for all
    """All in lower case, where that keeps the length."""
    return _same_length(text, text.lower())


def upper(text: str, chance: random.Random) -> str:  # noqa: ARG001 - one signature for all
    """All in capitals, where that keeps the length."""
    return _same_length(text, text.upper())


def scanned(text: str, chance: random.Random) -> str:
    """Some characters taken for others."""
    return "".join(chance.choice(LOOKS_LIKE[c]) if c in LOOKS_LIKE and chance.random() < SCAN_RATE else c for c in text)


def hasty(text: str, chance: random.Random) -> str:
    """Neighbouring letters swapped here and there, and no capitals at the start of sentences."""
    letters = list(text)
    for place in range(1, len(letters) - 2):
        if chance.random() < SCAN_RATE / 3 and letters[place].isalpha() and letters[place + 1].isalpha():
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _same_length(text: str, changed: str) -> str:
    return changed if len(changed) == len(text) else text


NOISES: tuple[Noise, ...] = (lower, upper, scanned, hasty)
