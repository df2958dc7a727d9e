"""Small questions about a few names, asked once a shard: read with Arrow alone, from just the segments that speak of those names.

DuckDB plans and binds every question anew, which for one row of one file costs more than reading it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.errors import LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.entry import Event
from sinks.ledger.index import of_runs, run_name
from sinks.ledger.schema import ENTRY_SCHEMA
from sinks.ledger.segments import Ledger

HOLD, RESEND = "hold", "resend"
"""What a person who cancels a job wants done with the rows that it leaves undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordClasses:
    """The classes of a record in the latest decision about it; partial: a lower bound."""

    data_classes: tuple[str, ...]
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWord:
    """The latest of some events about a record. document_hmac: of the text that it is about, as last decided."""

    event: str
    document_hmac: str
    data_classes: tuple[str, ...]
    model: str
    code: str


def registered_template(ledger: Ledger, run_id: str) -> str | None:
    """The template that the run registered at its latest start; None when it never started."""
    _, rows = _rows(ledger, [run_name(run_id)], ("template_hash",), events=[Event.RUN_STARTED], run_id=run_id)
    return rows[-1]["template_hash"] if rows else None


def job_has_ended(ledger: Ledger, run_id: str, intent_id: str) -> tuple[int, bool]:
    """The head as of which this was read, and whether the results of this hand-over have been taken in."""
    head, rows = _rows(ledger, [intent_id], ("intent_id",), events=[Event.JOB_ENDED], run_id=run_id)
    return head, any(row["intent_id"] == intent_id for row in rows)


def quarantined_since(ledger: Ledger, run_id: str, intent_id: str, code: str) -> datetime | None:
    """When this was first said of this hand-over as a whole; None when it never was."""
    columns = ("intent_id", "record_id", "detail_code", "at")
    _, rows = _rows(ledger, [intent_id], columns, events=[Event.QUARANTINED], run_id=run_id)
    said = [row["at"] for row in rows if (row["intent_id"], row["record_id"], row["detail_code"]) == (intent_id, None, code)]
    return min(said, default=None)


def asked_to_hold(ledger: Ledger, run_id: str, intent_id: str) -> bool:
    """Whether a person cancelled the job of this hand-over, and wants what it leaves undone held."""
    _, rows = _rows(ledger, [intent_id], ("intent_id", "state"), events=[Event.CANCEL_ASKED], run_id=run_id)
    asked = [row["state"] for row in rows if row["intent_id"] == intent_id]
    return asked[-1:] == [HOLD]


def decided_classes(ledger: Ledger, run_id: str, record_ids: Sequence[str]) -> Mapping[str, RecordClasses]:
    """The classes of these records as last decided in this run; a record that was not decided is absent."""
    _, rows = _table(ledger, record_ids, ("record_id", "data_classes", "partial"), events=[Event.DECIDED], run_id=run_id)
    rows = rows.filter(pc.is_in(rows["record_id"], value_set=pa.array(record_ids, pa.string())))
    found = list(zip(map(tuple, pc.fill_null(rows["data_classes"], []).to_pylist()), rows["partial"].to_pylist(), strict=True))
    # Few combinations, of many records.
    kinds = {kind: RecordClasses(data_classes=kind[0], partial=bool(kind[1])) for kind in set(found)}
    return {record_id: kinds[kind] for record_id, kind in zip(rows["record_id"].to_pylist(), found, strict=True)}


def rescanned_classes(ledger: Ledger, run_id: str, intents: Mapping[str, str]) -> Mapping[str, RecordClasses]:
    """What the outputs of these records (with the hand-over that gave them) were found to be, where that is more than their input."""
    columns = ("record_id", "intent_id", "data_classes", "partial")
    _, rows = _rows(ledger, sorted(set(intents.values())), columns, events=[Event.RESCANNED], run_id=run_id)
    return {
        row["record_id"]: RecordClasses(data_classes=tuple(row["data_classes"] or ()), partial=bool(row["partial"]))
        for row in rows
        if intents.get(row["record_id"]) == row["intent_id"]
    }


def last_words(ledger: Ledger, run_id: str, record_ids: Sequence[str]) -> Mapping[str, LastWord]:
    """The last of decided, judged, failed, held and released that this run has about each of these records."""
    columns = ("record_id", "document_hmac", "data_classes", "model", "detail_code", "error_code")
    events = [Event.DECIDED, Event.JUDGED, Event.FAILED, Event.HELD, Event.RELEASED]
    _, rows = _rows(ledger, record_ids, columns, events=events, run_id=run_id)
    wanted, words = frozenset(record_ids), dict[str, LastWord]()
    for row in rows:
        record_id = row["record_id"]
        if record_id not in wanted:
            continue
        before = words.get(record_id)
        words[record_id] = LastWord(
            event=row["event"],
            document_hmac=row["document_hmac"] or (before.document_hmac if before else ""),
            data_classes=tuple(row["data_classes"] or ()),
            model=row["model"] or "",
            code=row["error_code"] or row["detail_code"] or "",
        )
    return words


def _rows(
    ledger: Ledger, names: Sequence[str], columns: Sequence[str], *, events: Sequence[Event], run_id: str
) -> tuple[int, list[dict[str, Any]]]:
    """As `_table`, each entry by itself."""
    head, table = _table(ledger, names, columns, events=events, run_id=run_id)
    return head, table.to_pylist()


def _table(ledger: Ledger, names: Sequence[str], columns: Sequence[str], *, events: Sequence[Event], run_id: str) -> tuple[int, pa.Table]:
    """The head, and the entries of these kinds and one run from the segments that speak of `names`, in the order of `seq`."""
    try:
        try:
            head, found = _found(ledger, names, columns, events, run_id)
        except FileNotFoundError:  # compacted and deleted since the files were listed: list them again
            head, found = _found(ledger, names, columns, events, run_id)
    except pa.ArrowInvalid as error:
        raise LedgerUnavailableError(
            f"{files.first_damaged(ledger.path) or ledger.path}: not a readable Parquet file; restore it from a copy and verify the ledger"
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LedgerUnavailableError(f"{ledger.path}: the ledger cannot be read ({reason}); check the folder, run again") from error
    if not found:
        return head, pa.schema([ENTRY_SCHEMA.field(name) for name in ("seq", "event", "run_id", *columns)]).empty_table()
    return head, pa.concat_tables(found).sort_by("seq")


def _found(
    ledger: Ledger, names: Sequence[str], columns: Sequence[str], events: Sequence[Event], run_id: str
) -> tuple[int, list[pa.Table]]:
    head, paths = files.snapshot(ledger.path)
    wanted, chosen = ["seq", "event", "run_id", *columns], [event.value for event in events]
    found: list[pa.Table] = []
    for path in ledger.index.about(of_runs(paths, [run_id]), names):
        if not files.is_segment(path):  # of millions of rows: only the row groups of this run are read
            found.append(pq.read_table(path, columns=wanted, filters=(pc.field("run_id") == run_id) & pc.field("event").isin(chosen)))
            continue
        with pq.ParquetFile(path) as file:
            table = file.read(columns=wanted)
        of_kind = pc.is_in(table["event"], value_set=pa.array(chosen, pa.string()))
        found.append(table.filter(pc.and_(of_kind, pc.equal(table["run_id"], run_id))))
    return head, found
