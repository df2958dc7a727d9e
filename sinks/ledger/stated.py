"""What a file says of its rows besides the rows: query engines believe it, and leave rows out on the strength of it.

The root that was signed covers the rows, and nothing else. The bytes of the newest segment are vouched for by nobody yet: whoever rewrites
its footer could hide rows from every view without changing one. Checked here: one footer in the one form that the format has, no byte
between the columns, and bounds and counts that are those of the rows.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.ledger.schema import schema_of

_ARROW = b"ARROW:schema"
_OURS = b"waybill."
_MAGIC = b"PAR1"
_NO_GROUPS = b"\x16\x00\x19\x0c"  # in Thrift's compact form: no rows, an empty list of row groups


class MisleadingError(ValueError):
    """A file that says something else of its rows than what they are. Says what, never a value."""


@dataclass(slots=True)
class _Seen:
    """What was found in one stored column of a row group. In a list, null and empty count as one null slot each."""

    low: Any = None
    high: Any = None
    nulls: int = 0
    slots: int = 0

    def widen(self, values: pa.Array, empty: int) -> None:
        self.nulls += empty + values.null_count
        self.slots += empty + len(values)
        ends = pc.min_max(values)
        low, high = ends["min"].as_py(), ends["max"].as_py()
        if low is not None and low == low:  # noqa: PLR0124 - no bound can be stated of what is not a number
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)


class Bounds:
    """The least and greatest value and the number of nulls in each column of a row group, to be compared with what its metadata says."""

    def __init__(self) -> None:
        self._columns: list[_Seen] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Widen them by these rows."""
        stored = [part for column in batch.columns for part in _stored(column, 0)]
        if not self._columns:
            self._columns = [_Seen() for _ in stored]
        for seen, (values, empty) in zip(self._columns, stored, strict=True):
            seen.widen(values, empty)

    def compare(self, group: pq.RowGroupMetaData, schema: pq.ParquetSchema) -> None:
        """Raises MisleadingError. Only after the rows were read: metadata that reading would refuse ends the process here.

        So does a type that is not the schema's, of a column without pages that reading would look at.
        """
        for index, seen in enumerate(self._columns):
            column = group.column(index)
            if column.physical_type != schema.column(index).physical_type:
                raise MisleadingError("states a column of another type than its schema")
            stated = column.statistics if column.is_stats_set else None
            if column.num_values != seen.slots:
                raise MisleadingError("states a number of values that is not that of its rows")
            if stated is not None and stated.has_null_count and stated.null_count != seen.nulls:
                raise MisleadingError("states a number of nulls that is not that of its rows")
            if stated is not None and stated.has_distinct_count:
                raise MisleadingError("states how many values are distinct, which the format does not have")
            if stated is not None and stated.has_min_max and (seen.low is None or not stated.min <= seen.low <= seen.high <= stated.max):
                raise MisleadingError("states bounds that are not those of its rows: queries would miss some")


def check_form(path: Path, metadata: pq.FileMetaData, version: int) -> None:
    """One footer, said once and in the one way of this version of the format. Raises MisleadingError."""
    raw = _raw_footer(path)
    keys = metadata.metadata or {}
    if any(raw.count(b"\x18" + bytes([len(key)]) + key) != 1 for key in keys if key.startswith(_OURS) or key == _ARROW):
        raise MisleadingError("says a thing twice in its footer: readers differ in which they believe")
    if any(not key.startswith(_OURS) and key != _ARROW for key in keys) or _schema_said(keys.get(_ARROW, b"")) != schema_of(version):
        raise MisleadingError("says more in its footer than the format has")
    begin, end = _frame(version)
    if not raw.startswith(begin) or not raw.endswith(end) or raw != _said_again(metadata):
        raise MisleadingError("says more of its columns than the format has: readers may differ in what they see")


def check_columns(path: Path, metadata: pq.FileMetaData) -> None:
    """Columns that lie side by side, and nothing else in the file. Only after the rows were read, as in `Bounds.compare`."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    if any(one.has_column_index or one.has_offset_index or one.bloom_filter_offset is not None for one in columns):
        raise MisleadingError("carries an index or a filter, which the format does not have: queries may miss rows")
    if any(one.file_path or one.file_offset or one.metadata for one in columns) or any(group.sorting_columns for group in groups):
        raise MisleadingError("says of its columns what the format does not have")
    with path.open("rb") as file:
        begun = file.read(len(_MAGIC)) == _MAGIC
    if not begun or _end_of(columns) != path.stat().st_size - 8 - metadata.serialized_size or not all(one.num_rows for one in groups):
        raise MisleadingError("has something between its columns, or lacks something there")


def _end_of(columns: Sequence[pq.ColumnChunkMetaData]) -> int:
    """Where the last of them ends; -1 when they do not lie side by side."""
    spans = [(one.dictionary_page_offset or one.data_page_offset, one.total_compressed_size) for one in columns]
    end = len(_MAGIC)
    for start, length in sorted(spans):
        if start != end or length <= 0:
            return -1
        end += length
    return end


def _raw_footer(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-8, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, io.SEEK_END)
        return file.read(length)


def _said_again(metadata: pq.FileMetaData) -> bytes:
    written = io.BytesIO()
    metadata.write_metadata_file(written)
    return written.getvalue()[len(_MAGIC) : -8]


@cache
def _frame(version: int) -> tuple[bytes, bytes]:
    """How every footer of this version begins, with its columns, and how it ends, with the order in which bounds are meant."""
    empty = io.BytesIO()
    pq.ParquetWriter(empty, schema_of(version)).close()
    metadata = pq.read_metadata(empty)
    raw = _said_again(metadata)
    return raw.partition(_NO_GROUPS)[0], raw.rpartition(metadata.created_by.encode())[2]


def _schema_said(text: bytes) -> pa.Schema | None:
    """The schema that Arrow keeps beside Parquet's; None where it is in no form, or says more than columns."""
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
    except (binascii.Error, pa.ArrowException, OSError):
        return None
    return None if schema.metadata else schema


def _stored(column: pa.Array, empty: int) -> Iterator[tuple[pa.Array, int]]:
    """The columns that Parquet stores for this one, each with the number of slots that empty lists and nulls take."""
    if pa.types.is_list(column.type):
        filled = pc.sum(pc.greater(pc.list_value_length(column), 0)).as_py() or 0
        yield from _stored(column.flatten(), empty + len(column) - filled)
    elif pa.types.is_struct(column.type):
        for values in column.flatten():
            yield from _stored(values, empty)
    else:
        yield column, empty
