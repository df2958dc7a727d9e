"""Packed runs other than plain base64 and hex: wrapped at any width or set in groups, base32, ascii85, base85, uuencode, sealed armour.

Each finder gives candidates; what their bytes say is `unpacking`'s business, and a candidate that says nothing is no finding: names, ids
and source code have these shapes too.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from itertools import chain

from detectors import traces
from detectors.texture import turned_lines
from detectors.unpacking import readable, unpack

Run = tuple[int, int, str]

TOKEN = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,6}")
FEWEST_TOKENS = 4
FEWEST_LINES, NARROWEST_LINE = 2, 14
FEWEST_CHARACTERS = 20
LONGEST_GAP = 6  # a line end and a quote mark
BASE32 = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z2-7]{24,}|[a-z2-7]{24,})={0,6}(?![A-Za-z0-9])")
# ascii85 has no v, w, x, y (and z only for zeros); its text is full of punctuation. Long runs only: short ones are source code.
ASCII85 = re.compile(r"(?<!\S)(?:<~)?([!-uz]{20,})(?:~>)?(?!\S)")
BASE85 = re.compile(r"(?<!\S)([0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{25,})(?!\S)")
PUNCTUATION = re.compile(r"[!-/:-@\[-`]")
LONG = re.compile(r"\S{20,}")
"""What the three patterns match has no white space in it: they are tried here only."""
FEWEST_MARKS = 4
"""Distinct punctuation marks: ascii85 of any text of fifteen letters has more, an address or a path has fewer."""
LONGEST_85 = 100_000
UUENCODED = re.compile(r"(?<!\S)begin(?:-base64)? [0-7]{3,4} [^\n]{1,200}\n((?:[ -`]{1,62}\r?\n){1,5000})")
SEALED_ARMOUR = re.compile(
    r"-----BEGIN (?:PGP MESSAGE|AGE ENCRYPTED FILE|PKCS7|CMS|ENCRYPTED MESSAGE|SSH ENCRYPTED)[A-Z ,/0-9]{0,30}-----\s"
)
"""An encrypted text by its own word. Keys are the business of the credentials detector, certificates and signatures carry no text."""


def packed_runs(text: str) -> Iterator[Run]:
    """Every such run that stands in one piece and says something: source start, end, what it says."""
    long = [match.span() for match in LONG.finditer(text)] if traces.long_run(text) else []
    for match in _within(text, long, BASE32):
        body = match.group().rstrip("=").upper()
        said = _said(_base32(body))
        if said:
            yield (*match.span(), said)
    for pattern, decode in ((ASCII85, base64.a85decode), (BASE85, base64.b85decode)):
        for match in _within(text, long, pattern):
            body = match.group(1)
            if len(body) <= LONGEST_85 and len(set(PUNCTUATION.findall(body))) >= FEWEST_MARKS:
                said = _try_85(body, decode)
                if said:
                    yield (*match.span(), said)
    if "begin" in text:
        for match in UUENCODED.finditer(text):
            said = _said(_uudecoded(match.group(1)))
            if said:
                yield (*match.span(), said)


def sealed(text: str) -> bool:
    """Whether there is an encrypted message in the text."""
    return "-----BEGIN " in text and SEALED_ARMOUR.search(text) is not None


def _within(text: str, stretches: list[tuple[int, int]], pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """The matches of a pattern in these stretches."""
    return chain.from_iterable(pattern.finditer(text, start, end) for start, end in stretches)


def _said(packed: bytes | None) -> str | None:
    return None if packed is None else unpack(packed).text


def packed_rows(text: str) -> Iterator[Run]:
    """Every one that is wrapped at any width, or set in groups: tokens of one width, white space between them, the last may be shorter."""
    for start, end in turned_lines(text):
        row: list[tuple[int, int]] = []
        width = 0
        for match in TOKEN.finditer(text, start, end):
            token = match.span()
            if width >= token[1] - token[0] and _continues(text, row[-1], width, token[0]):
                row.append(token)
                continue
            if len(row) > 1:
                yield from _decoded_row(text, row)
            row, width = [token], token[1] - token[0]
        yield from _decoded_row(text, row)


def _continues(text: str, last: tuple[int, int], width: int, start: int) -> bool:
    """Whether the last token is as wide as the row, and nothing but a little space stands behind it."""
    return last[1] - last[0] == width and start - last[1] <= LONGEST_GAP and text[last[1] : start].strip(" \t\r\n>") == ""


def _decoded_row(text: str, row: list[tuple[int, int]]) -> Iterator[Run]:
    if len(row) < FEWEST_TOKENS and (len(row) < FEWEST_LINES or row[0][1] - row[0][0] < NARROWEST_LINE):
        return
    body = "".join(text[start:end] for start, end in row).rstrip("=")
    if len(body) < FEWEST_CHARACTERS or "=" in body:
        return
    for packed in _readings(body):
        decoded = readable(packed) or unpack(packed).text
        if decoded:
            yield row[0][0], row[-1][1], decoded
            return


def _readings(body: str) -> Iterator[bytes]:
    """What a row can be read as, the narrowest alphabet first."""
    if re.fullmatch(r"[0-9A-Fa-f]+", body) and len(body) % 2 == 0:
        yield bytes.fromhex(body)
    if re.fullmatch(r"[A-Z2-7]+|[a-z2-7]+", body):
        packed = _base32(body.upper())
        if packed is not None:
            yield packed
    try:
        yield base64.b64decode(body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return


def _base32(body: str) -> bytes | None:
    try:
        return base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        return None


def _try_85(body: str, decode: object) -> str | None:
    try:
        packed = decode(body)  # type: ignore[operator]  # one of two functions of the standard library
    except (ValueError, OverflowError):
        return None
    return readable(packed)


def _uudecoded(body: str) -> bytes | None:
    pieces = []
    for line in body.splitlines():
        if line in {"`", " ", "end"}:
            break
        try:
            pieces.append(binascii.a2b_uu(line))
        except binascii.Error:
            return None
    return b"".join(pieces)
