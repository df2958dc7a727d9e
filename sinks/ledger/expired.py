"""What the ledger knows of results and hand-overs that retention may delete, and of what it has deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

RESULT, EXPLICIT = "result", "explicit_rows"
RETENTION = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """One result file of a run: its records, and whether the ledger has said already that it is purged."""

    run_id: str
    file: str
    record_ids: tuple[str, ...] = field(repr=False)
    purged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run of which nothing is out any more, and the records of which it has held or failed rows."""

    run_id: str
    record_ids: tuple[str, ...] = field(repr=False)


_RESULTS = """
    WITH purged AS (SELECT DISTINCT result_file, record_id FROM entries WHERE event = 'purged' AND result_file IS NOT NULL)
    SELECT e.run_id, e.result_file AS file, list(DISTINCT e.record_id ORDER BY e.record_id) AS record_ids,
           bool_and(p.record_id IS NOT NULL) AS purged
    FROM entries e LEFT JOIN purged p ON p.result_file = e.result_file AND p.record_id = e.record_id
    WHERE e.event = 'completed' AND e.result_file IS NOT NULL AND list_contains($runs, e.run_id)
    GROUP BY e.run_id, e.result_file HAVING max(e."at") < $before::TIMESTAMPTZ ORDER BY e.run_id, e.result_file
"""
_RUNS = """
    SELECT s.run_id, list(s.record_id ORDER BY s.record_id) FILTER (s.state IN ('held', 'failed')) AS record_ids
    FROM record_states s WHERE list_contains($runs, s.run_id)
    GROUP BY s.run_id
    HAVING max(s."at") < $before::TIMESTAMPTZ AND count(*) FILTER (s.state IN ('submitting', 'submitted', 'ambiguous')) = 0
    ORDER BY s.run_id
"""


def result_files(ledger: Ledger | Path, runs: Sequence[str], *, before: datetime) -> list[ResultFile]:
    """The result files of these runs whose newest row is from before this moment, those that are purged already among them."""
    with reading(ledger) as reader:
        rows = reader.table(_RESULTS, runs=list(runs), before=before).to_pylist()
    return [ResultFile(**{**row, "record_ids": tuple(row["record_ids"])}) for row in rows]


def ended_runs(ledger: Ledger | Path, runs: Sequence[str], *, before: datetime) -> list[EndedRun]:
    """Those of these runs of which nothing happened since this moment, and nothing is out."""
    with reading(ledger, ("intents", "record_states")) as reader:
        rows = reader.table(_RUNS, runs=list(runs), before=before).to_pylist()
    return [EndedRun(run_id=row["run_id"], record_ids=tuple(row["record_ids"] or ())) for row in rows]


def records_of_intents(ledger: Ledger | Path, intents: Sequence[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The run and the records of each of these hand-overs; one that the ledger never met is absent."""
    with reading(ledger) as reader:
        rows = reader.table(
            """
            SELECT intent_id, any_value(run_id) AS run_id, list(DISTINCT record_id ORDER BY record_id) AS record_ids FROM entries
            WHERE event = 'submitting' AND list_contains($intents, intent_id) GROUP BY intent_id
            """,
            intents=list(intents),
        ).to_pylist()
    return {row["intent_id"]: (row["run_id"], tuple(row["record_ids"])) for row in rows}
