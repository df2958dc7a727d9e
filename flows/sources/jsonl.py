"""JSON Lines: one object per line. A line that is no object is one CORRUPT row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

from detectors.document import ReadProblem
from flows.job_parts import Source
from flows.sources.lines import Line, LineReader
from flows.sources.table import BrokenTableError, Row, Span, cut_spans
from flows.sources.text import BYTE_ORDER_MARKS, SAMPLE_BYTES, table_encoding

HEAD_ROWS = 100
"""Rows looked at to learn the columns: a key may be left out where its value is null."""
NOTHING: Mapping[str, object] = {}


class JsonLinesTable:
    """A .jsonl file."""

    def __init__(self, stream: BinaryIO, size: int, source: Source) -> None:
        self._stream, self._size, self._max_bytes = stream, size, source.max_document_bytes
        head = stream.read(SAMPLE_BYTES)
        self._encoding = table_encoding(head)
        if self._encoding.startswith("utf-32"):
            raise BrokenTableError(ReadProblem.UNSUPPORTED_FORMAT)
        self._start = len(next((mark for mark, _ in BYTE_ORDER_MARKS if head.startswith(mark)), b""))
        first = list(islice(self.rows(self.whole(), ()), HEAD_ROWS))
        if not first:
            raise BrokenTableError(ReadProblem.EMPTY)
        if all(row.problem is ReadProblem.CORRUPT for row in first):
            raise BrokenTableError(ReadProblem.CORRUPT)
        self._columns = tuple(dict.fromkeys(name for row in first for name in row.values))

    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return self._columns

    def whole(self) -> Span:
        """Everything after the header."""
        return Span(start=self._start, stop=self._size, rows=0, first_row=1, first_line=1)

    def spans(self, rows: int) -> Iterator[Span]:
        """Everything, cut; see Table."""
        return cut_spans(self.rows(self.whole(), ()), self._start, rows, 1)

    def rows(self, span: Span, columns: tuple[str, ...]) -> Iterator[Row]:
        """The rows of a span; see Table."""
        del columns  # all values are there once a line is parsed
        reader = LineReader(
            self._stream, encoding=self._encoding, offset=span.start, line=span.first_line, stop=span.stop, max_bytes=self._max_bytes
        )
        number = span.first_row
        while True:
            at = reader.line
            line = reader.read()
            if line is None:
                return
            if not line.too_long and not line.text.strip():
                continue
            values, problem = _parse(line)
            yield Row(number=number, line=at, end=reader.offset, next_line=reader.line, values=values, problem=problem)
            number += 1


def _parse(line: Line) -> tuple[Mapping[str, object], ReadProblem | None]:
    if line.too_long:
        return NOTHING, ReadProblem.TOO_LARGE
    try:
        value: Any = json.loads(line.text)
    except (ValueError, RecursionError):
        return NOTHING, ReadProblem.CORRUPT
    if not isinstance(value, dict):
        return NOTHING, ReadProblem.CORRUPT
    return value, None if line.sure else ReadProblem.UNDECODABLE
