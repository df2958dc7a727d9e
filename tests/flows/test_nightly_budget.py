"""Money through a real night: the bundled emulator at a price of its own, budgets kept over nights, and a kill in the worst moment."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import pyarrow.parquet as pq
import pytest

import flows.closing
from detectors.document import Document
from flows.audit_report.account import costs
from flows.budgeting import most_usd
from flows.holding import release
from flows.night import Night, NightOptions
from flows.nightly import run_night
from flows.planning import make_plan
from flows.report import NightReport
from policies.model import Endpoint, Lane
from policies.prices import Price, Prices, Rates
from sinks.clients.webhook import Alert
from sinks.ledger.report_rows import Cost, ReportData
from sinks.request import Message, Part, Prompt, TaskKind

PRICES = """version: 2026-11-22
currency: USD
prices:
  - provider: emulator
    models: [extractive-emulator]
    feature: batch
    input: "100.00"
    output: "1000.00"
    valid_from: 2026-01-01
    review_by: 2099-12-31
    source: invented
"""
CLOUD = "cloud: emulator"

DIE_AFTER_THE_REQUEST = """
import os, signal, sys
import sinks.handover
sinks.handover._entry = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
from flows.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def priced(make_night: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """The small night, at a price; keyword arguments are keys of the job."""

    def make(**keys: str) -> Any:
        (tmp_path / "prices.yaml").write_text(PRICES)
        extra = {"prices": "prices.yaml", **keys}
        return make_night(extra="".join(f"{name}: {value}\n" for name, value in extra.items()))

    return make


def most(night: Any) -> Decimal:
    """What the three clean documents can cost together, as the plan says it."""
    planned = make_plan(NightOptions(job=str(night.job))).places[CLOUD].usd_most
    assert planned is not None
    return planned


def run(night: Any, date: str) -> NightReport:
    return run_night(NightOptions(job=str(night.job), out=str(night.out), date=date))


def ask(night: Any, query: str) -> list[Any]:
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def settled(tokens_in: int, tokens_out: int) -> Decimal:
    return (tokens_in * Decimal(100) + tokens_out * Decimal(1000)) / 1_000_000


@pytest.mark.slow
def test_a_budget_holds_over_nights_and_what_it_held_comes_later(priced: Callable[..., Any]) -> None:
    total = most(priced())
    # One of the three fits; its result frees enough for the second, and that one's not enough for the third.
    night = priced(budget_usd=f"{{night: {total / 2}}}")
    first = run(night, "2026-11-20")
    rows = ask(night, "SELECT tokens_in, tokens_out, cost_usd FROM outcomes WHERE lane = 'cloud'")
    assert len(rows) == 2
    assert all(cost == settled(tokens_in, tokens_out) for tokens_in, tokens_out, cost in rows)
    assert ask(night, "SELECT reason FROM held WHERE still_held AND reason LIKE 'budget%'") == [("budget_night",)]
    assert ask(night, "SELECT count(*), bool_and(cost_usd > 0) FROM entries WHERE event = 'submitting' AND lane = 'cloud'") == [(2, True)]

    (cloud,) = [one for one in first.costs if one.lane == "cloud"]
    spent = sum((cost for *_, cost in rows), Decimal(0))
    assert (cloud.records, cloud.cost_usd, cloud.open_usd, cloud.unpriced) == (2, spent, Decimal(0), 0)
    assert cloud.cost_usd <= first.budget["night"][1] == total / 2 < cloud.reserved_usd  # two rounds, one after the other
    assert ask(night, "SELECT DISTINCT before FROM entries WHERE event = 'released' AND reason = 'budget_freed'") == [("budget_night",)]
    assert first.budget["night"][0] == spent
    assert json.loads(json.dumps(first.as_json()))["budget"]["night"]["committed_usd"] == str(spent)
    files = [row for path in night.results.rglob("*.parquet") for row in pq.ParquetFile(path).read().to_pylist()]
    assert sum((Decimal(row["cost_usd"]) for row in files if row["lane"] == "cloud"), Decimal(0)) == spent

    assert run(night, "2026-11-20").results == first.results  # the same night again: nothing more is sent, nothing is paid twice
    assert ask(night, "SELECT sum(cost_usd) FROM costs WHERE lane = 'cloud'") == [(spent,)]

    night = priced(budget_usd=f"{{month: {spent + Decimal('0.01')}}}")
    assert run(night, "2026-11-21").budget["month"][0] == spent
    assert ask(night, "SELECT reason FROM held WHERE still_held AND reason LIKE 'budget%'") == [("budget_month",)]

    night = priced(budget_usd=f"{{night: {total}, month: {spent + total}}}")
    last = run(night, "2026-11-22")
    assert last.results == 1
    assert ask(night, "SELECT count(*) FROM held WHERE still_held AND reason LIKE 'budget%'") == [(0,)]
    assert last.budget["month"][0] == spent + last.costs[0].cost_usd


@pytest.mark.slow
def test_killed_after_the_request_and_run_again_stays_within_the_budget(priced: Callable[..., Any]) -> None:
    limit = most(priced()) * Decimal("0.99")
    night = priced(budget_usd=f"{{night: {limit}}}", on_budget="local", batch_size="100")
    night.job.write_text(night.job.read_text().replace("batch_size: 3\n", ""))
    command = [sys.executable, "-c", DIE_AFTER_THE_REQUEST, "run", str(night.job), "--out", str(night.out), "--date", "2026-11-22"]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == -signal.SIGKILL
    killed = run(night, "2026-11-22")
    assert (killed.pending, killed.failed) == (0, 0)
    assert killed.budget["night"][0] <= killed.budget["night"][1] == limit
    handed = ask(night, "SELECT record_id, count(*) FROM entries WHERE event = 'submitting' AND lane = 'cloud' GROUP BY ALL")
    assert {times for _, times in handed} == {1}
    paid = ask(night, "SELECT sum(cost_usd) FROM outcomes WHERE lane = 'cloud'")[0][0]
    assert paid == killed.budget["night"][0]
    inside = "SELECT DISTINCT reason FROM assignments WHERE endpoint = 'extractive' AND reason LIKE 'budget%'"
    assert ask(night, inside) == [("budget_night",)]


@pytest.mark.slow
def test_what_the_budget_stops_stays_stopped_and_is_told_once(priced: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Alert] = []
    monkeypatch.setattr(flows.closing, "send_alert", lambda alert, _: heard.append(alert))
    limit = most(priced()) / 2
    hook = "{webhook: 'http://127.0.0.1:9/hook'}"
    night = priced(budget_usd=f"{{month: 1000, endpoints: {{emulator: {{night: {limit}}}}}}}", on_budget="stop", alerts=hook)
    first = run(night, "2026-11-22")
    held = "SELECT reason, count(*) FROM held WHERE still_held AND reason LIKE 'budget%' GROUP BY 1 ORDER BY 1"
    stopped = [("budget_endpoint_night", 1), ("budget_stopped", 1)]
    assert ask(night, held) == stopped
    assert (first.stopped, {name: first.held_for[name] for name, _ in stopped}) == (True, dict(stopped))
    assert sum(first.held_for.values()) == first.held
    inside = "SELECT count(*) FROM outcomes WHERE lane = 'local' AND outcome = 'completed'"
    assert (first.results - 1, first.pending) == (ask(night, inside)[0][0], 0), "what stays inside goes on"
    (spent,) = (one.cost_usd for one in first.costs if one.lane == "cloud")
    assert first.budget == {"month": (spent, Decimal(1000)), "night at emulator": (spent, limit)}
    assert spent < limit / 2, "its result has freed enough for another one, which nobody sends"
    assert [(one.budget_50, one.budget_80, one.budget_100) for one in heard] == [(0, 0, 1)]
    told = "SELECT endpoint, state, reason FROM entries WHERE event = 'alerted' AND state = 'night'"
    assert ask(night, told) == [("emulator", "night", "budget_100")]
    handed = "SELECT count(*) FROM egress"
    assert (run(night, "2026-11-22").held, ask(night, held), ask(night, handed)) == (first.held, stopped, [(1,)]), "after a kill, too"
    assert ask(night, told) == [("emulator", "night", "budget_100")]
    assert len(heard) == 1, "of what is held, too"
    night = priced(budget_usd="{month: 1000}", on_budget="stop", alerts=hook)
    assert (run(night, "2026-11-22").stopped, ask(night, handed)) == (True, [(1,)]), "a larger limit alone"
    release(night.ledger, records=(), reason=None, failed=False, actor="hana", now=datetime.now(UTC))
    assert (run(night, "2026-11-22").stopped, ask(night, handed)) == (False, [(3,)]), "a person has gone on with it"


def test_an_endpoint_without_a_price_stops_the_job_at_its_start(
    priced: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path
) -> None:
    night = priced()
    (tmp_path / "prices.yaml").write_text(PRICES.replace("extractive-emulator", "another-model"))
    said = cli("run", night.job, "--out", night.out, code=2)
    assert "endpoint emulator: has no batch price: " in said.err
    assert "has none for provider emulator, model extractive-emulator, region loopback" in said.err
    assert "add an entry with provider, models, input and output there" in said.err
    assert not night.ledger.exists()
    assert "has no batch price" in cli("policy", "check", "--prices", tmp_path / "prices.yaml", code=1).out


def test_a_plan_says_what_it_may_cost(priced: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = priced(budget_usd="{night: 20, month: 300.50}")
    said = cli("plan", night.job).out
    (line,) = [line for line in said.splitlines() if CLOUD in line]
    least, _, top = line.split("│")[-2].strip().split()
    assert Decimal(0) < Decimal(least) < Decimal(top)
    assert Decimal(top) >= 3 * 60 * Decimal("0.001")
    assert "budget for the night: $20.00" in said
    assert "budget for the month: $300.50" in said


def test_the_report_page_says_what_its_sums_leave_out() -> None:
    day: dict[str, Any] = {
        "day": date(2026, 11, 22),
        "lane": "cloud",
        "endpoint": "way-out",
        "tokens_in": 9,
        "tokens_out": 3,
        "cost_usd": Decimal("0.5"),
    }
    whole, lacking = Cost(**day, records=3), Cost(**day, records=3, unpriced=2)
    assert len(costs(cast("ReportData", SimpleNamespace(costs=(whole,)))).notes) == 1
    assert costs(cast("ReportData", SimpleNamespace(costs=(lacking,)))).notes[1].startswith("Not in these sums: 2 outcomes of the cloud")


def test_what_a_record_can_cost_at_the_most_is_the_dearer_of_two_days() -> None:
    """It is cleared before midnight and handed over after it: charged is what the new day says."""
    endpoint = Endpoint(name="e", lane=Lane.CLOUD, engine="openai_batch", provider="p", model="m", settings={})
    old, new = (Price(provider="p", models=("m",), rates=Rates(input=Decimal(rate), output=Decimal(rate))) for rate in (0, 10))
    prompt = Prompt(kind=TaskKind.SUMMARIZE, messages=(Message(role="user", parts=(Part(slot="text"),)),), max_tokens=1000)
    night: Any = SimpleNamespace(tokenizers={}, prompt=prompt, prompt_for=lambda _: prompt, charged={})
    night.prices_of = lambda endpoint: Night.prices_of(night, endpoint)
    document = Document(record_id="r", text="A ferry.", source="s", family="r")
    found = []
    for night.today, before in ((date(2026, 11, 29), old), (date(2026, 11, 30), old), (date(2026, 12, 1), old), (date(2026, 11, 30), new)):
        changed = replace(new if before is old else old, valid_from=date(2026, 12, 1))
        night.prices = Prices(version="1", prices=(before, changed))
        found.append(most_usd(night, endpoint, document))
    dear = found[1]
    assert dear is not None
    assert dear > Decimal("0.01")
    assert found == [Decimal(0), dear, dear, dear]
    night.prices = Prices(version="1", prices=(replace(old, valid_from=date(2026, 12, 1)),))
    assert most_usd(night, endpoint, document) is None, "nobody has said what it costs today"
