r"""Second readings of a text where its spelling is broken: spaced-out letters, words cut by hyphens or tags, letters for digits.

A second reading may be wrong ("well-\\nknown" is no "wellknown"), so it never replaces the first: the stretch around it is appended in
the second spelling, with its place in the original, and both are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from detectors import traces
from detectors.texture import texture_of
from detectors.traces import LIKE_DIGITS

Edit = tuple[int, int, str]
Piece = tuple[int, int, str]
"""Source start and end, and what stands there in the second reading."""

CONTEXT = 80
"""Characters to either side that are repeated with an edit: a label stands that close to its value."""

SPREAD_SIGN = re.compile(r"(?:(?<!\S)\S ){6}")
"""Six single characters with a blank between them: text set wide."""
RUN_TOGETHER = re.compile(r"(?:(?<!\S)\S ){40}")
MOSTLY_LETTERS = 25
"""Of forty single characters without a gap between words: where one ends, nobody can say."""
WIDE_GAP = re.compile(r"[ \t]{2,}")
SPREAD_WORD = re.compile(r"(?<![^\W_])[^\W_](?:([._*~|+\u00b7-])[^\W_])(?:\1[^\W_]){2,}(?![^\W_])")
SPREAD_SHORT = re.compile(r"(?<![^\W_])[^\W_](?:([._*~|+\u00b7-])[^\W_])(?:\1[^\W_])*(?![^\W_])")
MANY_SPREAD = 5
"""With so many words set wide, "t.h.e" and "o.f" are too."""
CUT = re.compile(r"(?<=[A-Za-z])-[ \t]{0,4}\r?\n[ \t>]{0,8}(?=[A-Za-z])")
TAG_INSIDE = re.compile(r"(?<=\w)(?:<(?:/?[A-Za-z][^<>\n]{0,80}|!--[^<>\n]{0,80}--)>){1,4}(?=\w)")
CONFUSED = dict(zip(LIKE_DIGITS, "0000111155822699674", strict=True))
LIKE_DIGIT = "".join(re.escape(letter) for letter in CONFUSED)
NUMBER_LIKE = re.compile(rf"(?<![A-Za-z0-9])[\d{LIKE_DIGIT}]{{2,20}}(?:[-./ ][\d{LIKE_DIGIT}]{{2,20}}){{0,6}}(?![A-Za-z0-9])")
CONFUSION = re.compile(rf"\d[{LIKE_DIGIT}]|[{LIKE_DIGIT}]-?\d")
FEWEST_NUMBER = 6
DIGIT_SHARE = 0.45
GLUED = re.compile(
    r"(?i)(?<![a-z])(?:ssn|mrn|dob|acct|account|phone|tel|cell|mobile|fax|npi|policy|claim|member|loan|card|routing|aba|iban|passport"
    r"|licen[cs]e|dl|pin|chart|id|no|number|num)(?=#?[A-Z]{0,2}\d{3})"
)
GLUED_BEHIND = re.compile(r"(?<!\w)\d(?:[ -]?\d){7,18}(?=[a-z]{2,}\b)")
# The cheap questions before the two: a letter (or a letter and #) right before three digits; a capital in the middle of a word.
GLUED_SIGN = re.compile(r"\d{3}(?:(?<=[A-Za-z]...)|(?<=[A-Za-z]#...))")
LONGEST_LABEL = 12
"""Characters before the digits: the longest label of `GLUED`, and a letter or two."""
HUMPS_SIGN = re.compile(r"[A-Z](?<=[a-z].)[a-z]{1,20}[A-Z][a-z]")
HUMPS = re.compile(r"(?<![\w.$#@/\\])(?:[A-Z][a-z]{1,20}){3,}(?:[A-Z]{2,5})?\d{0,12}(?![\w(/\\]|\.\w)")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z0-9])")
WIDEST_LINE = 20_000
# Single digits with a line end, a comma or a bar between them: nine at least, so that a short list of marks is no number; seven where
# each has a line of its own.
DIGIT_ROW = re.compile(r"\d(?<![\w.].)(?:(?:[\s,;:/|._*)(-]{1,5}\d){8,}|(?:\r?\n\d){6,})(?!\w)")
MOST_HYPHENS = 4
"""A written number has so many of its own; with more of them they are what keeps the digits apart."""


def second_readings(text: str) -> Iterator[list[Piece]]:
    """Stretches in their second spelling, in the order of the text; the pieces of one belong together."""
    yield from stretches(text, _edits(text))


def stretches(text: str, edits: Iterable[Edit]) -> Iterator[list[Piece]]:
    """The stretches of the text around these edits, with the edits made; of two that overlap the first is taken."""
    stretch: list[Edit] = []
    for edit in sorted(edits):
        if stretch and edit[0] < stretch[-1][1]:
            continue
        if stretch and edit[0] - stretch[-1][1] > 2 * CONTEXT:
            yield _pieces(text, stretch)
            stretch = []
        stretch.append(edit)
    if stretch:
        yield _pieces(text, stretch)


def run_together(text: str) -> bool:
    """Whether there is text set so wide that its words cannot be told apart."""
    return texture_of(text).wide and any(sum(map(str.isalpha, match.group())) >= MOSTLY_LETTERS for match in RUN_TOGETHER.finditer(text))


def _edits(text: str) -> set[Edit]:
    texture = texture_of(text)
    edits = {*_cut(text), *_tags(text), *_rows(text), *_glued(text), *_confused(text)}
    if texture.wide:
        edits.update(_wide(text))
    if texture.marked:
        edits.update(_marked(text))
    return edits


def _pieces(text: str, edits: Iterable[Edit]) -> list[Piece]:
    """The edits with the text between them and around them."""
    edits = list(edits)
    place = max(0, edits[0][0] - CONTEXT)
    pieces: list[Piece] = []
    for start, end, new in edits:
        pieces += [(place, start, text[place:start]), (start, end, new)]
        place = end
    end = min(len(text), place + CONTEXT)
    return [piece for piece in [*pieces, (place, end, text[place:end])] if piece[2]]


def _wide(text: str) -> Iterator[Edit]:
    """Lines set wide: "P a t i e n t   J a n e"."""
    last = -1
    for sign in SPREAD_SIGN.finditer(text):
        start = text.rfind("\n", 0, sign.start()) + 1
        if start <= last:
            continue
        end = text.find("\n", sign.end())
        end = last = len(text) if end < 0 else end
        if end - start <= WIDEST_LINE:
            yield start, end, " ".join(_closed(group) for group in WIDE_GAP.split(text[start:end]))


def _marked(text: str) -> Iterator[Edit]:
    """Words with a mark between their letters: "P.a.t.i.e.n.t"."""
    words = list(SPREAD_WORD.finditer(text))
    for match in words if len(words) < MANY_SPREAD else SPREAD_SHORT.finditer(text):
        if any(letter.isalpha() for letter in match.group()):
            yield *match.span(), match.group().replace(match.group(1), "")


def _closed(group: str) -> str:
    """One word that was set wide; a group in which whole words stand is left alone."""
    letters = group.split(" ")
    return "".join(letters) if all(len(letter) <= 1 for letter in letters) else group


def _cut(text: str) -> Iterator[Edit]:
    if "-\n" in text or "-\r" in text or "- \n" in text:
        yield from ((*match.span(), "") for match in CUT.finditer(text))


def _tags(text: str) -> Iterator[Edit]:
    if "<" in text:
        yield from ((*match.span(), "") for match in TAG_INSIDE.finditer(text))


def _rows(text: str) -> Iterator[Edit]:
    for match in DIGIT_ROW.finditer(text) if traces.single_digits(text) else ():
        kept = "-" if match.group().count("-") <= MOST_HYPHENS else ""
        yield *match.span(), "".join(letter for letter in match.group() if letter.isdigit() or letter == kept)


def _confused(text: str) -> Iterator[Edit]:
    """Letters for digits in what is otherwise a number: "l23-45-67B9", as scanners read it."""
    if not traces.confused_digits(text) or CONFUSION.search(text) is None:
        return
    for match in NUMBER_LIKE.finditer(text):
        value = match.group()
        digits = sum(letter.isdigit() for letter in value)
        marks = sum(letter in CONFUSED for letter in value)
        if marks and digits + marks >= FEWEST_NUMBER and digits >= DIGIT_SHARE * (digits + marks):
            yield *match.span(), "".join(CONFUSED.get(letter, letter) for letter in value)


def _glued(text: str) -> Iterator[Edit]:
    """Labels, numbers and words that lost the blank after them: "SSN123456789", "536228145was", "PatientNameJaneRoe"."""
    glued = traces.glued(text)
    for sign in GLUED_SIGN.finditer(text) if "label" in glued else ():
        for match in GLUED.finditer(text, max(0, sign.start() - LONGEST_LABEL), sign.end()):
            yield match.end(), match.end(), " "
    for match in GLUED_BEHIND.finditer(text) if "word" in glued else ():
        yield match.end(), match.end(), " "
    if "hump" in glued and HUMPS_SIGN.search(text):
        for match in HUMPS.finditer(text):
            yield *match.span(), HUMP.sub(" ", match.group())
