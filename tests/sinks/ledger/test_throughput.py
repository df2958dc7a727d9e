"""What an endpoint did per second, from hand-overs with known beginnings, ends and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from sinks.ledger.throughput import Throughput, measured_throughput

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)


@dataclass(frozen=True)
class HandOver:
    """From second to second after START; `rows` are tokens in and out, None where the endpoint did not say."""

    endpoint: str
    begun: int
    ended: int | None
    rows: tuple[tuple[int | None, int | None], ...]
    run: str = "night-2026-11-21"


def told(ledger: Ledger, *hand_overs: HandOver) -> None:
    runs = {one.run for one in hand_overs}
    ledger.commit([_entry(Event.RUN_STARTED, 0, run, job=run.rpartition("-2026")[0], logical_date="2026-11-21") for run in sorted(runs)])
    for number, one in enumerate(hand_overs):
        intent = f"i-{number}"
        about: dict[str, Any] = {"intent_id": intent, "lane": "cloud", "endpoint": one.endpoint}
        records = [f"r-{number}-{row}" for row in range(len(one.rows))]
        ledger.commit([_entry(Event.SUBMITTING, one.begun, one.run, record_id=record, **about) for record in records])
        ledger.commit([_entry(Event.SUBMITTED, one.begun, one.run, **about)])
        if one.ended is not None:
            answers = [
                _entry(Event.COMPLETED, one.ended, one.run, record_id=record, tokens_in=row[0], tokens_out=row[1], **about)
                for record, row in zip(records, one.rows, strict=True)
            ]
            ledger.commit([*answers, _entry(Event.JOB_ENDED, one.ended, one.run, **about)])


def _entry(event: Event, second: int, run: str, **values: Any) -> Entry:
    return Entry(event=event, at=START + timedelta(seconds=second), run_id=run, **values)


ROWS = ((80, 20), (60, 40))
ONE = HandOver("fast", 0, 10, ROWS)

CASES = {
    "one": ([ONE], {"fast": (20.0, 1, 200, 10.0, 60, 2, 10.0)}),
    "one-after-the-other-with-a-pause": ([ONE, HandOver("fast", 100, 130, ROWS)], {"fast": (10.0, 2, 400, 40.0, 120, 4, 30.0)}),
    "at-the-same-time-counts-once": ([ONE, HandOver("fast", 5, 20, ROWS)], {"fast": (20.0, 2, 400, 20.0, 120, 4, 15.0)}),
    "within-another": ([HandOver("fast", 0, 40, ROWS), HandOver("fast", 10, 20, ROWS)], {"fast": (10.0, 2, 400, 40.0, 120, 4, 40.0)}),
    "two-endpoints-are-apart": (
        [ONE, HandOver("slow", 0, 100, ROWS)],
        {"fast": (20.0, 1, 200, 10.0, 60, 2, 10.0), "slow": (2.0, 1, 200, 100.0, 60, 2, 100.0)},
    ),
    "still-running": ([HandOver("fast", 0, None, ROWS)], {}),
    "tokens-not-known": ([HandOver("fast", 0, 10, ((None, None), (None, None)))], {}),
    "no-time-at-all": ([HandOver("fast", 7, 7, ROWS)], {}),
    "another-job": ([HandOver("fast", 0, 10, ROWS, run="other-2026-11-21")], {}),
    "before-the-time-asked-about": ([HandOver("fast", -7200, -7100, ROWS)], {}),
}


@pytest.mark.parametrize(("hand_overs", "expected"), CASES.values(), ids=CASES.keys())
def test_what_was_measured(tmp_path: Path, hand_overs: list[HandOver], expected: dict[str, tuple[Any, ...]]) -> None:
    ledger = Ledger.open(tmp_path / "ledger")
    told(ledger, *hand_overs)
    names = ("tokens_per_s", "jobs", "tokens", "seconds", "tokens_out", "records", "longest_s")
    wanted = {name: Throughput(**dict(zip(names, values, strict=True))) for name, values in expected.items()}
    assert measured_throughput(ledger, "night", START - timedelta(hours=1)) == wanted


@pytest.mark.parametrize("folder", ["missing", "ledger"], ids=["no-folder", "a-folder-without-segments"])
def test_nothing_is_measured_or_made_where_there_is_no_ledger(tmp_path: Path, folder: str) -> None:
    (tmp_path / "ledger" / "segments").mkdir(parents=True)
    assert measured_throughput(tmp_path / folder, "night", START) == {}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["ledger", "segments"]
