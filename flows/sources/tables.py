"""Opens the table formats, and insists on the columns that the job names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO

from flows.errors import JobError
from flows.job_parts import Source
from flows.sources.columnar import ColumnarTable
from flows.sources.delimited import DelimitedTable
from flows.sources.jsonl import JsonLinesTable
from flows.sources.opening import open_file
from flows.sources.table import Table
from flows.sources.walk import shown

TABLE_SUFFIXES = frozenset({".csv", ".jsonl", ".parquet"})


def is_table(path: str) -> bool:
    """Whether a file of this name is read row by row."""
    return PurePosixPath(path).suffix.lower() in TABLE_SUFFIXES


@contextmanager
def open_table(source: Source, path: str, *, meant: int = 0) -> Iterator[Table]:
    """The table; of an object in a bucket the version that is meant.

    Raises CannotReadError or BrokenTableError with a reason code, and JobError when a named column is missing.
    """
    with open_file(source, path, meant=meant, keep=True) as stream:
        table = _open(stream, source, path)
        _require_columns(table, source, path)
        yield table


def _open(stream: BinaryIO, source: Source, path: str) -> Table:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".parquet":
        return ColumnarTable(stream, partial(open_file, source, path, keep=True))
    size = os.fstat(stream.fileno()).st_size
    return JsonLinesTable(stream, size, source) if suffix == ".jsonl" else DelimitedTable(stream, size, source)


def _require_columns(table: Table, source: Source, path: str) -> None:
    # A JSON object may leave out what is null, so metadata that no early row has is not yet a mistake.
    needed = (source.id, source.text) if isinstance(table, JsonLinesTable) else (source.id, source.text, *source.metadata)
    missing = [name for name in needed if name not in table.columns()]
    twice = [name for name in needed if table.columns().count(name) > 1]
    if twice:
        raise JobError(f"{source.place_of(shown(path))}: expected one column {twice[0]!r}, found several of that name; rename the others")
    if missing:
        raise JobError(
            f"{source.place_of(shown(path))}: expected a column {missing[0]!r}, found {_found(table.columns(), needed)}; "
            "name the right one in source.id, source.text or source.metadata, or leave the file out with source.exclude"
        )


def _found(columns: tuple[str, ...], needed: tuple[str, ...]) -> str:
    """The columns for a message. Where none of them is expected there may be no header, and they are a record (invariant 5)."""
    if set(columns).isdisjoint(needed):
        return f"none of {', '.join(needed)} among its {len(columns)}, which is how a table without a header looks"
    return ", ".join(columns)
