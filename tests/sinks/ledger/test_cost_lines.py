"""Money in the ledger: every cut of it sums to what the view `costs` says, and a machine's busy time is the union of its hand-overs."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sinks.ledger import shares
from sinks.ledger.audit import costs
from sinks.ledger.busy import busy_hours
from sinks.ledger.cost_lines import cost_lines, days_seen, policies_in_force, record_costs
from sinks.ledger.entry import Entry, Event
from sinks.ledger.local_share import LocalShare, local_shares
from sinks.ledger.queries import job_runs
from sinks.ledger.segments import Ledger

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CLASSES = {"CLEAN": ("cloud", "local"), "PII": ("local", "cloud"), "PHI": ("local",), "NPI+PHI": ("local",)}


class Story:
    """Invented nights, told entry by entry."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.entries, self.intents = ledger, [], itertools.count()  # type: ignore[var-annotated]

    def say(self, event: Event, at: datetime, run: str, **values: Any) -> None:
        self.entries.append(Entry(event=event, at=at, run_id=run, **values))

    def start(self, run: str, at: datetime, centre: str | None = None) -> None:
        self.say(
            Event.RUN_STARTED, at, run, job=run.partition("-")[0], logical_date="2026-11-20", policy_hash=f"p-{run}", cost_centre=centre
        )

    def decide(self, run: str, record: str, classes: str, at: datetime) -> None:
        self.say(Event.DECIDED, at, run, record_id=record, data_classes=tuple(classes.split("+")), lanes=CLASSES[classes])

    def ask(self, run: str, records: dict[str, dict[str, Any]], lane: str, endpoint: str, at: datetime, *, lasts: timedelta) -> str:
        """Hand records over, and take what comes back: a record's values are those of its outcome."""
        intent = f"i{next(self.intents)}"
        where = {"lane": lane, "endpoint": endpoint, "intent_id": intent}
        for record, values in records.items():
            self.say(Event.SUBMITTING, at, run, record_id=record, cost_usd=values.pop("reserved", None), **where)
        self.say(Event.SUBMITTED, at + timedelta(seconds=2), run, intent_id=intent, endpoint=endpoint)
        for record, values in records.items():
            self.say(values.pop("event", Event.COMPLETED), at + lasts, run, record_id=record, model="m", **where, **values)
        self.say(Event.JOB_ENDED, at + lasts, run, intent_id=intent, endpoint=endpoint)
        return intent

    def tell(self) -> Ledger:
        self.ledger.commit(self.entries)
        self.entries = []
        return self.ledger


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Two jobs over three days: every class, records that failed, were repaired, escalated, stated twice, unpriced, without usage."""
    story, chance = Story(Ledger.open(tmp_path_factory.mktemp("money") / "ledger")), random.Random(7)
    for day, (job, centre) in itertools.product(range(3), (("claims", "C-100"), ("letters", None))):
        at, run = NOON + timedelta(days=day), f"{job}-{day}"
        if centre is None:  # the job named somebody when the night was first started
            story.start(run, at - timedelta(hours=1), "C-900")
        story.start(run, at, centre)
        for number, classes in enumerate(random.Random(day).choices(list(CLASSES), k=12)):
            record, lane = f"{job}-r{number}", "local" if "cloud" not in CLASSES[classes] or number % 3 == 0 else "cloud"
            story.decide(run, record, classes, at)
            used: dict[str, Any] = {"tokens_in": chance.randrange(1, 3000), "tokens_out": chance.randrange(1, 500)}
            if lane == "cloud":
                used |= {"cost_usd": Decimal(chance.randrange(10**9)).scaleb(-9), "reserved": Decimal(2)}
            if number % 5 == 1:  # failed at first, and asked once more
                story.ask(
                    run,
                    {record: {**used, "event": Event.FAILED, "error_code": "invalid_output"}},
                    lane,
                    f"{lane}-1",
                    at,
                    lasts=timedelta(hours=1),
                )
            if number == 4 and lane == "cloud":
                used = {"reserved": Decimal(3)}  # the provider said nothing of what it used
            story.ask(run, {record: dict(used)}, lane, f"{lane}-1", at, lasts=timedelta(hours=2, minutes=number))
            if number % 6 == 0 and "cloud" in CLASSES[classes]:
                escalated = {"tokens_in": 900, "tokens_out": 80, "cost_usd": Decimal("0.5"), "reserved": Decimal(1)}
                story.ask(run, {record: escalated}, "cloud", "cloud-2", at, lasts=timedelta(hours=3))
        story.entries += [entry for entry in story.entries if entry.event in (Event.COMPLETED, Event.FAILED)][-2:]  # stated twice
        story.tell()
    return story.ledger


def view(ledger: Ledger, *names: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The view `costs`, summed by some of its columns."""
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for row in costs(ledger).to_pylist():
        key = tuple(row[name] for name in names)
        found = sums.setdefault(key, [0, 0, 0, Decimal(0), 0])
        for place, name in enumerate(("records", "tokens_in", "tokens_out", "cost_usd", "unpriced")):
            found[place] += row[name] or 0
    return {key: tuple(value) for key, value in sums.items()}


