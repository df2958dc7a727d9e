"""The files of a ledger folder: numbered segments, the archive, temporaries and what a crash left of them.

segments/00000042.parquet   one commit; the number is taken by an exclusive link
segments/.tmp-HOST-PID-…    a commit in progress; no `.parquet`, because a glob in DuckDB matches hidden names too
archive/2026-10.00000001-00000312.parquet
                            compacted segments, the first and the last; the newest segment always stays in `segments/`
orphans/                    temporaries of processes that are gone

An archive file may lie beside the parts that it was merged of, and beside the segments that are in it: `in_force` says which are read.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.errors import LedgerUnavailableError

logger = logging.getLogger(__name__)

SEGMENTS, ARCHIVE, ORPHANS, SOURCES = "segments", "archive", "orphans", "sources"

# Footer keys that readers ask for; all of them are in `seal`.
SEGMENT_KEY = b"waybill.segment"
FIRST_SEQ_KEY = b"waybill.first_seq"
LAST_SEQ_KEY = b"waybill.last_seq"
TREE_SIZE_KEY = b"waybill.tree_size"
VERSION_KEY = b"waybill.schema_version"

ARCHIVED_NAME = re.compile(r"(?P<month>[0-9]{4}-[0-9]{2})\.(?P<first>[0-9]{8,})-(?P<last>[0-9]{8,})\.parquet")
_NUMBERED = re.compile(r"([0-9]{8,})\.parquet")
_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+)-(?P<pid>[0-9]+)-(?P<process>[0-9a-f]{8})-[0-9a-f]+")
_HOST = re.sub(r"[^A-Za-z0-9.]", "_", platform.node())
_PROCESS = secrets.token_hex(4)  # tells this process from an earlier one with the same pid, as in a restarted container
_FOREIGN_TEMPORARY_AGE_S = 24 * 3600.0


def numbered_path(folder: Path, number: int) -> Path:
    """Where file `number` of a numbered folder is."""
    return folder / f"{number:08d}.parquet"


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The numbered files of a folder, in order; empty when there is no such folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path for each of thousands of names would be most of the work
    except FileNotFoundError:
        return []
    found = sorted((int(match[1]), name) for name in names if (match := _NUMBERED.fullmatch(name)))
    return [(number, folder / name) for number, name in found]


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Archived:
    """A file of the archive, as its name says: a month, and the first and last segment in it."""

    first: int
    last: int
    month: str
    path: Path

    @classmethod
    def parse(cls, path: Path) -> Archived | None:
        """What the name says; None where it is no name of an archive file."""
        match = ARCHIVED_NAME.fullmatch(path.name)
        if match is None:
            return None
        found = cls(first=int(match["first"]), last=int(match["last"]), month=match["month"], path=path)
        return found if path.name == archived_path(path.parent, found.month, found.first, found.last).name else None


def is_segment(path: Path) -> bool:
    """Whether this is a segment, and no file of the archive."""
    return _NUMBERED.fullmatch(path.name) is not None


def archived_path(folder: Path, month: str, first: int, last: int) -> Path:
    """Where the archive file with these segments is."""
    return folder / f"{month}.{first:08d}-{last:08d}.parquet"


def archived(ledger: Path) -> list[Archived]:
    """Every file of the archive, parts of merged ones included, by first segment."""
    try:
        names = os.listdir(ledger / ARCHIVE)  # noqa: PTH208 - as in `numbered`
    except FileNotFoundError:
        return []
    return sorted(one for name in names if (one := Archived.parse(ledger / ARCHIVE / name)))


def in_force(every: Iterable[Archived]) -> list[Archived]:
    """The files that are the log, in order: of those that begin with the next segment, the one that reaches farthest."""
    widest: dict[int, Archived] = {}
    for one in every:
        if one.last >= one.first and (one.first not in widest or widest[one.first].last < one.last):
            widest[one.first] = one
    taken: list[Archived] = []
    while found := widest.get(taken[-1].last + 1 if taken else 1):
        taken.append(found)
    return taken


def footer(path: Path, data: bytes | None = None) -> dict[bytes, bytes]:
    """The key-value metadata in a Parquet file's footer. `data`: the file's bytes, where they are at hand."""
    try:
        metadata: dict[bytes, bytes] | None = pq.read_metadata(path if data is None else pa.BufferReader(data)).metadata
    except pa.ArrowInvalid:
        raise LedgerUnavailableError(f"{path}: not a readable Parquet file; restore it from a copy and verify the ledger") from None
    return metadata or {}


def first_damaged(ledger: Path) -> Path | None:
    """The first file of the ledger whose footer cannot be read; None when all can."""
    for path in (*(one.path for one in archived(ledger)), *(path for _, path in numbered(ledger / SEGMENTS))):
        try:
            footer(path)
        except LedgerUnavailableError:
            return path
    return None


def head(ledger: Path) -> int:
    """The number of the last segment; 0 when there is none. Raises LedgerUnavailableError when only the archive is left."""
    try:
        names = os.listdir(ledger / SEGMENTS)  # noqa: PTH208 - as above: this is asked at every commit
    except FileNotFoundError:
        names = []
    number = max((int(match[1]) for match in map(_NUMBERED.fullmatch, names) if match), default=0)
    if not number and archived(ledger):
        raise LedgerUnavailableError(f"{ledger / SEGMENTS}: the newest segment is gone, the archive is there; restore it from a copy")
    return number


def snapshot(ledger: Path, *, after: int = 0) -> tuple[int, list[Path]]:
    """The head, and the files that hold every entry of the segments after `after` up to it, each once.

    An archive file may bring entries of earlier segments along; it is only read where `after` does not exclude it.
    Raises LedgerUnavailableError when a segment is in no file.
    """
    newest, paths, missing = _listed(ledger, after)
    if missing:
        # A folder is not listed in one instant: what was compacted or deleted meanwhile is looked for once more.
        newest, paths, missing = _listed(ledger, after)
    if missing:
        raise LedgerUnavailableError(
            f"{ledger}: segment {missing} is missing; restore it from a copy and verify the ledger (`waybill audit verify`)"
        )
    return newest, paths


def _listed(ledger: Path, after: int) -> tuple[int, list[Path], int]:
    """The head, the files, and the first segment that is in none of them, or 0."""
    segments = numbered(ledger / SEGMENTS)  # before the archive: what is deleted here is there since long
    taken = in_force(archived(ledger))
    archived_to = max(after, taken[-1].last if taken else 0)
    loose = [(number, path) for number, path in segments if number > archived_to]
    missing = next((expected for expected, (number, _) in enumerate(loose, archived_to + 1) if number != expected), 0)
    paths = [*(one.path for one in taken if one.last > after), *(path for _, path in loose)]
    return segments[-1][0] if segments else 0, paths, missing


def temporary_path(folder: Path) -> Path:
    """A name for a commit in progress that says whose it is."""
    return folder / f".tmp-{_HOST}-{os.getpid()}-{_PROCESS}-{secrets.token_hex(6)}"


def set_orphans_aside(ledger: Path, folder: Path) -> int:
    """Move what dead processes left of their commits to `orphans/`; returns how many. Those of live writers stay."""
    orphans = [path for path in _temporaries(folder) if _is_dead(path)]
    if not orphans:
        return 0
    (ledger / ORPHANS).mkdir(exist_ok=True)
    for path in orphans:
        try:
            if path.stat().st_nlink > 1:
                path.unlink()  # its commit stands under its number; this was only the second name
            else:
                path.rename(ledger / ORPHANS / path.name.lstrip("."))
        except FileNotFoundError:
            continue  # another process tidies up at the same moment
        logger.warning("ledger_orphan_set_aside name=%s", path.name)
    return len(orphans)


def _temporaries(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.name.startswith(".tmp-"))


def _is_dead(path: Path) -> bool:
    match = _TEMPORARY.fullmatch(path.name)
    if match is None or match["host"] != _HOST:
        return _age_s(path) > _FOREIGN_TEMPORARY_AGE_S
    pid = int(match["pid"])
    if pid == os.getpid():
        return match["process"] != _PROCESS
    return not _is_running(pid)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def remove_dead(folder: Path) -> None:
    """Delete the temporaries of dead processes, where what was in them is elsewhere as well."""
    for path in list(_temporaries(folder)):
        if _is_dead(path):
            path.unlink(missing_ok=True)
