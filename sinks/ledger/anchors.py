"""Anchors: copies of the newest signed checkpoint, kept where whoever holds the ledger cannot change them.

- An anchor is only added to: a checkpoint has a name of its own, `<tree size>.note`, made exclusively and never written again.
- Nothing is added to an anchor that contradicts the log: then the log was rolled back, edited or replaced, and nothing may run on it.
- The newest checkpoint of an anchor speaks for all before it, which agreed with the log when it was added. `audit verify` reads them all.
- Anchors are listed before the log is read, which other jobs lengthen and anchor meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sinks import durable
from sinks.errors import (
    AmbiguousError,
    AnchorContradictedError,
    AnchorError,
    EndpointError,
    LedgerError,
    ObjectExistsError,
    RejectedError,
)
from sinks.ledger import files
from sinks.ledger.seal import Seal, SealError, origin, unverified

if TYPE_CHECKING:  # a ledger with folders for anchors loads no client
    from sinks.clients.s3_client import S3Store, StoredObject

NOTE = re.compile(r"(0|[1-9][0-9]{0,17})\.note")
MAX_NOTE_BYTES = 16_384
RETAIN_YEARS = 6
"""45 CFR 164.316(b)(2)(i): six years from its creation."""
COMPLIANCE = "COMPLIANCE"
"""The mode of S3 Object Lock in which nobody removes an object, the owner of the account included."""
_DAYS_A_YEAR = 365.25
_FILE_MODE = 0o444  # no secret; read-only, because it is never written again


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an anchor keeps one checkpoint. hidden: something newer lies over it (`versions` of an object store)."""

    name: str
    size: int
    version: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A checkpoint as an anchor has it. concern: what is wrong with how it is kept; nothing if empty."""

    name: str
    text: str
    concern: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """That an anchor has the newest checkpoint: of how many entries, whether it was added now, and how it is kept."""

    size: int
    added: bool
    concern: str = ""


class Anchor(Protocol):
    """A place for checkpoints. All raise AnchorError."""

    @property
    def name(self) -> str:
        """Its path or URL."""

    def places(self) -> Sequence[Place]:
        """The checkpoints that are there, those that something newer hides included."""

    def read(self, place: Place) -> Kept:
        """One checkpoint, and how it is kept."""

    def add(self, size: int, note: str, *, now: datetime) -> None:
        """Make a checkpoint durable. Raises FileExistsError when there is one of this size."""

    def close(self) -> None:
        """End its connections."""


class FolderAnchor:
    """A folder on another machine's disk. It is not created: a mount that is missing is no empty anchor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def places(self) -> list[Place]:
        """The notes in the folder."""
        try:
            names = [path.name for path in self.path.iterdir()]
        except OSError as error:
            raise self._unusable("read", error) from None
        return [Place(name=name, size=int(match[1])) for name in names if (match := NOTE.fullmatch(name))]

    def read(self, place: Place) -> Kept:
        """One note."""
        path = self.path / place.name
        try:
            with path.open("rb") as file:
                content = file.read(MAX_NOTE_BYTES + 1)
        except OSError as error:
            raise self._unusable("read", error) from None
        return Kept(name=str(path), text=_text(content))

    def add(self, size: int, note: str, *, now: datetime) -> None:
        """One more note, complete or not at all."""
        del now
        try:
            durable.link_new(files.temporary_path(self.path), self.path / f"{size}.note", note.encode(), mode=_FILE_MODE)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._unusable("written", error) from None

    def close(self) -> None:
        """Nothing to end."""

    def _unusable(self, what: str, error: OSError) -> AnchorError:
        reason = "it is not there: is it mounted?" if isinstance(error, FileNotFoundError) else error.strerror
        return AnchorError(f"anchor {self.name}: cannot be {what} ({reason})")


class BucketAnchor:
    """Objects under Object Lock: nobody, the account's owner included, can remove a version before its time."""

    def __init__(self, store: S3Store, prefix: str, *, retain_years: int = RETAIN_YEARS) -> None:
        self.name = f"s3://{store.bucket}/{prefix}".rstrip("/")
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._retained = timedelta(days=round(retain_years * _DAYS_A_YEAR))

    def places(self) -> list[Place]:
        """Every version of every note: what a newer version or a delete marker hides is still there, and still counts."""
        try:
            return [
                Place(name=found.key, size=int(match[1]), version=found.version, hidden=not found.latest)
                for found in self._store.versions(self._prefix)
                if (match := NOTE.fullmatch(found.key.removeprefix(self._prefix)))
            ]
        except EndpointError as error:
            raise AnchorError(f"anchor {self.name}: {error}") from None

    def read(self, place: Place) -> Kept:
        """One version of a note, and whether it is retained as was asked."""
        try:
            content, found = self._store.fetch(place.name, version=place.version, max_bytes=MAX_NOTE_BYTES)
        except EndpointError as error:
            raise AnchorError(f"anchor {self.name}: {error}") from None
        concern = "something newer hides it" if place.hidden else self._concern(found)
        return Kept(name=f"s3://{self._store.bucket}/{place.name}", text=_text(content), concern=concern)

    def add(self, size: int, note: str, *, now: datetime) -> None:
        """One more object, under retention."""
        try:
            self._store.put(f"{self._prefix}{size}.note", note.encode(), exclusive=True, retain_until=now + self._retained)
        except ObjectExistsError:
            raise FileExistsError from None
        except RejectedError as error:
            raise AnchorError(
                f"anchor {self.name}: the checkpoint was refused ({error.code}); check bucket, Object Lock and policy"
            ) from None
        except (AmbiguousError, EndpointError) as error:
            raise AnchorError(f"anchor {self.name}: nobody can tell whether the checkpoint was taken ({_code(error)})") from None

    def close(self) -> None:
        """End the connections to the bucket."""
        self._store.close()

    def _concern(self, found: StoredObject) -> str:
        if found.lock_mode != COMPLIANCE or found.retain_until is None:
            return f"no {COMPLIANCE} retention to be seen: it can be removed, or s3:GetObjectRetention is not granted"
        if found.retain_until < found.modified + self._retained - timedelta(days=1):
            return f"retained until {found.retain_until:%Y-%m-%d} only, less than the job asks for"
        return ""


