r"""What the dear patterns of normalisation leave in the bytes of every text that they match.

Most text has nothing to put right, and a regular expression that finds nothing costs as much as one that does. So each pattern here has a
*trace*: a literal that must be in the text once its bytes are translated, some of them deleted or rows of them made one. A trace may be
there without a match, never the other way round; `tests/detectors/test_traces.py` holds every trace against its pattern, and normalising
with traces against normalising without. A text with other than ASCII characters has every trace whose pattern could match such characters.
"""

from __future__ import annotations

import string
from functools import lru_cache

EVERY = bytes(range(256))
LETTERS, DIGITS = string.ascii_letters, string.digits


def _table(*classes: tuple[str, str], rest: str) -> bytes:
    """A translation: each character of a class becomes the class's one, all others `rest`."""
    table = bytearray(ord(rest) for _ in EVERY)
    for characters, one in classes:
        for character in characters:
            table[ord(character)] = ord(one)
    return bytes(table)


PRINTED = bytes([*range(0x09, 0x0E), *range(0x20, 0x7F)])
BREAKS = _table((DIGITS, "0"), ("-", "-"), ("=", "="), ("\n", "\n"), rest="x")
BROKEN = (b"0-\n0", b"0\n-0", b"0=\n0")
SEPARATED = _table((DIGITS, "0"), ("\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f ,;:/|._*)(-", " "), rest="x")
ROWS_OF_BLANKS = (b"   ", b"  ", b"  ")
"""Made one in turn, they leave one of up to seven; no pattern allows more than five between two digits."""
SINGLE_DIGITS = b"0 0 0 0 0 0 0"
RUNS = bytes(ord(" ") if chr(code) in " \t\r\n" else ord("x") for code in EVERY)
LONG_RUN = b"x" * 20
HEX = _table((string.hexdigits, "0"), rest="x")
BETWEEN_CODES = b" ,;:|/+\t\r\n-"
TWENTY = b"0" * 20
PREFIXED = _table((string.hexdigits, "0"), ("xX", "x"), rest=".")
PREFIXED_CODE = b"x00"
BITS = _table(("01", "0"), rest="x")
BETWEEN_BITS = b" ,;_\t\r\n-"
SIX_OCTETS = b"0" * 48
LIKE_DIGITS = "OoQDIl|!SsBZzGgqbTA"
CONFUSABLE = _table((DIGITS, "0"), (LIKE_DIGITS, "o"), ("-", "-"), rest="x")
CONFUSED = (b"0o", b"o0", b"o-0")
GLUE = _table((DIGITS, "0"), (string.ascii_lowercase, "a"), (string.ascii_uppercase, "A"), ("#", "#"), rest=".")
LABEL_GLUED = (b"a000", b"A000", b"a#000", b"A#000")
WORD_GLUED = b"0aa"
HUMP = b"aAa"


def controls(text: str) -> bool:
    """Of control characters (`residue.CONTROL`)."""
    return not text.isascii() or bool(text.encode().translate(None, PRINTED))


def broken_numbers(text: str) -> bool:
    """Of numbers broken at the end of a line (`normalize.BROKEN`)."""
    if not text.isascii():
        return True
    seen = text.encode().translate(BREAKS, b" \t>\r")
    return any(trace in seen for trace in BROKEN)


@lru_cache(maxsize=2)
def single_digits(text: str) -> bool:
    """Of seven single digits set apart (`normalize.SPACED`, `respelling.DIGIT_ROW`)."""
    if not text.isascii():
        return True
    seen = text.encode().translate(SEPARATED)
    for row in ROWS_OF_BLANKS:
        seen = seen.replace(row, b" ")
    return SINGLE_DIGITS in seen


def long_run(text: str) -> bool:
    """Of twenty characters without white space between them (`packings.LONG`)."""
    return LONG_RUN in text.encode("ascii", "replace").translate(RUNS)


def code_rows(text: str) -> bool:
    """Of twenty hexadecimal digits with no more than separators between them (`encodings.HEX`, `code_lists.NUMBERS` and `PAIRS`)."""
    return not text.isascii() or TWENTY in text.encode().translate(HEX, BETWEEN_CODES)


def prefixed_codes(text: str) -> bool:
    """Of hexadecimal codes that are marked as such, each by itself (`code_lists.PREFIXED`)."""
    return "U+00" in text or PREFIXED_CODE in text.encode("ascii", "replace").translate(PREFIXED)


def bit_rows(text: str) -> bool:
    """Of text in binary digits (`code_lists.BITS`)."""
    return SIX_OCTETS in text.encode("ascii", "replace").translate(BITS, BETWEEN_BITS)


def confused_digits(text: str) -> bool:
    """Of letters for digits (`respelling.CONFUSION`)."""
    if not text.isascii():
        return True
    seen = text.encode().translate(CONFUSABLE)
    return any(trace in seen for trace in CONFUSED)


def glued(text: str) -> frozenset[str]:
    """Of what lost the blank between two words, by the name of the pattern (`respelling.GLUED_SIGN`, `GLUED_BEHIND`, `HUMPS_SIGN`)."""
    if not text.isascii():
        return EVERY_GLUED
    seen = text.encode().translate(GLUE)
    found = {"label"} if any(trace in seen for trace in LABEL_GLUED) else set()
    if WORD_GLUED in seen:
        found.add("word")
    if HUMP in seen:
        found.add("hump")
    return frozenset(found)


EVERY_GLUED = frozenset({"label", "word", "hump"})
