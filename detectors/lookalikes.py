"""Letters that a reader takes for Latin ones: the common part of Unicode's confusables (UTS #39), and letters that are drawings of letters.

NFKC already folds full-width, mathematical, circled and superscript letters; what is here it leaves alone.
"""

from __future__ import annotations

import re
import unicodedata

from detectors.composing import normalized
from detectors.offsets import Rewrite

CYRILLIC = dict(zip("АВЕКМНОРСТУХЅІЈԚԜҮаеорсухѕіјԛԝһԁвкмнтг", "ABEKMHOPCTYXSIJQWYaeopcyxsijqwhdbkmhtr", strict=True))
GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαινορτυχκεωγ", "ABEZHIKMNOPTYXaivoptuxkewy", strict=True))
ARMENIAN = dict(zip("ՍՏՕՈոօսհցյզք", "USOnnouhgjqp", strict=True))
CHEROKEE = dict(
    zip(
        "\u13aa\u13f4\u13df\u13a0\u13ac\u13c0\u13bb\u13a5\u13ab\u13e6\u13de\u13b7\u13e2\u13a1\u13da\u13a2\u13d9\u13b3\u13c3\u13ce\u13d2",
        "ABCDEGHiJKLMPRSTVWZ4R",
        strict=True,
    )
)
SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True))
LATIN = dict(zip("ıȷɑɡɩʋƖꓲꓳꓴꓢꓮꓰꓔꓑ", "ijagivIIOUSAETP", strict=True))
LOOKALIKE = CYRILLIC | GREEK | ARMENIAN | CHEROKEE | SMALL_CAPITALS | LATIN

FOREIGN = re.compile(
    r"[\u0131\u0196\u0237\u0250-\u02af\u0370-\u03ff\u0400-\u052f\u0531-\u0587\u13a0-\u13f5\u1d00-\u1d2b\ua4d0-\ua4f7\ua730\ua731]"
)

# Letters in black circles, black squares and flags, which have no compatibility mapping.
DRAWN = str.maketrans({chr(base + place): chr(ord("A") + place) for base in (0x1F150, 0x1F170, 0x1F1E6) for place in range(26)})
DRAWN_NUMBERS = re.compile("[\u2460-\u2473\u24ea-\u24ff\u2776-\u2793\U0001f10b\U0001f10c]")

MARKS = re.compile("[\u0300-\u036f]")
MARKED = re.compile("[\u00c0-\u024f\u1e00-\u1eff\u0300-\u036f]+")
FEWEST_HEAPED = 20
"""Marks that compose with no letter. A text in any language has next to none; one that was scribbled over has one on every other letter."""

ACCENTED = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")
WORD = re.compile(r"[^\W\d_]+")
FEWEST_ACCENTS = 2
FEWEST_ACCENTED = 3
"""Different words with so many accents each: English borrows one or two. One accent a word is any name, and other languages'."""


def plain_numbers(text: str) -> str:
    """Digits of other scripts, and numbers in circles, as plain ones; all else as it is."""
    drawn = DRAWN_NUMBERS.sub(lambda match: str(int(unicodedata.numeric(match.group()))), text)
    return "".join(str(unicodedata.digit(letter)) if not letter.isascii() and letter.isdigit() else letter for letter in drawn)


def without_marks(text: str) -> Rewrite | None:
    """The text without its marks, if it is heaped with marks that belong to no language."""
    if text.isascii() or len(MARKS.findall(text)) < FEWEST_HEAPED:
        return None
    if len(MARKS.findall(normalized("NFC", text))) < FEWEST_HEAPED:
        return None
    rewrite = Rewrite(text)
    for match in MARKED.finditer(text):
        rewrite.replace(*match.span(), MARKS.sub("", normalized("NFD", match.group())))
    return rewrite


def without_accents(text: str) -> list[tuple[int, int, str]]:
    """Words strewn with accents, if there are several: start, end, the word without them."""
    if text.isascii() or len(ACCENTED.findall(text)) < FEWEST_ACCENTS * FEWEST_ACCENTED:
        return []
    words = [match for match in WORD.finditer(text) if not match.group().isascii()]
    strewn = [match for match in words if len(ACCENTED.findall(match.group())) >= FEWEST_ACCENTS]
    if len({match.group() for match in strewn}) < FEWEST_ACCENTED:
        return []
    return [(*match.span(), MARKS.sub("", normalized("NFD", match.group()))) for match in strewn]
