"""The files of a ledger folder: numbered segments, the archive, temporaries and what a crash left of them.

segments/00000042.parquet   one commit; the number is taken by an exclusive link
segments/.tmp-HOST-PID-…    a commit in progress; no `.parquet`, because a glob in DuckDB matches hidden names too
archive/2026-10.parquet     compacted segments; the newest segment always stays in `segments/`
orphans/                    temporaries of processes that are gone
"""

from __future__ import annotations

import logging
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.errors import LedgerUnavailableError

logger = logging.getLogger(__name__)

SEGMENTS, ARCHIVE, ORPHANS, SOURCES = "segments", "archive", "orphans", "sources"

# Footer keys that readers ask for; all of them are in `seal`.
SEGMENT_KEY = b"waybill.segment"
LAST_SEGMENT_KEY = b"waybill.last_segment"
FIRST_SEQ_KEY = b"waybill.first_seq"
LAST_SEQ_KEY = b"waybill.last_seq"
TREE_SIZE_KEY = b"waybill.tree_size"

_NUMBERED = re.compile(r"(\d{8,})\.parquet")
_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+)-(?P<pid>\d+)-(?P<process>[0-9a-f]{8})-[0-9a-f]+")
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


def archived(ledger: Path) -> list[Path]:
    """The compacted files, oldest first."""
    return sorted((ledger / ARCHIVE).glob("[0-9]*.parquet"))


def footer(path: Path, data: bytes | None = None) -> dict[bytes, bytes]:
    """The key-value metadata in a Parquet file's footer. `data`: the file's bytes, where they are at hand."""
    try:
        metadata: dict[bytes, bytes] | None = pq.read_metadata(path if data is None else pa.BufferReader(data)).metadata
    except pa.ArrowInvalid:
        raise LedgerUnavailableError(f"{path}: not a readable Parquet file; restore it from a copy and verify the ledger") from None
    return metadata or {}


def first_damaged(ledger: Path) -> Path | None:
    """The first file of the ledger whose footer cannot be read; None when all can."""
    for path in (*archived(ledger), *(path for _, path in numbered(ledger / SEGMENTS))):
        try:
            footer(path)
        except LedgerUnavailableError:
            return path
    return None


def last_archived(ledger: Path) -> tuple[int, int]:
    """Number and last seq of the newest segment that is in the archive; zeros when there is no archive."""
    footers = [footer(path) for path in archived(ledger)]
    return max((int(one[LAST_SEGMENT_KEY]) for one in footers), default=0), max((int(one[LAST_SEQ_KEY]) for one in footers), default=0)


def head(ledger: Path) -> int:
    """The number of the last segment; 0 when there is none."""
    try:
        names = os.listdir(ledger / SEGMENTS)  # noqa: PTH208 - as above: this is asked at every commit
    except FileNotFoundError:
        return 0
    return max((int(match[1]) for match in map(_NUMBERED.fullmatch, names) if match), default=0)


def snapshot(ledger: Path, *, after: int = 0) -> tuple[int, list[Path]]:
    """The head, and the files that hold every entry of the segments after `after` up to it, each once.

    An archive file may bring entries of earlier segments along; it is only read where `after` does not exclude it.
    """
    segments = numbered(ledger / SEGMENTS)
    archived_to = 0
    files: list[Path] = []
    for path in archived(ledger):
        last = int(footer(path)[LAST_SEGMENT_KEY])
        archived_to = max(archived_to, last)
        if last > after:
            files.append(path)
    files += [path for number, path in segments if number > max(after, archived_to)]
    return max((number for number, _ in segments), default=0), files


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
