"""Bytes that came out of an encoded run: what text is in them, and whether something in them stayed hidden.

Whole texts are taken in UTF-8, UTF-16 or UTF-32; compressed ones (gzip, zlib, bzip2, xz, zip) are unpacked within a limit; from anything
else, the stretches of plain characters are taken, as `strings(1)` does, so that text inside a binary file is still looked at.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

MOST_UNPACKED = 1 << 20
"""Bytes that one compressed run may grow to. What is larger is reported, not read."""
MOST_MEMBERS = 100
PRINTABLE_SHARE = 0.95
MOST_UNPACKED_SHARE = 4
"""Bytes that all compressed runs of one part, in all layers, may grow to: this many times its length, or `MOST_UNPACKED`."""
PIECE = 1 << 16
LONGEST_REST = 16
"""Bytes behind the last stream that may be a word caught with the run. More of them, and something is kept there."""
ZIP_SLACK, ZIP_MEMBER_SLACK = 64, 48
LOCAL_HEADER, DIRECTORY_ENTRY = 30, 46
MOSTLY_PRINTABLE = 0.7
SILENT = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]")
"""Format characters: not printable, and no sign that these bytes are no text. One behind every letter is a disguise."""
SHORT_STRETCH = re.compile(rb"[\t\n\r\x20-\x7e]{6,}")
"""Taken where most bytes are printable: fields with lengths or zeros between them."""
NOT_PRINTABLE = re.compile(rb"[^\t\n\r\x20-\x7e]")
PLAIN_STRETCH = re.compile(rb"[\t\n\r\x20-\x7e]{16,}")
"""Sixteen printable bytes in a row: among random bytes once in four million."""
ZLIB_HEADER = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
SEALED = (b"Salted__", b"age-encryption.org/")
"""What encrypting programs write first (openssl enc, age)."""
DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What the unpackers of the standard library raise for broken, truncated or encrypted input."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """text: all that is readable, None if nothing is. hidden: these bytes are a container whose content could not be read."""

    text: str | None = field(repr=False)
    hidden: bool = False
    whole: bool = True


class _Allowance:
    """How many bytes may still be unpacked."""

    def __init__(self, left: int) -> None:
        self.left = left


_ALLOWANCE: ContextVar[_Allowance] = ContextVar("_ALLOWANCE")


@contextmanager
def allowance(length: int) -> Iterator[None]:
    """One limit for all that is unpacked in a part of this length. Past it, compressed runs are reported, not read."""
    token = _ALLOWANCE.set(_Allowance(max(MOST_UNPACKED, MOST_UNPACKED_SHARE * length)))
    try:
        yield
    finally:
        _ALLOWANCE.reset(token)


NOTHING_READABLE = Unpacked(None, whole=False)


def unpack(packed: bytes) -> Unpacked:
    """What these bytes say."""
    text = readable(packed)
    if text is not None:
        return Unpacked(text)
    if packed.startswith(SEALED):
        return Unpacked(None, hidden=True)
    inner, hidden = _decompressed(packed)
    if inner is not None or hidden:
        text = readable(inner) if inner is not None else None
        stretches = _stretches(inner or b"") if text is None else text
        return Unpacked(stretches, hidden=hidden or text is None)
    stretches = _stretches(packed)
    return Unpacked(stretches, whole=False) if stretches else NOTHING_READABLE


def readable(packed: bytes) -> str | None:
    """The text in these bytes, or None: almost all of it printable, whatever silent characters stand between."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le") if b"\x00" in packed else ("utf-8",):
        try:
            text = packed.decode(encoding)
        except UnicodeDecodeError:
            continue
        shown = text if text.isascii() else SILENT.sub("", text)
        printable = sum(character.isprintable() or character in "\r\n\t" for character in shown)
        if shown and printable >= PRINTABLE_SHARE * len(shown) and _one_script(shown, encoding):
            return text
    return None


