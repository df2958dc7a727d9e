"""When a night ends: by what was measured, else declared, else nobody knows; and whether that is in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from flows.cli.plan_view import comparison_lines, comparison_table, duration, verdict
from flows.plan_against import Line
from flows.plan_forecast import DECLARED, MEASURED, UNKNOWN, Forecast, forecast
from flows.planning import next_start
from policies.model import Endpoint, Lane
from sinks.ledger.throughput import Throughput

BEGINS = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
INSIDE = Endpoint(name="inside", lane=Lane.LOCAL, engine="vllm_offline", provider="vllm", model="m")
OUTSIDE = Endpoint(name="outside", lane=Lane.CLOUD, engine="openai_batch", provider="example", model="m")


def measured(tokens_per_s: float, longest_s: float = 0.0) -> Throughput:
    return Throughput(tokens_per_s=tokens_per_s, jobs=3, tokens=1000, seconds=10.0, longest_s=longest_s)


def foreseen(endpoint: Endpoint, tokens: int, known: Throughput | None = None, *, deadline_h: float = 2.0) -> Forecast:
    speeds = {endpoint.name: known} if known else {}
    return forecast(
        {endpoint.name: tokens}, [INSIDE, OUTSIDE, endpoint][2:], speeds, begins_at=BEGINS, preparing_s=60.0, deadline_h=deadline_h
    )


@pytest.mark.parametrize(
    ("endpoint", "known", "basis", "seconds", "fits"),
    [
        (INSIDE, measured(10.0), MEASURED, 360.0, True),
        (INSIDE, measured(10.0, longest_s=9000.0), MEASURED, 360.0, True),  # a long job of many tokens says nothing about a short one
        (replace(INSIDE, tokens_per_s=1.0), measured(10.0), MEASURED, 360.0, True),
        (replace(INSIDE, tokens_per_s=1.0), None, DECLARED, 3600.0, True),
        (replace(INSIDE, tokens_per_s=0.5), None, DECLARED, 7200.0, False),  # with the minute of reading
        (INSIDE, None, UNKNOWN, None, None),
        (OUTSIDE, measured(10.0, longest_s=5000.0), MEASURED, 5000.0, True),  # a queue does not get shorter with us
        (OUTSIDE, measured(0.1, longest_s=5000.0), MEASURED, 36000.0, False),
    ],
    ids=["measured", "inside-longest", "measured-first", "declared", "declared-late", "unknown", "queue", "queue-late"],
)
def test_one_endpoint(endpoint: Endpoint, known: Throughput | None, basis: str, seconds: float | None, *, fits: bool | None) -> None:
    found = foreseen(endpoint, 3600, known)
    (one,) = found.endpoints
    assert (one.basis, one.seconds, found.fits) == (basis, seconds, fits)
    assert one.ends_at == (None if seconds is None else BEGINS + timedelta(seconds=60 + seconds))
    assert found.ends_at == (one.ends_at or BEGINS + timedelta(minutes=1))


def test_the_night_ends_with_its_slowest_and_is_late_whatever_is_not_known() -> None:
    tokens = {"inside": 36000, "outside": 10}
    late = forecast(tokens, [INSIDE, OUTSIDE], {"inside": measured(1.0)}, begins_at=BEGINS, preparing_s=0.0, deadline_h=2.0)
    assert (late.fits, [one.endpoint for one in late.late], [one.endpoint for one in late.unknown]) == (False, ["inside"], ["outside"])
    assert verdict(late).startswith(
        "IT DOES NOT FIT: inside would end about 2026-11-23 11:30 UTC, 8 h after the deadline (begins 2026-11-23 01"
    )
    open_end = forecast(tokens, [INSIDE, OUTSIDE], {"inside": measured(100.0)}, begins_at=BEGINS, preparing_s=0.0, deadline_h=2.0)
    assert verdict(open_end).startswith("whether it fits is not known, because of outside (")
    fits = forecast({"inside": 60}, [INSIDE, OUTSIDE], {"inside": measured(1.0)}, begins_at=BEGINS, preparing_s=0.0, deadline_h=2.0)
    assert verdict(fits).startswith("it fits: it ends about 2026-11-23 01:31 UTC, 1 h 59 min before the deadline (")
    assert verdict(fits, waiting=3).startswith("what is not sent yet fits: it ends about 2026-11-23 01:31 UTC")
    slow = forecast({}, [INSIDE], {}, begins_at=BEGINS, preparing_s=9000.0, deadline_h=2.0)
    assert verdict(slow).startswith("IT DOES NOT FIT: reading and detection would end")


def test_a_comparison_in_words() -> None:
    lines = (
        Line(place="inside", what="documents", planned=Decimal(1200), actual=Decimal(900)),
        Line(place="inside", what="ends after", planned=None, actual=Decimal("3725.0")),
        Line(place="the night", what="US dollars (at most)", planned=Decimal("1.5"), actual=Decimal("0.75")),
        Line(place="the night", what="ends after", planned=Decimal(60), actual=Decimal(60)),
    )
    run = SimpleNamespace(run_id="night-2026-11-22", started_at=BEGINS, ended_at=None, finished=False)
    made: Any = SimpleNamespace(run=run, lines=lines, gone=2, new=0)
    text = StringIO()
    Console(file=text, width=100).print(comparison_table(made))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.getvalue().splitlines() if line.startswith("│")]
    assert rows == [
        ["inside", "documents", "1,200", "900", "-300", "-25.0"],
        ["", "ends after", "not known", "1 h 2 min", "", ""],
        ["the night", "US dollars (at most)", "1.5000", "0.7500", "-0.7500", "-50.0"],
        ["", "ends after", "1 min", "1 min", "0", "0"],
    ]
    said = comparison_lines(made)
    assert said[0] == "night-2026-11-22: began 2026-11-23 01:30 UTC, has not ended; IT IS NOT FINISHED, and its figures will grow"
    assert said[1] == "2 of its documents are not there any more: the plan is without them"
    assert len(said) == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "under a second"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90_000, "1 d 1 h"), (172_800, "2 d")],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        (None, "UTC", BEGINS),
        ("0 2 * * *", "UTC", datetime(2026, 11, 23, 2, tzinfo=UTC)),
        ("30 1 * * *", "UTC", datetime(2026, 11, 24, 1, 30, tzinfo=UTC)),
        ("0 2 * * *", "America/New_York", datetime(2026, 11, 23, 7, tzinfo=UTC)),
    ],
    ids=["now", "today", "tomorrow", "zone"],
)
def test_a_night_begins_when_it_is_scheduled(schedule: str | None, zone: str, expected: datetime) -> None:
    job: Any = SimpleNamespace(schedule=schedule, timezone=zone)
    assert next_start(job, BEGINS) == expected
