"""What a run asks of the ledger. State on restart is a query over the ledger; there is no second source of truth.

Every function reads the segments as they are when it is called and takes an open `Ledger` or its folder. A run's records come as columns
(`RecordStates`, `Completed`), which stay small for 100,000 of them; only what is looked up becomes an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sinks.ledger.reader import reading
from sinks.ledger.record_lookup import RecordLookup
from sinks.ledger.segments import Ledger
from sinks.ledger.shares import ask_by_share

_STATES = ("intents", "record_states")
_OUT = ("submitting", "submitted", "ambiguous")

AMBIGUOUS_REASON = "ambiguous_hand_over"
"""The reason of a held row that stands for an ambiguous hand-over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState:
    """How far one record of a run has come.

    state: decided, assigned, cleared, submitting, ambiguous, submitted, rejected, cancelled, completed, failed, held or released.
    Rejected and cancelled: nothing runs for it, it may be cleared again. attempt: of its last hand-over. seq: of the entry that says so.
    """

    record_id: str
    state: str
    seq: int
    document_hmac: str | None = None
    data_classes: tuple[str, ...] = ()
    lane: str | None = None
    endpoint: str | None = None
    intent_id: str | None = None
    attempt: int | None = None
    clearance_id: str | None = None
    reason: str | None = None
    error_code: str | None = None


class RecordStates:
    """The state of every record of a run; `table` has one row per record with the columns of `RecordState`, ordered by record id."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._row_of = RecordLookup(table["record_id"].to_pylist())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def get(self, record_id: str) -> RecordState | None:
        """The state of one record; None when the run has no entry about it."""
        row = self._row_of(record_id)
        return None if row is None else _state(self.table.slice(row, 1).to_pylist()[0])

    def among(self, *states: str) -> list[RecordState]:
        """The records in one of these states, ordered by record id."""
        return [_state(row) for row in self.table.filter(self._in(states)).to_pylist()]

    def intents(self, *states: str) -> pa.Array:
        """The latest hand-overs of the records in one of these states, each once."""
        return self.table.filter(self._in(states))["intent_id"].drop_null().unique()

    def count(self, *states: str) -> int:
        """How many records are in one of these states."""
        return int(pc.sum(self._in(states)).as_py() or 0)

    def _in(self, states: tuple[str, ...]) -> pa.ChunkedArray:
        return pc.is_in(self.table["state"], value_set=pa.array(states, pa.string()))


def _state(row: dict[str, Any]) -> RecordState:
    return RecordState(**{**row, "data_classes": tuple(row["data_classes"] or ())})


def run_state(ledger: Ledger | Path, run_id: str) -> RecordStates:
    """How far every record of the run has come."""
    columns = ", ".join(one.name for one in fields(RecordState))
    table = ask_by_share(ledger, _STATES, f"SELECT {columns} FROM record_states", run_id=run_id)  # noqa: S608 - our own column names
    return RecordStates(table.sort_by("record_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """A hand-over that still owes an answer.

    state: submitting (nobody recorded what came of it), submitted, ambiguous, or job_ended (its results are not all collected).
    record_ids: in the order of the shard's rows. shard_hmac: keyed digest of the frozen file, where the gate stated it.
    """

    intent_id: str
    run_id: str
    endpoint: str
    attempt: int
    state: str
    at: datetime
    provider_job_id: str | None
    shard_hmac: str | None
    record_ids: tuple[str, ...] = field(repr=False)


def open_intents(ledger: Ledger | Path, run_id: str | None = None) -> list[OpenIntent]:
    """The hand-overs whose records are still out, oldest first; of one run, or of all."""
    if run_id is None:
        found = [intent for run in unsettled_runs(ledger) for intent in open_intents(ledger, run)]
        return sorted(found, key=lambda intent: intent.at)
    owing = ask_by_share(
        ledger,
        _STATES,
        """
        SELECT DISTINCT s.intent_id FROM record_states s JOIN intents i ON i.intent_id = s.intent_id
        WHERE s.state IN ('submitting', 'submitted', 'ambiguous') OR (s.state = 'held' AND i.state = 'ambiguous')
        """,
        run_id=run_id,
    )["intent_id"].unique()
    return _intents(ledger, run_id, owing)


def open_intents_of(ledger: Ledger | Path, run_id: str, states: RecordStates) -> list[OpenIntent]:
    """As `open_intents`, for who has just read the states of the run's records."""
    out, held = states.intents(*_OUT), states.intents("held")
    found = _intents(ledger, run_id, pa.chunked_array([out, held]).unique())
    owing = frozenset(out.to_pylist())
    return [intent for intent in found if intent.intent_id in owing or intent.state == "ambiguous"]


def _intents(ledger: Ledger | Path, run_id: str, owing: pa.Array) -> list[OpenIntent]:
    """These hand-overs, oldest first."""
    if not len(owing):
        return []
    with reading(ledger, ("intents",), run_id=run_id, about=owing.to_pylist()) as reader:
        rows = reader.table(
            """
            SELECT i.intent_id, any_value(i.run_id) AS run_id, any_value(i.endpoint) AS endpoint, any_value(i.attempt) AS attempt,
                   any_value(i.state) AS state, any_value(i."at") AS "at", any_value(i.provider_job_id) AS provider_job_id,
                   any_value(i.shard_hmac) AS shard_hmac, list(e.record_id ORDER BY e.seq) AS record_ids
            FROM intents i JOIN entries e ON e.intent_id = i.intent_id AND e.event = 'submitting'
            WHERE list_contains($owing, i.intent_id)
            GROUP BY i.intent_id ORDER BY min(i.seq)
            """,
            owing=owing.to_pylist(),
        )
    return [OpenIntent(**{**row, "record_ids": tuple(row["record_ids"])}) for row in rows.to_pylist()]


