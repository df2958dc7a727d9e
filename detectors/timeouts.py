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


@contextmanager
def no_timeout_lost() -> Iterator[None]:
    """Raise TimeoutError at the end if one was raised within, by whatever was called here, and caught there.

    Python functions that are called within are traced for exceptions alone, in this thread, and not by line.
    """
    raised: list[str] = []

    def watch(frame: FrameType, event: str, about: Any) -> Any:
        if event == "exception" and issubclass(about[0], TimeoutError):
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
