"""The canonical bytes of an entry, and its leaf hash. `docs/ledger-format.md` says the same in words.

Of each row, for every column that is not null, in ascending order of the column's name: `name:length:value` and a newline. Lengths are in
front, so that no value can pass for another column, and nulls are absent, so that a column added later changes no older leaf.
Whole columns are written at a time: one row after the other in Python would be ten times slower.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sinks.ledger.tree import LEAF_PREFIX

CHUNK_ROWS = 16_384  # bounds memory, and keeps a column's bytes far below Arrow's 2 GiB
_BINARY = pa.binary()
_DECIMAL = pa.decimal128(18, 9)


class CanonicalError(ValueError):
    """A column has no canonical form: a type that is not the ledger's, or a null inside a list. Names the column, never a value."""


def leaf_hashes(table: pa.Table) -> list[bytes]:
    """The leaf hash of every row, in order. Raises CanonicalError."""
    chunks = _chunks(table)
    if len(chunks) == 1:
        return _digests(_canonical(chunks[0], LEAF_PREFIX))
    hashes: list[bytes] = []
    # Arrow works without the interpreter's lock, hashing short rows holds it: the next chunk is written while this one is hashed.
    with ThreadPoolExecutor(1) as writer:
        following = [writer.submit(_canonical, chunk, LEAF_PREFIX) for chunk in chunks[:1]]
        for chunk in [*chunks[1:], None]:
            rows = following.pop().result()
            if chunk is not None:
                following.append(writer.submit(_canonical, chunk, LEAF_PREFIX))
            hashes += _digests(rows)
    return hashes


def canonical_rows(table: pa.Table) -> list[bytes]:
    """The canonical bytes of every row, in order. Raises CanonicalError."""
    return [row for chunk in _chunks(table) for row in _canonical(chunk, b"").to_pylist()]


def _chunks(table: pa.Table) -> list[pa.Table]:
    return [table.slice(start, CHUNK_ROWS) for start in range(0, max(1, table.num_rows), CHUNK_ROWS)]


def _canonical(chunk: pa.Table, prefix: bytes) -> pa.BinaryArray:
    lines = [line for name in sorted(chunk.column_names) if (line := _lines(name, _one_array(chunk.column(name)))) is not None]
    first = pa.repeat(pa.scalar(prefix, _BINARY), chunk.num_rows)
    return pc.binary_join_element_wise(first, *lines, b"", null_handling="skip")


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _lines(name: str, column: pa.Array) -> pa.Array | None:
    """What a column adds to each row: bytes, or null where the value is null. None when all of them are."""
    if column.null_count == len(column):
        return None
    if pa.types.is_string(column.type):
        # A value that is repeated is written once.
        codes = column.dictionary_encode()
        if len(codes.dictionary) * 4 < len(column):
            return _line(name, codes.dictionary.cast(_BINARY)).take(codes.indices)
    return _line(name, _values(name, column))


def _line(name: str, values: pa.Array) -> pa.Array:
    return _joined(f"{name}:".encode(), _decimal(pc.binary_length(values)), b":", values, b"\n")


def _values(name: str, column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string()).cast(_BINARY)
    if kind in {pa.int32(), pa.int64()}:
        return _decimal(column)
    if kind == pa.float64() or (pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz == "UTC"):
        return _decimal(column.view(pa.int64()))
    if kind == _DECIMAL:
        unscaled = pa.Array.from_buffers(pa.decimal128(18, 0), len(column), column.buffers(), column.null_count, column.offset)
        return _decimal(unscaled.cast(pa.int64()))
    if pa.types.is_list(kind):
        return _list(name, column)
    raise CanonicalError(f"column {name}: type {kind} has no canonical form")


def _list(name: str, column: pa.ListArray) -> pa.Array:
    elements = column.flatten()
    if elements.null_count:
        raise CanonicalError(f"column {name}: a null inside a list")
    if pa.types.is_struct(elements.type):
        parts = elements.flatten()
        if any(part.null_count for part in parts):
            raise CanonicalError(f"column {name}: a null inside a list")
        content = _joined(*(_netstring(_values(name, part)) for part in parts))
    else:
        content = _values(name, elements)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    nulls = column.is_null() if column.null_count else None
    return pc.binary_join(pa.ListArray.from_arrays(offsets, _netstring(content), mask=nulls), b"")


def _netstring(values: pa.Array) -> pa.Array:
    return _joined(_decimal(pc.binary_length(values)), b":", values, b",")


def _decimal(numbers: pa.Array) -> pa.Array:
    return numbers.cast(pa.string()).cast(_BINARY)


def _joined(*parts: pa.Array | bytes) -> pa.Array:
    return pc.binary_join_element_wise(*(pa.scalar(part, _BINARY) if isinstance(part, bytes) else part for part in parts), b"")


def _digests(rows: pa.BinaryArray) -> list[bytes]:
    sha256 = hashlib.sha256
    ends = np.frombuffer(rows.buffers()[1], dtype=np.int32)[rows.offset : rows.offset + len(rows) + 1].tolist()
    data = memoryview(rows.buffers()[2])
    return [sha256(data[start:end]).digest() for start, end in pairwise(ends)]