def unsettled_runs(ledger: Ledger | Path) -> list[str]:
    """The runs that may have hand-overs open. A run that ended, and not as pending, has none but ambiguous ones, until it starts again."""
    with reading(ledger) as reader:
        rows = reader.table(
            """
            SELECT run_id FROM entries
            WHERE event IN ('run_started', 'run_ended', 'submitting', 'submitted', 'ambiguous') AND run_id IS NOT NULL
            GROUP BY run_id
            HAVING count(*) FILTER (event = 'submitting') > 0
               AND (count(*) FILTER (event = 'ambiguous') > 0
                    OR max(seq) FILTER (event <> 'run_ended')
                       > coalesce(max(seq) FILTER (event = 'run_ended' AND detail_code IN ('done', 'gate_refused')), 0))
            ORDER BY min(seq)
            """
        )
    return list(rows["run_id"].to_pylist())


def reopened_runs(ledger: Ledger | Path) -> set[str]:
    """The runs about whose records something was entered after they ended: taken in late, given back, decided by a person."""
    with reading(ledger) as reader:
        rows = reader.table(
            """
            SELECT run_id FROM entries
            WHERE event IN ('run_started', 'run_ended', 'decided', 'submitting', 'completed', 'failed', 'held', 'released',
                            'ambiguous', 'rejected', 'cancelled', 'job_ended') AND run_id IS NOT NULL
            GROUP BY run_id
            HAVING max(seq) FILTER (event NOT IN ('run_started', 'run_ended')) > max(seq) FILTER (event IN ('run_started', 'run_ended'))
               AND arg_max(event, seq) FILTER (event IN ('run_started', 'run_ended')) = 'run_ended'
            """
        )
    return set(rows["run_id"].to_pylist())


def jobs_of_others(ledger: Ledger | Path, intent_id: str) -> frozenset[str]:
    """Ids of all provider jobs that any run ever took for another intent than this one; local jobs, named by their intent, left out."""
    with reading(ledger) as reader:
        jobs = reader.table(
            """
            SELECT DISTINCT provider_job_id FROM entries
            WHERE provider_job_id IS NOT NULL AND intent_id <> $intent_id AND provider_job_id <> intent_id
            """,
            intent_id=intent_id,
        )
    return frozenset(jobs["provider_job_id"].to_pylist())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One run of a job. finished: its last start has ended; ended_as: the detail code of that end. starts: how often it was started."""

    run_id: str
    job: str
    logical_date: str
    started_at: datetime | None
    ended_at: datetime | None
    finished: bool
    ended_as: str | None
    starts: int
    template_hash: str | None
    policy_hash: str | None
    detectors_hash: str | None
    cost_centre: str | None = None


def job_runs(ledger: Ledger | Path, job: str | None = None) -> list[RunInfo]:
    """The runs of a job, or of all jobs, oldest first."""
    with reading(ledger, ("runs",)) as reader:
        rows = reader.table("SELECT * FROM runs WHERE $job IS NULL OR job = $job ORDER BY seq", job=job).drop_columns(["seq"])
    return [RunInfo(**row) for row in rows.to_pylist()]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """How many documents of a run are where; documents is the sum of the others. Ambiguous hand-overs count as held."""

    documents: int
    results: int
    held: int
    failed: int
    pending: int


def run_counts(ledger: Ledger | Path, run_id: str) -> RunCounts:
    """Count the documents that the run has entries about."""
    shares = ask_by_share(
        ledger,
        _STATES,
        """
        SELECT count(*) AS documents,
               count(*) FILTER (state = 'completed') AS results,
               count(*) FILTER (state IN ('held', 'ambiguous')) AS held,
               count(*) FILTER (state = 'failed') AS failed,
               count(*) FILTER (state NOT IN ('completed', 'held', 'ambiguous', 'failed')) AS pending
        FROM record_states
        """,
        run_id=run_id,
    )
    return RunCounts(**{name: int(pc.sum(shares[name]).as_py()) for name in shares.column_names})


NOWHERE: Mapping[str, int] = MappingProxyType({"local": 0, "cloud": 0, "held": 0, "pending": 0})


def class_counts(ledger: Ledger | Path, run_id: str) -> dict[str, dict[str, int]]:
    """{class: {local, cloud, held, pending}}: a document counts once in each of its classes; a failed one where it had been sent.

    Documents that were never judged, because they have no readable text, have no class and are not in it.
    """
    rows = ask_by_share(
        ledger,
        _STATES,
        """
        SELECT data_class, destination, count(*) AS documents FROM (
            SELECT unnest(data_classes) AS data_class,
                   CASE WHEN state = 'completed' THEN coalesce(lane, 'cloud')
                        WHEN state = 'failed' THEN coalesce(lane, 'held')
                        WHEN state IN ('held', 'ambiguous') THEN 'held'
                        ELSE 'pending' END AS destination
            FROM record_states)
        GROUP BY ALL
        """,
        run_id=run_id,
    ).sort_by("data_class")
    counts: dict[str, dict[str, int]] = {}
    for row in rows.to_pylist():
        counts.setdefault(row["data_class"], dict(NOWHERE))[row["destination"]] += row["documents"]
    return counts
