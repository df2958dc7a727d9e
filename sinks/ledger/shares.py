"""A question about every record of a large run, asked of a share of the records at a time, so that memory does not grow with the night.

The states of records are independent of each other: what is asked of one share needs no entry of another. Entries without a record
(runs, hand-overs) belong to every share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from sinks.ledger import files
from sinks.ledger.index import rows_by_run
from sinks.ledger.reader import Reader, folder_of, reading
from sinks.ledger.segments import Ledger

ENTRIES_A_SHARE = 60_000
"""About 10,000 records: what DuckDB needs for them is what a small night needs as well."""


def ask_by_share(ledger: Ledger | Path, needed: Sequence[str], query: str, *, run_id: str | None = None, **parameters: Any) -> pa.Table:
    """The answers of all shares, one after the other. The query must speak of each record alone, or give sums that its caller adds up."""
    return pa.concat_tables(answers_by_share(ledger, needed, query, run_id=run_id, **parameters))


def answers_by_share(
    ledger: Ledger | Path, needed: Sequence[str], query: str, *, run_id: str | None = None, **parameters: Any
) -> Iterator[pa.Table]:
    """The same, each answer as it comes, for who needs only one at a time."""
    yield from _answers(partial(reading, ledger, needed, run_id=run_id), query, _entries(folder_of(ledger), run_id), parameters)


def answers_by_run(ledger: Ledger | Path, query: str, *, runs: Mapping[str, int], **parameters: Any) -> Iterator[pa.Table]:
    """The answers about some runs, as many of them at a time as make a share, each with its number of entries.

    For a question about years, of which nothing is then read twice. The query must speak of each record of each run alone.
    """
    batch: list[str] = []
    entries = 0
    for run_id, count in runs.items():
        if batch and entries + count > ENTRIES_A_SHARE:
            yield from _answers(partial(reading, ledger, run_id=batch), query, entries, parameters)
            batch, entries = [], 0
        batch.append(run_id)
        entries += count
    if batch:
        yield from _answers(partial(reading, ledger, run_id=batch), query, entries, parameters)


def _answers(
    reading_of: Callable[..., AbstractContextManager[Reader]], query: str, entries: int, parameters: dict[str, Any]
) -> Iterator[pa.Table]:
    shares = max(1, math.ceil(entries / ENTRIES_A_SHARE))
    for share in range(shares):
        with reading_of(share=(share, shares)) as reader:
            answer = reader.table(query, **parameters)
        yield answer


def _entries(folder: Path, run_id: str | None) -> int:
    """How many entries have to be read, at the most."""
    _, paths = files.snapshot(folder)
    segments = [path for path in paths if files.is_segment(path)]
    packed = [path for path in paths if not files.is_segment(path)]
    # Segments follow on one another, so that two footers tell of all of them.
    loose = _last_seq(segments[-1]) - _first_seq(segments[0]) + 1 if segments else 0
    if run_id is not None:
        return loose + sum(rows_by_run(path).get(run_id, 0) for path in packed)
    return loose + sum(_last_seq(path) - _first_seq(path) + 1 for path in packed)


def _first_seq(path: Path) -> int:
    return int(files.footer(path)[files.FIRST_SEQ_KEY])


def _last_seq(path: Path) -> int:
    return int(files.footer(path)[files.LAST_SEQ_KEY])
