"""What a night came to, by endpoint: a record that was asked twice costs twice and counts once; an outcome stated twice counts once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sinks.ledger.actuals import Actual, Asked, actuals, asked
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
RUN = "night-2026-11-21"


def outcome(event: Event, record: str, intent: str, endpoint: str, second: int, **values: Any) -> Entry:
    about: dict[str, Any] = {"lane": "cloud", "endpoint": endpoint, "intent_id": intent, "attempt": int(intent[-1])}
    return Entry(event=event, at=START + timedelta(seconds=second), run_id=RUN, record_id=record, **about, **values)


def ended(intent: str, endpoint: str, second: int) -> Entry:
    return Entry(event=Event.JOB_ENDED, at=START + timedelta(seconds=second), run_id=RUN, intent_id=intent, endpoint=endpoint)


def test_what_a_night_came_to(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger")
    paid: dict[str, Any] = {"tokens_in": 100, "tokens_out": 20, "cost_usd": Decimal("0.5")}
    broken = outcome(Event.FAILED, "r-1", "i-1", "there", 5, error_code="invalid_json", **paid)
    ledger.commit([broken, outcome(Event.COMPLETED, "r-2", "i-1", "there", 5, **paid), ended("i-1", "there", 5)])
    ledger.commit([broken])
    ledger.commit([outcome(Event.COMPLETED, "r-1", "i-2", "there", 9, **paid), ended("i-2", "there", 9)])
    ledger.commit([outcome(Event.FAILED, "r-3", "i-3", "elsewhere", 7, error_code="refused")])
    other = Entry(event=Event.COMPLETED, at=START, run_id="other", record_id="r-9", lane="cloud", endpoint="there", **paid)
    ledger.commit([other])
    at = START + timedelta(seconds=9)
    there: dict[str, Any] = {"endpoint": "there", "lane": "cloud", "records": 2, "tokens_in": 300, "tokens_out": 60, "unpriced": 0}
    lost: dict[str, Any] = {"endpoint": "elsewhere", "lane": "cloud", "records": 1, "tokens_in": 0, "tokens_out": 0, "unpriced": 1}
    assert actuals(ledger, RUN) == [
        Actual(**lost, cost_usd=Decimal(0), ended_at=None),
        Actual(**there, cost_usd=Decimal("1.5"), ended_at=at),
    ]
    again: dict[str, Any] = {"at": START, "run_id": RUN, "intent_id": "i-4"}
    escalated = Entry(event=Event.RELEASED, record_id="r-2", reason="escalated", **again)
    ledger.commit([outcome(Event.FAILED, "r-2", "i-4", "there", 7), escalated])
    ledger.commit([Entry(event=Event.RELEASED, record_id="r-1", reason="retry", **again)])
    assert asked(ledger, RUN) == Asked(records=3, escalated=1), "two of the three had two outcomes"
