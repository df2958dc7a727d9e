"""No order of hand-overs, answers, losses and kills brings what providers may bill above any limit: the real query over a real ledger."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule, run_state_machine_as_test

from policies.budget import Budget, Committed, Limits, Spent, refusal
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from sinks.ledger.spending import TOLD, Stop, Told, alerts_told, committed, run_costs, stops
from sinks.ledger.told import reasons_told

AT = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
WATCHED = AT - timedelta(hours=48)
DOLLAR = Decimal(1)
DAY = timedelta(days=1)


class Later:
    """A ledger that commits when it is asked about: a commit an event would take most of the time."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(folder / "ledger", keys=folder / "keys")
        self.pending: list[Entry] = []

    def commit(self, entries: list[Entry]) -> None:
        self.pending += entries

    def spent(self, run: str) -> Committed:
        self.ledger.commit(self.pending)
        self.pending = []
        return committed(self.ledger, "night", run_id=run, month=MONTH, watched_since=WATCHED)


def say(ledger: Ledger | Later, run: str, *entries: tuple[Event, dict[str, Any]], at: datetime = AT) -> None:
    ledger.commit([Entry(event=event, at=at, run_id=run, **values) for event, values in entries])


def begin(ledger: Ledger | Later, run: str, *, job: str = "night", date: str = "2026-11-22") -> None:
    say(ledger, run, (Event.RUN_STARTED, {"job": job, "logical_date": date, "template_hash": "t"}))


def submit(
    ledger: Ledger | Later,
    run: str,
    intent: str,
    bounds: list[Decimal],
    *,
    lane: str = "cloud",
    at: datetime = AT,
    endpoint: str = "way-out",
) -> None:
    about = {"intent_id": intent, "lane": lane, "endpoint": endpoint}
    rows = [(Event.SUBMITTING, {**about, "record_id": f"{intent}-r{place}", "cost_usd": bound}) for place, bound in enumerate(bounds)]
    say(ledger, run, *rows, at=at)


@dataclass
class Job:
    """One hand-over as the world has it. billed: what the provider charges in the end, by record; runs: whether it has the job at all."""

    intent: str
    run: str
    bounds: list[Decimal]
    runs: bool
    endpoint: str
    state: str = "submitting"
    billed: list[Decimal] = field(default_factory=list)

    @property
    def worst(self) -> Decimal:
        if not self.runs:
            return Decimal(0)
        return sum(self.billed or self.bounds, Decimal(0))


