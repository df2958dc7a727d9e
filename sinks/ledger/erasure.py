"""Forgetting: what a record is called outside is erased from the map, and the sealed log says that it was, by whom and for which reason.

The log itself never held a name, so it is not touched and goes on verifying (invariants 5 and 10).

1. A note of what is to be forgotten (record ids only) is made durable in the map's folder.
2. A row that says `(forgotten)` is added for each record, every other row of theirs is rewritten out of every file of the map, and what
   dead writers left of the map is deleted.
3. The `forgotten` entries are committed.
4. The note is removed.

Killed anywhere, the next `forget` and the next night go on from the note.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sinks import durable
from sinks.errors import LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import FORGOTTEN, SOURCES_SCHEMA, SourceName, append, lookup, read, rewrite, rewriting

NAMES = "names"
_NOTE = ".forgetting-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What is to be forgotten, on whose word. reason: a code."""

    record_ids: tuple[str, ...]
    actor: str
    reason: str
    at: datetime


def forget(ledger: Ledger, wanted: Forgetting) -> int:
    """Erase the names of these records and record it; returns how many rows went. Raises LedgerUnavailableError; run it again then."""
    with _unavailable(ledger.path):
        _write_note(ledger.path, wanted)
    return finish_forgetting(ledger)


def finish_forgetting(ledger: Ledger) -> int:
    """Carry out what was noted, also by a process that was killed meanwhile; returns how many rows of the map went."""
    erased = 0
    with _unavailable(ledger.path):
        for note, wanted in _notes(ledger.path):
            erased += erase(ledger.path, wanted.record_ids)
            ledger.commit(
                [
                    Entry(
                        event=Event.FORGOTTEN,
                        at=wanted.at,
                        record_id=record_id,
                        actor=wanted.actor,
                        reason=wanted.reason,
                        detail_code=NAMES,
                    )
                    for record_id in wanted.record_ids
                ]
            )
            note.unlink(missing_ok=True)
            durable.sync_folder(note.parent)
    return erased


def erase(ledger: Path, record_ids: Iterable[str]) -> int:
    """Leave `(forgotten)` in the place of these records' names, in every file of the map; returns how many rows went."""
    ids = sorted(set(record_ids))
    unwanted = pa.array(ids, pa.string())
    erased = 0
    with rewriting(ledger) as folder:
        # The word that they are forgotten comes first: then nobody takes a record for one that was never named, nor names it again.
        known = lookup(ledger, ids)
        fresh = [one for one in ids if known.get(one) != SourceName(record_id=one, source=FORGOTTEN)]
        if fresh:
            columns = [pa.array(fresh), pa.array([FORGOTTEN] * len(fresh)), *(pa.nulls(len(fresh), pa.string()) for _ in range(3))]
            append(folder, pa.Table.from_arrays(columns, schema=SOURCES_SCHEMA))
        for _, path in files.numbered(folder):
            table = read(path)
            named = pc.and_(pc.is_in(table["record_id"], value_set=unwanted), pc.not_equal(table["source"], FORGOTTEN))
            kept = table.filter(pc.invert(named))
            if kept.num_rows < table.num_rows:
                rewrite(path, kept)
                erased += table.num_rows - kept.num_rows
        _drop_remains(ledger, folder)
    return erased


def named_after(ledger: Path, source: str) -> list[str]:
    """The records of this source (a path or table, in full), the members of a mail or archive of that name among them."""
    found: set[str] = set()
    for _, path in files.numbered(ledger / files.SOURCES):
        with contextlib.suppress(FileNotFoundError):  # merged into a later file, which is read as well
            table = read(path)
            pairs = zip(table["record_id"].to_pylist(), table["source"].to_pylist(), strict=True)
            found |= {record_id for record_id, name in pairs if name == source or name.startswith(f"{source}#")}
    return sorted(found)


def last_seen_before(ledger: Path, day: date) -> list[str]:
    """The records that have a name, and of which the ledger's newest word is from before this day (UTC)."""
    with reading(ledger) as reader:
        old = reader.table(
            'SELECT record_id FROM entries WHERE record_id IS NOT NULL GROUP BY record_id HAVING max("at") < $day::TIMESTAMP', day=day
        )["record_id"].to_pylist()
    return sorted(record_id for record_id, name in lookup(ledger, old).items() if name.source != FORGOTTEN)


def _drop_remains(ledger: Path, folder: Path) -> None:
    """Delete what dead writers left: with the map locked, every temporary of it is one, and what is aside may be one."""
    for path in folder.glob(".tmp-*"):
        path.unlink(missing_ok=True)
    for path in (ledger / files.ORPHANS).glob("*"):
        if path.is_file() and not _is_segment(path):
            path.unlink(missing_ok=True)
    durable.sync_folder(folder)


def _is_segment(path: Path) -> bool:
    try:
        return files.SEGMENT_KEY in files.footer(path)
    except (LedgerUnavailableError, OSError):
        return False


def _write_note(ledger: Path, wanted: Forgetting) -> None:
    record = {"record_ids": wanted.record_ids, "actor": wanted.actor, "reason": wanted.reason, "at": wanted.at.isoformat()}
    data = json.dumps(record).encode()
    path = ledger / files.SOURCES / f"{_NOTE}{hashlib.sha256(data).hexdigest()[:16]}"
    durable.replace(path, data, mode=durable.PRIVATE_FILE)


def _notes(ledger: Path) -> Iterator[tuple[Path, Forgetting]]:
    for path in sorted((ledger / files.SOURCES).glob(f"{_NOTE}*")):
        with contextlib.suppress(FileNotFoundError):  # another process finished it
            record = json.loads(path.read_bytes())
            yield (
                path,
                Forgetting(
                    record_ids=tuple(record["record_ids"]),
                    actor=record["actor"],
                    reason=record["reason"],
                    at=datetime.fromisoformat(record["at"]),
                ),
            )


@contextlib.contextmanager
def _unavailable(ledger: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerUnavailableError(
            f"{ledger}: the names cannot be erased now ({error.strerror}); run the same command again, it goes on from there"
        ) from error
