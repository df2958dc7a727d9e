"""Nights under each strategy, with several endpoints in a lane: who gets what, and why; and who takes over from an endpoint that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.night import NightOptions
from flows.nightly import run_night
from flows.report import NightReport
from policies.load import DEFAULT_REGISTRY
from sinks.emulator.receipts import received, tally

NOBODY = "http://127.0.0.1:9/v1"
DOCUMENTS = {
    "harbour.txt": "The harbour council will repave the promenade between the fish market and the old lighthouse this spring.",
    "moss.txt": "A new species of moss was described from the wet slopes above the reservoir.\n" + "| grain | size | wet | dry |\n" * 12,
    "discharge.txt": "Discharge summary\nPatient: Goran Castellan\nMedical record number: MRN 40718823\nDiagnosis: unstable angina.",
}
PRICED = """version: 2026-11-22
currency: USD
prices:
  - {provider: emulator, models: [extractive-emulator], feature: batch, input: "100.00", output: "1000.00",
     valid_from: 2026-01-01, review_by: 2099-12-31, source: invented}
"""
ROUTES = "SELECT lane, endpoint, reason, count(*) FROM assignments GROUP BY ALL ORDER BY ALL"


@pytest.fixture
def routed(make_night: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A night over DOCUMENTS. The bundled registry with more keys for `extractive` and `emulator`, and twins of both that are down."""

    def make(*, inside: str = "", cloud: str = "", **keys: str) -> Any:
        text = DEFAULT_REGISTRY.read_text()
        block = text[text.index("  emulator:\n") :].split("\n\n")[0] + "\n"
        assert text.count("model: lexrank") == text.count("    region: loopback\n    feature: batch") == 1
        twin = block.replace("  emulator:", "  down:", 1).replace("region: loopback", f"base_url: {NOBODY}\n    region: loopback")
        text = text.replace("model: lexrank", f"model: lexrank{inside}").replace("region: loopback", f"region: loopback{cloud}", 1)
        text = text.rstrip() + f"\n\n{twin}\n{block.replace('  emulator:', '  spare:', 1)}"
        text += "  asleep: {lane: local, engine: openai_compatible, provider: inside, model: small, "
        text += f"base_url: '{NOBODY}', settings: {{max_model_len: 8192}}}}\n"
        (tmp_path / "registry.yaml").write_text(text)
        (tmp_path / "prices.yaml").write_text(PRICED)
        extra = {"registry": "registry.yaml", **keys}
        return make_night(documents=DOCUMENTS, extra="".join(f"{name}: {value}\n" for name, value in extra.items()))

    return make


def run(night: Any, **options: Any) -> NightReport:
    return run_night(NightOptions(job=str(night.job), out=str(night.out), **options))


def ask(night: Any, query: str) -> list[Any]:
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_what_the_local_queue_cannot_end_in_time_overflows(routed: Callable[..., Any]) -> None:
    # 300 tokens a record, room for about 800 until the deadline: of a restricted record and two others, one must leave.
    night = routed(inside="\n    tokens_per_s: 0.006", lanes="{strategy: local_first}", cost_centre="Radiology 7", deadline_h="36")
    assert run(night).results == 3
    assert ask(night, ROUTES) == [("cloud", "emulator", "overflow", 1), ("local", "extractive", "preferred", 2)]
    assert ask(night, "SELECT data_classes FROM egress") == [(["CLEAN"],)]
    assert ask(night, "SELECT DISTINCT cost_centre FROM entries WHERE event = 'run_started'") == [("Radiology 7",)]


def test_tiers_by_complexity_and_a_restricted_record_stays_with_what_there_is(routed: Callable[..., Any]) -> None:
    limits = "{strategy: tiered, complexity: {medium_from: 0.05, large_from: 0.1}}"
    night = routed(inside="\n    tier: small", cloud="\n    tier: large", lanes=limits)
    assert run(night).results == 3
    (cloud, simple, restricted) = ask(night, "SELECT lane, reason, score FROM assignments ORDER BY lane, reason DESC")
    assert cloud == ("cloud", "tier_large", 0.3)
    assert simple == ("local", "tier_small", 0.0)
    assert restricted[:2] == ("local", "tier_small")


def test_the_cheapest_place_within_the_decision(routed: Callable[..., Any]) -> None:
    night = routed(lanes="{strategy: cheapest}", prices="prices.yaml")
    assert run(night).results == 3
    assert {(lane, reason) for lane, _, reason, _ in ask(night, ROUTES)} == {("local", "cheapest")}
    assert ask(night, "SELECT count(*) FROM assignments WHERE strategy = 'cheapest' AND score = 0") == [(3,)]


@pytest.mark.parametrize("way", ["wait", "local"])
def test_a_second_cloud_endpoint_takes_over_before_the_job_is_asked(
    way: str, routed: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    night = routed(lanes="{cloud: [down, emulator]}", on_cloud_failure=way)
    caplog.set_level("WARNING", "waybill")
    report = run(night)
    assert (report.results, report.held_for, report.stopped) == (3, {}, False)
    assert caplog.messages == ["down: cloud_unreachable: nothing more is sent to it tonight"], "once, whatever comes to it afterwards"
    told = report.as_json()
    assert told["closed"] == [{"endpoint": "down", "failure": "cloud_unreachable", "way": way}]
    assert told["elsewhere"] == {"cloud_unreachable": {"emulator": 2}}
    assert run(night).elsewhere == report.elsewhere, "the run's, whatever this start did"
    assert ask(night, ROUTES) == [
        ("cloud", "down", "preferred", 2),
        ("cloud", "emulator", "fallback_cloud_unreachable", 2),
        ("local", "extractive", "only_permitted_lane", 1),
    ]
    assert ask(night, "SELECT attempt, endpoint, hand_over, count(*) FROM egress GROUP BY ALL ORDER BY 1") == [
        (1, "down", "rejected", 2),
        (2, "emulator", "job_ended", 2),
    ]


def test_a_second_local_endpoint_takes_the_restricted_records(routed: Callable[..., Any]) -> None:
    night = routed(lanes="{local: [asleep, extractive], strategy: local_first}", on_local_failure="cloud")
    assert run(night).results == 3
    assert [(lane, endpoint, reason) for lane, endpoint, reason, _ in ask(night, ROUTES)] == [
        ("local", "asleep", "preferred"),
        ("local", "extractive", "fallback_local_down"),
    ]


def test_an_endpoint_without_money_gives_way_to_the_next_one_with_its_own_emulator(routed: Callable[..., Any]) -> None:
    night = routed(
        lanes="{cloud: [emulator, spare]}", prices="prices.yaml", budget_usd="{endpoints: {emulator: {night: 0.0001}}}", on_budget="hold"
    )
    assert run(night).results == 3
    assert ask(night, ROUTES)[0] == ("cloud", "spare", "budget_endpoint_night", 2)
    own, others = (Path(night.out) / "emulator" / name for name in ("small@spare", "small"))
    assert tally(own)["openai"].creates == 1
    assert not any(entry["operation"] == "openai.batches.create" for entry, _ in received(others))
