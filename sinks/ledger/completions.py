"""What earlier runs of a job have completed: the question that every night begins with, over all the years.

It is asked of a few runs at a time, so that the whole history is read once, and no more of it is in memory than one row per record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from sinks.ledger.reader import reading
from sinks.ledger.record_lookup import RecordLookup
from sinks.ledger.segments import Ledger
from sinks.ledger.shares import answers_by_run

# As the view `record_states` tells it, of which nothing but this one state is asked. `seq` is that of the decision: a batch of an older run
# may come in after a newer run has read, and completed, what the document had become meanwhile.
_COMPLETED = """
    SELECT record_id, run_id, seq, coalesce(document_hmac, '') AS document_hmac FROM (
        SELECT run_id, record_id, coalesce(max(seq) FILTER (event = 'decided'), min(seq)) AS seq, arg_max(event, seq) AS last,
               arg_max({hmac: document_hmac}, seq) FILTER (event = 'decided').hmac AS document_hmac
        FROM entries
        WHERE record_id IS NOT NULL
          AND event IN ('decided', 'assigned', 'cleared', 'submitting', 'completed', 'failed', 'held', 'released')
        GROUP BY run_id, record_id
    ) WHERE last = 'completed'
"""
_NONE = pa.schema([("record_id", pa.string()), ("run_id", pa.string()), ("seq", pa.int64()), ("document_hmac", pa.string())]).empty_table()


class Completed:
    """What earlier runs of a job completed: per record the keyed digest of the document and the template it was done with."""

    def __init__(self, table: pa.Table) -> None:
        self._hmacs = table["document_hmac"].combine_chunks()
        self._templates = table["template_hash"].combine_chunks().dictionary_encode()
        self._row_of = RecordLookup(table["record_id"].to_pylist())

    def __len__(self) -> int:
        return len(self._hmacs)

    def get(self, record_id: str) -> tuple[str, str] | None:
        """(document_hmac, template_hash) of the completion whose text was read last; None when there is none."""
        row = self._row_of(record_id)
        return None if row is None else (self._hmacs[row].as_py(), self._templates[row].as_py())


def completed_before(ledger: Ledger | Path, job: str, *, run_id: str | None = None) -> Completed:
    """The completion of each record in the runs of a job, of several the one whose text was read last.

    run_id: a run to leave out, usually the one that asks.
    """
    with reading(ledger, ("runs",)) as reader:
        runs = reader.table(
            """
            SELECT r.run_id, coalesce(r.template_hash, '') AS template_hash, count(*) AS entries
            FROM runs r JOIN entries e ON e.run_id = r.run_id
            WHERE r.job = $job AND r.run_id IS DISTINCT FROM $leave_out
            GROUP BY ALL ORDER BY min(e.seq)
            """,
            job=job,
            leave_out=run_id,
        ).to_pylist()
    latest, newer = _NONE, list[pa.Table]()
    for answer in answers_by_run(ledger, _COMPLETED, runs={run["run_id"]: run["entries"] for run in runs}):
        newer.append(answer)
        if sum(map(len, newer)) > len(latest):  # so that years of nights are merged a few times, not once for each
            latest, newer = _latest_of([latest, *newer]), []
    return completed_of([latest, *newer], {run["run_id"]: run["template_hash"] for run in runs})


def completed_of(tables: Sequence[pa.Table], templates: Mapping[str, str]) -> Completed:
    """The latest of each record in tables of record_id, run_id, seq (of the decision) and document_hmac. templates: each run's hash."""
    latest = _latest_of([_NONE, *tables])
    runs = latest["run_id"].combine_chunks().dictionary_encode()
    hashes = pa.array([templates[run_id] for run_id in runs.dictionary.to_pylist()], pa.string())
    return Completed(latest.append_column("template_hash", pa.DictionaryArray.from_arrays(runs.indices, hashes).cast(pa.string())))


def _latest_of(tables: Sequence[pa.Table]) -> pa.Table:
    """Of each record the row with the largest `seq`."""
    rows = pa.concat_tables([table.cast(_NONE.schema) for table in tables]).sort_by("seq")
    names = [name for name in _NONE.schema.names if name != "record_id"]
    last = rows.group_by("record_id", use_threads=False).aggregate([(name, "last") for name in names])
    return last.rename_columns(["record_id", *names]).cast(_NONE.schema)
