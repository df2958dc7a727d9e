r"""Text written as a list of character codes: `80, 97, 116`, `0x50 0x61`, `120 141 164`, `01010000 01100001`, `U+0050`, a hex dump.

A list of numbers is far more often a table than a text, so what it spells must read like words or like an identifier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detectors import traces
from detectors.texture import Texture
from detectors.unpacking import readable

Run = tuple[int, int, str]

NUMBERS = re.compile(r"(?<![\w.])(?:[0-9]{2,3}[ ,;:|/+\t\r\n-]{1,3}){9,}[0-9]{2,3}(?!\w|\.\d)")
PREFIXED = re.compile(r"(?:(?:\\?0?[xX]|U\+00)[0-9A-Fa-f]{2}[ ,;:\t\r\n]{0,3}){4,}")
PAIRS = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ ,;:|/\t\r\n-]{1,3}){9,}[0-9A-Fa-f]{2}(?![0-9A-Za-z])")
BITS = re.compile(r"(?<!\d)(?:(?:[01]{8}[ ,;_\t\r\n-]{0,2}){6,}|(?:[01]{7}[ ,;_\t\r\n-]{1,2}){6,}[01]{7})(?!\d)")
DUMP_LINE = re.compile(r"(?m)^[ \t]{0,4}[0-9A-Fa-f]{4,8}[: ][ \t]{0,3}((?:[0-9A-Fa-f]{2,4}[ \t]{1,3}){1,16})")
TWO = re.compile(r"[0-9A-Fa-f]{2}")
PREFIX = re.compile(r"\\?0?[xX]|U\+00")
WORDLIKE = re.compile(r"[A-Za-z]{3,}")
VOWEL = re.compile(r"[aeiouyAEIOUY]")
FEWEST_DIGITS = 7
ORDINARY_SHARE = 0.85
ASCII_LAST = 126
ASCII_CONTROLS = (9, 10, 13)
FIRST_PRINTABLE = 32


def code_lists(text: str, texture: Texture) -> Iterator[Run]:
    """Every list of codes that spells something: source start, end, what it spells."""
    if texture.rows:
        if traces.code_rows(text):
            yield from _numbers(text)
            yield from _hex(text, PAIRS)
        yield from _dumps(text)
    if traces.prefixed_codes(text):
        yield from _hex(text, PREFIXED)
    if texture.bits and traces.bit_rows(text):
        for match in BITS.finditer(text):
            bits = re.sub(r"[^01]", "", match.group())
            decoded = _from_bits(bits, 8) or _from_bits(bits, 7)
            if decoded:
                yield match.start(), match.start() + len(match.group().rstrip(" ,;_\t\r\n-")), decoded


def _numbers(text: str) -> Iterator[Run]:
    for match in NUMBERS.finditer(text):
        numbers = re.findall(r"\d+", match.group())
        spelled = _spelled(numbers, 10) or _spelled(numbers, 8) or _spelled(numbers, 16)
        if spelled:
            yield (*match.span(), spelled)


def _hex(text: str, pattern: re.Pattern[str]) -> Iterator[Run]:
    for match in pattern.finditer(text):
        decoded = readable(bytes.fromhex("".join(TWO.findall(PREFIX.sub(" ", match.group())))))
        if decoded and wordy(decoded):
            yield match.start(), match.start() + len(match.group().rstrip(" ,;:\t\r\n")), decoded


def wordy(text: str) -> bool:
    """Whether this reads like words or a long number, and not like the chance spelling of a table."""
    ordinary = sum(character.isalnum() or character in " \n\r\t.,:;'-/@" for character in text)
    if ordinary < ORDINARY_SHARE * len(text):
        return False
    words = [word for word in WORDLIKE.findall(text) if VOWEL.search(word[:12])]
    digits = sum(character.isdigit() for character in text)
    return digits >= FEWEST_DIGITS or (bool(words) and (" " in text or len(words) > 1 or len(text) < 2 * len(words[0])))


def _spelled(numbers: list[str], base: int) -> str:
    try:
        codes = [int(number, base) for number in numbers]
    except ValueError:
        return ""
    if not all(FIRST_PRINTABLE <= code <= ASCII_LAST or code in ASCII_CONTROLS for code in codes):
        return ""
    spelled = "".join(map(chr, codes))
    return spelled if wordy(spelled) else ""


def _from_bits(bits: str, width: int) -> str:
    if len(bits) % width:
        return ""
    decoded = readable(bytes(int(bits[place : place + width], 2) for place in range(0, len(bits), width)))
    return decoded if decoded and wordy(decoded) else ""


def _dumps(text: str) -> Iterator[Run]:
    """Hex dumps (`xxd`, `hexdump -C`): an address, up to sixteen bytes, and the bytes again as characters, which are left out."""
    lines = list(DUMP_LINE.finditer(text))
    start = 0
    while start < len(lines):
        stop = start + 1
        while stop < len(lines) and text.count("\n", lines[stop - 1].end(), lines[stop].start() + 1) <= 1:
            stop += 1
        digits = "".join(re.sub(r"\s", "", line.group(1)) for line in lines[start:stop])
        decoded = readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
        if decoded and wordy(decoded):
            yield lines[start].start(), lines[stop - 1].end(), decoded
        start = stop
