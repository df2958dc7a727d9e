"""What one file, or one attachment, gives: text, metadata, and what was wrong with it.

The last boundary of all format readers is here: whatever a foreign library raises becomes a reason code, so that one bad
file never stops the night, and no exception carries document text further (invariant 5).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from detectors.document import ReadProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """One document's content before it has an id.

    member: its place inside its file, stable when names change (`""` for the file itself, `"2"`, `"2.1"` for attachments).
    label: the attachment's name. declared: data classes that the input itself states.
    """

    text: str = field(default="", repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    problem: ReadProblem | None = None
    member: str = ""
    label: str = field(default="", repr=False)
    declared: frozenset[str] = frozenset()


Reader = Callable[[bytes, int], Extract]
"""Reads one format: its bytes, and the most bytes of text that a document may have."""


def guarded(reader: Reader, content: bytes, max_bytes: int) -> Extract:
    """Run one format's reader; it never raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries quote what they read
            return reader(content, max_bytes)
    except MemoryError:
        return Extract(problem=ReadProblem.TOO_LARGE)
    except Exception:  # noqa: BLE001 - parsers fed with hostile files fail in ways that nobody documents; a HELD row is the answer to all
        return Extract(problem=ReadProblem.CORRUPT)
