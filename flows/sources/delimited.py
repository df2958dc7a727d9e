"""CSV: rows with the byte offset of each, by the rules of the csv module in its strict mode.

A record that breaks the rules (a quote never closed, a cell too many) is one CORRUPT row, and reading goes on at the next line:
one bad line must not swallow the rest of a table.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from detectors.document import ReadProblem
from flows.job_parts import Source
from flows.sources.lines import LineReader
from flows.sources.table import BrokenTableError, Row, Span, cut_spans
from flows.sources.text import BYTE_ORDER_MARKS, SAMPLE_BYTES, table_encoding

DELIMITERS = ",;\t|"
LARGEST_FIELD = 2**31 - 1
"""The csv module's own limit is 128 KiB for the whole process; records are bounded by max_document_bytes here."""
NOTHING: Mapping[str, object] = {}


class _RecordTooLargeError(Exception):
    """More bytes in one record than a document may have."""


class _Lines:
    """Feeds the csv module line by line, and remembers where the current record and its first line began and ended."""

    def __init__(self, reader: LineReader, max_bytes: int) -> None:
        self.reader = reader
        self._max_bytes = max_bytes
        self.begin()

    def begin(self) -> None:
        self.start, self.line, self.sure = self.reader.offset, self.reader.line, True
        self.first_end: int | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.reader.read()
        if line is None:
            raise StopIteration
        if self.first_end is None:
            self.first_end = self.reader.offset
        if line.too_long or self.reader.offset - self.start > self._max_bytes:
            raise _RecordTooLargeError
        self.sure = self.sure and line.sure
        return line.text


class DelimitedTable:
    """A CSV file. The delimiter is the one that gives the columns the job names; the comma, if none does."""

    def __init__(self, stream: BinaryIO, size: int, source: Source) -> None:
        csv.field_size_limit(LARGEST_FIELD)
        self._stream, self._size, self._max_bytes = stream, size, source.max_document_bytes
        head = stream.read(SAMPLE_BYTES)
        self._encoding = table_encoding(head)
        if self._encoding.startswith("utf-32"):
            raise BrokenTableError(ReadProblem.UNSUPPORTED_FORMAT)
        self._mark = len(next((mark for mark, _ in BYTE_ORDER_MARKS if head.startswith(mark)), b""))
        if not head[self._mark :].strip(b"\x00\r\n\t "):
            raise BrokenTableError(ReadProblem.EMPTY)
        self._columns: tuple[str, ...] = ()
        self._read_header({source.id, source.text})

    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return self._columns

    def whole(self) -> Span:
        """Everything after the header."""
        return Span(start=self._start, stop=self._size, rows=0, first_row=1, first_line=self._line)

    def spans(self, rows: int) -> Iterator[Span]:
        """Everything, cut; see Table."""
        return cut_spans(self.rows(self.whole(), ()), self._start, rows, self._line)

    def rows(self, span: Span, columns: tuple[str, ...]) -> Iterator[Row]:
        """The rows of a span; see Table."""
        del columns  # all cells are there once a line is parsed
        lines = self._lines(span.start, span.first_line, span.stop)
        number = span.first_row
        while True:
            parser = csv.reader(lines, delimiter=self._delimiter, strict=True)
            try:
                for cells in parser:
                    if cells:
                        yield self._row(cells, number, lines)
                        number += 1
                    lines.begin()
            except csv.Error:
                yield self._broken(lines, number, ReadProblem.CORRUPT)
                number += 1
            except _RecordTooLargeError:
                yield self._broken(lines, number, ReadProblem.TOO_LARGE)
                number += 1
            else:
                return

    def _row(self, cells: list[str], number: int, lines: _Lines) -> Row:
        fits = len(cells) == len(self._columns)
        problem = None if lines.sure else ReadProblem.UNDECODABLE
        return Row(
            number=number,
            line=lines.line,
            end=lines.reader.offset,
            next_line=lines.reader.line,
            values=dict(zip(self._columns, cells, strict=True)) if fits else NOTHING,
            problem=problem if fits else ReadProblem.CORRUPT,
        )

    def _broken(self, lines: _Lines, number: int, problem: ReadProblem) -> Row:
        """Give up this record's first line, and go on with the next one."""
        end = lines.first_end if lines.first_end is not None else lines.reader.offset
        row = Row(number=number, line=lines.line, end=end, next_line=lines.line + 1, values=NOTHING, problem=problem)
        lines.reader.seek(end, lines.line + 1)
        lines.begin()
        return row

    def _lines(self, start: int, line: int, stop: int) -> _Lines:
        reader = LineReader(self._stream, encoding=self._encoding, offset=start, line=line, stop=stop, max_bytes=self._max_bytes)
        return _Lines(reader, self._max_bytes)

    def _read_header(self, needed: set[str]) -> None:
        for delimiter in (*DELIMITERS, DELIMITERS[0]):
            lines = self._lines(self._mark, 1, self._size)
            try:
                cells = next(iter(csv.reader(lines, delimiter=delimiter, strict=True)), [])
            except (csv.Error, _RecordTooLargeError):
                cells = []
            self._delimiter, self._columns = delimiter, tuple(cell.strip() for cell in cells)
            self._start, self._line = lines.reader.offset, lines.reader.line
            if needed <= set(self._columns):
                return
