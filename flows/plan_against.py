"""A plan held against what its night came to: by endpoint and in all, absolute and in percent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from flows.errors import JobError
from flows.night import NightOptions
from flows.plan_counting import PlacePlan, Plan
from flows.planning import make_plan
from sinks.ledger.actuals import Actual, Asked, actuals, asked
from sinks.ledger.queries import RunInfo, run_counts

NIGHT = "the night"
DOCUMENTS, ESCALATED, HELD, TOKENS_IN, TOKENS_OUT, DOLLARS, SECONDS = (
    "documents", "of them asked twice", "held", "tokens in", "tokens out", "US dollars", "ends after",
)  # fmt: skip
AT_MOST = " (at most)"
"""Behind what no earlier night has measured: then the limit stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure of one endpoint, or of the night; SECONDS: from the night's start to the end. None: nobody knows."""

    place: str
    what: str
    planned: Decimal | None
    actual: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """How much more it was than planned."""
        return None if self.planned is None or self.actual is None else self.actual - self.planned

    @property
    def percent(self) -> Decimal | None:
        """Of what was planned."""
        difference = self.difference
        return None if difference is None or not self.planned else (difference / self.planned * 100).quantize(Decimal("0.1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """gone: documents of the night that are not there any more. new: documents that were no part of it."""

    run: RunInfo
    plan: Plan
    gone: int
    new: int
    lines: tuple[Line, ...]


def compare(options: NightOptions, date: str) -> Comparison:
    """Plan the documents of that night again, knowing what was known before it, and read what came of them. Raises JobError."""
    plan = make_plan(options, against=date)
    run, states = plan.history.run, plan.history.states
    if run is None or states is None:
        raise JobError(f"--against {date}: there was no such night")
    found = actuals(plan.job.ledger.path, run.run_id)
    held = run_counts(plan.job.ledger.path, run.run_id).held
    return Comparison(
        run=run,
        plan=plan,
        gone=len(states) - plan.documents,
        new=plan.unchanged,
        lines=(*_by_endpoint(plan, found, run), *_in_all(plan, found, run, held=held, asked_for=asked(plan.job.ledger.path, run.run_id))),
    )


def _by_endpoint(plan: Plan, found: list[Actual], run: RunInfo) -> Iterator[Line]:
    places: dict[str, list[PlacePlan]] = defaultdict(list)
    for place in plan.places.values():
        places[place.endpoint].append(place)
    ends = {one.endpoint: one.ends_at for one in plan.forecast.endpoints} if plan.forecast else {}
    done = {one.endpoint: one for one in found}
    for name in sorted({*places, *done}):
        planned, actual = places[name], done.get(name)
        yield from _figures(name, planned, [actual] if actual else [])
        last = actual.ended_at if actual else None
        yield Line(place=name, what=SECONDS, planned=_since(run, ends.get(name)), actual=_since(run, last))


def _in_all(plan: Plan, found: list[Actual], run: RunInfo, *, held: int, asked_for: Asked) -> Iterator[Line]:
    planned = list(plan.places.values())
    yield _line(NIGHT, DOCUMENTS, sum(one.documents for one in planned), asked_for.records)
    if asked_for.escalated or plan.job.lanes.strategy == "waterfall":  # no plan foresees them
        yield Line(place=NIGHT, what=ESCALATED, planned=None, actual=Decimal(asked_for.escalated))
    yield from (line for line in _figures(NIGHT, planned, found) if line.what != DOCUMENTS)
    yield Line(place=NIGHT, what=HELD, planned=Decimal(plan.by_reason.total()), actual=Decimal(held))
    known = plan.forecast is not None and not plan.forecast.unknown
    ends = plan.forecast.ends_at if plan.forecast is not None and known else None
    yield Line(place=NIGHT, what=SECONDS, planned=_since(run, ends), actual=_since(run, run.ended_at))


def _figures(name: str, planned: list[PlacePlan], done: list[Actual]) -> Iterator[Line]:
    yield _line(name, DOCUMENTS, sum(one.documents for one in planned), sum(one.records for one in done))
    yield _line(name, TOKENS_IN, sum(one.tokens_in for one in planned), sum(one.tokens_in for one in done))
    usual = all(one.tokens_out_about is not None for one in planned)
    out = sum(one.tokens_out if one.tokens_out_about is None else one.tokens_out_about for one in planned)
    yield _line(name, TOKENS_OUT if usual else TOKENS_OUT + AT_MOST, out, sum(one.tokens_out for one in done))
    dollars = [one.usd_most if one.usd_about is None else one.usd_about for one in planned]
    cost = sum((one.cost_usd for one in done), Decimal(0))
    yield Line(
        place=name,
        what=DOLLARS if all(one.usd_about is not None for one in planned) else DOLLARS + AT_MOST,
        planned=None if None in dollars else sum((one for one in dollars if one is not None), Decimal(0)),
        actual=cost if cost or not any(one.unpriced for one in done) else None,
    )


def _line(place: str, what: str, planned: int, actual: int) -> Line:
    return Line(place=place, what=what, planned=Decimal(planned), actual=Decimal(actual))


def _since(run: RunInfo, moment: datetime | None) -> Decimal | None:
    if moment is None or run.started_at is None:
        return None
    return Decimal(round((moment - run.started_at).total_seconds(), 1)).quantize(Decimal("0.1"))
