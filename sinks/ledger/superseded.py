"""Deleting what compaction has copied, late and in an order that no reader can be misled by.

The first segment of each archive file is the guard of all views that were made before the file: they name it, and list the segments before
they open it. It is deleted a grace before the others, and those oldest first: whoever misses one of them misses the guard too, and fails.
Nothing is deleted before the archive file that holds it was found to be, byte by byte, the one that its signed entry states.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sinks import durable
from sinks.errors import LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.files import Archived
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Statement:
    """What the newest `compacted` entry says of an archive file, and how long ago."""

    digest: str = ""
    age: timedelta = timedelta.min


_NEVER = _Statement()


def delete_superseded(ledger: Ledger, *, now: datetime, grace: timedelta) -> int:
    """Delete the segments and archive files whose time has come; returns how many. Raises LedgerUnavailableError when a copy is damaged."""
    every = files.archived(ledger.path)
    taken = files.in_force(every)
    archived_to = taken[-1].last if taken else 0
    segments = {number: path for number, path in files.numbered(ledger.path / files.SEGMENTS) if number <= archived_to}
    if not segments and len(taken) == len(every):
        return 0
    stated = _statements(ledger, every, now)
    deleted = 0
    for one in taken:
        parts = [part for part in every if part != one and one.first <= part.first and part.last <= one.last]
        held = [number for number in segments if one.first <= number <= one.last]
        numbers = _due(held, [*parts, one], stated, grace)
        paths = [segments[number] for number in numbers]
        if stated[one].age >= 2 * grace and len(numbers) == len(held):
            paths += [part.path for part in parts]
        if paths:
            _check(one, stated[one])
            _delete(paths)
        deleted += len(paths)
    return deleted


def _due(held: Sequence[int], copies: Sequence[Archived], stated: Mapping[Archived, _Statement], grace: timedelta) -> list[int]:
    """Those of the segments to delete now, in order. A segment goes by the file that it was first copied into, the narrowest."""
    due: list[int] = []
    rest = set(held)
    for file in sorted(copies, key=lambda copy: copy.last - copy.first):
        own = {number for number in rest if file.first <= number <= file.last}
        rest -= own
        if file.first in own:
            due += [file.first] if stated[file].age >= grace else []
        elif stated[file].age >= 2 * grace:
            due += own
    return sorted(due)


def _statements(ledger: Ledger, every: Sequence[Archived], now: datetime) -> dict[Archived, _Statement]:
    """What is stated of each file, always after the entries in it; of a file that nobody states, nothing ever becomes due."""
    with reading(ledger, since_segment=min(one.last for one in every) + 1) as reader:
        rows = reader.table(
            """
            SELECT result_file, before, after, max("at") AS moment, arg_max(result_digest, seq) AS digest
            FROM entries WHERE event = 'compacted' GROUP BY ALL
            """
        ).to_pylist()
    said = {(row["result_file"], row["before"], row["after"]): _Statement(row["digest"], now - row["moment"]) for row in rows}
    return {one: said.get((one.path.name, str(one.first), str(one.last)), _NEVER) for one in every}


def _check(copy: Archived, stated: _Statement) -> None:
    with copy.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != stated.digest:
        raise LedgerUnavailableError(
            f"{copy.path}: not the file that its `compacted` entry states; run `waybill audit verify --deep`; the segments in it are kept"
        )


def _delete(paths: Iterable[Path]) -> None:
    folders = set()
    for path in paths:
        path.unlink(missing_ok=True)
        folders.add(path.parent)
        logger.info("ledger_superseded_deleted name=%s", path.name)
    for folder in folders:
        durable.sync_folder(folder)
