"""Python's search for unreachable cycles, made rarer while a night runs.

A batch is some hundred thousand small objects that hold each other in no cycle, and are freed by their counts. Looking through them for
cycles every 700 objects was a fifth of a night's own CPU time. What there is of cycles is still found, later.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_OBJECTS = 100_000


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Search only after so many new objects; as before when it is over. An embedder that searches more rarely, or never, keeps its way."""
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(max(before[0], NEW_OBJECTS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