def summed(lines: Any, *names: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Lines, summed the same way."""
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for line in lines:
        found = sums.setdefault(tuple(getattr(line, name) for name in names), [0, 0, 0, Decimal(0), 0])
        for place, name in enumerate(("records", "tokens_in", "tokens_out", "settled_usd", "unpriced")):
            found[place] += getattr(line, name)
    return {key: tuple(value) for key, value in sums.items()}


@pytest.mark.parametrize(
    "names", [("lane", "endpoint"), ("day",), ("day", "lane", "endpoint"), ()], ids=lambda names: "+".join(names) or "all"
)
@pytest.mark.parametrize("edges", [(), (500, 1500)], ids=["no edges", "edges"])
def test_lines_sum_to_the_view_to_the_last_unit(told: Ledger, names: tuple[str, ...], edges: tuple[int, ...]) -> None:
    lines = cost_lines(told, since=None, until=None, edges=edges)
    assert summed(lines, *names) == view(told, *names)
    assert sum(line.unpriced for line in lines) > 0
    assert sum(line.failed for line in lines) > 0


def test_records_sum_to_the_view_too(told: Ledger) -> None:
    records = record_costs(told, since=None, until=None)
    assert summed(records, "lane", "endpoint") == view(told, "lane", "endpoint")
    assert {record.record_id for record in records} == {f"{job}-r{number}" for job in ("claims", "letters") for number in range(12)}


def test_lines_say_class_job_centre_and_what_may_not_leave(told: Ledger) -> None:
    lines = cost_lines(told, since=None, until=None)
    assert {line.classes for line in lines} == set(CLASSES)
    assert {line.classes for line in lines if line.restricted} == {"PHI", "NPI+PHI"}
    assert {(line.job, line.cost_centre) for line in lines} == {("claims", "C-100"), ("letters", None)}, "as of the last start"
    assert {(run.job, run.cost_centre) for run in job_runs(told)} == {("claims", "C-100"), ("letters", None)}
    assert not any(line.restricted and line.lane == "cloud" for line in lines)
    assert {line.longer_than for line in cost_lines(told, since=None, until=None, edges=[500, 1500])} == {0, 500, 1500}


def test_every_record_ends_with_one_answer(told: Ledger) -> None:
    """An answer that was escalated is not final: the one that came after it is."""
    lines = cost_lines(told, since=None, until=None)
    assert sum(line.records for line in lines if line.final) == 3 * 2 * 12
    assert all(line.final for line in lines if line.endpoint == "cloud-2")
    assert sum(line.failed for line in lines if line.final) == 0


def test_a_large_ledger_is_read_by_shares_and_gives_the_same(told: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> list[Any]:
        days = {"since": date(2026, 11, 20), "until": date(2026, 11, 23)}
        return [cost_lines(told, **days, edges=[700]), record_costs(told, **days), local_shares(told, **days)]

    whole = asked()
    monkeypatch.setattr(shares, "ENTRIES_A_SHARE", 50)
    assert asked() == whole


def test_days_are_chosen_by_outcome(told: Ledger) -> None:
    assert days_seen(told) == (date(2026, 11, 20), date(2026, 11, 22))
    assert days_seen(told, since=date(2026, 12, 1)) is None
    some = cost_lines(told, since=date(2026, 11, 21), until=date(2026, 11, 22))
    assert {line.day for line in some} == {date(2026, 11, 21)}
    assert summed(some, "day") == {key: value for key, value in view(told, "day").items() if key == (date(2026, 11, 21),)}
    assert policies_in_force(told, since=date(2026, 11, 22), until=None) == ["p-claims-2", "p-letters-2"]


def test_busy_time_is_the_union_of_hand_overs(tmp_path: Path) -> None:
    story, chance = Story(Ledger.open(tmp_path / "ledger")), random.Random(3)
    story.start("busy-1", NOON)
    spans: dict[str, list[tuple[int, int]]] = {"a": [], "b": []}
    for number in range(60):
        endpoint, begin, lasts = chance.choice("ab"), chance.randrange(0, 3000), chance.randrange(1, 90)
        story.ask("busy-1", {f"r{number}": {}}, "local", endpoint, NOON + timedelta(minutes=begin), lasts=timedelta(minutes=lasts))
        spans[endpoint].append((begin * 60 + 2, (begin + lasts) * 60))
    lost = {"lane": "local", "endpoint": "a", "intent_id": "lost"}
    story.say(Event.SUBMITTING, NOON, "busy-1", record_id="r-lost", **lost)  # nobody ever saw its end
    ledger = story.tell()
    first, last = date(2026, 11, 20), date(2026, 11, 24)
    found = busy_hours(ledger, {"a": ["a"], "b": ["b"], "both": ["a", "b"], "none": ["c"]}, since=first, until=last)

    def seconds(*endpoints: str, until: int = 10**9) -> int:
        return len({second for one in endpoints for begin, end in spans[one] for second in range(begin, min(end, until))})

    assert {place: hours * 3600 for place, hours in found.items()} == pytest.approx(
        {"a": seconds("a"), "b": seconds("b"), "both": seconds("a", "b")}
    )
    clipped = busy_hours(ledger, {"both": ["a", "b"]}, since=first, until=date(2026, 11, 21))
    assert clipped["both"] * 3600 == pytest.approx(Decimal(seconds("a", "b", until=12 * 3600)))


def test_what_a_model_inside_was_tried_on_and_kept(told: Ledger) -> None:
    lines = Counter[str]()
    found = local_shares(told, since=date(2026, 11, 20), until=date(2026, 11, 23))
    for job in ("claims", "letters"):
        share = found[job]
        assert 0 < share.kept < share.tried
        lines[job] = share.tried
    assert local_shares(told, since=date(2026, 12, 1), until=date(2026, 12, 2)) == {}
    assert sum(lines.values()) < 3 * 2 * 12  # those that may not leave, and those that were only ever outside, are no tries


def test_a_second_look_is_paid_for_and_is_no_answer(tmp_path: Path) -> None:
    story = Story(Ledger.open(tmp_path / "ledger"))
    story.start("look-1", NOON)
    story.decide("look-1", "r1", "CLEAN", NOON)
    looked = story.ask("look-1", {"r1": {"tokens_in": 5, "tokens_out": 1}}, "local", "judge", NOON, lasts=timedelta(minutes=1))
    story.say(Event.JUDGED, NOON, "look-1", record_id="r1", intent_id=looked, lane="local", endpoint="judge")
    ledger = story.tell()
    (line,) = cost_lines(ledger, since=None, until=None)
    assert (line.tokens, line.final) == (6, False)
    assert local_shares(ledger, since=date(2026, 11, 20), until=date(2026, 11, 21)) == {}
    later = NOON + timedelta(hours=1)
    story.ask("look-1", {"r1": {"tokens_in": 50, "tokens_out": 9}}, "local", "vllm", later, lasts=timedelta(minutes=1))
    story.tell()
    assert {(line.endpoint, line.final) for line in cost_lines(ledger, since=None, until=None)} == {("judge", False), ("vllm", True)}
    expected = LocalShare(job="look", tried=1, kept=1)
    assert local_shares(ledger, since=date(2026, 11, 20), until=date(2026, 11, 21)) == {"look": expected}
