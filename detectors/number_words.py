"""Numbers spelled in words, as they are dictated: "five three six, twenty-two, eighty-one double four five".

Only a run that spells at least `FEWEST_DIGITS` digits counts: "one or two" and "twenty-two years" are prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FEWEST_DIGITS = 4
"""Four digits one by one are no prose: "one or two", "twenty-two years", "three, four days" have fewer."""
FEWEST_WITH_TENS = 7
"""Where tens stand among them, two amounts beside each other have four digits too."""

UNITS = {
    "zero": "0", "oh": "0", "nought": "0", "naught": "0", "nil": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
TEENS = {
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16",
    "seventeen": "17", "eighteen": "18", "nineteen": "19",
}  # fmt: skip
TENS = {
    "twenty": "2", "thirty": "3", "forty": "4", "fourty": "4", "fifty": "5", "sixty": "6", "seventy": "7", "eighty": "8", "ninety": "9",
}  # fmt: skip
REPEATS = {"double": 2, "triple": 3, "treble": 3}
MARKS = {"dash": "-", "hyphen": "-", "minus": "-"}
# Longest first, so that "sixteen" is not read as "six" and a rest.
WORD = "(?:" + "|".join(sorted([*UNITS, *TEENS, *TENS, *REPEATS, *MARKS], key=len, reverse=True)) + r"|\d{1,4}(?!\d))"
# Behind a capital too: the letters of a number are not dictated as words ("Hsix nine three zero").
RUN = re.compile(rf"(?<![a-z\d])(?i:(?:{WORD}[ ,.\-\n\r\t/_]{{0,3}}){{3,}}{WORD})(?![a-z\d])")
PAUSE = re.compile(r"[ \t]*[,./\n\r][ ,.\-\n\r\t/]*")
USUAL_LENGTHS = (9, 10, 16)
"""Digits of a social security or routing number, of a telephone number or a provider's, of a payment card."""
TOKEN = re.compile(WORD, re.IGNORECASE)
COUNTED = (*UNITS, *TENS, "teen", "double", "triple")
TWO_WORDS = re.compile(
    "(?:" + "|".join([*UNITS, *TENS, *TEENS, *REPEATS]) + r")[ ,.\-\n\r\t/_]{0,3}(?:" + "|".join([*UNITS, *TENS, *TEENS]) + r"|\d)"
)
"""The cheap questions before `RUN`, asked of the text in lower case: are there some such words, and two in a row."""
FEWEST_WORDS = 3


def spelled_numbers(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Start, end and the readings of every run that spells a long number: its digits, with the dashes that were dictated, then cut.

    What follows a number may begin with one too ("..., four five, 2 copies"), and so may what stands before it.
    """
    lowered = text.lower()
    if sum(map(lowered.count, COUNTED)) < FEWEST_WORDS or TWO_WORDS.search(lowered) is None:
        return
    for match in RUN.finditer(text):
        tokens = [token.lower() for token in TOKEN.findall(match.group())]
        if all(token.isdigit() for token in tokens):
            continue
        digits = _digits(tokens)
        fewest = FEWEST_DIGITS if all(token in UNITS or token in MARKS for token in tokens) else FEWEST_WITH_TENS
        if sum(character.isdigit() for character in digits) >= fewest:
            cut = (digits[:place] + ", " + digits[place:] for place in _places(digits))
            commas = ", ".join(_digits([token.lower() for token in TOKEN.findall(piece)]) for piece in PAUSE.split(match.group()))
            yield (*match.span(), list(dict.fromkeys((digits, commas, *cut))))


def _places(digits: str) -> list[int]:
    """Where a number of a usual length ends that begins with the run, or begins that ends with it."""
    places = [place for place, character in enumerate(digits) if character.isdigit()]
    fitting = [length for length in USUAL_LENGTHS if length < len(places)]
    return [places[length] for length in fitting] + [places[-length] for length in fitting]


def _digits(tokens: list[str]) -> str:
    digits: list[str] = []
    times = 1
    for index, token in enumerate(tokens):
        if token in REPEATS:
            times = REPEATS[token]
            continue
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if token in TENS:  # "twenty-two" is 22, "twenty" alone is 20
            digit = TENS[token] if following in UNITS and UNITS[following] != "0" else TENS[token] + "0"
        else:
            digit = UNITS.get(token) or TEENS.get(token) or MARKS.get(token) or token
        digits.append(digit * times)
        times = 1
    return "".join(digits)
