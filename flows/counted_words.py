"""A count and what is counted, as a person says it: 1 job, 2 jobs, 1,204 nights."""

from __future__ import annotations

SEVERAL_CLASSES = "A document of several classes counts in each."
"""Under every table of classes."""


def counted(count: int, one: str, many: str = "") -> str:
    """many: where it is not just with an s behind."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
