"""English written backwards or with its letters exchanged (rot13 and every other shift, atbash): seen by its function words.

Nobody writes so by accident, and no detector reads it: such a passage counts as one in a language that is not supported.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import cache

from detectors.function_words import ENGLISH

SHARE = 0.12
"""Terse English has 10 to 25 per cent function words; a list of abbreviations hits a few enciphered ones by chance."""
FEWEST_DISTINCT = 2
FEWEST = 3
SHORTEST_TELLING = 3
"""Letters: two-letter words of some cipher occur in any table of codes."""
ALPHABET = string.ascii_lowercase


def enciphered(words: Sequence[str], english: int) -> bool:
    """Whether these words are English under one of the ciphers, rather than as they stand: so many of them are English words."""
    distinct = frozenset(words)
    if len(distinct & _telling()) < FEWEST_DISTINCT:
        return False
    for table in _tables():
        known = distinct & table
        if sum(len(word) >= SHORTEST_TELLING for word in known) < FEWEST_DISTINCT:
            continue
        count = sum(word in known for word in words)
        if count >= FEWEST and count > english and count >= SHARE * len(words):
            return True
    return False


@cache
def _telling() -> frozenset[str]:
    """The words long enough to tell, of all ciphers together: where two are not here, they are under none of them."""
    return frozenset(word for table in _tables() for word in table if len(word) >= SHORTEST_TELLING)


@cache
def _tables() -> tuple[frozenset[str], ...]:
    """The English function words under each cipher, without what is English or too short to tell."""
    shifts = [ALPHABET[shift:] + ALPHABET[:shift] for shift in range(1, len(ALPHABET))]
    exchanges = [str.maketrans(ALPHABET, other) for other in (*shifts, ALPHABET[::-1])]
    words = [word for word in ENGLISH if len(word) > 1]
    tables = [frozenset(word.translate(exchange) for word in words) for exchange in exchanges]
    return tuple(table - ENGLISH for table in (*tables, frozenset(word[::-1] for word in words)))
