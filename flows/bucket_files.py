"""A prefix in a bucket, read as if it were a folder: names, and files that can be opened.

What is opened is copied to a file in the spool that has no name, so that it is private, and gone with the process however that ends. One
GET gives one version of an object, never parts of two. Copies of tables, which are opened again for every span of rows, are kept as long as
there is room for them; of anything else, some at a time are copied ahead, and nothing is kept once it is closed.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from flows.errors import SpoolError
from sinks.errors import EndpointError, ObjectChangedError

if TYPE_CHECKING:  # a job that reads no bucket loads no client
    from sinks.clients.s3_client import S3Store, StoredObject

LOGGER = logging.getLogger("waybill")

KEPT_BYTES = 1 << 30
"""So much of tables is kept on disk. The newest is kept in any case."""
AT_ONCE = 8
AHEAD_BYTES = 1 << 28
"""So many objects are copied at a time, and so much of them, or one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Which version of an object: a number that its ETag gives, and its size."""

    identity: int
    size: int

    @classmethod
    def of(cls, found: StoredObject) -> Version:
        """Of what a listing or a download says."""
        digest = hashlib.sha256(found.etag.encode()).digest()
        return cls(identity=int.from_bytes(digest[:7]) + 1, size=found.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What will be opened: a name, how many of its bytes are enough, and how many there are at the most."""

    name: str
    first: int | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    version: Version
    file: IO[bytes]


class BucketFiles:
    """The files of one source. open_bucket gives the bucket and the prefix; folder: where copies are made."""

    def __init__(self, open_bucket: Callable[[], tuple[S3Store, str]], folder: Path) -> None:
        self._open_bucket = open_bucket
        self._folder = folder
        self._copies: dict[str, _Copy] = {}  # the least recently opened first
        self._ahead = _Ahead()
        weakref.finalize(self, _close_all, self._copies, self._ahead)
        self._listed: tuple[str, Version] | None = None  # the name given last: what is asked about is nearly always that

    @cached_property
    def _bucket(self) -> tuple[S3Store, str]:
        return self._open_bucket()

    @cached_property
    def _root(self) -> str:
        """What all keys begin with: the folder of a prefix, or of a single object."""
        store, prefix = self._bucket
        if not prefix or prefix.endswith("/"):
            return prefix
        alone = next(store.keys(prefix), None)  # in the order of bytes the object itself comes first
        return prefix[: prefix.rfind("/") + 1] if alone is not None and alone.key == prefix else f"{prefix}/"

    def names(self) -> Iterator[str]:
        """Names relative to the prefix, in the order of their bytes. Raises EndpointError."""
        store, prefix = self._bucket
        empty = True
        single = prefix if prefix and not self._root.startswith(prefix) else ""
        if single and next(store.keys(f"{single}/"), None) is not None:
            raise EndpointError(
                f"source.path: s3://{store.bucket}/{single} is an object, and there are others below it; end the path with / to mean those"
            )
        for found in store.keys(single or self._root):
            if single and found.key != single:
                return
            empty = False
            name = found.key.removeprefix(self._root)
            if name and not (name.endswith("/") and not found.size):  # what consoles make in place of a folder
                self._listed = (name, Version.of(found))
                yield name
        if empty:
            LOGGER.warning("source.path: there is nothing under s3://%s/%s", store.bucket, prefix)

    def version(self, name: str) -> Version | None:
        """Which version is meant now: of the copy that is kept, else of the listing."""
        if name in self._copies:
            return self._copies[name].version
        return self._listed[1] if self._listed and self._listed[0] == name else None

    def open(self, name: str, *, meant: int = 0, first: int | None = None, keep: bool = False) -> BinaryIO:
        """A file with the object's bytes, or its `first` ones. meant: the identity that it must have; keep: it is opened again.

        Raises ObjectError, or one of its kinds, EndpointError when the bucket cannot be reached, and SpoolError where it cannot be copied.
        """
        listed = self._listed[1] if self._listed and self._listed[0] == name else None
        kept = self._copies.pop(name, None)
        if kept is not None and not meant and listed is not None and kept.version != listed:
            kept.file.close()  # listed anew, and another one now
            kept = None
        if kept is None:
            kept = self._ahead.take(name) or _copied(self._bucket[0], self._root + name, self._folder, first)
        if keep:
            self._keep(name, kept)
        try:
            if meant and kept.version.identity != meant:
                raise ObjectChangedError(f"{name!r}: another version than the one that was listed")
            return io.BufferedReader(_Window(kept.file.fileno()))
        finally:
            if not keep:
                kept.file.close()

    def fetch_ahead(self, wanted: Iterable[Wanted]) -> None:
        """Begin to copy what is opened next, in this order; what was begun before and not opened is dropped."""
        self._ahead.begin(wanted, partial(_copied, self._bucket[0]), self._root, self._folder)

    def close(self) -> None:
        """Drop the copies and the connections."""
        _close_all(self._copies, self._ahead)
        if "_bucket" in self.__dict__:
            self._bucket[0].close()

    def _keep(self, name: str, copy: _Copy) -> None:
        self._copies[name] = copy
        spare = sum(kept.version.size for kept in self._copies.values()) - KEPT_BYTES
        for other in list(self._copies)[:-1]:
            if spare <= 0:
                return
            dropped = self._copies.pop(other)
            dropped.file.close()
            spare -= dropped.version.size