def _one_script(text: str, encoding: str) -> bool:
    """Two random bytes are nearly always some Chinese character: as UTF-16, only what is mostly ASCII is believed."""
    return encoding == "utf-8" or 2 * sum(character.isascii() for character in text) > len(text)


def _stretches(packed: bytes) -> str | None:
    mostly = len(packed) - len(NOT_PRINTABLE.findall(packed)) >= MOSTLY_PRINTABLE * len(packed)
    found = (SHORT_STRETCH if mostly else PLAIN_STRETCH).findall(packed)
    return b"\n".join(found).decode("ascii") if found else None


def _decompressed(packed: bytes) -> tuple[bytes | None, bool]:
    """The bytes inside, and whether there is something inside that could not be taken out."""
    for header, unpacker in UNPACKERS.items():
        if packed.startswith(header):
            try:
                return unpacker(packed)
            except DAMAGED:
                # Two bytes are no proof of zlib: what does not unpack is not called compressed.
                return None, header not in ZLIB_HEADER
    return None, False


def _streams(packed: bytes) -> tuple[bytes, bool]:
    """Stream after stream, as `cat a.gz b.gz` writes them."""
    allowed = _ALLOWANCE.get(None) or _Allowance(MOST_UNPACKED)
    pieces: list[bytes] = []
    most = left = min(MOST_UNPACKED, allowed.left)
    rest = packed
    for _ in range(MOST_MEMBERS):
        make = next((make for header, make in STREAMS.items() if rest.startswith(header)), None)
        if make is None:
            break
        unpacker, given = make(), rest
        while not unpacker.eof:
            if left <= 0:
                return b"".join(pieces), True
            piece = unpacker.decompress(given, min(PIECE, left))
            given = unpacker.unconsumed_tail if isinstance(unpacker, ZLIB) else b""
            pieces.append(piece)
            left -= len(piece)
            allowed.left -= len(piece)
            if not piece and not given and not unpacker.eof:
                if rest is packed and packed.startswith(ZLIB_HEADER) and not readable(b"".join(pieces)):
                    raise EOFError  # a digest that begins like zlib
                return b"".join(pieces), True
        rest = unpacker.unused_data.lstrip(b"\x00")
    said = _stretches(rest)
    return b"".join([*pieces, *([b"\n\n", said.encode()] if said else [])]), len(rest) >= LONGEST_REST or most <= 0


def _members(packed: bytes) -> tuple[bytes, bool]:
    allowed = _ALLOWANCE.get(None) or _Allowance(MOST_UNPACKED)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        members = archive.infolist()
        pieces, left = [archive.comment], min(MOST_UNPACKED, allowed.left)
        slack = len(packed) - ZIP_SLACK
        for member in members[:MOST_MEMBERS]:
            if left <= 0:
                break
            with archive.open(member) as stream:
                content = stream.read(left)
            pieces += [member.filename.encode(), member.comment, content]
            left -= len(content)
            allowed.left -= len(content)
            names = 2 * (len(member.filename.encode()) + len(member.extra))
            slack -= member.compress_size + LOCAL_HEADER + DIRECTORY_ENTRY + names + ZIP_MEMBER_SLACK
    return b"\n\n".join(piece for piece in pieces if piece), left <= 0 or len(members) > MOST_MEMBERS or slack > 0


ZLIB = type(zlib.decompressobj())
STREAMS: Mapping[bytes, Callable[[], zlib._Decompress | bz2.BZ2Decompressor | lzma.LZMADecompressor]] = {
    b"\x1f\x8b\x08": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(memlimit=64 * MOST_UNPACKED),
    **dict.fromkeys(ZLIB_HEADER, zlib.decompressobj),
}
"""By the first bytes of what they pack."""
UNPACKERS: Mapping[bytes, Callable[[bytes], tuple[bytes, bool]]] = {b"PK\x03\x04": _members, **dict.fromkeys(STREAMS, _streams)}
