r"""Runs of encoded text inside a document, decoded so that they can be scanned.

Percent, entities, quoted-printable, escapes, hex, base64.

What decodes to text is handed back to be scanned (three layers deep, and what escapes are left then). What looks encoded, is
long, and does not decode is an `undecodable_run`: nobody can say what is in it, so the document is not judged clean. The line
is drawn where ordinary documents do not cross it:

- `OPAQUE_BASE64`: 512 characters. Signatures, hashes, tokens, ids and tracking links are shorter (an RS256 signature has
  342, SHA-512 has 88); 512 base64 characters hold 384 bytes, the first size at which a letter could hide.
- `OPAQUE_HEX`: 1,024 digits. Digests have at most 128, RSA-2048 moduli 512.
- Certificates, public keys and signatures (`armour.py`) are passed if their bytes are such, and paths, which are words between slashes.
- Pictures up to `SMALL_PICTURE` bytes (an icon or a bullet) are passed; larger ones can show a page and are not.
- Letters of one case only are words, sequences or padding, not base64.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from detectors import traces
from detectors.anchored import Anchored
from detectors.armour import armour, public_key
from detectors.code_lists import code_lists
from detectors.escapes import escaped_runs
from detectors.offsets import Rewrite
from detectors.packings import packed_rows, packed_runs, sealed
from detectors.texture import texture_of
from detectors.unpacking import NOTHING_READABLE, Unpacked, allowance, readable, unpack

OPAQUE_BASE64 = 512
OPAQUE_HEX = 1024
SMALL_PICTURE = 4096
DEEPEST = 3
MOST_ESCAPES = 4
"""Escapes of several kinds beside each other outlast the layers in ordinary mail; the same text escaped again and again does not."""
UNDECODABLE_RUN = "undecodable_run"

BASE64_LIKE = re.compile(r"[A-Za-z0-9+/_-]{14}")  # the cheap question before the next one
BASE64 = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{14,}(?:={1,2}(?![\w=]))?")
PERCENT = Anchored(
    re.compile(r"[^\s<>\"']{0,200}%[0-9A-Fa-f]{2}[^\s<>\"']{0,4000}"), re.compile(r"%[0-9A-Fa-f]{2}"), re.compile(r"[^\s<>\"']*"), 200
)
# With what stands before it: half of a number may be plain. One entity is enough to split one.
ENTITY = r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8})"
ENTITIES = Anchored(re.compile(rf"[^&\n]{{0,80}}(?:{ENTITY};?[^&\n]{{0,80}}){{1,50}}"), re.compile(ENTITY), re.compile(r"[^&\n]*"), 80)
QUOTED_MARK = r"=(?:[2-9A-F][0-9A-F]|\r?\n(?=[^\r\n]))"  # a soft break goes on in the next line; the end of base64 does not
QUOTED = Anchored(
    re.compile(rf"[^=\n]{{0,80}}(?:{QUOTED_MARK}[^=\n]{{0,80}}){{1,50}}"), re.compile(QUOTED_MARK), re.compile(r"[^=\n]*"), 80
)
QUOTED_CHARACTERS = re.compile(r"(?:=[2-9A-F][0-9A-F](?:=\r?\n)?)+|=\r?\n(?=[^\r\n])")
QUOTED_BYTE = re.compile(r"=([2-9A-F][0-9A-F])")
HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ :]?){10,}(?![0-9A-Za-z])")
PICTURE = (b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"RIFF", b"BM")
JOINED_LINE = 56  # a wrapped base64 body has lines of 60, 64 or 76; a run this long goes on in the next line
LONGEST_BREAK = 4  # a line end and a quote mark
NARROWEST_ROW, LONGEST_MARGIN = 20, 40
MARGIN = re.compile(r"[ \t]*\r?\n[ \t>|#*:]*")
MARGINS = re.compile(r"[\s>|#*:]")
FEWEST_SEGMENTS, LONGEST_SEGMENT = 4, 64
PATH_TURNS = 0.2
FEWEST_TURNS = 3
"""The shortest base64 run changes case or turns to digits more often."""
SHIFTED = 28

Run = tuple[int, int, str]
Span = tuple[int, int]


def decoded_runs(text: str, plain: Callable[[str], str] = str) -> tuple[list[Run], frozenset[str]]:
    """Every encoded run with what it says (source start, end, decoded text), and the failure codes of those that do not decode.

    `plain` gives what was decoded its plain characters, before it is searched for the next layer.
    """
    runs: list[Run] = []
    with allowance(len(text)):
        opaque = _layer(text, (0, len(text)), runs, plain, depth=0)
    return runs, frozenset({UNDECODABLE_RUN}) if opaque else frozenset()


def _layer(text: str, span: tuple[int, int], runs: list[Run], plain: Callable[[str], str], *, depth: int) -> bool:
    """Decode one layer of `text`; below the first, all of it stands for `span`. Returns whether something stayed opaque."""
    opaque = False
    for start, end, decoded in [*_plain_runs(text), *_packed_runs(text)]:
        place = span if depth else (start, end)
        if decoded is None:
            opaque = True
        else:
            runs.append((*place, decoded))
            if depth + 1 < DEEPEST:
                opaque |= _layer(plain(decoded), place, runs, plain, depth=depth + 1)
            else:
                opaque |= _last_layer(plain(decoded), place, runs, plain)
    return opaque


def _last_layer(text: str, place: tuple[int, int], runs: list[Run], plain: Callable[[str], str]) -> bool:
    """Undo what is left of escapes, all kinds at once. Whether that does not end, or something is packed once more: no ordinary text."""
    for turn in range(MOST_ESCAPES):
        if _packed_runs(text):
            return True
        rewrite = Rewrite(text)
        last = 0
        for start, end, decoded in sorted(_plain_runs(text)):
            if start >= last:
                rewrite.replace(start, end, decoded)
                last = end
        settled = plain(rewrite.finish()[0])
        if settled == text:
            if turn:
                runs.append((*place, text))
            return False
        text = settled
    return True


def _plain_runs(text: str) -> list[Run]:
    runs: list[Run] = []
    if "%" in text:
        runs += [(*match.span(), decoded) for match in PERCENT.finditer(text) if (decoded := unquote(match.group())) != match.group()]
    if "&" in text:
        runs += [(*match.span(), plain) for match in ENTITIES.finditer(text) if (plain := html.unescape(match.group())) != match.group()]
    if "=" in text and QUOTED.anchor.search(text):
        runs += [(*match.span(), QUOTED_CHARACTERS.sub(_quoted_characters, match.group())) for match in QUOTED.finditer(text)]
    runs += escaped_runs(text)
    return runs


def _quoted_characters(escapes: re.Match[str]) -> str:
    """Quoted-printable (RFC 2045, section 6.7): characters by their bytes, or nothing for a soft line break."""
    quoted = bytes.fromhex("".join(QUOTED_BYTE.findall(escapes.group())))
    try:
        return quoted.decode()
    except UnicodeDecodeError:
        return quoted.decode("cp1252", "replace")


def _packed_runs(text: str) -> list[tuple[int, int, str | None]]:
    """Hex and base64 runs: decoded, or None where a long run does not decode."""
    runs: list[tuple[int, int, str | None]] = []
    rows = traces.code_rows(text)
    for match in HEX.finditer(text) if rows else ():
        digits = re.sub(r"[^0-9A-Fa-f]", "", match.group())
        unpacked = Unpacked(readable(bytes.fromhex(digits))) if digits.isdigit() else unpack(bytes.fromhex(digits))
        if unpacked.text is not None:
            runs.append((*match.span(), unpacked.text))
        # A run of decimal digits only is a number in plain sight, however long.
        if unpacked.hidden or (not unpacked.whole and len(digits) >= OPAQUE_HEX and not digits.isdigit()):
            runs.append((*match.span(), None))
    texture = texture_of(text)
    runs += code_lists(text, texture)
    if sealed(text):
        runs.append((0, len(text), None))
    if texture.turns >= FEWEST_TURNS or texture.capitals:
        runs += packed_rows(text)
    runs += packed_runs(text)
    if texture.turns < FEWEST_TURNS:
        return runs
    blocks = armour(text)
    spans = _base64_spans(text)
    for start, end in [*spans, *_blocks(text, spans)]:
        place = bisect_right(blocks, (start, len(text))) - 1
        runs += _unpacked(text, start, end, armoured=place >= 0 and end <= blocks[place][1])
    return runs


def _base64_spans(text: str) -> list[tuple[int, int]]:
    """Base64-looking runs, wrapped lines joined."""
    spans: list[tuple[int, int]] = []
    if BASE64_LIKE.search(text) is None:
        return spans
    for match in BASE64.finditer(text):
        start, end = match.span()
        if (
            spans
            and spans[-1][1] - spans[-1][0] >= JOINED_LINE
            and start - spans[-1][1] <= LONGEST_BREAK
            and text[spans[-1][1] : start].strip(" \r\n\t>") == ""
        ):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _blocks(text: str, spans: list[Span]) -> Iterator[Span]:
    """Rows of one width, indented or quoted as may be, that are a long run only together."""
    rows: list[Span] = []
    for span in spans:
        if rows and not _next_row(text, rows, span):
            yield from _block(rows)
            rows = []
        rows.append(span)
    yield from _block(rows)


def _block(rows: list[Span]) -> Iterator[Span]:
    if len(rows) > 1 and sum(end - start for start, end in rows) >= OPAQUE_BASE64:
        yield rows[0][0], rows[-1][1]


def _next_row(text: str, rows: list[Span], span: Span) -> bool:
    (first, first_end), (last, last_end), (start, end) = rows[0], rows[-1], span
    width = first_end - first
    # Digests and numbers in rows are a list of them: base64 has both cases in every row of twenty.
    return (
        last_end - last == width >= max(NARROWEST_ROW, end - start)
        and start - last_end <= LONGEST_MARGIN
        and MARGIN.fullmatch(text, last_end, start) is not None
        and _both_cases(text[last:last_end])
    )


def _both_cases(row: str) -> bool:
    return row not in {row.lower(), row.upper()}


def _unpacked(text: str, start: int, end: int, *, armoured: bool) -> list[tuple[int, int, str | None]]:
    run = MARGINS.sub("", text[start:end])
    body = run.rstrip("=")
    if not _mixed(body):
        return []
    unpacked = _first_reading(body)
    if unpacked.text is not None and unpacked.whole:
        return [(start, end, unpacked.text), *([(start, end, None)] if unpacked.hidden else [])]
    said: list[tuple[int, int, str | None]] = [(start, end, unpacked.text)] if unpacked.text is not None else []
    if unpacked.hidden:
        return [*said, (start, end, None)]
    ordinary = len(body) < OPAQUE_BASE64 or armoured or _unreadable_by_nature(body, text[max(0, start - 60) : start])
    return said if ordinary else [*said, (start, end, None)]


def _unreadable_by_nature(body: str, before: str) -> bool:
    """Whether a long run is a small picture, a public key, or a path."""
    packed = _bytes(body) or b""
    if packed.startswith(PICTURE):
        return len(packed) <= SMALL_PICTURE
    return public_key(before, packed) or _path(body)


def _path(body: str) -> bool:
    """Words between slashes. In base64, two characters in three are followed by one of another kind, and slashes are rare."""
    segments = body.strip("/").split("/")
    turns = texture_of(body).turns
    return len(segments) >= FEWEST_SEGMENTS and max(map(len, segments)) <= LONGEST_SEGMENT and turns <= PATH_TURNS * len(body)


def _first_reading(body: str) -> Unpacked:
    """What the run says, read from its first character, or from one of the next three: something may stand before it."""
    for shift in range(4) if len(body) >= SHIFTED else range(1):
        packed = _bytes(body[shift:])
        unpacked = unpack(packed) if packed is not None else NOTHING_READABLE
        if unpacked.text is not None or unpacked.hidden:
            return unpacked
    return NOTHING_READABLE


def _mixed(body: str) -> bool:
    """Whether a run has the look of base64: both cases, or one case and digits."""
    upper, lower = not body.islower() and body.upper() != body.lower(), not body.isupper()
    digit = any(character.isdigit() for character in body)
    return (upper and lower) or (digit and body.lower() != body.upper())


def _bytes(body: str) -> bytes | None:
    try:
        return base64.b64decode(body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return None
