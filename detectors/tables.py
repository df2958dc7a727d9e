"""Delimited tables inside a text: a header row of names, and the rows below it with as many cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from detectors.normalized import WORD, Normalized

DELIMITERS = (",", "\t", "|", ";")
MOST_ROWS = 5_000
LONGEST_HEADER_CELL = 40
MOST_COLUMNS = 500
MOST_WORDS = 4
LONGEST_SHARED = 1_000_000
"""Characters. The tables of a longer text are not kept: looking twice is cheaper than a batch that does not fit."""
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Table:
    """header: the words of each column's name. rows: spans of the cells, by column."""

    header: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Cell, ...], ...] = field(repr=False)


def tables(text: Normalized) -> list[Table]:
    """Every table: a row of short names without digits, followed by at least one row of the same width. Looked for once per text."""
    found: list[Table] | None = text.shared.get(__name__)
    if found is None:
        found = list(_tables(text))
        if len(text.text) <= LONGEST_SHARED:
            text.shared[__name__] = found
    return found


def _tables(text: Normalized) -> Iterator[Table]:
    if not any(delimiter in text.text for delimiter in DELIMITERS):
        return
    lines = _lines(text.text)
    index = 0
    while index < len(lines) - 1:
        delimiter, header = _header(text, *lines[index], lines[index + 1])
        index += 1
        if not header:
            continue
        rows: list[tuple[Cell, ...]] = []
        while index < len(lines) and len(cells := _cells(text.text, *lines[index], delimiter)) >= len(header):
            if len(rows) < MOST_ROWS:
                rows.append(cells)
            index += 1
        if rows:
            yield Table(header, tuple(rows))


def _lines(text: str) -> list[Cell]:
    spans, start = [], 0
    for line in text.split("\n"):
        if line.strip(" \t|+-="):
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _header(text: Normalized, start: int, end: int, following: Cell) -> tuple[str, tuple[tuple[str, ...], ...]]:
    line = text.lowered[start:end]
    if end - start > LONGEST_HEADER_CELL * MOST_COLUMNS:
        return "", ()
    counts = [line.count(delimiter) for delimiter in DELIMITERS]
    most = max(counts)
    if most < 1 or len(line) > LONGEST_HEADER_CELL * (most + 1):
        return "", ()
    delimiter = DELIMITERS[counts.index(most)]
    if text.text.count(delimiter, *following) < most - (2 if delimiter == "|" else 0):
        return "", ()  # the next line is too short for a row; a line of pipes may have one more at either end
    if len(line.split(delimiter, 1)[0].split()) > MOST_WORDS:
        return "", ()
    names = tuple(tuple(WORD.findall(line[a - start : b - start].replace("_", " "))) for a, b in _cells(text.text, start, end, delimiter))
    good = len(names) > 1 and all(name and len(name) <= MOST_WORDS and not any(word.isdigit() for word in name) for name in names)
    return (delimiter, names) if good else ("", ())


def _cells(text: str, start: int, end: int, delimiter: str) -> tuple[Cell, ...]:
    cells, place = [], start
    for piece in text[start:end].split(delimiter):
        cells.append((place, place + len(piece)))
        place += len(piece) + 1
    if delimiter == "|":
        cells = [cell for position, cell in enumerate(cells) if text[slice(*cell)].strip() or 0 < position < len(cells) - 1]
    return tuple(cells)
