"""Overrides as the ledger has them: entering one, and looking them up for a batch of records without reading the ledger again.

Entries `overridden`: `data_classes` is the one class, `detail_code` says raised or lowered, `state` is the override's id, `before` and
`after` are the record's classes as last decided, joined by `+`. They belong to no run: an override is of the record.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policies.model import CLEAN
from policies.overrides import ID_DIGITS, Override
from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

RAISED, LOWERED = "raised", "lowered"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDecision:
    """What a record was in its newest decision: its classes, and the keyed digest of its text."""

    data_classes: tuple[str, ...]
    document_hmac: str


class OverrideBook:
    """Every override of a ledger, by record; each question first reads what was committed since the one before."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._head = 0
        self._seen: set[int] = set()
        self._of_record: dict[str, list[Override]] = defaultdict(list)

    def about(self, record_ids: Iterable[str]) -> dict[str, tuple[Override, ...]]:
        """The overrides of those of these records that have any, in the order in which they were entered."""
        self._catch_up()
        return {record_id: tuple(self._of_record[record_id]) for record_id in record_ids if record_id in self._of_record}

    def raised_since(self, seq: int) -> dict[str, int]:
        """The records of which a class was raised after this entry, each with the number of the last entry that did."""
        self._catch_up()
        last = {record_id: max((one.seq for one in found if not one.lowers), default=0) for record_id, found in self._of_record.items()}
        return {record_id: number for record_id, number in last.items() if number > seq}

    def _catch_up(self) -> None:
        if self._ledger.head() == self._head:
            return
        with reading(self._ledger, since_segment=self._head + 1) as reader:
            rows = reader.table(_ENTERED).to_pylist()
            self._head = reader.head
        for row in rows:
            if row["seq"] not in self._seen:  # an archive file brings older entries along
                self._seen.add(row["seq"])
                self._of_record[row["record_id"]].append(Override(**row))


_ENTERED = f"""
    SELECT seq, coalesce(state, '') AS override_id, record_id, coalesce(data_classes[1], '') AS data_class,
           detail_code = '{LOWERED}' AS lowers, coalesce(reason, '') AS reason, "at",
           coalesce(document_hmac, '') AS document_hmac, expiry, coalesce(approval, '') AS approval
    FROM entries
    WHERE event = 'overridden' AND record_id IS NOT NULL AND detail_code IN ('{RAISED}', '{LOWERED}') ORDER BY seq
"""  # noqa: S608 - our own words


def last_decision(ledger: Ledger | Path, record_id: str) -> LastDecision | None:
    """The newest decision about a record, of whatever run; None when it was never decided."""
    with reading(ledger, record_ids=[record_id]) as reader:
        rows = reader.table(
            """
            SELECT data_classes, document_hmac FROM entries WHERE event = 'decided' AND document_hmac IS NOT NULL
            ORDER BY seq DESC LIMIT 1
            """
        ).to_pylist()
    return LastDecision(data_classes=tuple(rows[0]["data_classes"] or ()), document_hmac=rows[0]["document_hmac"]) if rows else None


def raising(record_id: str, data_class: str, *, reason: str, actor: str, at: datetime, last: LastDecision | None) -> Entry:
    """The entry that raises a class. A record that is still to come may be raised in advance."""
    known = last.data_classes if last else ()
    return Entry(
        event=Event.OVERRIDDEN,
        at=at,
        record_id=record_id,
        actor=actor,
        detail_code=RAISED,
        data_classes=(data_class,),
        reason=reason,
        state=_id(record_id, data_class, reason, actor, at.isoformat()),
        before=joined(known),
        after=joined([*known, data_class]),
        document_hmac=last.document_hmac if last else None,
    )


def lowering(override: Override, *, approver: str, actor: str, last: LastDecision) -> Entry:
    """The entry of a lowering that was checked (`policies.overrides.check_lowering`)."""
    return Entry(
        event=Event.OVERRIDDEN,
        at=override.at,
        record_id=override.record_id,
        actor=actor,
        detail_code=LOWERED,
        data_classes=(override.data_class,),
        reason=override.reason,
        state=override.override_id,
        before=joined(last.data_classes),
        after=joined([name for name in last.data_classes if name != override.data_class]),
        document_hmac=override.document_hmac,
        expiry=override.expiry,
        approval=f"{approver} {override.approval}",
    )


def joined(classes: Sequence[str]) -> str:
    """Classes as one value."""
    return "+".join(sorted(set(classes) - {CLEAN})) or CLEAN


def _id(*values: str) -> str:
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:ID_DIGITS]
