"""What the gate must know of each record, from the durable ledger alone (invariant 3), as of one head.

The gate commits with `expected_head=facts.head`: if anything was committed since, these facts may be stale and the commit fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sinks.ledger.entry import Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceFact:
    """One clearance of a record. spent: a hand-over used it. voided: the record was decided anew after it."""

    clearance_id: str
    endpoint: str
    lane: str | None
    payload_hmac: str
    payload_bytes: int | None
    attempt: int
    seq: int
    spent: bool
    voided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """The latest decision and assignment of a record in a run, and all its clearances there.

    lanes, cloud_requires: as decided ("dpa=true"). decision_seq, assigned_*: None where there is none. last_event: the last thing that
    happened to the record: a record that is completed or held since it was cleared is not to be sent. expiry: of an approval that the
    decision rests on; then it permits nothing any more.
    """

    record_id: str
    data_classes: tuple[str, ...] = ()
    partial: bool | None = None
    lanes: tuple[str, ...] = ()
    cloud_requires: tuple[str, ...] = ()
    rule: str | None = None
    policy_hash: str | None = None
    detectors_hash: str | None = None
    document_hmac: str | None = None
    family: str | None = None
    expiry: datetime | None = None
    decision_seq: int | None = None
    assigned_endpoint: str | None = None
    assigned_lane: str | None = None
    assigned_seq: int | None = None
    last_event: str | None = None
    clearances: tuple[ClearanceFact, ...] = field(default=())

    def clearance(self, clearance_id: str) -> ClearanceFact | None:
        """The latest clearance with this id, whatever its condition; None when this record never had it.

        Deciding a record anew after a crash voids its clearance and states it again, with the same id and a later place.
        """
        return next((one for one in reversed(self.clearances) if one.clearance_id == clearance_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """Facts as of segment `head`; a record that the run has no entry about is absent from `records`."""

    head: int
    records: Mapping[str, RecordFacts]


_OF_DECIDED = (
    "data_classes",
    "partial",
    "lanes",
    "cloud_requires",
    "rule",
    "policy_hash",
    "detectors_hash",
    "document_hmac",
    "family",
    "expiry",
)
_OF_CLEARED = ("clearance_id", "endpoint", "lane", "payload_hmac", "payload_bytes", "attempt")
_COLUMNS = ("seq", "event", "record_id", *_OF_DECIDED, *_OF_CLEARED)


def gate_facts(ledger: Ledger | Path, run_id: str, record_ids: Sequence[str], *, since_segment: int = 1) -> GateFacts:
    """The facts about these records in this run. `since_segment`: the run's first segment, which saves reading older ones."""
    with reading(ledger, run_id=run_id, record_ids=record_ids, since_segment=since_segment, columns=_COLUMNS) as reader:
        entries = reader.table("FROM chosen").sort_by("seq")
    decided = {row["record_id"]: row for row in _rows(entries, Event.DECIDED, _OF_DECIDED)}
    assigned = {row["record_id"]: row for row in _rows(entries, Event.ASSIGNED, ("endpoint", "lane"))}
    # Stricter than the view `clearances`: an id that was ever spent stays spent, also where it was stated again afterwards.
    spent = {row["clearance_id"] for row in _rows(entries, Event.SUBMITTING, ("clearance_id",))}
    clearances: dict[str, list[ClearanceFact]] = {}
    for row in _rows(entries, Event.CLEARED, _OF_CLEARED):
        record_id = row.pop("record_id")
        decision = decided.get(record_id)
        voided = decision is not None and decision["seq"] > row["seq"]
        clearances.setdefault(record_id, []).append(ClearanceFact(**row, spent=row["clearance_id"] in spent, voided=voided))
    last_events = dict(zip(entries["record_id"].to_pylist(), entries["event"].to_pylist(), strict=True))
    return GateFacts(
        head=reader.head,
        records={
            record_id: _facts(record_id, last, decided.get(record_id), assigned.get(record_id), clearances.get(record_id, ()))
            for record_id, last in last_events.items()
        },
    )


def _rows(entries: pa.Table, event: Event, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of one kind, in order: record_id, seq and these columns; lists as tuples, empty where there is none."""
    chosen = entries.filter(pc.equal(entries["event"], event.value)).combine_chunks()
    names = ["record_id", "seq", *columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*(_values(chosen[name]) for name in names), strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    if not pa.types.is_list(column.type) or not len(column):
        return list(column.to_pylist())
    # A list at a time, Arrow makes an object of each of its elements.
    lists = column.combine_chunks()
    lengths = pc.fill_null(lists.value_lengths(), 0).to_pylist()
    elements = iter(lists.flatten().to_pylist())
    return [tuple(islice(elements, length)) for length in lengths]


def _facts(
    record_id: str,
    last_event: str,
    decided: dict[str, Any] | None,
    assigned: dict[str, Any] | None,
    clearances: Sequence[ClearanceFact],
) -> RecordFacts:
    known = {name: decided[name] for name in _OF_DECIDED} | {"decision_seq": decided["seq"]} if decided else {}
    if assigned:
        known |= {"assigned_endpoint": assigned["endpoint"], "assigned_lane": assigned["lane"], "assigned_seq": assigned["seq"]}
    return RecordFacts(record_id=record_id, last_event=last_event, clearances=tuple(clearances), **known)
