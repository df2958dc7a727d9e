"""Commit and open: the write side of the ledger.

A commit is one immutable Parquet file with the signed checkpoint in its footer, written under a temporary name, fsynced, and linked to the
next free number; the link fails if the number exists, and the writer goes on after the one that was first. That one link is the commit: no
lock, no second file to disagree with, no torn state.

Invariants kept here:
- Ledger before egress (4): a commit that could not be made durable raises LedgerUnavailableError; the caller then sends nothing.
- One way out (3): with `expected_head`, entries are committed only if nothing was committed since the facts behind them were read.
- Append-only and sealed (10): no function here changes or removes a committed file; `seq` goes on from segment to segment without a gap,
  and a writer refuses to go on from an older end than it has seen, which would sign a second history.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks import durable
from sinks.errors import HeadMovedError, KeyMissingError, LedgerError, LedgerUnavailableError
from sinks.ledger import files, signing, views
from sinks.ledger.alike import Entries, count, table_of
from sinks.ledger.canonical import CanonicalError
from sinks.ledger.entry import Entry, Event
from sinks.ledger.index import SegmentIndex
from sinks.ledger.keys import Keys, default_path
from sinks.ledger.note import VerifierKey
from sinks.ledger.recompute import Stretch, recompute
from sinks.ledger.schema import SCHEMA_VERSION, to_table, with_sequence
from sinks.ledger.seal import FormatError, Seal, SealError, Tip, origin, sealed_segment, start_of
from sinks.ledger.sources import prepare_sources
from sinks.ledger.tree import Frontier

FILE_MODE = 0o640  # auditors share the group of the folder; nothing in an entry is content
FOLDER_MODE = 0o750
CHECKPOINT = "checkpoint"

logger = logging.getLogger(__name__)


class Ledger:
    """One ledger folder, open for writing. Safe to share between threads and processes: the link is the only arbiter."""

    def __init__(self, path: Path, keys: Keys) -> None:
        if keys.folder is None:
            raise LedgerError(f"{path}: keys without a folder can hash but not sign; open the ledger with the keys' folder")
        self.path = path
        self.keys = keys
        self.index = SegmentIndex()
        self._key_folder = keys.folder
        self._tip: Tip | None = None  # as of the newest segment seen; a segment never changes
        self._signer: signing.Signer | None = None

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
            for folder in (path, path / files.SEGMENTS):
                files.set_orphans_aside(path, folder)
            if not empty:
                ledger._check_hmac_key()
                check_tail(path)
            signing.ensure_key(ledger._key_folder, ledger_empty=empty)
            if empty:
                ledger._begin()
            ledger._publish_key()
            prepare_sources(path)
            views.refresh(path)
        return ledger

    def head(self) -> int:
        """The number of the last segment; 0 when there is none."""
        with _unavailable(self.path, "read"):
            return files.head(self.path)

    def commit(self, entries: Entries, *, expected_head: int | None = None) -> int:
        """Make these entries durable, together and in this order; returns the number of their segment.

        With `expected_head`, raises HeadMovedError, having written nothing, when another segment was committed since. Raises
        LedgerUnavailableError when they cannot be made durable: nothing may be sent on the strength of them. No entries: no segment.
        """
        if not count(entries):
            return self.head()
        table = table_of(entries)
        if pc.any(pc.equal(table["event"], Event.KEY_ROTATED.value)).as_py():
            raise LedgerError("a key is handed over by `rotate_key` alone; nothing was written")
        return self._append(table, expected_head=expected_head)

    def rotate_key(self, *, actor: str = "waybill") -> VerifierKey:
        """Hand over to a new signing key by an entry that the old one signs; returns the new public key.

        Raises LedgerError when other ledgers are signed with the same key: they could not go on without it.
        """
        while True:
            with _unavailable(self.path, "read"):
                tip = self._current()
            self._signer_for(tip)  # also finishes a rotation that was cut short
            others = {VerifierKey.parse(line).name for line in signing.published(self._key_folder)} - {origin(tip.ledger_id)}
            if others:
                raise LedgerError(
                    f"{self._key_folder}: this key also signs {', '.join(sorted(others))}; give each ledger a keys folder of its own first"
                )
            with signing.locked(self._key_folder), contextlib.suppress(HeadMovedError):
                new = signing.prepare_next(self._key_folder, origin(tip.ledger_id)).verifier
                entry = Entry(event=Event.KEY_ROTATED, at=datetime.now(UTC), actor=actor, before=tip.next_key.hash.hex(), after=str(new))
                self._append(to_table([entry]), expected_head=tip.number, next_key=new)
                signing.adopt(self._key_folder, new)
                # Who pins the new key wants to see something that it signed.
                self._append(to_table([_schema_entry(new)]), expected_head=None)
                return new

    def _append(self, table: pa.Table, *, expected_head: int | None, next_key: VerifierKey | None = None) -> int:
        with _unavailable(self.path, "written"):
            while True:
                tip = self._current()
                if expected_head is not None and tip.number != expected_head:
                    raise HeadMovedError(
                        f"{self.path}: the ledger is at segment {tip.number}, expected {expected_head}: read the facts again"
                    )
                try:
                    return self._link(table, tip, next_key)
                except FileExistsError:
                    continue  # another writer took the number: go on after it, with other numbers and so other leaves
                except CanonicalError as error:
                    raise LedgerError(f"ledger {error}; nothing was written") from None

    def _link(self, table: pa.Table, tip: Tip, next_key: VerifierKey | None) -> int:
        numbered = with_sequence(table, tip.frontier.size + 1)
        data, following = sealed_segment(numbered, tip, self._signer_for(tip), key_id=self.keys.key_id, next_key=next_key)
        folder = self.path / files.SEGMENTS
        durable.link_new(files.temporary_path(folder), files.numbered_path(folder, following.number), data, mode=FILE_MODE)
        self._tip = following
        self._publish(following.note)
        return following.number

    def _current(self) -> Tip:
        known = self._tip  # read before the listing, which is then never older, whatever other threads commit meanwhile
        head = files.head(self.path)
        if known is not None and known.number > head:
            raise LedgerUnavailableError(
                f"{self.path}: segment {known.number} was there and is gone; restore it: going on would sign a second history"
            )
        if known is None or known.number < head:
            known = self._tip = read_tip(files.numbered_path(self.path / files.SEGMENTS, head)) if head else self._new_tip()
        return known

    def _new_tip(self) -> Tip:
        ledger_id = secrets.token_hex(8)
        self._signer = signing.load(self._key_folder, origin(ledger_id))
        return start_of(ledger_id, self._signer.verifier)

    def _signer_for(self, tip: Tip) -> signing.Signer:
        signer = self._signer
        if signer is None or signer.verifier != tip.next_key:
            signer = self._signer = signing.load_for(self._key_folder, tip.next_key)
        return signer

    def _check_hmac_key(self) -> None:
        path = files.numbered_path(self.path / files.SEGMENTS, self._current().number)
        written_with = Seal.parse(files.footer(path)).key_id
        if written_with != self.keys.key_id:
            raise KeyMissingError(
                f"{self.path}: written with the HMAC key {written_with}, but the key at hand is {self.keys.key_id}; restore the right one"
            )

    def _publish_key(self) -> None:
        tip = self._current()
        signing.publish(self._key_folder, self._signer_for(tip).verifier)
        self._publish(tip.note)

    def _begin(self) -> None:
        # The first segment states the schema, so that the views of an empty ledger have a file to stand on, and the key that auditors pin.
        tip = self._current()
        if not tip.number:
            with contextlib.suppress(HeadMovedError):  # another process creates the ledger at the same moment
                self._append(to_table([_schema_entry(tip.next_key)]), expected_head=0)
        self._check_hmac_key()

    def _publish(self, note: str) -> None:
        """Put the newest note where tools look for it. It has no authority and the next commit replaces it: a failure is no failure."""
        temporary = files.temporary_path(self.path)
        try:
            temporary.write_text(note, encoding="utf-8")
            temporary.chmod(FILE_MODE)
            temporary.replace(self.path / CHECKPOINT)
        except OSError as error:
            logger.warning("ledger_checkpoint_not_published reason=%s", type(error).__name__)
            with contextlib.suppress(OSError):
                temporary.unlink()


def _schema_entry(key: VerifierKey) -> Entry:
    return Entry(event=Event.SCHEMA, at=datetime.now(UTC), detail_code=f"version_{SCHEMA_VERSION}", after=str(key))


def newest_key(ledger: Path) -> VerifierKey:
    """The public key that the next commit must be signed with, read from the ledger alone. Raises LedgerError when there is no ledger."""
    with _unavailable(ledger, "read"):
        head = files.head(ledger)
        if not head:
            raise LedgerError(f"{ledger}: no ledger here (no segments); name the folder that holds `segments`")
        return read_tip(files.numbered_path(ledger / files.SEGMENTS, head)).next_key


def read_tip(path: Path) -> Tip:
    """Where the log ends, from its newest segment, once its seal holds. Raises LedgerUnavailableError when it does not."""
    data = path.read_bytes()
    try:
        seal = Seal.parse(files.footer(path, data))
        seal.signed(seal.verifier_key)
    except FormatError as error:
        raise LedgerUnavailableError(f"{path}: {error}; keep the old ledger for its auditors, and let the job name a new folder") from None
    except SealError as error:
        raise LedgerUnavailableError(f"{path}: {error}; run `waybill audit verify --deep`, restore the ledger from a copy") from None
    next_key = seal.verifier_key
    if seal.first_seq == seal.last_seq:  # a key is handed over by a segment of its own
        (row,) = pq.read_table(pa.BufferReader(data), columns=["event", "after"]).to_pylist()
        if row["event"] == Event.KEY_ROTATED:
            next_key = VerifierKey.parse(row["after"])
    digest = hashlib.sha256(data).hexdigest()
    return Tip(
        number=seal.segment, ledger_id=seal.ledger_id, frontier=seal.frontier, digest=digest, next_key=next_key, note=seal.checkpoint
    )


def check_tail(ledger: Path) -> None:
    """Whether the newest segment holds the rows that were signed, and follows the file before it: nobody goes on from a tampered end.

    Raises LedgerUnavailableError where it does not. The rest of the log is for `verify`.
    """
    number = files.head(ledger)
    path = files.numbered_path(ledger / files.SEGMENTS, number)
    try:
        newest = Seal.parse(files.footer(path))
        checkpoint = newest.signed(newest.verifier_key)
        before = _before(ledger, number, checkpoint.previous)
    except SealError as error:
        raise LedgerUnavailableError(f"{path}: {error}; run `waybill audit verify --deep`, restore the ledger from a copy") from None
    fault = recompute(Stretch(path=path, before=before, signed=((checkpoint.size, checkpoint.root),), version=newest.version))
    if fault is not None:
        raise LedgerUnavailableError(
            f"{path}: {fault.reason}; run `waybill audit verify --deep`, restore the ledger from a copy (nothing is added to it as it is)"
        )


def _before(ledger: Path, number: int, previous: str) -> Frontier:
    """The tree before a segment, as the file before it states it. previous: the digest of that one. Raises SealError."""
    if number == 1:
        return Frontier()
    path = files.numbered_path(ledger / files.SEGMENTS, number - 1)
    if path.exists():
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != previous:
            raise SealError("not signed after the segment before it as that is now")
        return Seal.parse(files.footer(path, data)).frontier
    taken = files.in_force(files.archived(ledger))
    if not taken or taken[-1].last != number - 1:
        raise SealError(f"segment {number - 1} before it is missing")
    return Seal.parse(files.footer(taken[-1].path)).frontier


@contextmanager
def _unavailable(path: Path, what: str) -> Iterator[None]:
    """Say once, in one line, that the ledger cannot be used; every cause is an OSError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LedgerUnavailableError(f"{path}: the ledger cannot be {what} ({reason}); nothing is sent until it can") from error
