"""Unicode normalisation in linear time.

Putting combining marks in order takes quadratic time in the length of their stack, so longer stacks than any writing system has are cut
first, as the Stream-Safe Text Format does (UAX #15, section 13).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Literal

MOST_MARKS = 30


def normalized(form: Literal["NFC", "NFD", "NFKC"], text: str) -> str:
    """The text in this normal form, piece by piece where marks are stacked."""
    if len(text) <= MOST_MARKS:
        return unicodedata.normalize(form, text)
    return "".join(unicodedata.normalize(form, piece) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """The text, cut where more than `MOST_MARKS` combining marks stand in a row."""
    start = marks = 0
    for index, character in enumerate(text):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MOST_MARKS:
            yield text[start:index]
            start, marks = index, 1
    yield text[start:]