def _copied(store: S3Store, key: str, folder: Path, first: int | None) -> _Copy:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it outlives this call
    except OSError as error:
        raise _full(folder, error) from None
    try:
        found = store.download(key, file, first=first)
        file.flush()
    except OSError as error:
        file.close()
        raise _full(folder, error) from None
    except BaseException:
        file.close()
        raise
    return _Copy(version=Version.of(found), file=file)


def _full(folder: Path, error: OSError) -> SpoolError:
    return SpoolError(f"{folder}: no room for what is read from the bucket ({error.strerror}); make room and run again")


def _close_all(copies: dict[str, _Copy], ahead: _Ahead) -> None:
    for kept in copies.values():
        kept.file.close()
    copies.clear()
    ahead.drop()


class _Ahead:
    """Copies that are made while others are read: a GET takes as long for a letter as for a book."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._begun: dict[str, tuple[Future[_Copy], int]] = {}
        self._waiting: deque[Wanted] = deque()
        self._copy: Callable[[str, int | None], _Copy] | None = None

    def begin(self, wanted: Iterable[Wanted], copy: Callable[[str, Path, int | None], _Copy], root: str, folder: Path) -> None:
        """Copy these, some at a time. `copy` must not refer to who asks, who could not be let go of otherwise."""
        self.drop()
        self._waiting.extend(wanted)
        self._copy = lambda name, first: copy(root + name, folder, first)
        self._fill()

    def take(self, name: str) -> _Copy | None:
        """The copy, once it is there; None for what was not begun. Raises what copying raised."""
        begun = self._begun.pop(name, None)
        if begun is None:
            return None
        try:
            return begun[0].result()
        finally:
            self._fill()

    def drop(self) -> None:
        """Forget what was not taken."""
        self._waiting.clear()
        for future, _ in self._begun.values():
            if not future.cancel() and future.exception() is None:
                future.result().file.close()
        self._begun.clear()

    def _fill(self) -> None:
        self._pool = self._pool or ThreadPoolExecutor(AT_ONCE)
        while self._waiting and self._copy and len(self._begun) < AT_ONCE:
            spare = AHEAD_BYTES - sum(size for _, size in self._begun.values())
            if self._begun and self._waiting[0].size > spare:
                return
            one = self._waiting.popleft()
            self._begun[one.name] = (self._pool.submit(self._copy, one.name, one.first), one.size)


class _Window(io.RawIOBase):
    """A position of its own in a file that others read as well, and that stays open for as long as this is."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = os.dup(descriptor)
        self._at = 0

    def fileno(self) -> int:
        """The descriptor, for its status."""
        return self._descriptor

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # of what RawIOBase may be given, what it is
        """Read on from the position."""
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
