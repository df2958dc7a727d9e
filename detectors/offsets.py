"""Where a piece of normalised text came from: an offset map, made of segments.

A segment is either *linear* (same length on both sides, character for character) or *whole* (any position inside it
stands for the entire source span, as for a decoded base64 run). Maps compose: each normalisation step has its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OffsetMap:
    """Segments in target order: target start, source start, source end. Sources may repeat and need not ascend.

    Target positions run from 0 to `length`. A segment is linear when its source and target lengths agree.
    """

    targets: Sequence[int] = field(repr=False)
    sources: Sequence[tuple[int, int]] = field(repr=False)
    length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The smallest source span that covers target `start:end` (an empty target span gives an empty source span)."""
        first = self._character(start)
        last = self._character(max(start, end - 1))
        low, high = min(first[0], last[0]), max(first[1], last[1])
        return (low, low) if end <= start else (low, high)

    def _character(self, position: int) -> tuple[int, int]:
        index = max(0, bisect_right(self.targets, position) - 1)
        source_start, source_end = self.sources[index]
        target_start = self.targets[index]
        target_end = self.targets[index + 1] if index + 1 < len(self.targets) else self.length
        if source_end - source_start == target_end - target_start:
            at = min(source_start + position - target_start, source_end)
            return at, min(at + 1, source_end)
        return source_start, source_end


@dataclass(slots=True)
class Rewrite:
    """Builds a rewritten text and its map: call `keep` and `replace` in source order, `append` at the end."""

    source: str = field(repr=False)
    _pieces: list[str] = field(default_factory=list, repr=False)
    _targets: list[int] = field(default_factory=list, repr=False)
    _sources: list[tuple[int, int]] = field(default_factory=list, repr=False)
    _length: int = 0
    _taken: int = 0

    def replace(self, start: int, end: int, text: str) -> None:
        """Keep everything up to `start`, then put `text` in place of source `start:end`."""
        self._add(self.source[self._taken : start], (self._taken, start))
        self._add(text, (start, end))
        self._taken = end

    def place(self, text: str, span: tuple[int, int]) -> None:
        """Put `text`, which stands for source `span`, next; the caller covers the source itself."""
        self._add(text, span)
        self._taken = len(self.source)

    def append(self, text: str, span: tuple[int, int]) -> None:
        """Put `text`, which stands for source `span`, after the whole rest of the source."""
        self._add(self.source[self._taken :], (self._taken, len(self.source)))
        self._taken = len(self.source)
        self._add(text, span)

    def finish(self) -> tuple[str, OffsetMap]:
        """The rewritten text and its map."""
        self._add(self.source[self._taken :], (self._taken, len(self.source)))
        self._taken = len(self.source)
        if not self._targets:
            self._targets.append(0)
            self._sources.append((0, 0))
        return "".join(self._pieces), OffsetMap(self._targets, self._sources, self._length)

    @property
    def changed(self) -> bool:
        """Whether anything was replaced or appended."""
        return bool(self._pieces)

    def _add(self, text: str, span: tuple[int, int]) -> None:
        if text:
            self._pieces.append(text)
            self._targets.append(self._length)
            self._sources.append(span)
            self._length += len(text)
