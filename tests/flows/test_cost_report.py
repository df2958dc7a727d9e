"""Where the money went, on an invented ledger: each cut sums to the whole; premium and comparisons are as worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flows.cost_report import BY, IDLE, Asked, CostReport, make_report
from policies.economics.local_cost import SMALLEST_USD
from policies.load import DEFAULT_REGISTRY
from policies.prices import Prices, load_prices
from policies.registry import load_registry
from sinks.ledger.audit import costs
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger

NIGHT = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
TODAY = date(2026, 12, 31)
RUN = "claims-2026-11-20"
PRICES = """version: test-7
currency: USD
prices:
  - provider: openai
    models: [gpt-4o-mini]
    feature: batch
    input: "1"
    output: "4"
    valid_from: 2026-01-01
    review_by: 2027-02-28
    source: https://prices.test
  - provider: bedrock
    models: [anthropic.claude-3-haiku-20240307-v1:0]
    feature: batch
    input: "10"
    output: "40"
    valid_from: 2026-01-01
    review_by: 2027-02-28
    source: https://prices.test
"""
HOSTS = """hosts:
  - name: gpu-1
    endpoints: [vllm]
    gpus: 2
    rented: {usd_per_gpu_hour: "2.50"}
    valid_from: 2026-01-01
    review_by: 2027-01-31
    source: contract
