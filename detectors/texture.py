"""How a text looks from afar: how often case and digits alternate inside its words, and whether short codes stand in rows.

Prose hardly ever changes case or turns to digits inside a word; anything packed does so all the time. Counted on translated bytes, which
costs next to nothing, so that the dear patterns are only tried where there is something to find.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from detectors.traces import ROWS_OF_BLANKS, RUNS

ASCII = bytes(range(256))
KINDS = bytes.maketrans(
    ASCII,
    bytes(
        ord("a") if chr(code) in string.ascii_lowercase
        else ord("A") if chr(code) in string.ascii_uppercase
        else ord("0") if chr(code) in string.digits
        else ord(".")
        for code in ASCII
    ),
)  # fmt: skip
CODES = bytes.maketrans(
    ASCII, bytes(ord("0") if chr(code) in string.hexdigits else ord(" ") if chr(code) in " \t\r\n,;:|/+-" else ord(".") for code in ASCII)
)
LAYOUT = bytes.maketrans(
    ASCII,
    bytes(
        ord("x") if chr(code).isalnum() and code < 128  # noqa: PLR2004 - the last of ASCII
        else ord(".") if chr(code) in "._*~|+-"
        else ord("/")
        for code in ASCII
    ),
)  # fmt: skip
KINDS_AND_LINES = KINDS[:10] + b"\n" + KINDS[11:]
TURNS = (b"aA", b"a0", b"0a", b"A0", b"0A")
# Ten codes of two or three characters in a row hold one of these at least, and so does a line of a dump, once what separates them is one
# blank.
ROWS = (b"00 00 00", b"000 000", b"000 00 ", b" 00 000")
CAPITALS = b"AAAA"
"""What turns nowhere and may still be packed: base32 that has no digit in it."""
BITS = b"0000000"
WIDE = b"x x x x x x "
MARKED = b"x.x.x.x"


@dataclass(frozen=True, slots=True)
class Texture:
    """turns: changes of case or to digits inside words. capitals: four in a row. rows: whether short codes follow each other.

    bits: a long row of digits. wide: single characters with blanks between them. marked: single letters with a mark between them.
    """

    turns: int
    capitals: bool
    rows: bool
    bits: bool
    wide: bool
    marked: bool


def turned_lines(text: str, *, gap: int = 3) -> Iterator[tuple[int, int]]:
    """Stretches of lines in which words turn or have capitals in a row, with no more than `gap` lines before and between without."""
    kinds = text.encode("ascii", "replace").translate(KINDS_AND_LINES)
    start = end = place = 0
    quiet = gap + 1
    before: deque[int] = deque(maxlen=gap + 1)
    for line in kinds.split(b"\n"):
        before.append(place)
        if CAPITALS in line or any(turn in line for turn in TURNS):
            if quiet > gap:
                if end:
                    yield start, end
                start = max(before[0], end)
            end, quiet = place + len(line), 0
        else:
            quiet += 1
        place += len(line) + 1
    if end:
        yield start, end


@lru_cache(maxsize=4)
def texture_of(text: str) -> Texture:
    """Look at the text once, for all who ask in the course of normalising it."""
    seen = text.encode("ascii", "replace")
    kinds, codes, layout = seen.translate(KINDS), seen.translate(CODES), seen.translate(LAYOUT)
    for row in ROWS_OF_BLANKS:
        codes = codes.replace(row, b" ")
    return Texture(
        turns=sum(map(kinds.count, TURNS)),
        capitals=CAPITALS in kinds,
        rows=any(row in codes for row in ROWS),
        bits=BITS in kinds,
        wide=WIDE in seen.translate(RUNS),
        marked=MARKED in layout or not text.isascii(),
    )
