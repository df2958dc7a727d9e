"""A time-out that somebody else's code has caught is still a failure (invariant 1).

A recognizer may give itself a time limit (`regex` has one, futures and sockets do), catch its own `TimeoutError`, and answer that it has
found nothing. Nothing in the answer tells that from a text in which there is nothing, so the raising itself is watched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

NAMES = ("Timeout", "TimeoutError", "TimeoutExpired")
"""How the names of others' time-outs end: those of `subprocess`, `multiprocessing` and most clients are no `TimeoutError`."""


@contextmanager
def no_timeout_lost() -> Iterator[None]:
    """Raise TimeoutError at the end if a time-out was raised within, by whatever was called here, and caught there.

    Python functions that are called within are traced for exceptions alone, in this thread, and not by line.
    """
    raised: list[str] = []

    def watch(frame: FrameType, event: str, about: Any) -> Any:
        if event == "exception" and _is_timeout(about[0]):
            raised.append(about[0].__name__)
        frame.f_trace_lines = False
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)
    if raised:
        raise TimeoutError(f"expected an answer within the recognizer's own time limit, found it {len(raised)} times exceeded")


def _is_timeout(kind: type[BaseException]) -> bool:
    return issubclass(kind, TimeoutError) or any(parent.__name__.endswith(NAMES) for parent in kind.__mro__)