"""
Used = tuple[int | None, int | None, str | None]
# Record: classes, lanes, where, tokens in and out (None: not reported), settled.
TOLD: dict[str, tuple[str, tuple[str, ...], str, int | None, int | None, str | None]] = {
    "r1": ("CLEAN", ("cloud", "local"), "openai-batch", 1_000_000, 250_000, "2.000000001"),
    "r2": ("PII", ("cloud", "local"), "openai-batch", 1_000_000, 0, "1.000000002"),
    "r3": ("PHI", ("local",), "vllm", 2_000_000, 500_000, "0"),
    "r4": ("NPI+PHI", ("local",), "vllm", 400_000, 100_000, "0"),
    "r5": ("CLEAN", ("cloud", "local"), "openai-batch", None, None, None),
    "r6": ("CLEAN", ("cloud", "local"), "vllm", 800_000, 200_000, "0"),
}


def tell(ledger: Ledger) -> None:
    """One night: two hours of the machine, an unpriced record, one that failed first, one that was escalated."""
    entries = [
        Entry(
            event=Event.RUN_STARTED, at=NIGHT, run_id=RUN, job="claims", logical_date="2026-11-20", policy_hash="ab" * 32, cost_centre="C-1"
        )
    ]

    def outcome(event: Event, record: str, endpoint: str, intent: str, used: Used, *, at: datetime) -> None:
        where: dict[str, Any] = {
            "run_id": RUN,
            "endpoint": endpoint,
            "lane": "local" if endpoint == "vllm" else "cloud",
            "intent_id": intent,
        }
        reserved = Decimal(5) if endpoint != "vllm" else None
        entries.append(Entry(event=Event.SUBMITTING, at=at, record_id=record, cost_usd=reserved, **where))
        entries.append(Entry(event=Event.SUBMITTED, at=at, run_id=RUN, intent_id=intent))
        entries.append(
            Entry(
                event=event, at=at + timedelta(hours=1), record_id=record, tokens_in=used[0], tokens_out=used[1],
                cost_usd=None if used[2] is None else Decimal(used[2]), model="m", **where,
            )
        )  # fmt: skip
        entries.append(Entry(event=Event.JOB_ENDED, at=at + timedelta(hours=1), run_id=RUN, intent_id=intent))

    for record, (classes, lanes, endpoint, tokens_in, tokens_out, usd) in TOLD.items():
        entries.append(
            Entry(event=Event.DECIDED, at=NIGHT, run_id=RUN, record_id=record, data_classes=tuple(classes.split("+")), lanes=lanes)
        )
        outcome(Event.COMPLETED, record, endpoint, f"i-{record}", (tokens_in, tokens_out, usd), at=NIGHT)
    outcome(Event.FAILED, "r4", "vllm", "i-r4-failed", (300_000, 0, "0"), at=NIGHT + timedelta(minutes=30))
    outcome(Event.COMPLETED, "r6", "openai-batch", "i-r6-up", (800_000, 250_000, "1.800000000"), at=NIGHT + timedelta(hours=1))
    ledger.commit(entries)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Ledger.open(tmp_path_factory.mktemp("report") / "ledger")
    tell(made)
    return made.path


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Prices:
    path = tmp_path_factory.mktemp("prices") / "prices.yaml"
    path.write_text(PRICES + HOSTS, encoding="utf-8")
    return load_prices(path)


def report(ledger: Path, prices: Prices, **asked: Any) -> CostReport:
    made = make_report(ledger, prices, load_registry(DEFAULT_REGISTRY), Asked(**asked), today=TODAY)
    assert made is not None
    return made


# The outcomes are of 20 November (22 to 23 h) and, for two, of the 20th still (23 h) or the 21st (0 h): two days of the host.
@pytest.mark.parametrize("by", BY)
def test_every_cut_sums_to_the_view_and_to_what_the_host_costs(ledger: Path, prices: Prices, by: str) -> None:
    made = report(ledger, prices, by=by)
    rows = costs(ledger).to_pylist()
    for name, of_view in (("settled_usd", "cost_usd"), ("records", "records"), ("tokens_in", "tokens_in"), ("tokens_out", "tokens_out"),
                          ("unpriced", "unpriced")):  # fmt: skip
        expected = sum(row[of_view] or 0 for row in rows)
        assert sum(getattr(row, name) for row in made.rows) == getattr(made.total, name) == expected
    (host,) = made.hosts
    assert sum(row.host_usd for row in made.rows) == made.total.host_usd == host.usd == 5 * 24 * ((made.until - made.since).days)
    assert sum(row.usd for row in made.rows) == made.total.usd == host.usd + made.total.settled_usd
    assert (made.total.unpriced, made.total.failed) == (1, 1)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("record", set(TOLD)),
        ("job", {"claims"}),
        ("class", {"CLEAN", "PII", "PHI", "NPI+PHI"}),
        ("lane", {"local", "cloud"}),
        ("endpoint", {"openai-batch", "vllm"}),
        ("day", {"2026-11-20", "2026-11-21"}),
        ("cost_centre", {"C-1"}),
    ],
)
def test_rows_are_the_groups_that_there_are(ledger: Path, prices: Prices, by: str, groups: set[str]) -> None:
    assert {row.group for row in report(ledger, prices, by=by).rows} == groups


def test_a_host_is_allotted_by_tokens_over_its_utilisation(ledger: Path, prices: Prices) -> None:
    made = report(ledger, prices, by="record")
    (host,) = made.hosts
    assert made.busy_hours == {"vllm": Decimal("1.5")}  # 22:00 to 23:30: what ran side by side counts once
    assert (host.busy_hours, host.hours, host.tokens) == (Decimal("1.5"), 48, 4_300_000)
    assert host.utilisation == Decimal("1.5") / 48
    borne = {row.group: row.host_usd for row in made.rows}
    for record, tokens in {
        "r1": 0,
        "r3": 2_500_000,
        "r4": 800_000,
        "r6": 1_000_000,
    }.items():  # r4 with what failed, r6 with what was escalated
        assert abs(borne[record] - host.usd * tokens / host.tokens) <= SMALLEST_USD


def test_the_premium_for_keeping_restricted_data_inside(ledger: Path, prices: Prices) -> None:
    found = report(ledger, prices).premium
    local = Decimal(240) * 3_300_000 / 4_300_000  # r3 and r4, with the attempt that failed
    assert abs(found.local_usd - local) <= 2 * SMALLEST_USD
    assert found.cloud_usd == Decimal("4.0") + Decimal("0.8")  # 2.4 M in at 1, 0.6 M out at 4; one answer each
    assert found.usd == found.local_usd - found.cloud_usd
    assert (found.records, found.uncounted) == (2, 0)
    assert any("openai-batch for job claims" in said for said in found.assumptions)
    dear = report(ledger, prices, cloud="bedrock-batch").premium
    assert dear.cloud_usd is None  # that model has no price in this file: it is not guessed
    assert dear.usd is None


def test_the_same_nights_otherwise(ledger: Path, prices: Prices) -> None:
    made = report(ledger, prices)
    found = {one.name: one for one in made.comparisons}
    assert list(found) == ["as it was", "all-cloud", "all-local", "unrouted"]
    assert found["as it was"].usd == made.total.usd
    # r1 2.00, r2 1.00, r3 4.00, r4 0.80, r6 once: 0.8 + 1.0
    assert found["all-cloud"].usd == Decimal("9.6")
    assert found["all-local"].usd == 240  # the host is enough, and costs what it costs
    assert found["unrouted"].usd == 240 + Decimal("4.8")
    assert {name: one.uncounted for name, one in found.items()} == {"as it was": 0, "all-cloud": 1, "all-local": 1, "unrouted": 1}
    assert all(one.assumptions for one in found.values())


def test_more_work_than_the_hosts_can_do_takes_more_of_them(tmp_path: Path, ledger: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES + HOSTS.replace("[vllm]", "[spare]"), encoding="utf-8")
    idle = report(ledger, load_prices(path), by="endpoint")
    (all_local,) = (one for one in idle.comparisons if one.name == "all-local")
    assert all_local.usd is None
    assert "nobody has measured" in all_local.assumptions[0]
    assert {row.group: row.usd for row in idle.rows}[IDLE] == 240  # a machine that did nothing costs the same
    assert any("On no host of the price file: vllm" in note for note in idle.notes)


def test_without_hosts_what_is_inside_is_not_known(tmp_path: Path, ledger: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES, encoding="utf-8")
    made = report(ledger, load_prices(path))
    assert made.hosts == ()
    assert made.total.usd == made.total.settled_usd
    assert any("declares no host" in note for note in made.notes)
    assert {one.name: one.usd for one in made.comparisons}["all-local"] is None


def test_days_to_come_cost_nothing_yet(ledger: Path, prices: Prices) -> None:
    registry, month = load_registry(DEFAULT_REGISTRY), Asked(since=date(2026, 11, 1), until=date(2026, 12, 1))
    early = make_report(ledger, prices, registry, month, today=date(2026, 11, 24))
    late = make_report(ledger, prices, registry, month, today=TODAY)
    assert early is not None
    assert late is not None
    assert (early.until, early.hosts[0].usd) == (date(2026, 11, 25), Decimal(24 * 24 * 5))
    assert (late.until, late.hosts[0].usd) == (date(2026, 12, 1), Decimal(30 * 24 * 5))
    assert make_report(ledger, prices, registry, Asked(since=date(2027, 1, 1)), today=TODAY) is None


def test_the_command_says_it_in_three_ways(ledger: Path, prices: Prices, cli: Callable[..., Any]) -> None:
    asked = ("costs", "report", ledger, "--prices", prices.file, "--by", "class")
    text = cli(*asked).out
    assert "version test-7" in text
    assert prices.digest[:12] in text
    assert "abababababab…" in text
    assert "premium paid for keeping them inside is" in text
    assert max(map(len, text.splitlines())) <= 140
    values = json.loads(cli(*asked, "--format", "json").out)
    assert values["prices"] == {"version": "test-7", "sha256": prices.digest}
    assert sum(Decimal(row["usd"]) for row in values["rows"]) == Decimal(values["total"]["usd"])
    assert {one["name"] for one in values["comparisons"]} == {"as it was", "all-cloud", "all-local", "unrouted"}
    rows = list(csv.DictReader(io.StringIO(cli(*asked, "--format", "csv").out)))
    assert {row["class"] for row in rows} == {"CLEAN", "PII", "PHI", "NPI+PHI"}
    assert sum(Decimal(row["usd"]) for row in rows) == Decimal(values["total"]["usd"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--from", "2026-11-21", "--to", "2026-11-21"), 2, "--to is not after --from"),
        (("--cloud", "extractive"), 2, "expected a cloud endpoint of the registry, found 'extractive'"),
        (("--from", "2027-01-01"), 0, "nothing was spent"),
        (("--by", "weather"), 2, "weather"),
    ],
    ids=["days", "cloud", "empty", "by"],
)
def test_what_cannot_be_answered_is_one_clear_line(
    ledger: Path, cli: Callable[..., Any], arguments: tuple[str, ...], code: int, words: str
) -> None:
    said = cli("costs", "report", ledger, *arguments, code=code)
    assert said.out == ""
    assert words in said.err


def test_no_ledger_is_one_clear_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    assert "no ledger here" in cli("costs", "report", tmp_path, code=1).err


def test_endpoints_that_nobody_knows_are_named_with_what_to_do(tmp_path: Path, prices: Prices, cli: Callable[..., Any]) -> None:
    made = Ledger.open(tmp_path / "ledger")
    entries = [Entry(event=Event.RUN_STARTED, at=NIGHT, run_id=RUN, job="claims", logical_date="2026-11-20")]
    for number, place in enumerate(("house-batch", "house-batch", "emulator")):
        about: dict[str, Any] = {"run_id": RUN, "record_id": f"r{number}"}
        entries.append(Entry(event=Event.DECIDED, at=NIGHT, data_classes=("CLEAN",), lanes=("cloud", "local"), **about))
        where: dict[str, Any] = {**about, "endpoint": place, "lane": "cloud", "intent_id": f"i{number}", "cost_usd": Decimal("0.004")}
        entries.append(Entry(event=Event.SUBMITTING, at=NIGHT, **where))
        entries.append(Entry(event=Event.COMPLETED, at=NIGHT + timedelta(hours=1), tokens_in=9, tokens_out=1, model="m", **where))
    made.commit(entries)
    said = cli("costs", "report", made.path, "--prices", prices.file).out
    unknown = "Not in this registry: house-batch; Without a price in this price file: emulator. What work would cost there is not known; "
    assert unknown + "name the job" in " ".join(said.split())
    assert "exact in --format json" in said
    advice = cli("advise", made.path, "--prices", prices.file).out
    assert advice.startswith("Advice for this ledger: ")
    assert unknown + "name the job file with --job" in " ".join(advice.split())
    known = tmp_path / "registry.yaml"
    known.write_text(DEFAULT_REGISTRY.read_text(encoding="utf-8").replace("  openai-batch:\n", "  house-batch:\n", 1), encoding="utf-8")
    told = json.loads(cli("costs", "report", made.path, "--prices", prices.file, "--registry", known, "--format", "json").out)
    assert [note for note in told["notes"] if "this registry" in note] == []
    assert any(note.startswith("Without a price in this price file: emulator.") for note in told["notes"])


def test_a_chart_that_cannot_be_written_is_one_usual_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    asked = ("costs", "breakeven", "examples/economics/crossover.yaml", "--chart", tmp_path / "nowhere" / "chart.svg")
    assert cli(*asked, code=1).err.startswith("waybill: ")


def test_what_steers_a_terminal_is_shown_and_not_obeyed(tmp_path: Path, prices: Prices, cli: Callable[..., Any]) -> None:
    made = Ledger.open(tmp_path / "ledger")
    where: dict[str, Any] = {"run_id": "x", "record_id": "r", "lane": "cloud", "endpoint": "e\x1b[2J"}
    made.commit([Entry(event=Event.COMPLETED, at=NIGHT, tokens_in=1, tokens_out=1, **where)])
    out = cli("costs", "report", made.path, "--prices", prices.file).out
    assert "\x1b" not in out
    assert "e\\x1b[2J" in out


def test_advice_on_a_ledger(ledger: Path, prices: Prices, cli: Callable[..., Any]) -> None:
    asked = ("advise", ledger, "--prices", prices.file)
    text = cli(*asked).out
    assert "claims: kept inside by the policy: self-host" in text
    assert "80% (assumed)" in text  # too few were tried inside to call it measured
    values = json.loads(cli(*asked, "--format", "json").out)
    assert values["compared_with"] == "openai-batch"
    inside, outside = sorted(values["workloads"], key=lambda one: one["may_leave"])
    assert (inside["rule"], inside["verdict"], outside["may_leave"]) == ("may_not_leave", "self-host", True)
    month = Decimal(365) / 12 / 2  # two days, scaled
    assert Decimal(outside["api_usd_per_month"]) == pytest.approx(Decimal("4.8") * month)
    assert Decimal(inside["tokens_per_month"]) == pytest.approx(Decimal(3_000_000) * month)
    assert any("assumed" in note for note in values["notes"])


def test_advice_without_a_host_says_what_is_missing(tmp_path: Path, ledger: Path, cli: Callable[..., Any]) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES, encoding="utf-8")
    values = json.loads(cli("advise", ledger, "--prices", path, "--format", "json").out)
    assert values["verdict"] == "not known"
    assert {one["rule"] for one in values["workloads"]} == {"may_not_leave", "not_known"}
    assert any("declares no host" in note for note in values["notes"])
    assert "nothing to advise on" in cli("advise", ledger, "--from", "2027-01-01", code=1).err


def test_what_a_model_inside_can_take_is_measured_where_it_was_tried(tmp_path: Path, prices: Prices, cli: Callable[..., Any]) -> None:
    made = Ledger.open(tmp_path / "ledger")
    entries = [Entry(event=Event.RUN_STARTED, at=NIGHT, run_id=RUN, job="claims", logical_date="2026-11-20")]
    for number in range(40):
        about: dict[str, Any] = {"run_id": RUN, "record_id": f"r{number}"}
        entries.append(Entry(event=Event.DECIDED, at=NIGHT, data_classes=("CLEAN",), lanes=("cloud", "local"), **about))
        places = ["vllm", "openai-batch"] if number % 4 == 0 else ["vllm"]  # a quarter went on to the cloud
        for place in places:
            where: dict[str, Any] = {**about, "endpoint": place, "lane": "local" if place == "vllm" else "cloud", "intent_id": f"i-{place}"}
            entries.append(Entry(event=Event.SUBMITTING, at=NIGHT, **where))
            entries.append(Entry(event=Event.COMPLETED, at=NIGHT + timedelta(hours=1), tokens_in=900, tokens_out=100, model="m", **where))
    made.commit(entries)
    (workload,) = json.loads(cli("advise", made.path, "--prices", prices.file, "--format", "json").out)["workloads"]
    assert (workload["local_share"], workload["local_share_measured"]) == ("0.75", True)
    assert (workload["rule"], workload["verdict"]) == ("small_volume", "API")
