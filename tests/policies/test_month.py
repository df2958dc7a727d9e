"""Nine nights of the simulated month (`make month`), smaller: a spike, a dearer price, an outage on each side, a model that retires."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal

import pytest
from rich.console import Console

from benchmarks.month.report import HEADING, WIDTH, Month, drawn, live, rows
from benchmarks.month.world import make_world

FIRST, NIGHTS, RECORDS = date(2026, 12, 10), 9, 300


@pytest.fixture(scope="module")
def month() -> Month:
    return live(seed=7, first=FIRST, nights=NIGHTS, records=RECORDS)


def test_every_strategy_keeps_deadlines_budget_and_restricted_records(month: Month) -> None:
    assert month.faults == ()
    assert month.records > 2_500
    for name, run in month.runs.items():
        assert sum(run.tally.by_endpoint.values()) == month.records, name
        assert run.tally.restricted_out == run.tally.not_permitted == 0, name
        assert run.purse.kept, name


def test_no_strategy_is_cheaper_than_hindsight_and_the_cheapest_comes_near_it(month: Month) -> None:
    for run in month.runs.values():
        assert run.total >= month.any_tier.total
        if not run.tally.too_small:
            assert run.total >= month.large_enough.total
    assert month.runs["cheapest"].total == min(run.total for run in month.runs.values())
    assert month.runs["cheapest"].total < month.any_tier.total * Decimal("1.05")
    assert month.runs["tiered"].tally.too_small == 0
    assert month.any_tier.total < month.large_enough.total


def test_the_month_is_hard_enough_to_tell_strategies_apart(month: Month) -> None:
    """Each trouble is really met: without the cloud the spike is late, and without the machines the restricted records have no place."""
    reasons = {name: run.tally.reasons for name, run in month.runs.items()}
    assert month.all_local.tally.late > 0
    assert reasons["local_first"]["overflow"] > 0
    assert reasons["cloud_first"]["fallback"] > 0  # the cloud's outage, and what did not fit the budget
    assert sum(month.runs["cloud_first"].purse.refused.values()) > 0
    assert reasons["waterfall"]["escalated"] > 0
    assert reasons["cheapest"]["cheapest_in_time"] > 0
    assert {"tier_small", "nearest_tier", "tier_large", "overflow"} <= reasons["tiered"].keys()
    assert reasons["tiered"]["tier_medium"] > 0


def test_no_word_of_the_table_is_cut() -> None:
    console = Console(width=WIDTH, file=io.StringIO(), record=True)
    console.print(drawn(HEADING, [("cloud_first", "31 of 31", *["1,234,567"] * (len(HEADING) - 2))]))
    text = console.export_text()
    assert {word for name in HEADING for word in name.split()} <= set(text.split())
    assert "…" not in text


def test_one_seed_is_one_month(month: Month) -> None:
    one, other = (make_world(seed=seed, first=FIRST, nights=2, records=50) for seed in (7, 8))
    again = make_world(seed=7, first=FIRST, nights=2, records=50)
    assert [night.tokens_in.tolist() for night in one.nights] == [night.tokens_in.tolist() for night in again.nights]
    assert [night.tokens_in.tolist() for night in one.nights] != [night.tokens_in.tolist() for night in other.nights]
    heading, *lines = rows(month)
    assert {len(line) for line in lines} == {len(heading)}
    assert [line[0] for line in lines] == [*month.runs, "all-local", "all-cloud", "best", "best, tier"]
