"""What the three table formats have in common: rows, spans of rows, and columns that must be there.

A span says where its rows begin (a byte for text, a row for Parquet), so that reading it never reads what lies before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from detectors.document import ReadProblem

SPAN_BYTES = 64 * 1024 * 1024
"""A span ends here even if it has few rows: memory is bounded by bytes, not by counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of rows. start, stop: byte offsets, or row numbers in Parquet. first_row: counted from 1. first_line: of the file."""

    start: int
    stop: int
    rows: int
    first_row: int
    first_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. number: from 1, header not counted. line: where a person finds it. end, next_line: where the next one begins."""

    number: int
    line: int
    end: int
    next_line: int
    values: Mapping[str, object] = field(repr=False)
    problem: ReadProblem | None = None


class Table(Protocol):
    """An open table."""

    def columns(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        ...

    def whole(self) -> Span:
        """The span of everything."""
        ...

    def spans(self, rows: int) -> Iterator[Span]:
        """Everything, in spans of at most `rows` rows and about SPAN_BYTES bytes."""
        ...

    def rows(self, span: Span, columns: tuple[str, ...]) -> Iterator[Row]:
        """The rows of a span with at least these columns, where present."""
        ...


class BrokenTableError(Exception):
    """A file that is no table of its kind; `problem` becomes the reason code of one row for the whole file."""

    def __init__(self, problem: ReadProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def cut_spans(rows: Iterator[Row], start: int, most: int, first_line: int) -> Iterator[Span]:
    """Spans over rows that are read one after another; `start` is the byte of the first one."""
    count, first_row, end = 0, 1, start
    for row in rows:
        count, end = count + 1, row.end
        if count >= most or end - start >= SPAN_BYTES:
            yield Span(start=start, stop=end, rows=count, first_row=first_row, first_line=first_line)
            count, first_row, start, first_line = 0, row.number + 1, end, row.next_line
    if count:
        yield Span(start=start, stop=end, rows=count, first_row=first_row, first_line=first_line)


def as_text(value: object) -> str | None:
    """A cell as text; None for an absent value. Raises ValueError for structures, which no template could place."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    if isinstance(value, (dict, list, tuple, set, bytes)):
        raise ValueError("a structure")  # noqa: TRY004 - the caller treats it as a value that cannot be used
    return str(value)
