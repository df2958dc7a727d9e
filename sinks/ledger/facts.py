"""What the gate must know of each record, from the durable ledger alone (invariant 3), as of one head.

The gate commits with `expected_head=facts.head`: if anything was committed since, these facts may be stale and the commit fails.
Facts are named tuples: they are made for every record of every shard, and a frozen class of as many fields takes four times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sinks.ledger.entry import Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger


class ClearanceFact(NamedTuple):
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


class RecordFacts(NamedTuple):
    """The latest decision and assignment of a record in a run, and all its clearances there.

    lanes, cloud_requires: as decided ("dpa=true"). decision_seq, assigned_*: None where there is none. last_event: the last thing that
    happened to the record: a record that is completed or held since it was cleared is not to be sent. expiry: of an approval that the
    decision rests on; then it permits nothing any more.
    """

    record_id: str
    last_event: str
    clearances: tuple[ClearanceFact, ...]
    decision_seq: int | None
    data_classes: tuple[str, ...]
    partial: bool | None
    lanes: tuple[str, ...]
    cloud_requires: tuple[str, ...]
    rule: str | None
    policy_hash: str | None
    detectors_hash: str | None
    document_hmac: str | None
    family: str | None
    expiry: datetime | None
    assigned_seq: int | None
    assigned_endpoint: str | None
    assigned_lane: str | None

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


# The fields of facts that repeat a column of an entry, after its number, are named and ordered as the columns are.
_OF_CLEARED = ClearanceFact._fields[:6]
_OF_DECIDED = RecordFacts._fields[4:14]
_OF_ASSIGNED = ("endpoint", "lane")
_COLUMNS = ("seq", "event", "record_id", *_OF_DECIDED, *_OF_CLEARED)

_UNDECIDED = (None, (), None, (), (), None, None, None, None, None, None)
_UNASSIGNED = (None, None, None)


def gate_facts(ledger: Ledger | Path, run_id: str, record_ids: Sequence[str], *, since_segment: int = 1) -> GateFacts:
    """The facts about these records in this run. `since_segment`: the run's first segment, which saves reading older ones."""
    with reading(ledger, run_id=run_id, record_ids=record_ids, since_segment=since_segment, columns=_COLUMNS) as reader:
        entries = reader.table("FROM chosen").sort_by("seq")
    decided = dict(_rows(entries, Event.DECIDED, _OF_DECIDED))
    assigned = dict(_rows(entries, Event.ASSIGNED, _OF_ASSIGNED))
    # Stricter than the view `clearances`: an id that was ever spent stays spent, also where it was stated again afterwards.
    spent = {clearance_id for _, (_, clearance_id) in _rows(entries, Event.SUBMITTING, ("clearance_id",))}
    clearances: dict[str, list[ClearanceFact]] = {}
    for record_id, (seq, *granted) in _rows(entries, Event.CLEARED, _OF_CLEARED):
        voided = record_id in decided and decided[record_id][0] > seq
        clearances.setdefault(record_id, []).append(ClearanceFact._make((*granted, seq, granted[0] in spent, voided)))
    last_events = dict(zip(entries["record_id"].to_pylist(), entries["event"].to_pylist(), strict=True))
    return GateFacts(
        head=reader.head,
        records={
            record_id: RecordFacts(
                record_id,
                last_event,
                tuple(clearances.get(record_id, ())),
                *decided.get(record_id, _UNDECIDED),
                *assigned.get(record_id, _UNASSIGNED),
            )
            for record_id, last_event in last_events.items()
        },
    )


def _rows(entries: pa.Table, event: Event, columns: Sequence[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The entries of one kind, in order: the record, and the number and these columns; lists as tuples, empty where there is none."""
    chosen = entries.filter(pc.equal(entries["event"], event.value)).combine_chunks()
    return zip(chosen["record_id"].to_pylist(), zip(*(_values(chosen[name]) for name in ("seq", *columns)), strict=True), strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if not pa.types.is_list(column.type) or not len(column):
        return list(column.to_pylist())
    # A list at a time, Arrow makes an object of each of its elements.
    lists = column.combine_chunks()
    lengths = pc.fill_null(lists.value_lengths(), 0).to_pylist()
    elements = iter(lists.flatten().to_pylist())
    return [tuple(islice(elements, length)) for length in lengths]
