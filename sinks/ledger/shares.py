"""A question about every record of a large run, asked of a share of the records at a time, so that memory does not grow with the night.

The states of records are independent of each other: what is asked of one share needs no entry of another. Entries without a record
(runs, hand-overs) belong to every share.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sinks.ledger import files
from sinks.ledger.reader import folder_of, reading
from sinks.ledger.segments import Ledger

ENTRIES_A_SHARE = 120_000
"""About 20,000 records: some tens of megabytes in DuckDB."""


def ask_by_share(ledger: Ledger | Path, needed: Sequence[str], query: str, *, run_id: str | None = None, **parameters: Any) -> pa.Table:
    """The answers of all shares, one after the other. The query must speak of each record alone, or give sums that its caller adds up."""
    return pa.concat_tables(answers_by_share(ledger, needed, query, run_id=run_id, **parameters))


def answers_by_share(
    ledger: Ledger | Path, needed: Sequence[str], query: str, *, run_id: str | None = None, **parameters: Any
) -> Iterator[pa.Table]:
    """The same, each answer as it comes, for who needs only one at a time."""
    shares = max(1, math.ceil(_last_seq(folder_of(ledger)) / ENTRIES_A_SHARE))
    for share in range(shares):
        with reading(ledger, needed, run_id=run_id, share=(share, shares)) as reader:
            answer = reader.table(query, **parameters)
        yield answer


def _last_seq(folder: Path) -> int:
    segments = files.numbered(folder / files.SEGMENTS)
    return int(files.footer(segments[-1][1])[files.LAST_SEQ_KEY]) if segments else 0
