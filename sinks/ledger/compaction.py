"""Compaction: many small segments become one archive file, and the files of a month that is over become one.

A copy is made, never a change: rows, leaves, roots and notes stay as they were signed, and what was copied is deleted much later. No step
needs another to have been finished; a pass that died is gone on with by the next one.

1. The rows are copied to a temporary name, and the roots recomputed from the copy: it must give every root that was signed.
2. A `compacted` entry states name and digest of the copy. Only then does the copy get its name, so that none is ever there unstated.
3. The views are made anew. Those that are open read on: the copied segments are still there.
4. A grace later the first of the copied segments is deleted, the guard of the older views, which from then on fail instead of leaving
   rows out. Another grace later the others are deleted, oldest first, and the parts of merged files.

Writers wait for none of this, and commit meanwhile. Of two processes that would compact, the second leaves.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sinks import durable
from sinks.errors import AlreadyRunningError, LedgerUnavailableError
from sinks.ledger import files, views
from sinks.ledger.entry import Entry, Event
from sinks.ledger.files import Archived
from sinks.ledger.lock import one_runner
from sinks.ledger.note import Checkpoint
from sinks.ledger.recompute import Stretch, recompute
from sinks.ledger.schema import DICTIONARY_COLUMNS, schema_of
from sinks.ledger.seal import Seal, SealError, unverified
from sinks.ledger.segments import FILE_MODE, FOLDER_MODE, Ledger
from sinks.ledger.superseded import delete_superseded
from sinks.ledger.tree import Frontier

GRACE = timedelta(hours=12)
LEAST = 32
"""So many loose segments are worth an archive file."""
ROW_GROUP_ROWS = 32_768
"""So many are in memory while they are copied. Twice as many make a file smaller by a sixteenth, and a night larger by 40 MiB."""

_LOCK = "(compaction)"  # no name of a job
_BATCH_ROWS = 16_384
_VERIFY = "run `waybill audit verify --deep`, restore the ledger from a copy; nothing was compacted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What a pass did: names of the archive files that it made, and how many files it deleted."""

    written: tuple[str, ...] = ()
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to be copied, as its footer describes it."""

    seal: Seal
    batches: Iterator[pa.RecordBatch]


def compact(
    ledger: Ledger, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), grace: timedelta = GRACE, least: int = LEAST
) -> Compacted | None:
    """Do what is due. None: another process is at it. Raises LedgerError when the ledger is not as it was signed, or cannot be written."""
    try:
        with one_runner(ledger.path, _LOCK):
            return _compact(ledger, clock, grace, least)
    except AlreadyRunningError:
        return None
    except pa.ArrowException:
        damaged = files.first_damaged(ledger.path) or ledger.path
        raise LedgerUnavailableError(f"{damaged}: not a readable Parquet file; {_VERIFY}") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        where = error.filename or ledger.path
        raise LedgerUnavailableError(f"{where}: the ledger cannot be compacted ({reason}); check the folder") from error


def _compact(ledger: Ledger, clock: Callable[[], datetime], grace: timedelta, least: int) -> Compacted:
    folder = ledger.path / files.ARCHIVE
    if folder.exists():
        files.remove_dead(folder)
    views.refresh(ledger.path)  # before anything is deleted that older ones still read
    deleted = delete_superseded(ledger, now=clock(), grace=grace)
    written = []
    if (name := _archive_loose(ledger, clock, least)) is not None:
        written.append(name)
    written += _merge_months(ledger, clock)
    return Compacted(written=tuple(written), deleted=deleted)


def _archive_loose(ledger: Ledger, clock: Callable[[], datetime], least: int) -> str | None:
    """Copy all loose segments but the newest into one file; its name, or None when they are too few."""
    before = files.in_force(files.archived(ledger.path))
    after = before[-1].last if before else 0
    loose = [(number, path) for number, path in files.numbered(ledger.path / files.SEGMENTS) if number > after]
    if len(loose) <= least:
        return None
    numbers = [number for number, _ in loose]
    if numbers != list(range(after + 1, numbers[-1] + 1)):
        raise LedgerUnavailableError(f"{ledger.path}: a segment between {after + 1} and {numbers[-1]} is missing; {_VERIFY}")
    month = max(_month_of(loose[0][1]), before[-1].month if before else "")
    target = files.archived_path(ledger.path / files.ARCHIVE, month, after + 1, numbers[-2])
    frontier = _seal_of(before[-1].path).frontier if before else Frontier()
    version = _seal_of(loose[-2][1]).version
    return _make(ledger, target, _segments([path for _, path in loose], version), frontier, clock, version=version)


def _merge_months(ledger: Ledger, clock: Callable[[], datetime]) -> list[str]:
    """Copy the files of each month that is over into one; their names. Over: what follows the archive is of a later month."""
    taken = files.in_force(files.archived(ledger.path))
    if len(taken) < 2:  # noqa: PLR2004 - nothing to merge
        return []
    now = max(_month_of(files.numbered_path(ledger.path / files.SEGMENTS, taken[-1].last + 1)), taken[-1].month)
    written, frontier = [], Frontier()
    for month, group in groupby(taken, key=lambda one: one.month):
        parts = list(group)
        if month < now and len(parts) > 1:
            target = files.archived_path(ledger.path / files.ARCHIVE, month, parts[0].first, parts[-1].last)
            version = _seal_of(parts[-1].path).version
            written.append(_make(ledger, target, _parts(parts, version), frontier, clock, version=version))
        frontier = _seal_of(parts[-1].path).frontier
    return written


def _make(
    ledger: Ledger, target: Path, sources: Iterator[_Source], before: Frontier, clock: Callable[[], datetime], *, version: int
) -> str:
    """Write an archive file, see that it is what was signed, state it, and give it its name; returns that. version: of its last segment."""
    target.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
    temporary = files.temporary_path(target.parent)
    try:
        notes = _write(temporary, sources, version)
        fault = recompute(Stretch(path=temporary, before=before, signed=tuple((note.size, note.root) for note in notes), version=version))
        if fault is not None:
            raise LedgerUnavailableError(f"{ledger.path}: at entry {fault.seq}, the rows are not what was signed; {_VERIFY}")
        temporary.chmod(FILE_MODE)
        durable.sync_file(temporary)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        first, last = notes[0].segment, notes[-1].segment
        ledger.commit(
            [
                Entry(
                    event=Event.COMPACTED,
                    at=clock(),
                    result_file=target.name,
                    result_digest=digest,
                    before=str(first),
                    after=str(last),
                )
            ]
        )
        os.link(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    durable.sync_folder(target.parent)
    views.refresh(ledger.path)
    return target.name


def _write(path: Path, sources: Iterator[_Source], version: int) -> list[Checkpoint]:
    """Copy the rows into row groups of one size, a few batches in memory at a time; returns the checkpoints of all segments in the file."""
    seals: list[Seal] = []
    waiting: list[pa.RecordBatch] = []
    rows = 0
    with pq.ParquetWriter(path, schema_of(version), compression="zstd", use_dictionary=DICTIONARY_COLUMNS) as writer:
        for source in sources:
            if seals and source.seal.first_seq != seals[-1].last_seq + 1:
                raise LedgerUnavailableError(f"{path.parent.parent}: entries after {seals[-1].last_seq} are missing; {_VERIFY}")
            seals.append(source.seal)
            for batch in source.batches:
                waiting.append(batch)
                rows += batch.num_rows
                if rows >= ROW_GROUP_ROWS:
                    group = pa.Table.from_batches(waiting)
                    writer.write_table(group.slice(0, ROW_GROUP_ROWS), row_group_size=ROW_GROUP_ROWS)
                    waiting = group.slice(ROW_GROUP_ROWS).to_batches()
                    rows -= ROW_GROUP_ROWS
        if rows:
            writer.write_table(pa.Table.from_batches(waiting), row_group_size=ROW_GROUP_ROWS)
        notes = tuple(note for seal in seals for note in seal.notes)
        first = seals[0].segment if seals[0].first_segment is None else seals[0].first_segment
        whole = replace(seals[-1], first_seq=seals[0].first_seq, first_segment=first, checkpoints=notes)
        writer.add_key_value_metadata(whole.metadata())
    return [unverified(note) for note in notes]


def _segments(paths: Sequence[Path], version: int) -> Iterator[_Source]:
    """All but the last of these segments. The bytes that are copied are those whose digest the next segment's signed note states."""
    data = paths[0].read_bytes()
    seal = _seal_of(paths[0], data)
    for path, following in pairwise(paths):
        next_data = following.read_bytes()
        next_seal = _seal_of(following, next_data)
        try:
            stated = next_seal.signed(next_seal.verifier_key).previous
        except SealError as error:
            raise LedgerUnavailableError(f"{following}: {error}; {_VERIFY}") from None
        if stated != hashlib.sha256(data).hexdigest():
            raise LedgerUnavailableError(f"{path}: not the file after which {following.name} was signed; {_VERIFY}")
        yield _Source(seal, _batches(pa.BufferReader(data), version))
        data, seal = next_data, next_seal


def _parts(parts: Sequence[Archived], version: int) -> Iterator[_Source]:
    for part in parts:
        yield _Source(_seal_of(part.path), _batches(part.path, version))


def _batches(source: Path | pa.BufferReader, version: int) -> Iterator[pa.RecordBatch]:
    """The rows, with the columns of this version: those that an older one did not have are null."""
    schema = schema_of(version)
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            added = [pa.nulls(batch.num_rows, field.type) for field in list(schema)[batch.num_columns :]]
            yield pa.RecordBatch.from_arrays([*batch.columns, *added], names=schema.names).cast(schema)


def _seal_of(path: Path, data: bytes | None = None) -> Seal:
    try:
        return Seal.parse(files.footer(path, data))
    except SealError as error:
        raise LedgerUnavailableError(f"{path}: {error}; {_VERIFY}") from None


def _month_of(segment: Path) -> str:
    """The month of the first entry, UTC."""
    with pq.ParquetFile(segment) as file:
        first = next(file.iter_batches(1, columns=["at"])).column("at")[0].as_py()
    return f"{first.astimezone(UTC):%Y-%m}"
