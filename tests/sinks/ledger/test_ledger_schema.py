from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sinks.errors import LedgerError
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.schema import COLUMNS, ENTRY_SCHEMA, entry_ids, to_table, with_sequence

AT = datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC)
DECIDED = Entry(event=Event.DECIDED, at=AT, run_id="n-1", record_id="r1", data_classes=("PHI",), policy_hash="p")
FORMAT = Path(__file__).parents[3] / "docs" / "ledger-format.md"


def test_every_field_of_an_entry_is_a_column() -> None:
    assert ENTRY_SCHEMA.names == ["seq", "entry_id", *COLUMNS]


def test_the_columns_are_a_closed_list_and_documented() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", FORMAT.read_text(encoding="utf-8").split("## Columns")[1].split("\n## ")[0], re.MULTILINE)
    assert documented == ENTRY_SCHEMA.names


def test_no_column_can_hold_text_or_a_source_name() -> None:
    assert not {"text", "source", "source_id", "title", "output", "message", "content"} & set(ENTRY_SCHEMA.names)


def test_values_come_back_as_they_went_in() -> None:
    evidence = (
        EvidenceCount(entity="US_SSN", count=2, max_score=0.9, detector="ssn"),
        EvidenceCount(entity="PERSON", count=1, max_score=0.5, detector="ner"),
    )
    full = replace(
        DECIDED, evidence=evidence, lanes=("local", "cloud"), cost_usd=Decimal("1.23"), expiry=AT, score=0.25, partial=True, attempt=3
    )
    first, second, third = with_sequence(to_table([full, DECIDED, replace(DECIDED, evidence=(), data_classes=())]), 7).to_pylist()
    assert [first["seq"], second["seq"], third["seq"]] == [7, 8, 9]
    assert first["evidence"] == [
        {"entity": one.entity, "count": one.count, "max_score": one.max_score, "detector": one.detector} for one in evidence
    ]
    assert (first["lanes"], first["cost_usd"], first["expiry"], first["score"], first["partial"], first["attempt"]) == (
        ["local", "cloud"],
        Decimal("1.230000000"),
        AT,
        0.25,
        True,
        3,
    )
    assert (second["evidence"], second["lanes"], second["cost_usd"]) == (None, None, None)
    assert (third["evidence"], third["data_classes"]) == ([], [])
    assert first["event"] == "decided"


def test_times_are_utc() -> None:
    east = AT.astimezone(timezone(timedelta(hours=9)))
    assert to_table([replace(DECIDED, at=east)])["at"].to_pylist() == [AT]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", AT.replace(tzinfo=None)),
        ("at", None),
        ("cost_usd", Decimal("1e12")),
        ("attempt", 2**40),
        ("score", "canary-value"),
        ("model", "canary-value \ud83d"),
    ],
    ids=["naive time", "no time", "cost too large", "number too large", "wrong type", "lone surrogate"],
)
def test_a_value_that_does_not_fit_is_refused_without_being_shown(column: str, value: Any) -> None:
    with pytest.raises(LedgerError, match=f"ledger column {column}") as caught:
        to_table([replace(DECIDED, **{column: value})])
    assert "canary" not in str(caught.value)


def test_the_same_fact_has_the_same_id() -> None:
    again = replace(DECIDED, at=AT + timedelta(hours=1), actor="another")
    (first, second) = entry_ids([DECIDED, again])
    assert first == second
    assert re.fullmatch("[0-9a-f]{16}", first)


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "n-2"},
        {"event": Event.HELD},
        {"record_id": "r2"},
        {"intent_id": "i"},
        {"endpoint": "e"},
        {"attempt": 2},
        {"clearance_id": "c"},
        {"document_hmac": "d"},
        {"policy_hash": "q"},
        {"state": "s"},
        {"reason": "x"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_fact_has_another_id(change: dict[str, Any]) -> None:
    first, second = entry_ids([DECIDED, replace(DECIDED, **change)])
    assert first != second
