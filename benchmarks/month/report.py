"""The month by every strategy, by two that cannot be had, and by hindsight: as rows of a table, with what is wrong about any of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import get_args

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.month.hindsight import Optimum, hindsight
from benchmarks.month.purse import Purse, expected_usd, usd_of_seconds
from benchmarks.month.simulate import Tally, run_month
from benchmarks.month.world import FIRST, NIGHTS, RECORDS, World, make_world
from policies.assign import StrategyName
from policies.budget import Budget
from policies.model import Lane

NIGHT_USD, MONTH_USD = Decimal(30), Decimal(450)
"""The budget of a month of RECORDS a night; a smaller one has less."""

HEADING = (
    "strategy", "nights in time", "late or held", "budget kept", "did not fit it", "restricted out", "cloud $", "inside $", "total $",
    "x best", "x best, tier", "tier too small", "inside", "escalated",
)  # fmt: skip
"""As docs/routing.md explains it."""
WIDTH = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A month by one strategy."""

    tally: Tally
    purse: Purse

    @property
    def total(self) -> Decimal:
        """US dollars, cloud and machines."""
        return self.purse.settled + self.purse.local


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What is printed. all_cloud: US dollars of a thing that may not be done. faults: why the run fails."""

    nights: int
    records: int
    tokens: int
    runs: dict[str, Run] = field(repr=False)
    all_local: Run = field(repr=False)
    all_cloud: Decimal
    any_tier: Optimum
    large_enough: Optimum
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def live(*, seed: int, first: date = FIRST, nights: int = NIGHTS, records: int = RECORDS) -> Month:
    """Go through the month with everyone."""
    world = make_world(seed=seed, first=first, nights=nights, records=records)
    budget = Budget(night=NIGHT_USD * records / RECORDS, month=MONTH_USD * records / RECORDS)
    runs = {name: _run(world, name, budget) for name in get_args(StrategyName)}
    return Month(
        nights=nights,
        records=sum(len(night.kind) for night in world.nights),
        tokens=int(sum(int(night.tokens_in.sum() + night.tokens_out.sum()) for night in world.nights)),
        runs=runs,
        all_local=_run(world, "local_first", budget, inside_only=True),
        all_cloud=_all_cloud(world),
        any_tier=hindsight(world, budget, large_enough=False),
        large_enough=hindsight(world, budget, large_enough=True),
        notes=_notes(world, budget),
        faults=tuple(fault for name, run in runs.items() for fault in _faults(name, run)),
    )


def _run(world: World, strategy: StrategyName, budget: Budget, *, inside_only: bool = False) -> Run:
    purse = Purse(budget=budget, prices=world.rules.prices)
    return Run(tally=run_month(world, strategy, purse, world.local if inside_only else world.endpoints), purse=purse)


def _all_cloud(world: World) -> Decimal:
    """Every record, restricted ones too, at the cheapest cloud place of its day, without an outage: what compliance is measured against."""
    total = Decimal(0)
    for night in world.nights:
        about = {"prices": world.rules.prices, "day": night.day, "tokens_per_s": 1.0}
        sums = {"tokens_in": int(night.tokens_in.sum()), "tokens_out": int(night.tokens_out.sum())}
        open_ones = [one for one in world.endpoints if one.lane is Lane.CLOUD and not (one.retires_on and one.retires_on <= night.day)]
        total += min(usd for one in open_ones if (usd := expected_usd(endpoint=one, **about, **sums)) is not None)  # type: ignore[arg-type]
    return total


def _faults(name: str, run: Run) -> list[str]:
    tally = run.tally
    wrong = {
        "records without an answer before the deadline": tally.late + tally.held,
        "nights that were not done in time": tally.late_nights,
        "restricted records that left": tally.restricted_out,
        "records that went where they were not permitted": tally.not_permitted,
        "budget exceeded": int(not run.purse.kept),
    }
    return [f"{name}: {what}: expected 0, found {count}" for what, count in wrong.items() if count]


def _notes(world: World, budget: Budget) -> tuple[str, ...]:
    day, seconds = world.nights[0].day, 24.0 * 3_600 * len(world.nights) * world.scale
    always = sum((usd_of_seconds(world.rules.prices, one, day, seconds) for one in world.local), Decimal(0))
    limits = f"{budget.night:,.2f} a night, {budget.month:,.2f} a month"
    return (
        f"budget of the cloud, $: {limits}. Inside: each machine's cost an hour x the hours it was busy;",
        f"if the machines are there day and night they cost {always:,.0f}, whatever the strategy.",
        "best: a linear programme that knows all tokens and outages beforehand; tier: with a tier that is large enough for every record.",
        "all-cloud may not be done, it sends restricted records out: a hypothesis, at the cheapest cloud place of each day, no outages.",
    )


def rows(month: Month) -> list[tuple[str, ...]]:
    """The table, its heading first."""
    lines: list[tuple[str, ...]] = [HEADING]
    lines += [_row(name, run, month) for name, run in month.runs.items()]
    lines.append(_row("all-local", month.all_local, month))
    lines.append(_costs("all-cloud", month.all_cloud, Decimal(0)))
    lines.append(_costs("best", month.any_tier.cloud, month.any_tier.local))
    lines.append(_costs("best, tier", month.large_enough.cloud, month.large_enough.local))
    return lines


def drawn(heading: Sequence[str], lines: Iterable[Sequence[str]], *, title: str = "") -> Table:
    """The rows for a terminal of WIDTH. A heading may go over two lines, but no word of it is cut."""
    table = Table(title=title or None, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in heading:
        first = name == heading[0]
        table.add_column(name, justify="left" if first else "right", no_wrap=first, min_width=max(map(len, name.split())))
    for line in lines:
        table.add_row(*line)
    return table


def _row(name: str, run: Run, month: Month) -> tuple[str, ...]:
    tally, purse = run.tally, run.purse
    answered = sum(tally.by_endpoint.values())
    inside = sum(count for place, count in tally.by_endpoint.items() if place.startswith("inside"))
    return (
        name,
        f"{month.nights - tally.late_nights} of {month.nights}",
        f"{tally.late + tally.held:,}",
        "yes" if purse.kept else "NO",
        f"{sum(purse.refused.values()):,}",
        f"{tally.restricted_out}",
        *_amounts(purse.settled, purse.local),
        f"{run.total / month.any_tier.total:.2f}",
        "-" if tally.too_small else f"{run.total / month.large_enough.total:.2f}",
        f"{tally.too_small / answered:.1%}",
        f"{inside / answered:.0%}",
        f"{tally.escalated:,}",
    )


def _costs(name: str, cloud: Decimal, local: Decimal) -> tuple[str, ...]:
    return (name, *["-"] * 5, *_amounts(cloud, local), *["-"] * 5)


def _amounts(cloud: Decimal, local: Decimal) -> tuple[str, str, str]:
    return f"{cloud:,.0f}", f"{local:,.0f}", f"{cloud + local:,.0f}"
