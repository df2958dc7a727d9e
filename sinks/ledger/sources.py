"""The erasable map from record ids to source names: the one place of the ledger folder that knows what a record is called.

Entries never hold a source name, so that a name can be forgotten without touching the sealed log (invariants 5 and 10). Files are
numbered like segments; of several rows for a record the last one counts. Folder 0700, files 0600.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks import durable
from sinks.errors import LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.index import hashes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceName:
    """What a record is called outside: its source (path or table), its own id there, its family, a title to show."""

    record_id: str
    source: str = field(repr=False)
    source_id: str | None = field(default=None, repr=False)
    family: str | None = None
    title: str | None = field(default=None, repr=False)


FORGOTTEN = "(forgotten)"
"""What a record is called once its name was erased; it is never named again."""

MOST_FILES = 32
"""More files than this are merged when the ledger is opened."""

_NAMES = tuple(one.name for one in fields(SourceName))
SOURCES_SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=name not in {"record_id", "source"}) for name in _NAMES])


def prepare_sources(ledger: Path) -> None:
    """Create the map of a new ledger with one empty file, so that the view over it has something to stand on."""
    folder = ledger / files.SOURCES
    folder.mkdir(mode=durable.PRIVATE_FOLDER, exist_ok=True)
    files.set_orphans_aside(ledger, folder)
    if not files.numbered(folder):
        append(folder, SOURCES_SCHEMA.empty_table())
    merge_files(ledger)


def remember(ledger: Path, names: Sequence[SourceName]) -> int:
    """Append the names that are new or changed; returns how many. A forgotten record stays forgotten.

    Raises LedgerUnavailableError when they cannot be written.
    """
    storable = [_storable_name(name) for name in names]
    try:
        with _locked(ledger, fcntl.LOCK_SH):
            known = lookup(ledger, [name.record_id for name in storable])
            fresh = [name for name in storable if known.get(name.record_id) != name and not _is_forgotten(known.get(name.record_id))]
            if fresh:
                columns = [pa.array([getattr(name, column) for name in fresh], pa.string()) for column in _NAMES]
                append(ledger / files.SOURCES, pa.Table.from_arrays(columns, schema=SOURCES_SCHEMA))
    except OSError as error:
        raise LedgerUnavailableError(
            f"{ledger}: the source names cannot be written ({error.strerror}); free the disk, run again"
        ) from error
    return len(fresh)


def _is_forgotten(name: SourceName | None) -> bool:
    return name is not None and name.source == FORGOTTEN


def lookup(ledger: Path, record_ids: Iterable[str]) -> dict[str, SourceName]:
    """The names of these records; FORGOTTEN for those whose name was erased; records that are unknown are absent."""
    ids = sorted(set(record_ids))
    wanted, hashes = pa.array(ids, pa.string()), hashes_of(ids)
    found: dict[str, SourceName] = {}
    for _, path in files.numbered(ledger / files.SOURCES):
        # A file that is gone was merged into a later one, which is read as well.
        with contextlib.suppress(FileNotFoundError):
            if _may_name(path, hashes):
                table = read(path)
                hits = pc.is_in(table["record_id"], value_set=wanted)
                found |= {row["record_id"]: SourceName(**row) for row in table.filter(hits).to_pylist()}
    return found


def readable_names(ledger: Path, record_ids: Iterable[str]) -> dict[str, SourceName]:
    """As `lookup`, for showing: nothing where the reader of the ledger may not read what records are called."""
    try:
        return lookup(ledger, record_ids)
    except PermissionError:
        return {}


def _may_name(path: Path, hashes: np.ndarray) -> bool:
    """Whether the file may name any of these records: asked of every file at every batch, so a file is read once to know."""
    status = path.stat()
    known = _ids_in(path, status.st_ino, status.st_mtime_ns)
    if not len(known):
        return False
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return bool((known[places] == hashes).any())


@lru_cache(maxsize=8192)
def _ids_in(path: Path, _inode: int, _changed_ns: int) -> np.ndarray:
    """A file is only ever replaced by another one, which has another inode or time."""
    with pq.ParquetFile(path) as file:
        return hashes_of(file.read(columns=["record_id"])["record_id"].to_pylist())


def find(ledger: Path, source: str) -> list[str]:
    """The ids of the records that come from this source (a path or table, in full), in order; empty when it is unknown or forgotten."""
    found: set[str] = set()
    for _, path in files.numbered(ledger / files.SOURCES):
        with contextlib.suppress(FileNotFoundError):
            table = read(path)
            found |= set(table.filter(pc.equal(table["source"], _storable(source)))["record_id"].to_pylist())
    # A record id is made from its source, so that a record never changes it.
    return sorted(found)


def merge_files(ledger: Path) -> None:
    """Make one file of many small ones; what the map says stays the same, also for who reads it meanwhile."""
    if len(files.numbered(ledger / files.SOURCES)) <= MOST_FILES:
        return
    with rewriting(ledger) as folder:
        paths = [path for _, path in files.numbered(folder)]
        table = pa.concat_tables([read(path) for path in paths])
        last = dict(zip(table["record_id"].to_pylist(), range(table.num_rows), strict=True))
        merged = table.take(pa.array(last.values(), pa.int64()))
        # The newest file takes everything before any older one goes, so that a name is never missing.
        rewrite(paths[-1], merged)
        for path in paths[:-1]:
            path.unlink()


@contextlib.contextmanager
def rewriting(ledger: Path) -> Iterator[Path]:
    """One process at a time rewrites files of the map: a merge must not bring back what is being forgotten. Nobody appends meanwhile."""
    with _locked(ledger, fcntl.LOCK_EX):
        yield ledger / files.SOURCES


@contextlib.contextmanager
def _locked(ledger: Path, kind: int) -> Iterator[None]:
    with (ledger / files.SOURCES / ".lock").open("a") as lock:
        fcntl.flock(lock, kind)
        yield


def read(path: Path) -> pa.Table:
    """One file of the map."""
    with pq.ParquetFile(path) as file:
        return file.read()


def rewrite(path: Path, table: pa.Table) -> None:
    """Put these rows in the place of the file's own. Call within `rewriting`."""
    durable.replace(path, _bytes(table), mode=durable.PRIVATE_FILE)


def append(folder: Path, table: pa.Table) -> None:
    """Add a file with these rows to the map."""
    data = _bytes(table)
    number = max((number for number, _ in files.numbered(folder)), default=-1) + 1
    while True:
        try:
            durable.link_new(files.temporary_path(folder), files.numbered_path(folder, number), data, mode=durable.PRIVATE_FILE)
        except FileExistsError:
            number += 1
        else:
            return


def _bytes(table: pa.Table) -> memoryview:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getbuffer()


def _storable_name(name: SourceName) -> SourceName:
    try:
        "".join([name.record_id, name.source, name.source_id or "", name.family or "", name.title or ""]).encode()
    except UnicodeEncodeError:
        return SourceName(**{column: _storable(getattr(name, column)) for column in _NAMES})
    return name


def _storable(value: Any) -> Any:
    # A file name of undecodable bytes comes with lone surrogates, which Parquet cannot hold.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
