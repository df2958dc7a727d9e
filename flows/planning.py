"""`waybill plan`: what a job would send where, how much, until when. No side effect; of the ledger it reads what is there."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from flows.job import Job, load_job
from flows.night import NightOptions
from flows.plan_counting import Counting, PlacePlan, Plan
from flows.plan_forecast import forecast
from flows.plan_history import history_before, history_of
from flows.ready import Ready, checked
from flows.sources import list_batches
from sinks.ledger.throughput import Throughput


def make_plan(options: NightOptions, *, against: str | None = None) -> Plan:
    """Read and decide every document as a night would. against: the date of a night, of whose documents the plan then is."""
    # A night that there was not is quicker found out than anything else.
    past = history_before(load_job(options.path, out=options.out_path), against) if against is not None else None
    with checked(options) as ready:
        job = ready.job
        history = past or history_of(job, reprocess=options.reprocess or job.reprocess)
        plan = Plan(job=job, history=history, budget=job.budget)
        begun = time.monotonic()
        Counting(ready, plan).carry(list(list_batches(job, limit=options.limit)))
        plan.seconds = time.monotonic() - begun
        _foresee(plan, ready)
        return plan


def _foresee(plan: Plan, ready: Ready) -> None:
    """When it ends, from tokens and speeds."""
    measured, job = plan.history.measured, plan.job
    for place in plan.places.values():
        place.tokens_out_about = _output(place, measured.get(place.endpoint))
    tokens: Counter[str] = Counter()
    for place in plan.places.values():
        tokens[place.endpoint] += place.tokens
    used = {endpoint.name: endpoint for endpoint in [*ready.endpoints, *([ready.looking] if ready.looking else [])]}
    run = plan.history.run
    plan.forecast = forecast(
        tokens,
        used.values(),
        measured,
        begins_at=run.started_at if run is not None and run.started_at is not None else next_start(job, datetime.now(UTC)),
        preparing_s=plan.seconds,
        deadline_h=job.deadline_h,
    )


def _output(place: PlacePlan, measured: Throughput | None) -> int | None:
    """What earlier nights used of the output limit, for as many documents."""
    if measured is None or not measured.records:
        return None
    return min(round(measured.tokens_out / measured.records * place.documents), place.tokens_out)


def next_start(job: Job, now: datetime) -> datetime:
    """When the schedule starts the job next; now, where it has none."""
    if job.schedule is None:
        return now
    begin: datetime = croniter(job.schedule, now.astimezone(ZoneInfo(job.timezone))).get_next(datetime)
    return begin.astimezone(UTC)
