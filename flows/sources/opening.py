"""Opens one input file safely: a regular file inside the source, never a pipe or a link that leads out."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from detectors.document import ReadProblem
from flows.sources.walk import inside


class CannotReadError(Exception):
    """A file cannot be opened; `problem` becomes the reason code of its row. It never leaves `flows/sources/`."""

    def __init__(self, problem: ReadProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def open_file(root: Path, path: str) -> BinaryIO:
    """The file for reading; raises CannotReadError with the reason."""
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
