"""Files that are there in full or not at all, also after a power cut: written beside their place, fsynced, then moved in one step.

Two ways in: `link_new` (fails if the name is taken; the winner of a race is whoever links first) and `replace` (the last one wins).
`OSError` passes through: what a failed write means is for the caller to say.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write_new(path: Path, data: bytes | memoryview, *, mode: int) -> None:
    """Create `path` with these bytes and fsync it; it must not exist. A failed write leaves nothing behind."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            rest = memoryview(data).cast("B")
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def link_new(temporary: Path, path: Path, data: bytes | memoryview, *, mode: int) -> None:
    """Create `path` with these bytes in one step. FileExistsError: the name is taken, and nothing was written.

    The link is the commit. A failure after it (the folder cannot be synced) raises as well, although readers may see the file.
    """
    write_new(temporary, data, mode=mode)
    try:
        os.link(temporary, path)
    finally:
        # After a crash between the two, the temporary name is only a second name of a file that is committed.
        with contextlib.suppress(OSError):
            temporary.unlink()
    sync_folder(path.parent)


def replace(path: Path, data: bytes | memoryview, *, mode: int, group: str | None = None) -> None:
    """Put these bytes at `path`, whatever was there. `group`: the file's group, where it is not the process's own."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{secrets.token_hex(4)}")
    write_new(temporary, data, mode=mode)
    try:
        if group is not None:
            shutil.chown(temporary, group=group)
            temporary.chmod(mode)
        temporary.replace(path)
    except (OSError, LookupError):
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
