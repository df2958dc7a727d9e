"""Parquet: rows by number. Only the row groups of a span are opened, and only the columns that the job names.

Within one row group Parquet cannot be entered in the middle. A cursor is therefore kept where the last span ended: spans read
one after another, which is how a night reads them, cost one pass; a span read by itself decodes its row group up to its rows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from detectors.document import ReadProblem
from flows.sources.table import SPAN_BYTES, BrokenTableError, Row, Span

ROWS_AT_ONCE = 256
READ_BUFFER_BYTES = 1024 * 1024
BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError)
"""ArrowException is documented; pyarrow passes on the others from damaged pages and footers."""


@dataclass(slots=True)
class _Cursor:
    """Rows of one file from `row` on, counted from 0. It owns its file."""

    key: tuple[int, ...]
    columns: tuple[str, ...]
    row: int
    rows: Iterator[dict[str, object]]
    stream: BinaryIO


_kept: list[_Cursor] = []
_kept_lock = threading.Lock()


class ColumnarTable:
    """A Parquet file. `open_again` gives a cursor a stream of its own, which outlives the table."""

    def __init__(self, stream: BinaryIO, open_again: Callable[[], BinaryIO]) -> None:
        self._key = _key(stream)
        self._open_again = open_again
        try:
            file = _open(stream)
            self._columns: tuple[str, ...] = tuple(file.schema_arrow.names)
            self._metadata = file.metadata
            self._count: int = self._metadata.num_rows
        except BROKEN:
            raise BrokenTableError(ReadProblem.CORRUPT) from None

    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return self._columns

    def whole(self) -> Span:
        """Everything after the header."""
        return Span(start=0, stop=self._count, rows=self._count, first_row=1, first_line=1)

    def spans(self, rows: int) -> Iterator[Span]:
        """Everything, cut; see Table."""
        size = sum(self._metadata.row_group(group).total_byte_size for group in range(self._metadata.num_row_groups))
        rows = max(1, min(rows, SPAN_BYTES * self._count // max(size, 1)))
        for start in range(0, self._count, rows):
            stop = min(start + rows, self._count)
            yield Span(start=start, stop=stop, rows=stop - start, first_row=start + 1, first_line=start + 1)

    def rows(self, span: Span, columns: tuple[str, ...]) -> Iterator[Row]:
        """The rows of a span; see Table."""
        wanted = tuple(name for name in dict.fromkeys(columns) if name in self._columns)
        cursor = self._cursor(span.start, wanted)
        try:
            for row in range(span.start, span.stop):
                try:
                    values, problem = next(cursor.rows), None
                    cursor.row = row + 1
                except (*BROKEN, StopIteration):
                    values, problem = {}, ReadProblem.CORRUPT
                    cursor.rows = iter(())  # nothing after a damaged page can be trusted to be where it should be
                yield Row(number=row + 1, line=row + 1, end=row + 1, next_line=row + 2, values=values, problem=problem)
        finally:
            self._keep_or_close(cursor, span)

    def _cursor(self, start: int, columns: tuple[str, ...]) -> _Cursor:
        with _kept_lock:
            kept = _kept.pop() if _kept else None
        if kept and (kept.key, kept.columns, kept.row) == (self._key, columns, start):
            return kept
        if kept:
            kept.stream.close()
        stream = self._open_again()
        if _key(stream) != self._key:
            stream.close()
            raise BrokenTableError(ReadProblem.VANISHED)
        return _Cursor(self._key, columns, start, _rows_from(_open(stream), start, columns), stream)

    def _keep_or_close(self, cursor: _Cursor, span: Span) -> None:
        with _kept_lock:
            if cursor.row == span.stop < self._count and not _kept:
                _kept.append(cursor)
                return
        cursor.stream.close()


def _key(stream: BinaryIO) -> tuple[int, ...]:
    """The very file: a cursor must never serve another one of the same name."""
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _open(stream: BinaryIO) -> pq.ParquetFile:
    return pq.ParquetFile(stream, pre_buffer=False, buffer_size=READ_BUFFER_BYTES)


def _rows_from(file: pq.ParquetFile, start: int, columns: tuple[str, ...]) -> Iterator[dict[str, object]]:
    skip = start
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if skip >= rows:
            skip -= rows
            continue
        # One group at a time: a batch over two of them would lose the sound rows before a damaged page.
        for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=list(columns), use_threads=False):
            for row in range(min(skip, batch.num_rows), batch.num_rows):
                yield {name: _value(batch.column(index)[row]) for index, name in enumerate(batch.schema.names)}
            skip = max(0, skip - batch.num_rows)


def _value(scalar: Any) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes()
