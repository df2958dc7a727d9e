"""One runner per ledger and job, so that two nights of one job never carry the same records side by side.

The lock is the kernel's (`flock`): it ends with the process that holds it, however that ends. It guards work, not truth: the gate and the
commit are safe without it.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sinks.errors import AlreadyRunningError, LedgerUnavailableError

LOCKS = "locks"

_held: set[int] = set()


def _close_in_child() -> None:
    # A forked worker inherits the descriptor, and a worker that outlives its parent must not keep the job locked.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def one_runner(ledger: Path, job: str, *, wait: bool = False) -> Iterator[None]:
    """Be the only runner of this job on this ledger, or raise AlreadyRunningError naming the process that is.

    wait: sleep until the other one has ended, instead of raising.
    """
    path = ledger / LOCKS / f"{quote(job, safe='')}.lock"
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise LedgerUnavailableError(f"{path}: the job's lock cannot be opened ({error.strerror}); check the ledger folder") from error
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(f"job {job} is already running: {_holder(descriptor)}; wait for it, or stop it ({path})") from None
        holder = {"pid": os.getpid(), "host": platform.node(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"pid {holder['pid']} on host {holder['host']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has just started"
