"""Which segments speak of which records, hand-overs and runs, so that a question about a few reads a few files.

Segments never change, so what is known of one stays true. The index only leaves out files that cannot hold an answer: what is read, and
believed, is the ledger itself. A collision of hashes costs one file read in vain.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.errors import LedgerUnavailableError
from sinks.ledger.entry import Event
from sinks.ledger.files import is_segment

_COLUMNS = ["event", "run_id", "record_id", "intent_id"]
_OF_THE_RUN = frozenset({Event.RUN_STARTED.value, Event.RUN_ENDED.value})


@dataclass(frozen=True, slots=True)
class _Span:
    """The names of some segments as sorted hashes, and beside each the number of the segment that speaks of it."""

    hashes: np.ndarray
    segments: np.ndarray

    def speaking_of(self, wanted: np.ndarray) -> np.ndarray:
        """The numbers of the segments that hold any of these hashes."""
        first, after = np.searchsorted(self.hashes, wanted, "left"), np.searchsorted(self.hashes, wanted, "right")
        hit = after > first
        return np.concatenate([self.segments[low:high] for low, high in zip(first[hit], after[hit], strict=True)] or [self.segments[:0]])


class SegmentIndex:
    """Twelve bytes for every name in a segment. Safe to share between threads: one of them reads new segments, the others wait for it.

    Spans are merged as they grow, so that a question costs the logarithm of the number of segments, not that number.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._spans: list[_Span] = []
        self._lock = threading.Lock()

    def about(self, paths: Sequence[Path], names: Iterable[str]) -> list[Path]:
        """Those of `paths` that may speak of any of these record ids, intent ids or (`run_name`) runs.

        Only segments are indexed; an archive file, of millions of names, is always read, if not left out by `of_runs`.
        """
        numbers = {int(path.stem): path for path in paths if is_segment(path)}
        wanted = hashes_of(names)
        with self._lock:
            for number in sorted(numbers.keys() - self._known):
                self._add(number, _names_in(numbers[number]))
            spans = tuple(self._spans)
        hits = {int(number) for span in spans for number in span.speaking_of(wanted)}
        return [path for path in paths if not is_segment(path) or int(path.stem) in hits]

    def _add(self, number: int, hashes: np.ndarray) -> None:
        self._known.add(number)
        if not len(hashes):
            return
        self._spans.append(_Span(hashes, np.full(len(hashes), number, dtype=np.int32)))
        while len(self._spans) > 1 and len(self._spans[-2].hashes) < 2 * len(self._spans[-1].hashes):
            last, before = self._spans.pop(), self._spans.pop()
            self._spans.append(_merged(before, last))


def of_runs(paths: Sequence[Path], run_ids: Iterable[str]) -> list[Path]:
    """Those of `paths` that may hold entries of these runs: all segments, and the archive files that speak of one of them."""
    wanted = frozenset(run_ids)
    return [path for path in paths if is_segment(path) or not wanted.isdisjoint(rows_by_run(path))]


@lru_cache(maxsize=1024)
def rows_by_run(path: Path) -> Mapping[str, int]:
    """The runs in an archive file, which never changes, each with the rows of the row groups that it is in.

    Rows of one run lie together, so that statistics say most of it.
    """
    rows: Counter[str] = Counter()
    try:
        with pq.ParquetFile(path, read_dictionary=["run_id"]) as file:
            column = file.schema_arrow.get_field_index("run_id")
            for number in range(file.num_row_groups):
                group = file.metadata.row_group(number)
                # Only columns without lists come before it, so that the place among the columns is that among the leaves.
                statistics = group.column(column).statistics
                runs: set[str] = set()
                if statistics is not None and statistics.has_min_max and statistics.min == statistics.max:
                    runs.add(statistics.min)
                elif statistics is None or statistics.null_count != group.num_rows:
                    chunks = file.read_row_group(number, columns=["run_id"])["run_id"].chunks
                    runs.update(one for chunk in chunks for one in chunk.dictionary.to_pylist() if one is not None)
                rows.update(dict.fromkeys(runs, group.num_rows))
    except pa.ArrowInvalid:
        raise LedgerUnavailableError(f"{path}: not a readable Parquet file; restore it from a copy and verify the ledger") from None
    return MappingProxyType(rows)


def run_name(run_id: str) -> str:
    """The name under which the start and end of a run are indexed."""
    return f"run {run_id}"


def _merged(one: _Span, other: _Span) -> _Span:
    hashes, segments = np.concatenate([one.hashes, other.hashes]), np.concatenate([one.segments, other.segments])
    order = np.argsort(hashes, kind="stable")
    return _Span(hashes[order], segments[order])


def hashes_of(names: Iterable[str]) -> np.ndarray:
    """Names as sorted numbers, each once; the same name gives the same number within a process and its children."""
    return np.unique(np.fromiter(map(hash, names), dtype=np.int64))


def _names_in(path: Path) -> np.ndarray:
    try:
        with pq.ParquetFile(path) as file:
            columns = file.read(columns=_COLUMNS)
    except pa.ArrowInvalid:
        raise LedgerUnavailableError(f"{path}: not a readable Parquet file; restore it from a copy and verify the ledger") from None
    names = {name for column in ("record_id", "intent_id") for name in columns[column].unique().to_pylist() if name is not None}
    events, runs = columns["event"].to_pylist(), columns["run_id"].to_pylist()
    names |= {run_name(run) for event, run in zip(events, runs, strict=True) if event in _OF_THE_RUN and run is not None}
    return hashes_of(names)
