"""Commit and open: the write side of the ledger.

A commit is one immutable Parquet file, written under a temporary name, fsynced, and linked to the next free number; the link fails if the
number exists, and the writer goes on to the next. That one link is the commit: no lock, no second file to disagree with, no torn state.

Invariants kept here:
- Ledger before egress (4): a commit that could not be made durable raises LedgerUnavailableError; the caller then sends nothing.
- One way out (3): with `expected_head`, entries are committed only if nothing was committed since the facts behind them were read.
- Append-only (10): no function here changes or removes a committed file; `seq` goes on from segment to segment without a gap.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sinks import durable
from sinks.errors import HeadMovedError, KeyMissingError, LedgerUnavailableError
from sinks.ledger import files, views
from sinks.ledger.entry import Entry, Event
from sinks.ledger.index import SegmentIndex
from sinks.ledger.keys import Keys, default_path
from sinks.ledger.schema import DICTIONARY_COLUMNS, SCHEMA_VERSION, to_table, with_sequence
from sinks.ledger.sources import prepare_sources

FILE_MODE = 0o640  # auditors share the group of the folder; nothing in an entry is content
FOLDER_MODE = 0o750
ROW_GROUP_ROWS = 65_536


class Ledger:
    """One ledger folder, open for writing. Safe to share between threads and processes: the link is the only arbiter."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self.path = path
        self.keys = keys
        self.index = SegmentIndex()
        self._last_seq = {0: 0}  # of the segment seen last; a segment never changes

    @classmethod
    def open(cls, path: Path, *, keys: Keys | Path | None = None) -> Ledger:
        """Open the ledger at `path`, or create it. `keys`: the keys or their folder; by default the sibling `<path>.keys`.

        Raises KeyMissingError when they are not the keys the ledger was written with, LedgerUnavailableError when it cannot be written.
        """
        path = path.resolve()
        with _unavailable(path, "opened"):
            for folder in (path, path / files.SEGMENTS):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            empty = files.head(path) == 0
        if not isinstance(keys, Keys):
            keys = Keys.open(keys or default_path(path), ledger_empty=empty)
        ledger = cls(path, keys)
        with _unavailable(path, "opened"):
            files.set_orphans_aside(path, path / files.SEGMENTS)
            ledger._check_key()
            if empty:
                ledger._begin()
            prepare_sources(path)
            views.refresh(path)
        return ledger

    def head(self) -> int:
        """The number of the last segment; 0 when there is none."""
        with _unavailable(self.path, "read"):
            return files.head(self.path)

    def commit(self, entries: Sequence[Entry], *, expected_head: int | None = None) -> int:
        """Make these entries durable, together and in this order; returns the number of their segment.

        With `expected_head`, raises HeadMovedError, having written nothing, when another segment was committed since. Raises
        LedgerUnavailableError when they cannot be made durable: nothing may be sent on the strength of them. No entries: no segment.
        """
        if not entries:
            return self.head()
        table = to_table(entries)
        with _unavailable(self.path, "written"):
            while True:
                head = files.head(self.path)
                if expected_head is not None and head != expected_head:
                    raise HeadMovedError(f"{self.path}: the ledger is at segment {head}, expected {expected_head}: read the facts again")
                try:
                    return self._link(table, head)
                except FileExistsError:
                    continue  # another writer took the number: go on after it

    def _link(self, table: pa.Table, head: int) -> int:
        number, first = head + 1, self._last_seq_of(head) + 1
        data = _segment_bytes(with_sequence(table, first), number=number, first=first, key_id=self.keys.key_id)
        folder = self.path / files.SEGMENTS
        durable.link_new(files.temporary_path(folder), files.numbered_path(folder, number), data, mode=FILE_MODE)
        self._last_seq = {number: first + table.num_rows - 1}
        return number

    def _last_seq_of(self, number: int) -> int:
        last = self._last_seq.get(number)
        if last is None:
            last = int(files.footer(files.numbered_path(self.path / files.SEGMENTS, number))[files.LAST_SEQ_KEY])
            self._last_seq = {number: last}
        return last

    def _check_key(self) -> None:
        head = files.head(self.path)
        if not head:
            return
        written_with = files.footer(files.numbered_path(self.path / files.SEGMENTS, head)).get(files.KEY_ID_KEY, b"").decode()
        if written_with != self.keys.key_id:
            raise KeyMissingError(
                f"{self.path}: written with the HMAC key {written_with}, but the key at hand is {self.keys.key_id}; restore the right one"
            )

    def _begin(self) -> None:
        # The first segment states the schema, so that the views of an empty ledger have a file to stand on.
        try:
            self.commit([Entry(event=Event.SCHEMA, at=datetime.now(UTC), detail_code=f"version_{SCHEMA_VERSION}")], expected_head=0)
        except HeadMovedError:
            self._check_key()  # another process created the ledger at the same moment


def _segment_bytes(table: pa.Table, *, number: int, first: int, key_id: str) -> memoryview:
    last = first + table.num_rows - 1
    metadata = files.footer_metadata(
        schema_version=SCHEMA_VERSION, key_id=key_id, segment=number, last_segment=number, first_seq=first, last_seq=last, tree_size=last
    )
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        buffer,
        compression="zstd",
        use_dictionary=DICTIONARY_COLUMNS,
        row_group_size=ROW_GROUP_ROWS,
    )
    return buffer.getbuffer()


@contextmanager
def _unavailable(path: Path, what: str) -> Iterator[None]:
    """Say once, in one line, that the ledger cannot be used; every cause is an OSError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LedgerUnavailableError(f"{path}: the ledger cannot be {what} ({reason}); nothing is sent until it can") from error
