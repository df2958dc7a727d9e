"""Opens one input file safely: a regular file inside the source, never a pipe or a link that leads out; or an object of a bucket."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from detectors.document import ReadProblem
from flows.job_parts import Source
from flows.sources.walk import inside
from sinks.errors import ObjectChangedError, ObjectError, ObjectMissingError


class CannotReadError(Exception):
    """A file cannot be opened; `problem` becomes the reason code of its row. It never leaves `flows/sources/`."""

    def __init__(self, problem: ReadProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def open_file(source: Source, path: str, *, meant: int = 0, first: int | None = None, keep: bool = False) -> BinaryIO:
    """The file for reading; raises CannotReadError with the reason. The rest is for objects in a bucket.

    Raises EndpointError when the bucket cannot be reached: a night without its source stops, instead of holding one document after another.

    meant: the identity of the one that must still be there. first: so many bytes are enough. keep: it is a table, and opened again.
    """
    if source.bucket is None:
        return _open_on_disk(source.root, path)
    try:
        return source.bucket.open(path, meant=meant, first=first, keep=keep)
    except ObjectMissingError:
        raise CannotReadError(ReadProblem.VANISHED) from None
    except ObjectChangedError:
        raise CannotReadError(ReadProblem.CHANGED) from None
    except ObjectError:
        raise CannotReadError(ReadProblem.UNREADABLE) from None


def version_of(source: Source, path: str) -> tuple[int, int]:
    """What tells one version of a file from another (an inode, an ETag), and its size; zeros for what vanished, which reading reports."""
    if source.bucket is not None:
        version = source.bucket.version(path)
        return (version.identity, version.size) if version else (0, 0)
    try:
        status = os.stat(source.root / path)  # noqa: PTH116 - one call for both
    except (OSError, ValueError):
        return 0, 0
    return status.st_ino, status.st_size


def _open_on_disk(root: Path, path: str) -> BinaryIO:
    full = root / path
    try:
        if not inside(root, full):
            raise CannotReadError(ReadProblem.UNREADABLE)
        # Without O_NONBLOCK, opening a named pipe waits for ever for its writer.
        descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise CannotReadError(ReadProblem.VANISHED) from None
    except (OSError, ValueError):
        raise CannotReadError(ReadProblem.UNREADABLE) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CannotReadError(ReadProblem.UNREADABLE)
    return os.fdopen(descriptor, "rb")
