"""How a plan is shown to a person: two tables and a few sentences; and how it is told to a program."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flows.counted_words import SEVERAL_CLASSES, counted

if TYPE_CHECKING:  # heavy; the command imports them when it is called
    from flows.plan_against import Comparison, Line
    from flows.plan_counting import Plan
    from flows.plan_forecast import EndpointForecast, Forecast

NOT_KNOWN = "not known"
ENDS = "ends after"
"""As in `flows.plan_against`, which is heavy to import."""
WAYS = {
    "hold": "what does not fit is held",
    "local": "what does not fit stays inside, where it may",
    "stop": "the night stops sending from the first record that does not fit (on_budget: stop)",
}
"""What the job says of a limit, by its `on_budget`."""


def plan_tables(plan: Plan) -> list[Any]:
    """Where documents go, and where classes go."""
    from rich.table import Column, Table  # noqa: PLC0415 - heavy; `--help` must stay instant

    places = Table(
        Column("destination", no_wrap=True),
        Column("documents", justify="right", no_wrap=True),
        Column("tokens in, about", justify="right"),
        Column("tokens out, at most", justify="right"),
        Column("US dollars", no_wrap=True),
    )
    for name, place in sorted(plan.places.items(), key=lambda item: -item[1].documents):
        counts = (f"{place.documents:,}", f"{place.tokens_in:,}", f"{place.tokens_out:,}")
        places.add_row(name, *counts, f"{place.usd_least:,.4f} to {place.usd_most:,.4f}" if place.usd_most else "")
    for reason, documents in plan.by_reason.most_common():
        places.add_row(f"held: {reason}", f"{documents:,}", "", "", "")
    classes = Table("data class", "local", "cloud", "held")
    for name in sorted({name for name, _ in plan.by_class}):
        classes.add_row(name, *(str(plan.by_class[name, place] or "·") for place in ("local", "cloud", "held")))
    return [table for table in (places, classes) if table.row_count]


def plan_lines(plan: Plan) -> list[str]:
    """What the tables do not say: on what grounds it ends when, whether that is in time, and the budget."""
    lines = []
    if plan.forecast is not None:
        lines += [_ground(one) for one in plan.forecast.endpoints]
        lines.append(verdict(plan.forecast, waiting=plan.history.waiting))
    if plan.history.waiting:
        out = counted(plan.history.waiting, "record is", "records are")
        lines.append(f"{out} out at a provider already, in none of these figures, and may end later (waybill jobs; waybill collect)")
    lines += _costs(plan)
    if len({name for name, _ in plan.by_class}) > 1:
        lines.insert(0, SEVERAL_CLASSES)
    if plan.job.lanes.strategy == "waterfall":
        lines.append("waterfall: what is answered inside with too little confidence goes to the cloud as well, and is not in these figures")
    if plan.unchanged:
        many = "documents are unchanged since they were done or sent, and are"
        lines.append(f"{counted(plan.unchanged, 'document is unchanged since it was done or sent, and is', many)} not taken again")
    lines.append(
        f"{counted(plan.documents, 'document')}; reading and detection took {plan.seconds:.1f} s here. Nothing was sent or recorded."
    )
    return lines


def _costs(plan: Plan) -> list[str]:
    paid = [place for place in plan.places.values() if place.usd_most]
    lines = []
    if paid:
        least, most = sum((one.usd_least or 0 for one in paid), Decimal(0)), sum((one.usd_most or 0 for one in paid), Decimal(0))
        known = [one.usd_about for one in paid if one.usd_about is not None]
        about = f"about ${sum(known, Decimal(0)):,.4f}, with answers as long as before: " if len(known) == len(paid) else ""
        lines.append(f"it costs {about}${least:,.4f} at the least and ${most:,.4f} at the most")
    for name, period, limit in plan.budget.of_all():
        there = [one for one in paid if one.lane == "cloud" and name in {"", one.endpoint}]
        most = sum((one.usd_most or Decimal(0) for one in there), Decimal(0))
        room = "this plan alone fits into it" if most <= limit else _beyond(plan, most)
        lines.append(f"budget for the {period}{f' at {name}' if name else ''}: ${limit:.2f}; {room} (docs/cloud/costs.md)")
    return lines


def _beyond(plan: Plan, most: Decimal) -> str:
    """What a night would do at a limit that the plan can exceed; the figures above know nothing of it."""
    return f"THIS PLAN MAY NOT FIT INTO IT: ${most:,.4f} at the most; then {WAYS[plan.job.on_budget]}, unlike in the figures above"


def _ground(one: EndpointForecast) -> str:
    if one.seconds is None:
        return f"{one.endpoint}: {NOT_KNOWN}: no earlier night measured it, and the registry declares no tokens_per_s"
    speed = f"{one.endpoint}: {duration(one.seconds)}: {one.tokens:,} tokens at {_speed(one.tokens_per_s or 0.0)} a second"
    if one.measured is None:
        return f"{speed}, as the registry declares"
    jobs = f"{counted(one.measured.jobs, 'hand-over')} with {one.measured.tokens:,} tokens"
    return f"{speed}, as measured in {jobs}; the slowest took {duration(one.measured.longest_s)}"


def _speed(tokens_per_s: float) -> str:
    return f"{tokens_per_s:,.0f}" if tokens_per_s >= 1 else f"{tokens_per_s:g}"


def verdict(found: Forecast, *, waiting: int = 0) -> str:
    """Whether it fits, in one sentence. waiting: so many records are out already, of which the forecast knows nothing."""
    times = f"begins {_clock(found.begins_at)}, deadline {_clock(found.deadline)}"
    if found.fits is None:
        names = ", ".join(one.endpoint for one in found.unknown)
        return f"whether it fits is {NOT_KNOWN}, because of {names} ({times})"
    if found.fits:
        spare = duration((found.deadline - found.ends_at).total_seconds())
        what = "what is not sent yet fits" if waiting else "it fits"
        return f"{what}: it ends about {_clock(found.ends_at)}, {spare} before the deadline ({times})"
    late = ", ".join(one.endpoint for one in found.late) or "reading and detection"
    after = duration((found.ends_at - found.deadline).total_seconds())
    return f"IT DOES NOT FIT: {late} would end about {_clock(found.ends_at)}, {after} after the deadline ({times})"


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """As a person says it: two units at the most."""
    whole = round(seconds)
    if whole < 1:
        return "under a second"
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    parts = ((days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    return " ".join([f"{amount} {unit}" for amount, unit in parts if amount][:2])


def comparison_table(made: Comparison) -> Any:
    """Plan beside actual."""
    from rich.table import Column, Table  # noqa: PLC0415 - heavy; `--help` must stay instant

    table = Table(
        Column("endpoint", no_wrap=True),
        "",
        *(Column(name, justify="right", no_wrap=True) for name in ("plan", "actual", "difference", "%")),
    )
    last = ""
    for line in made.lines:
        if last not in {"", line.place}:
            table.add_section()
        percent = f"{line.percent:+}" if line.percent else "0" if line.percent is not None else ""
        table.add_row(
            "" if line.place == last else line.place,
            line.what,
            _amount(line, line.planned),
            _amount(line, line.actual),
            _change(line),
            percent,
        )
        last = line.place
    return table


def comparison_lines(made: Comparison) -> list[str]:
    """What the table leaves out."""
    run = made.run
    ended = f"ended {_clock(run.ended_at)}" if run.ended_at is not None else "has not ended"
    pending = "" if run.finished else "; IT IS NOT FINISHED, and its figures will grow"
    lines = [f"{run.run_id}: began {_clock(run.started_at)}, {ended}{pending}" if run.started_at else f"{run.run_id}: {ended}{pending}"]
    if made.gone:
        lines.append(f"{made.gone:,} of its documents {'is' if made.gone == 1 else 'are'} not there any more: the plan is without them")
    if made.new:
        new = counted(made.new, "document that is there now was", "documents that are there now were")
        lines.append(f"{new} no part of it: the plan is without them")
    return [*lines, "The plan knows what was known before that night, but today's job, policy and registry. Nothing was sent or recorded."]


def _amount(line: Line, value: Decimal | None) -> str:
    if value is None:
        return NOT_KNOWN
    return f"{value:,.4f}" if line.what.startswith("US") else duration(float(value)) if line.what == ENDS else f"{value:,}"


def _change(line: Line) -> str:
    value = line.difference
    if not value:
        return "" if value is None else "0"
    if line.what == ENDS:
        return f"{'-' if value < 0 else '+'}{duration(abs(float(value)))}"
    return f"{value:+,.4f}" if line.what.startswith("US") else f"{value:+,}"
