r"""What programs leave in a text and a reader does not see: control characters, terminal colours, double-encoded characters.

It splits a number as well as a zero-width space does, so it is taken out before anything is looked for; what a terminal sequence has for
parameters, and digits that come together that way, are read a second time as they stood. What an invisible character
can *say* (Unicode tags, long rows of zero-width characters or of variation selectors) is judged here too: `hidden_writing`.
"""

from __future__ import annotations

import re

from detectors.offsets import Rewrite
from detectors.respelling import stretches

PARAMETERS = re.compile(r"\d[0-9;?]*")
BESIDE_DIGIT = re.compile(r"\d|(?<=\d[\s\S])")
CONTROL = re.compile("\x1b\\[[0-9;?]{0,20}[ -/]?[@-~]|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
# UTF-8 that was read as Windows-1252 and written again: "â€“" for a dash, "Ã©" for é. The second half is never a word's beginning.
MOJIBAKE = re.compile(
    "[\u00c2-\u00c5\u00ce\u00cf\u00d0\u00d1\u00e2\u00ef][\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039"
    "\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]{1,2}"
)
TAGS = re.compile("[\U000e0020-\U000e007e]{2,}")
TAG_BASE = 0xE0000
# Rows that no script and no emoji needs; sixteen bits or bytes are two letters or more.
SILENT_ROW = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u180e]{16,}|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{8,}")
# Letters of a font of somebody's own, or Braille: there is writing, and nobody here can read it.
UNREADABLE_ROW = re.compile("(?:[\u2801-\u28ff\ue000-\uf8ff\U000f0000-\U0010fffd][ \t\u2800]?){12,}")


def without_controls(text: str) -> Rewrite | None:
    """The text without control characters and terminal sequences, which are no place to hide a number in or to glue one to another."""
    found = list(CONTROL.finditer(text))
    if not found:
        return None
    rewrite = Rewrite(text)
    for match in found:
        rewrite.replace(match.start(), match.end(), "")
    edits = [(*match.span(), _kept(match)) for match in found]
    for pieces in stretches(text, edits) if any(kept for _, _, kept in edits) else ():
        rewrite.append("\n\n", (len(text), len(text)))
        for start, end, said in pieces:
            rewrite.append(said, (start, end))
    return rewrite


def _kept(control: re.Match[str]) -> str:
    """What a second reading has in its place: a sequence's parameters, a blank beside a digit."""
    parameters = PARAMETERS.search(control.group())
    if parameters is not None:
        return f" {parameters.group()} "
    return " " if BESIDE_DIGIT.match(control.string, control.end()) else ""


def decoded_twice(text: str) -> Rewrite | None:
    """The text with double-encoded characters put right."""
    if text.isascii():
        return None
    rewrite = Rewrite(text)
    for match in MOJIBAKE.finditer(text):
        meant = _meant(match.group())
        if meant is not None:
            rewrite.replace(match.start(), match.start() + len(meant[0]), meant[1])
    return rewrite


def _meant(piece: str) -> tuple[str, str] | None:
    """As much of the piece as is one character written twice over, and that character."""
    for length in (3, 2):
        try:
            meant = b"".join(_byte(letter) for letter in piece[:length]).decode()
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
        if len(meant) == 1 and len(piece) >= length:
            return piece[:length], meant
    return None


def _byte(letter: str) -> bytes:
    return letter.encode("latin-1") if letter <= "\u00ff" else letter.encode("cp1252")


def tag_writing(text: str) -> list[tuple[int, int, str]]:
    """Text written in Unicode tag characters, which are copied along and not shown: start, end, what it says."""
    if text.isascii():
        return []
    return [(*match.span(), "".join(chr(ord(tag) - TAG_BASE) for tag in match.group())) for match in TAGS.finditer(text)]


def hidden_writing(text: str) -> bool:
    """Whether something is written here that cannot be read: rows of silent characters, or of an unknown font."""
    return not text.isascii() and (SILENT_ROW.search(text) is not None or UNREADABLE_ROW.search(text) is not None)
