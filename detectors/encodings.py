r"""Runs of encoded text inside a document, decoded so that they can be scanned.

Percent, entities, quoted-printable, escapes, hex, base64.

What decodes to text is handed back to be scanned (three layers deep). What looks encoded, is long, and does not decode is
an `undecodable_run`: nobody can say what is in it, so the document is not judged clean. The line is drawn where ordinary
documents do not cross it:

- `OPAQUE_BASE64`: 512 characters. Signatures, hashes, tokens, ids and tracking links are shorter (an RS256 signature has
  342, SHA-512 has 88); 512 base64 characters hold 384 bytes, the first size at which a letter could hide.
- `OPAQUE_HEX`: 1,024 digits. Digests have at most 128, RSA-2048 moduli 512.
- Certificates, public keys and signatures in their armour (`-----BEGIN CERTIFICATE-----`) are passed: they carry no text.
- Pictures up to `SMALL_PICTURE` bytes (an icon or a bullet) are passed; larger ones can show a page and are not.
- Letters of one case only are words, sequences or padding, not base64.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from bisect import bisect_right
from urllib.parse import unquote

OPAQUE_BASE64 = 512
OPAQUE_HEX = 1024
SMALL_PICTURE = 4096
DEEPEST = 3
UNDECODABLE_RUN = "undecodable_run"

BASE64 = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{14,}(?:={1,2}(?![\w=]))?")
PERCENT = re.compile(r"[^\s<>\"']{0,200}%[0-9A-Fa-f]{2}[^\s<>\"']{0,4000}")
# With what stands before it: half of a number may be plain. One entity is enough to split one.
ENTITIES = re.compile(r"[^&\n]{0,80}(?:&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});?[^&\n]{0,80}){1,50}")
QUOTED = re.compile(r"[^=\n]{0,80}(?:=(?:[2-7][0-9A-F]|\r?\n)[^=\n]{0,80}){1,50}")
QUOTED_CHARACTER = re.compile(r"=(?:([2-7][0-9A-F])|\r?\n)")
ESCAPES = re.compile(r"(?:\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})[^\\\n]{0,80}){2,}")
ONE_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))")
HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ :]?){10,}(?![0-9A-Za-z])")
HARMLESS_ARMOUR = re.compile(
    r"-----BEGIN (?:CERTIFICATE|PUBLIC KEY|RSA PUBLIC KEY|PGP SIGNATURE|PGP PUBLIC KEY BLOCK|SSH SIGNATURE|X509 CRL)-----"
)
LONGEST_ARMOUR = 16_000
PUBLIC_KEY_LINE = re.compile(r"\b(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S{1,30}) $")
PICTURE = (b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"RIFF", b"BM")
JOINED_LINE = 56  # a wrapped base64 body has lines of 60, 64 or 76; a run this long goes on in the next line
LONGEST_BREAK = 4  # a line end and a quote mark
PRINTABLE_SHARE = 0.95

Run = tuple[int, int, str]


def decoded_runs(text: str) -> tuple[list[Run], frozenset[str]]:
    """Every encoded run with what it says (source start, end, decoded text), and the failure codes of those that do not decode."""
    runs: list[Run] = []
    opaque = _layer(text, (0, len(text)), runs, depth=0, whole=False)
    return runs, frozenset({UNDECODABLE_RUN}) if opaque else frozenset()


def _layer(text: str, span: tuple[int, int], runs: list[Run], *, depth: int, whole: bool) -> bool:
    """Decode one layer of `text`; `whole` says that all of it stands for `span`. Returns whether something stayed opaque."""
    opaque = False
    found = [*_plain_runs(text)]
    for start, end, decoded in [*found, *_packed_runs(text)]:
        place = span if whole else (start, end)
        if decoded is None:
            opaque = True
        else:
            runs.append((*place, decoded))
            if depth + 1 < DEEPEST:
                opaque |= _layer(decoded, place, runs, depth=depth + 1, whole=True)
    return opaque


def _plain_runs(text: str) -> list[Run]:
    runs: list[Run] = []
    if "%" in text:
        runs += [(*match.span(), decoded) for match in PERCENT.finditer(text) if (decoded := unquote(match.group())) != match.group()]
    if "&" in text:
        runs += [(*match.span(), plain) for match in ENTITIES.finditer(text) if (plain := html.unescape(match.group())) != match.group()]
    if "=" in text and QUOTED_CHARACTER.search(text):
        runs += [(*match.span(), QUOTED_CHARACTER.sub(_quoted_character, match.group())) for match in QUOTED.finditer(text)]
    if "\\x" in text or "\\u" in text:
        runs += [(*match.span(), ONE_ESCAPE.sub(_character, match.group())) for match in ESCAPES.finditer(text)]
    return runs


def _quoted_character(escape: re.Match[str]) -> str:
    """Quoted-printable (RFC 2045, section 6.7): a character by its code, or nothing for a soft line break."""
    return chr(int(escape.group(1), 16)) if escape.group(1) else ""


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape.group(1) or escape.group(2), 16))


def _packed_runs(text: str) -> list[tuple[int, int, str | None]]:
    """Hex and base64 runs: decoded, or None where a long run does not decode."""
    runs: list[tuple[int, int, str | None]] = []
    for match in HEX.finditer(text):
        digits = re.sub(r"[^0-9A-Fa-f]", "", match.group())
        decoded = _readable(bytes.fromhex(digits))
        # A run of decimal digits only is a number in plain sight, however long.
        if decoded is not None or (len(digits) >= OPAQUE_HEX and not digits.isdigit()):
            runs.append((*match.span(), decoded))
    armour = _armour(text)
    for start, end in _base64_spans(text):
        place = bisect_right(armour, (start, len(text))) - 1
        if place >= 0 and start < armour[place][1]:
            continue
        runs += _unpacked(text, start, end)
    return runs


def _armour(text: str) -> list[tuple[int, int]]:
    """Blocks of certificates, public keys and signatures, each with its end."""
    if "-----BEGIN " not in text:
        return []
    ends = [(match.start(), text.find("-----END ", match.end(), match.end() + LONGEST_ARMOUR)) for match in HARMLESS_ARMOUR.finditer(text)]
    return [(start, end) for start, end in ends if end > 0]


def _base64_spans(text: str) -> list[tuple[int, int]]:
    """Base64-looking runs, wrapped lines joined."""
    spans: list[tuple[int, int]] = []
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


def _unpacked(text: str, start: int, end: int) -> list[tuple[int, int, str | None]]:
    run = re.sub(r"[\s>]", "", text[start:end])
    body = run.rstrip("=")
    if not _mixed(body):
        return []
    packed = _bytes(body)
    decoded = None if packed is None else _readable(packed)
    if decoded is not None:
        return [(start, end, decoded)]
    if len(body) < OPAQUE_BASE64 or "/" in body[:1] or PUBLIC_KEY_LINE.search(text[max(0, start - 60) : start]):
        return []
    if packed is not None and packed.startswith(PICTURE) and len(packed) <= SMALL_PICTURE:
        return []
    return [(start, end, None)]


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


def _readable(packed: bytes) -> str | None:
    """The text in these bytes, or None: UTF-8 or UTF-16, almost all of it printable."""
    for encoding in ("utf-8", "utf-16-le") if b"\x00" in packed else ("utf-8",):
        try:
            text = packed.decode(encoding)
        except UnicodeDecodeError:
            continue
        printable = sum(character.isprintable() or character in "\r\n\t" for character in text)
        if text and printable >= PRINTABLE_SHARE * len(text):
            return text
    return None
