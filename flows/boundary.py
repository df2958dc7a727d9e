"""Where errors leave the program: as one line for a person, as a code for Prefect, which stores what it is told (invariant 5)."""

from __future__ import annotations

import errno
import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from detectors.errors import DetectorsError
from flows.errors import BatchFailedError, FlowError
from policies.errors import PolicyError
from sinks.errors import SinkError

LOGGER = logging.getLogger("waybill")
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def explain(error: Exception) -> str:
    """One line about an error. Ours speak for themselves; of a foreign one only type and place, its message may quote a document."""
    if isinstance(error, (FlowError, SinkError, PolicyError, DetectorsError)):
        return str(error)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return f"a file cannot be written ({os.strerror(error.errno)}): make room, then run the same command again; it goes on where it was"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} at {frame.filename}:{frame.lineno} (WAYBILL_TRACEBACK=1 shows more)"


def is_interruption(error: BaseException | None) -> bool:
    """Whether this is Ctrl-C in disguise: DuckDB ends a statement that a signal interrupts by an error of its own, and drops ours."""
    while error is not None:
        if type(error).__name__ == "InterruptException" or (type(error) is RuntimeError and str(error) == "Query interrupted"):
            return True
        error = error.__cause__ or error.__context__
    return False


def as_code(error: Exception) -> BatchFailedError:
    """The error that Prefect may see."""
    return error if isinstance(error, BatchFailedError) else BatchFailedError(type(error).__name__)


@contextmanager
def codes_only() -> Iterator[None]:
    """Let only codes past; the line about what happened goes to the log of this process, which is not Prefect's."""
    try:
        yield
    except BatchFailedError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its text stays here
        if is_interruption(error):
            raise KeyboardInterrupt from None
        LOGGER.error("%s", explain(error))  # noqa: TRY400 - a traceback may quote content
        raise as_code(error) from None
