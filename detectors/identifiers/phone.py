"""Telephone and fax numbers (45 CFR 164.514(b)(2)(i)(D),(E)).

North American shapes stand alone; international numbers are checked by `phonenumbers`; bare digits need a label. Running
`phonenumbers` over all text is the slowest thing Presidio does, so it sees only what begins with a plus sign.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector, pattern_detector

NORTH_AMERICAN = (
    r"(?<![\w.+-])(?:\+?1[-. ]{1,2})?(?:\([2-9]\d{2}\)[ ]?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}"
    r"(?:[ ]{0,2}(?:x|ext\.?|extension)[ ]?\d{1,6})?(?![\w-]|\.\d)"
)
SHAPES = ("000-0000", "000.0000", "000 0000")
INTERNATIONAL = r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}(?:[ ().-]{0,3}\d){6,13}(?![\w-])"
LABELS = (
    "phone|phone number|phone no|telephone|telephone number|tel|tel no|cell|cell phone|mobile|mobile number|mobile phone|fax",
    "fax number|fax no",
    "home phone|work phone|daytime phone|call me at|call me on|call|reach me at|pager|desk|ph|contact number|voicemail",
    "text me at|callback number",
)
LABELLED = r"\+?\(?\d(?:[ ().\-/]{0,3}\d){6,14}(?:[ ]{0,2}(?:x|ext\.?)[ ]?\d{1,6})?"
SHORTEST, LONGEST = 7, 16


@cache
def _library() -> Any:
    return importlib.import_module("phonenumbers")


def possible(value: str) -> bool:
    """Whether the international number has a possible length for its country."""
    library = _library()
    try:
        return bool(library.is_possible_number(library.parse("+" + digits_of(value).removeprefix("00"))))
    except library.NumberParseException:
        return False


def detectors() -> tuple[Detector, ...]:
    """By shape, by country code, by label."""
    return (
        pattern_detector("PHONE_NUMBER", NORTH_AMERICAN, name="phone_number", score=0.75, digits=10, shapes=SHAPES),
        pattern_detector(
            "PHONE_NUMBER", INTERNATIONAL, name="phone_number_international", score=0.7, verify=possible, digits=7, shapes=("+", "00")
        ),
        labelled_detector("PHONE_NUMBER", LABELS, LABELLED, verify=lambda value: SHORTEST <= len(digits_of(value)) <= LONGEST),
    )
