"""Entries told by the column are the entries that they would be one at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sinks.errors import LedgerError
from sinks.ledger.alike import Alike, count, table_of
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.reader import reading
from sinks.ledger.schema import to_table
from sinks.ledger.segments import Ledger

AT = datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC)
HELD = Entry(event=Event.HELD, at=AT, run_id="n-1", record_id="r0", reason="budget_night")
DECIDED = Alike(
    Entry(event=Event.DECIDED, at=AT, run_id="n-1", policy_hash="p", lanes=("cloud", "local")),
    {
        "record_id": ["r1", "r2", "r3"],
        "data_classes": [("CLEAN",), (), None],
        "partial": [True, False, None],
        "evidence": [(EvidenceCount(entity="PERSON", count=1, max_score=0.5, detector="ner"),), (), None],
        "cost_usd": [Decimal("0.25"), None, Decimal(0)],
        "expiry": [None, AT, None],
        "document_hmac": ["a", None, "b"],
    },
)
SAME = Alike(Entry(event=Event.RELEASED, at=AT, run_id="n-1", record_id="r1"), {"cost_usd": [Decimal(1), None]})
NONE = Alike(HELD, {"record_id": []})


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([DECIDED], id="alone"),
        pytest.param([SAME], id="nothing of an identity differs"),
        pytest.param([HELD, DECIDED, NONE, SAME, HELD, HELD], id="between others, in order"),
    ],
)
def test_they_are_the_entries_that_they_stand_for(entries: list[Entry | Alike]) -> None:
    singly = [entry for one in entries for entry in (one if isinstance(one, Alike) else [one])]
    assert count(entries) == len(singly)
    assert table_of(entries).equals(to_table(singly))


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({}, id="none"),
        pytest.param({"record_id": ["r1"], "reason": []}, id="of two lengths"),
        pytest.param({"text": ["r1"]}, id="no column"),
        pytest.param({"event": [Event.HELD]}, id="of several kinds"),
    ],
)
def test_columns_that_are_none_are_refused(columns: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match="expected columns of the ledger"):
        Alike(HELD, columns)


def test_a_value_that_does_not_fit_is_named_by_its_column_alone() -> None:
    with pytest.raises(LedgerError, match="column attempt: a value does not fit int32") as error:
        table_of([Alike(HELD, {"attempt": ["Ada Quill"]})])
    assert "Ada" not in str(error.value)


def test_a_commit_takes_both_and_nothing_makes_no_segment(ledger: Ledger) -> None:
    head = ledger.head()
    assert ledger.commit([NONE]) == head
    assert ledger.commit([DECIDED, HELD, NONE]) == head + 1
    with reading(ledger, run_id="n-1") as reader:
        found = reader.table("SELECT record_id, event FROM entries ORDER BY seq").to_pylist()
    assert [tuple(row.values()) for row in found] == [("r1", "decided"), ("r2", "decided"), ("r3", "decided"), ("r0", "held")]


def test_a_key_is_not_handed_over_this_way(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="rotate_key"):
        ledger.commit([Alike(replace(HELD, event=Event.KEY_ROTATED), {"after": ["somebody's"]})])