class Spending(RuleBasedStateMachine):
    """A job under a budget. In memory it knows what it knew at the last start, and what it has handed over since."""

    jobs = Bundle("jobs")

    @initialize(night=st.integers(1, 30), month=st.integers(1, 60), near=st.integers(1, 20), far=st.integers(1, 40))
    def open(self, night: int, month: int, near: int, far: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = Later(self.folder)
        endpoints = {"near": Limits(night=Decimal(near)), "far": Limits(month=Decimal(far))}
        self.budget = Budget(night=Decimal(night), month=Decimal(month), endpoints=endpoints)
        self.all: list[Job] = []
        self.nights = 0
        self.next_night()
        begin(self.ledger, "other-1", job="other")
        submit(self.ledger, "other-1", "x", [Decimal(1000)])  # another job on this ledger has a budget of its own
        submit(self.ledger, self.run, "inside", [Decimal(1000)], lane="local")

    @rule()
    def next_night(self) -> None:
        self.nights += 1
        self.date = f"2026-11-{21 + self.nights}"
        self.run = f"night-{self.date}"
        begin(self.ledger, self.run, date=self.date)
        self.start_again()

    @rule()
    def start_again(self) -> None:
        """Killed and run again: all that it knows is what the ledger says."""
        self.known = self.ledger.spent(self.run)

    @rule(target=jobs, wanted=st.lists(st.integers(0, 15), min_size=1, max_size=4), runs=st.booleans(), near=st.booleans())
    def hand_over(self, wanted: list[int], *, runs: bool, near: bool) -> Any:
        taken, endpoint = [], "near" if near else "far"
        for bound in map(Decimal, wanted):
            if refusal(self.budget, self.known, bound, endpoint) is None:
                self.known = self.known.plus(bound, endpoint)
                taken.append(bound)
        if not taken:
            return multiple()
        job = Job(intent=f"i{len(self.all)}", run=self.run, bounds=taken, runs=runs, endpoint=endpoint)
        self.all.append(job)
        submit(self.ledger, self.run, job.intent, taken, endpoint=endpoint)
        return job

    def _tell(self, job: Job, event: Event, state: str | None = None) -> None:
        job.state = state or event.value
        say(self.ledger, job.run, (event, {"intent_id": job.intent, "state": job.state, "provider_job_id": f"b-{job.intent}"}))

    @rule(job=jobs)
    def answer_to_the_create(self, job: Job) -> None:
        if job.state == "submitting":
            self._tell(job, Event.SUBMITTED if job.runs else Event.REJECTED)

    @rule(job=jobs)
    def not_listed(self, job: Job) -> None:
        """Its listing lags: what runs there is not found, and given up."""
        if job.state == "submitting":
            self._tell(job, Event.REJECTED, "not_found")

    @rule(job=jobs, adopted=st.booleans())
    def turns_up_late(self, job: Job, *, adopted: bool) -> None:
        if job.state == "not_found" and job.runs:
            self._tell(job, Event.SUBMITTED if adopted else Event.CANCELLED, "submitted" if adopted else "late_orphan")

    @rule(job=consumes(jobs), data=st.data())
    def results(self, job: Job, data: st.DataObject) -> None:
        if job.state != "submitted":
            return
        outcomes = []
        for place, bound in enumerate(job.bounds):
            billed = bound * data.draw(st.integers(0, 4)) / 4
            event, said = data.draw(st.sampled_from([
                (Event.COMPLETED, billed), (Event.COMPLETED, None), (Event.FAILED, billed), (Event.FAILED, None),
                (Event.RELEASED, Decimal(0)), (Event.RELEASED, None),
            ]))  # fmt: skip
            job.billed.append(Decimal(0) if event is Event.RELEASED and said is not None else billed)
            outcomes.append((event, {"record_id": f"{job.intent}-r{place}", "intent_id": job.intent, "lane": "cloud", "cost_usd": said}))
        job.state = "job_ended"
        say(self.ledger, job.run, *outcomes, (Event.JOB_ENDED, {"intent_id": job.intent}))

    @invariant()
    def the_bill_stays_within_the_budget(self) -> None:
        every = getattr(self, "all", [])
        assert sum((job.worst for job in every), Decimal(0)) <= (self.budget.month or 0) if every else True
        for run in {job.run for job in every}:
            assert sum((job.worst for job in every if job.run == run), Decimal(0)) <= (self.budget.night or 0)
            near = sum((job.worst for job in every if (job.run, job.endpoint) == (run, "near")), Decimal(0))
            assert near <= (self.budget.endpoints["near"].night or 0)
        if every:
            assert sum((job.worst for job in every if job.endpoint == "far"), Decimal(0)) <= (self.budget.endpoints["far"].month or 0)

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            found = self.ledger.spent(self.run)
            assert sum((job.worst for job in self.all), Decimal(0)) <= found.month <= (self.budget.month or 0)
            assert sum((job.worst for job in self.all if job.run == self.run), Decimal(0)) <= found.night <= found.month
            assert found.at("far").month <= (self.budget.endpoints["far"].month or 0)
            assert found.night == sum((one.night for one in found.endpoints.values()), Decimal(0))
            shutil.rmtree(self.folder)


def test_no_order_of_events_breaks_the_budget() -> None:
    run_state_machine_as_test(
        Spending,
        settings=settings(
            max_examples=5,
            stateful_step_count=16,
            deadline=None,
            phases=(Phase.generate,),  # to shrink an example takes minutes here, and a history is read easily as it is
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger", keys=tmp_path / "keys")


def spent(ledger: Ledger) -> Committed:
    return committed(ledger, "night", run_id="n", month=MONTH, watched_since=WATCHED)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], 10),
        ([(Event.SUBMITTED, "b1", "submitted", AT)], 10),
        ([(Event.REJECTED, None, "quota", AT)], 0),
        ([(Event.REJECTED, None, "not_found", AT)], 10),
        ([(Event.REJECTED, None, "not_found", WATCHED - timedelta(seconds=1))], 0),
        ([(Event.CANCELLED, "b2", "extra_job", AT), (Event.SUBMITTED, "b1", "adopted", AT)], 20),
        ([(Event.REJECTED, None, "not_found", AT), (Event.CANCELLED, "b1", "late_orphan", AT)], 10),
        ([(Event.CANCELLED, "b1", "late_orphan", AT), (Event.CANCELLED, "b2", "late_orphan", AT)], 20),
    ],
    ids=["no answer", "under way", "refused", "may turn up", "watched no more", "twice there", "late", "two late"],
)
def test_what_a_hand_over_commits_to(ledger: Ledger, entries: list[Any], expected: int) -> None:
    begin(ledger, "n")
    submit(ledger, "n", "i", [Decimal(4), Decimal(6)])
    for event, job, state, at in entries:
        say(ledger, "n", (event, {"intent_id": "i", "provider_job_id": job, "state": state}), at=at)
    whole = Decimal(expected)
    assert spent(ledger) == Committed(night=whole, month=whole, endpoints={"way-out": Spent(night=whole, month=whole)})


