"""One engine on a device: the locks of devices, held by workers, outside of every job's spool because jobs can share a device.

The locks are the kernel's (`flock`) and belong to an open file, not to a process: a worker inherits it, so that the lock is held from
before the worker exists until it, and whatever it started with the file open, is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import re
import signal
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from sinks import durable
from sinks.errors import EndpointError

TERMINATE_S = 5.0
SHARED = Path("/tmp")  # noqa: S108 - our folder in it is private and checked; a lock holds a number, nothing else
_LOOK_S = 0.02


def device_locks() -> Path:
    """The folder of the device locks: one for each user of this machine, the same from every shell, service and job.

    Neither TMPDIR nor XDG_RUNTIME_DIR is asked: a night under cron and one at a terminal have different ones, but the same GPU. A host
    that gives a service its own /tmp, and containers that share a GPU, have to keep their nights apart themselves. Anybody may make a
    folder of this name in /tmp, and would keep us from our own GPU: then it is `.cache/waybill/locks` in the user's home, as the system
    (not HOME) has it.
    """
    usual = SHARED / f"waybill-{os.getuid()}"
    try:
        if _is_ours_alone(usual):
            return usual
    except OSError:  # not made yet
        return usual
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "waybill" / "locks"
    except KeyError:  # a container's user without a name: `open_locks_folder` says what is wrong
        return usual


def open_locks_folder(path: Path) -> Path:
    """Make the folder, or see that it is ours alone. Raises EndpointError: in somebody else's folder a lock means nothing."""
    try:
        path.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        ours = _is_ours_alone(path)
    except OSError as error:
        raise EndpointError(f"vllm_offline: {path}: the folder of the device locks cannot be made ({error.strerror})") from None
    if not ours:
        raise EndpointError(f"vllm_offline: {path}: expected a folder of our own that nobody else can write to; remove it")
    return path


def _is_ours_alone(path: Path) -> bool:
    facts = path.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


class DeviceLocks:
    """The locks of one replica's devices, held. They end with the last process that has them open."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.descriptors = tuple(descriptors)

    @classmethod
    def acquire(cls, paths: Sequence[Path]) -> DeviceLocks | None:
        """All of them at once, or None when one is held: who waits for the rest while holding some could wait for ever."""
        held: list[int] = []
        try:
            for path in paths:
                held.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, durable.PRIVATE_FILE))
                fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            cls(held).release()
            if isinstance(error, BlockingIOError):
                return None
            raise
        return cls(held)

    def name(self, pid: int | None, folder: Path) -> None:
        """Write down which worker holds them, and the folder it works for; a pid of None while nobody knows yet."""
        holder = b"" if pid is None else json.dumps({"pid": pid, "folder": str(folder)}).encode()
        for descriptor in self.descriptors:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder, 0)

    def release(self) -> None:
        """Close our copies; a worker that inherited them keeps holding them."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def lock_path(folder: Path, device: str) -> Path:
    """The lock of a device, named as CUDA_VISIBLE_DEVICES has it: by number, or by UUID. Two names of one device are two locks."""
    return folder / f"engine-{re.sub(r'[^A-Za-z0-9-]', '_', device)}.lock"


def end_holder(path: Path, folder: Path) -> None:
    """End the worker that holds this lock, if it works for `folder`: one that an earlier process of this job left, never another job's."""
    for then in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + TERMINATE_S
        pid = _holder(path, folder)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, then)
        while _holder(path, folder) == pid and time.monotonic() < deadline:
            time.sleep(_LOOK_S)


def _holder(path: Path, folder: Path) -> int | None:
    """The worker for `folder` that holds this lock. While the lock is held, it and no other process has this number."""
    locks = DeviceLocks.acquire([path])
    if locks is not None:
        locks.release()
        return None
    with contextlib.suppress(OSError, ValueError):
        holder = json.loads(path.read_bytes())
        return int(holder["pid"]) if holder["folder"] == str(folder) else None
    return None
