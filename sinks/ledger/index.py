"""Which segments speak of which records, hand-overs and runs, so that a question about a few reads a few files.

Segments never change, so what is known of one stays true. The index only leaves out files that cannot hold an answer: what is read, and
believed, is the ledger itself. A collision of hashes costs one file read in vain.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from sinks.ledger.entry import Event

_COLUMNS = ["event", "run_id", "record_id", "intent_id"]
_OF_THE_RUN = frozenset({Event.RUN_STARTED.value, Event.RUN_ENDED.value})


class SegmentIndex:
    """Eight bytes for every name in a segment; grows with the segments that this process has seen."""

    def __init__(self) -> None:
        self._names: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def about(self, paths: Sequence[Path], names: Iterable[str]) -> list[Path]:
        """Those of `paths` that may speak of any of these record ids, intent ids or (`run_name`) runs.

        Only numbered segments are indexed; an archive, whose name says a month, may be replaced and is always read.
        """
        wanted = np.unique(np.fromiter((hash(name) for name in names), dtype=np.int64))
        return [path for path in paths if not path.stem.isdigit() or np.isin(wanted, self._of(path), assume_unique=True).any()]

    def _of(self, path: Path) -> np.ndarray:
        with self._lock:
            known = self._names.get(path.name)
        if known is None:
            known = _names_in(path)
            with self._lock:
                self._names[path.name] = known
        return known


def run_name(run_id: str) -> str:
    """The name under which the start and end of a run are indexed."""
    return f"run {run_id}"


def _names_in(path: Path) -> np.ndarray:
    with pq.ParquetFile(path) as file:
        columns = file.read(columns=_COLUMNS)
    names = {name for column in ("record_id", "intent_id") for name in columns[column].unique().to_pylist() if name is not None}
    events, runs = columns["event"].to_pylist(), columns["run_id"].to_pylist()
    names |= {run_name(run) for event, run in zip(events, runs, strict=True) if event in _OF_THE_RUN and run is not None}
    return np.unique(np.fromiter((hash(name) for name in names), dtype=np.int64))
