"""Small questions about a few names, asked once a shard: read with Arrow alone, from just the segments that speak of those names.

DuckDB plans and binds every question anew, which for one row of one file costs more than reading it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.errors import LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.entry import Event
from sinks.ledger.index import run_name
from sinks.ledger.segments import Ledger


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


def decided_classes(ledger: Ledger, run_id: str, record_ids: Sequence[str]) -> Mapping[str, RecordClasses]:
    """The classes of these records as last decided in this run; a record that was not decided is absent."""
    _, rows = _rows(ledger, record_ids, ("record_id", "data_classes", "partial"), events=[Event.DECIDED], run_id=run_id)
    wanted = frozenset(record_ids)
    return {
        row["record_id"]: RecordClasses(data_classes=tuple(row["data_classes"] or ()), partial=bool(row["partial"]))
        for row in rows
        if row["record_id"] in wanted
    }


def rescanned_classes(ledger: Ledger, run_id: str, intents: Mapping[str, str]) -> Mapping[str, RecordClasses]:
    """What the outputs of these records (with the hand-over that gave them) were found to be, where that is more than their input."""
    columns = ("record_id", "intent_id", "data_classes", "partial")
    _, rows = _rows(ledger, list(intents), columns, events=[Event.RESCANNED], run_id=run_id)
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
    """The head, and the entries of these kinds and one run from the segments that speak of `names`, in the order of `seq`."""
    found: list[pa.Table] = []
    try:
        head, paths = files.snapshot(ledger.path)
        for path in ledger.index.about(paths, names):
            with pq.ParquetFile(path) as file:
                table = file.read(columns=["seq", "event", "run_id", *columns])
            of_kind = pc.is_in(table["event"], value_set=pa.array([event.value for event in events], pa.string()))
            found.append(table.filter(pc.and_(of_kind, pc.equal(table["run_id"], run_id))))
    except pa.ArrowInvalid as error:
        raise LedgerUnavailableError(
            f"{files.first_damaged(ledger.path) or ledger.path}: not a readable Parquet file; restore it from a copy and verify the ledger"
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LedgerUnavailableError(f"{ledger.path}: the ledger cannot be read ({reason}); check the folder, run again") from error
    if not found:
        return head, []
    return head, pa.concat_tables(found).sort_by("seq").to_pylist()
