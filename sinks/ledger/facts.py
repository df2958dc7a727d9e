"""What the gate must know of each record, from the durable ledger alone (invariant 3), as of one head.

The gate commits with `expected_head=facts.head`: if anything was committed since, these facts may be stale and the commit fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

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


def gate_facts(ledger: Ledger | Path, run_id: str, record_ids: Sequence[str], *, since_segment: int = 1) -> GateFacts:
    """The facts about these records in this run. `since_segment`: the run's first segment, which saves reading older ones."""
    with reading(ledger, run_id=run_id, record_ids=record_ids, since_segment=since_segment) as reader:
        decided = reader.table(
            """
            SELECT record_id,
                   arg_max({data_classes: data_classes, partial: partial, lanes: lanes, cloud_requires: cloud_requires, rule: rule,
                            policy_hash: policy_hash, detectors_hash: detectors_hash, document_hmac: document_hmac, family: family,
                            expiry: expiry, decision_seq: seq}, seq) FILTER (event = 'decided') AS decision,
                   arg_max({assigned_endpoint: endpoint, assigned_lane: lane, assigned_seq: seq}, seq)
                       FILTER (event = 'assigned') AS assignment,
                   arg_max(event, seq) AS last_event
            FROM entries GROUP BY record_id
            """
        ).to_pylist()
        # Stricter than the view `clearances`: an id that was ever spent stays spent, also where it was stated again afterwards.
        cleared = reader.table(
            """
            SELECT c.record_id, c.clearance_id, c.endpoint, c.lane, c.payload_hmac, c.payload_bytes, c.attempt, c.seq,
                   s.clearance_id IS NOT NULL AS spent, coalesce(d.seq > c.seq, false) AS voided
            FROM entries c
            LEFT JOIN (SELECT DISTINCT clearance_id FROM entries WHERE event = 'submitting') s ON s.clearance_id = c.clearance_id
            LEFT JOIN (SELECT record_id, max(seq) AS seq FROM entries WHERE event = 'decided' GROUP BY record_id) d
                   ON d.record_id = c.record_id
            WHERE c.event = 'cleared' ORDER BY c.seq
            """
        ).to_pylist()
    clearances: dict[str, list[ClearanceFact]] = {}
    for row in cleared:
        clearances.setdefault(row.pop("record_id"), []).append(ClearanceFact(**row))
    return GateFacts(head=reader.head, records={row["record_id"]: _facts(row, clearances.get(row["record_id"], [])) for row in decided})


def _facts(row: dict[str, Any], clearances: Sequence[ClearanceFact]) -> RecordFacts:
    known = {**(row["decision"] or {}), **(row["assignment"] or {})}
    for name in ("data_classes", "lanes", "cloud_requires"):
        known[name] = tuple(known.get(name) or ())
    return RecordFacts(record_id=row["record_id"], last_event=row["last_event"], clearances=tuple(clearances), **known)
