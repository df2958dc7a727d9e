"""Bytes to text. A guess is taken only when it is a good one: text that may be wrong is UNDECODABLE, and stays inside (invariant 1)."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import CharsetMatch, from_bytes

from detectors.document import ReadProblem
from flows.sources.extract import Extract

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LEGACY_ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]
PREFERRED = "cp1252"
SAMPLE_BYTES = 64 * 1024
LEAST_COHERENCE = 0.2
"""Below this share of a known language's letter frequencies, charset-normalizer is guessing."""
SEVEN_BIT = frozenset({"utf-7", "iso-2022-jp", "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-kr", "hz", "hz-gb-2312"})
UTF8_SEQUENCE = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
SURROGATE = re.compile("[\ud800-\udfff]")
CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""No text has them; between two digits they hide a number from every pattern, and a model reads over them."""
TRANSFER_ENCODED = re.compile(
    r"^content-transfer-encoding:\s{0,10}(?:quoted-printable|base64|x-uuencode|uuencode)|;encoding=(?:quoted-printable|base64|b)\b"
    r"|(?-i:^begin(?:-base64)? [0-7]{3} \S+\r?\n[!-`])|^=ybegin |=\?[\w-]{2,40}\?[bq]\?",
    re.IGNORECASE | re.MULTILINE,
)
"""Raw e-mail (RFC 2045, RFC 2047), vCard 2.1, uuencode, yEnc: lines are broken and letters replaced within words."""
MARKUP = ("{\\rtf", "%PDF-", "%!PS")
"""Files whose text is spelled in codes, under the name of another format."""


def read_text(content: bytes, max_bytes: int) -> Extract:
    """A text file, whatever its name. More than `max_bytes` is cut, and says so."""
    text, sure = decode(content[:max_bytes], cut=len(content) > max_bytes)
    if len(content) > max_bytes:
        return Extract(text=text, problem=ReadProblem.TOO_LARGE)
    return Extract(text=text, problem=None if sure else ReadProblem.UNDECODABLE)


def decode(content: bytes, declared: str | None = None, *, cut: bool = False) -> tuple[str, bool]:
    """The text, and whether it can be trusted. `declared` is the encoding that the file itself names; `cut`: the end may be torn."""
    for encoding in _candidates(content, declared):
        try:
            " ".encode(encoding)  # LookupError for names that are no text encoding: rot13, hex, zip
            text = codecs.getincrementaldecoder(encoding)().decode(content[len(_mark(content)) :], final=not cut)
        except (UnicodeError, LookupError):
            continue
        if "\x00" not in text:
            return text, True
    return content.decode("utf-8", "replace").removeprefix("\ufeff"), False


def table_encoding(head: bytes) -> str:
    """The encoding of a table by its first bytes; a line that does not follow it is judged by itself."""
    for encoding in _candidates(head, None):
        try:
            codecs.getincrementaldecoder(encoding)().decode(head, final=False)
        except UnicodeError:
            continue
        return encoding
    return "utf-8"


def looks_binary(head: bytes) -> bool:
    """Whether the first bytes of a file of unknown kind are no text in any encoding that is read here."""
    if any(head.startswith(mark) for mark, _ in BYTE_ORDER_MARKS) or _wide(head):
        return False
    control = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\f\x1b")
    return b"\x00" in head or control * 33 > len(head)  # compressed data has a tenth of them, text none


def is_plain(text: str) -> bool:
    """Whether this says what it shows: no control characters, and nothing that a mail program or a printer would have to decode."""
    return not (CONTROL.search(text) or text.lstrip()[:8].startswith(MARKUP) or TRANSFER_ENCODED.search(text))


def without_surrogates(text: str) -> tuple[str, bool]:
    """Text that can be encoded, and whether it already could: lone surrogates come from JSON escapes and broken mail."""
    if text.isascii() or not SURROGATE.search(text):
        return text, True
    return SURROGATE.sub("\ufffd", text), False


def _candidates(content: bytes, declared: str | None) -> list[str]:
    marked = [encoding for mark, encoding in BYTE_ORDER_MARKS if content.startswith(mark)]
    if marked:
        return marked[:1]
    wide = _wide(content[:SAMPLE_BYTES])
    if wide:
        return [wide]
    if declared is None:
        return ["utf-8", *_guess(content)]
    declared = declared.lower().replace("_", "-")
    if declared in SEVEN_BIT:
        return [declared]  # plain ASCII bytes, which UTF-8 would take for what they are not
    return ["utf-8", PREFERRED if declared in {"iso-8859-1", "latin1", "us-ascii", "ascii"} else declared, *_guess(content)]


def _mark(content: bytes) -> bytes:
    return next((mark for mark, _ in BYTE_ORDER_MARKS if content.startswith(mark)), b"")


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: as UTF-8 it would be valid, and every digit would hide behind a NUL."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) // 4 and not even:
        return "utf-16-le"
    return "utf-16-be" if even > len(head) // 4 and not odd else None


def _guess(content: bytes) -> list[str]:
    sample = content[:SAMPLE_BYTES]
    if sample.isascii() or UTF8_SEQUENCE.search(sample):
        return []  # nothing to judge by, or broken UTF-8, which is no other encoding
    good = [match for match in from_bytes(sample, cp_isolation=LEGACY_ENCODINGS) if match.coherence >= LEAST_COHERENCE]
    return [_encoding(good)] if good else []


def _encoding(matches: list[CharsetMatch]) -> str:
    same = {encoding for match in matches for encoding in (match.encoding, *match.could_be_from_charset)}
    return PREFERRED if PREFERRED in same else matches[0].encoding