def check(ledger: Path, anchor: Anchor) -> int:
    """The size of the anchor's newest checkpoint, 0 when it has none, once that is found to be one of this log.

    Raises AnchorContradictedError when it is not, AnchorError when the anchor cannot be read.
    """
    places = anchor.places()
    if not places:
        return 0
    newest = max(place.size for place in places)
    for place in places:
        if place.size == newest:
            _agree(ledger, place.size, anchor.read(place))
    return newest


def anchor_newest(ledger: Path, anchor: Anchor, *, now: datetime) -> Anchored:
    """Give the anchor the log's newest checkpoint, unless it has it. Raises as `check` does."""
    newest = check(ledger, anchor)
    seal = _newest_seal(ledger)
    if seal is None:
        raise LedgerError(f"{ledger}: no ledger here (no segments); name the folder that holds `segments`")
    size = seal.last_seq
    added = False
    if newest < size:
        try:
            anchor.add(size, seal.checkpoint, now=now)
            added = True
        except FileExistsError:
            pass  # another writer's, or ours whose answer was lost: looked at below
    kept = [anchor.read(place) for place in anchor.places() if place.size == size]
    for one in kept:
        _agree(ledger, size, one)
    return Anchored(size=size, added=added, concern=next((one.concern for one in kept if one.concern), ""))


def read_all(anchor: Anchor) -> list[Kept]:
    """Every checkpoint of an anchor. Raises AnchorError when there is none."""
    found = [anchor.read(place) for place in anchor.places()]
    if not found:
        raise AnchorError(f"anchor {anchor.name}: no checkpoints here (no .note files); name the place that the ledger is anchored in")
    return found


def _agree(ledger: Path, size: int, kept: Kept) -> None:
    """Refuse a checkpoint that is none of this log."""
    seal = _newest_seal(ledger)
    try:
        checkpoint = unverified(kept.text)
    except SealError as error:
        raise AnchorContradictedError(f"{kept.name}: not a checkpoint ({error}); see docs/anchors.md before anything runs again") from None
    if seal is None:
        raise _contradicted(kept, ledger, f"has seen {checkpoint.size} entries of a ledger, and there is none at {ledger}")
    if checkpoint.origin != origin(seal.ledger_id):
        raise _contradicted(kept, ledger, f"is of {ascii(checkpoint.origin)[:60]}, but the ledger at {ledger} is {origin(seal.ledger_id)}")
    if checkpoint.size > seal.last_seq:
        raise _contradicted(kept, ledger, f"has seen {checkpoint.size} entries, but the ledger at {ledger} ends at {seal.last_seq}")
    if checkpoint.size != size or note_of(ledger, checkpoint.segment) != kept.text:
        raise _contradicted(kept, ledger, f"has another checkpoint at {size} entries than the ledger at {ledger}")


def _contradicted(kept: Kept, ledger: Path, what: str) -> AnchorContradictedError:
    return AnchorContradictedError(
        f"{kept.name}: this anchor {what}: {ledger.name} was rolled back, edited or replaced; "
        "restore it, and see docs/anchors.md before anything runs again"
    )


def note_of(ledger: Path, segment: int) -> str | None:
    """The signed note of a segment, wherever it is by now; None when the log has no such segment."""
    for _ in range(2):  # a segment may move into the archive, and its file into a merged one, between the looks
        try:
            return Seal.parse(files.footer(files.numbered_path(ledger / files.SEGMENTS, segment))).checkpoint
        except FileNotFoundError:
            pass
        except SealError:
            return None
        for one in files.in_force(files.archived(ledger)):
            if one.first <= segment <= one.last:
                try:
                    return Seal.parse(files.footer(one.path)).notes[segment - one.first]
                except FileNotFoundError:
                    break
                except (SealError, IndexError):
                    return None
    return None


def _newest_seal(ledger: Path) -> Seal | None:
    """The footer of the newest segment, once its seal holds; None where there is no ledger."""
    head = files.head(ledger)
    if not head:
        return None
    path = files.numbered_path(ledger / files.SEGMENTS, head)
    try:
        seal = Seal.parse(files.footer(path))
        seal.signed(seal.verifier_key)
    except SealError as error:
        raise LedgerError(f"{path}: {error}; run `waybill audit verify --deep`, restore the ledger from a copy") from None
    return seal


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _code(error: AmbiguousError | EndpointError) -> str:
    return error.code if isinstance(error, AmbiguousError) else "unreachable"