def test_the_month_is_that_of_the_hand_over_and_the_night_is_the_date(ledger: Ledger) -> None:
    begin(ledger, "n")
    begin(ledger, "n.r2")  # the same date again, with another template
    begin(ledger, "o", date="2026-10-31")
    submit(ledger, "n", "i1", [DOLLAR])
    submit(ledger, "n.r2", "i2", [DOLLAR])
    submit(ledger, "o", "i3", [DOLLAR * 5], at=MONTH)
    submit(ledger, "o", "i4", [DOLLAR * 7], at=MONTH - timedelta(seconds=1))
    submit(ledger, "n", "i5", [DOLLAR * 3], endpoint="other")
    found = spent(ledger)
    assert (found.night, found.month) == (Decimal(5), Decimal(10))
    assert found.at("way-out") == Spent(night=Decimal(2), month=Decimal(7))
    assert (found.at("other").night, found.at("nowhere").month) == (Decimal(3), Decimal(0))


def test_what_a_run_cost_by_endpoint(ledger: Ledger) -> None:
    begin(ledger, "n")
    submit(ledger, "n", "i", [DOLLAR, DOLLAR, DOLLAR, DOLLAR])
    about = {"intent_id": "i", "lane": "cloud", "endpoint": "way-out"}
    say(
        ledger,
        "n",
        (Event.COMPLETED, {**about, "record_id": "i-r0", "cost_usd": Decimal("0.25")}),
        (Event.FAILED, {**about, "record_id": "i-r1", "cost_usd": Decimal("0.125")}),
        (Event.COMPLETED, {**about, "record_id": "i-r2"}),
        (Event.RELEASED, {**about, "record_id": "i-r3", "cost_usd": Decimal(0)}),
        (Event.JOB_ENDED, {"intent_id": "i"}),
    )
    submit(ledger, "n", "j", [DOLLAR * 2])
    (one,) = run_costs(ledger, "night", "n", watched_since=WATCHED)
    assert (one.lane, one.endpoint, one.records, one.unpriced) == ("cloud", "way-out", 3, 1)
    assert (one.cost_usd, one.reserved_usd, one.open_usd) == (Decimal("0.375"), Decimal(3), Decimal(3))
    assert spent(ledger).night == Decimal("3.375")


def test_who_was_told_of_what_is_known_by_limit_and_period(ledger: Ledger) -> None:
    begin(ledger, "n")
    begin(ledger, "o", date="2026-11-21")
    begin(ledger, "x", job="other")
    tell = {"n": [("night", 50, AT)], "o": [("night", 80, AT), ("month", 80, AT), ("month", 50, MONTH - DAY)], "x": [("month", 100, AT)]}
    for run, said in tell.items():
        for period, share, at in said:
            say(ledger, run, (Event.ALERTED, {"state": period, "reason": f"{TOLD}{share}"}), at=at)
    say(ledger, "n", (Event.ALERTED, {"state": "month", "reason": f"{TOLD}100", "endpoint": "far"}))
    assert alerts_told(ledger, "night", run_id="n", month=MONTH) == {
        Told(endpoint="", period="night", share=50),
        Told(endpoint="", period="month", share=80),
        Told(endpoint="far", period="month", share=100),
    }


def test_a_stop_is_of_its_date_until_somebody_releases_what_was_held_for_money(ledger: Ledger) -> None:
    begin(ledger, "n")
    begin(ledger, "n.r2")
    begin(ledger, "o", date="2026-11-21")
    begin(ledger, "x", job="other")
    codes = ("budget_night", "budget_stopped")

    def found(run: str) -> frozenset[Stop]:
        return stops(ledger, "night", run_id=run, held_as=codes)

    say(ledger, "x", (Event.STOPPED, {"state": "night", "reason": "budget_night"}))
    assert found("n") == frozenset()
    say(ledger, "n", (Event.STOPPED, {"state": "month", "reason": "budget_endpoint_month", "endpoint": "far"}))
    for before, reason in (("waiting_cloud_unreachable", "retry"), ("budget_night", "budget_freed")):
        say(ledger, "n", (Event.RELEASED, {"record_id": "r", "reason": reason, "before": before}))
    assert found("n") == found("n.r2") == {Stop(endpoint="far", period="month")}
    assert found("o") == frozenset()
    say(ledger, "n", (Event.RELEASED, {"record_id": "r", "reason": "retry", "before": "budget_stopped"}))
    assert found("n") == found("n.r2") == frozenset()
    say(ledger, "n.r2", (Event.STOPPED, {"state": "night", "reason": "budget_night"}))
    assert found("n") == {Stop(endpoint="", period="night")}


def test_why_records_were_held_is_told_of_once_a_date(ledger: Ledger) -> None:
    begin(ledger, "n")
    begin(ledger, "o", date="2026-11-21")
    say(
        ledger,
        "n",
        (Event.ALERTED, {"state": "held", "reason": "budget_night"}),
        (Event.ALERTED, {"state": "night", "reason": f"{TOLD}50"}),
    )
    say(ledger, "o", (Event.ALERTED, {"state": "failed", "reason": "max_tokens"}))
    assert reasons_told(ledger, "night", run_id="n") == {("held", "budget_night")}
    assert reasons_told(ledger, "night", run_id="o") == {("failed", "max_tokens")}
    assert alerts_told(ledger, "night", run_id="n", month=MONTH) == {Told(endpoint="", period="night", share=50)}
