"""What a night does when a lane fails: the other lane, waiting, holding; and what never goes anywhere it may not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import flows.closing
import flows.nightly
from flows.collect import collect_job
from flows.night import NightOptions
from flows.nightly import run_night
from flows.report import NightReport
from flows.submitting import freeze_records
from policies.load import DEFAULT_REGISTRY
from sinks.clients.webhook import Alert
from sinks.emulator.receipts import received, tally
from sinks.errors import RejectedError
from sinks.lanes.openai_batch import OpenAIBatchLane
from sinks.shard import ClearedShard

NOBODY = "http://127.0.0.1:9"
IGNORED = {"at": "batches.cancel", "fault": "ignored", "times": 9}
DOCUMENTS = {
    "harbour.txt": "The harbour council will repave the promenade between the fish market and the old lighthouse this spring.",
    "moss.txt": "A new species of moss was described from the wet slopes above the reservoir. It stays green in winter.",
    "discharge.txt": "Discharge summary\nPatient: Goran Castellan\nMedical record number: MRN 40718823\nDiagnosis: unstable angina.",
}
PRICED = """version: 2026-11-22
currency: USD
prices:
  - {provider: emulator, models: [extractive-emulator], feature: batch, input: "100.00", output: "1000.00",
     valid_from: 2026-01-01, review_by: 2099-12-31, source: invented}
"""
OUTCOMES = "SELECT outcome, lane, error_code, count(*) FROM outcomes GROUP BY ALL ORDER BY ALL"
HELD = "SELECT reason, count(*) FROM held WHERE still_held GROUP BY 1 ORDER BY 1"


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> list[Alert]:
    heard: list[Alert] = []
    monkeypatch.setattr(flows.closing, "send_alert", lambda alert, _: heard.append(alert))
    return heard


@pytest.fixture
def trouble(make_night: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A night over DOCUMENTS whose cloud fails by plan; keyword arguments are keys of the job, `settings` the endpoint's."""

    def make(*faults: dict[str, Any], settings: str = "", base_url: str = "", task: str = "{kind: summarize}", **keys: str) -> Any:
        (tmp_path / "plan.json").write_text(json.dumps(faults))
        registry(tmp_path, settings=settings, base_url=base_url)
        extra = {"registry": "registry.yaml", "alerts": "{webhook: 'http://127.0.0.1:9/hook'}", **keys}
        return make_night(documents=DOCUMENTS, task=task, extra="".join(f"{name}: {value}\n" for name, value in extra.items()))

    return make


def registry(folder: Path, *, settings: str = "", base_url: str = "") -> None:
    text, bundled = DEFAULT_REGISTRY.read_text(), "settings: {emulator: true}"
    assert text.count(bundled) == 1
    address = f"base_url: {base_url}\n    " if base_url else ""
    text = text.replace(bundled, f"{address}settings: {{emulator: true, emulator_faults: plan.json{settings}}}")
    down = "  down: {lane: local, engine: openai_compatible, provider: inside, model: small, base_url: 'http://127.0.0.1:9/v1',\n"
    down += "         settings: {max_model_len: 8192}}\n"
    (folder / "registry.yaml").write_text(text.rstrip() + "\n" + down)


def run(night: Any, **options: Any) -> NightReport:
    return run_night(NightOptions(job=str(night.job), out=str(night.out), **options))


def ask(night: Any, query: str) -> list[Any]:
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def provider(night: Any) -> Path:
    return Path(night.out) / "emulator" / "small"


def requests(night: Any, operation: str) -> list[bytes]:
    """What the emulator received for an operation, byte for byte."""
    return [body for entry, body in received(provider(night)) if str(entry.get("operation", "")).startswith(operation)]


def test_throttled_twice_goes_inside_once_the_provider_lists_nothing(trouble: Callable[..., Any], alerts: list[Alert]) -> None:
    refused = {"at": "batches.create", "fault": "status", "status": 429, "retry_after_s": 0, "times": 2}
    night = trouble(refused, on_cloud_failure="local")
    report = run(night)
    assert (report.results, report.held, report.pending) == (3, 0, 0)
    assert ask(night, OUTCOMES) == [("completed", "local", None, 3)]
    handed = "SELECT attempt, endpoint, hand_over, count(*) FROM hand_overs WHERE data_classes = ['CLEAN'] GROUP BY ALL ORDER BY ALL"
    assert ask(night, handed) == [
        (1, "emulator", "rejected", 2),
        (2, "emulator", "rejected", 2),
        (3, "extractive", "job_ended", 2),
    ]
    reasons = "SELECT reason, count(*) FROM assignments WHERE endpoint = 'extractive' GROUP BY 1 ORDER BY 1"
    assert ask(night, reasons) == [("fallback_cloud_throttled", 2), ("only_permitted_lane", 1)]
    operations = [entry["operation"] for entry, _ in received(provider(night)) if entry["operation"].startswith("openai.batches")]
    looked_up = ["openai.batches.create", "openai.batches.list", "openai.batches.list"]
    assert operations == looked_up * 2, "each time it was looked for twice before anything else was done"
    assert tally(provider(night))["openai"].creates == 0
    assert alerts == []


def test_a_provider_that_only_fails_is_down_after_two_tries(trouble: Callable[..., Any]) -> None:
    failing = {"at": "batches.create", "fault": "status", "status": 503, "times": 99}
    night = trouble(failing, on_cloud_failure="local")
    night.job.write_text(night.job.read_text().replace("batch_size: 3", "batch_size: 1"))
    (night.job.parent / "inbox" / "ferry.txt").write_text("The morning ferry leaves from the northern pier.")
    report = run(night)
    assert (report.results, report.held, report.pending) == (4, 0, 0)
    reasons = "SELECT reason, count(*) FROM assignments WHERE endpoint = 'extractive' GROUP BY 1 ORDER BY 1"
    assert ask(night, reasons) == [("fallback_cloud_unreachable", 3), ("only_permitted_lane", 1)]
    assert len(requests(night, "openai.batches.create")) == 2, "each was looked for twice; then nothing more is sent into the wall"
    assert ask(night, "SELECT hand_over, count(*) FROM hand_overs WHERE lane = 'cloud' GROUP BY 1") == [("rejected", 2)]


def test_a_provider_that_fails_and_lists_nothing_keeps_what_nobody_knows_of(trouble: Callable[..., Any]) -> None:
    failing = [{"at": f"batches.{call}", "fault": "status", "status": 503, "times": 99} for call in ("create", "list")]
    night = trouble(*failing, on_cloud_failure="local")
    night.job.write_text(night.job.read_text().replace("batch_size: 3", "batch_size: 1"))
    (night.job.parent / "inbox" / "ferry.txt").write_text("The morning ferry leaves from the northern pier.")
    report = run(night)
    assert (report.results, report.held) == (2, 2), "two hand-overs are ambiguous, the third document stays inside"
    assert ask(night, "SELECT hand_over, count(*) FROM hand_overs WHERE lane = 'cloud' GROUP BY 1") == [("ambiguous", 2)]


def test_what_is_late_is_held_with_the_end_of_its_job(trouble: Callable[..., Any]) -> None:
    night = trouble(settings=", emulator_delay_s: 600", deadline_h="0.0000001")
    report = run(night)
    assert (report.results, report.held) == (1, 2)
    assert ask(night, HELD) == [("waiting_cloud_deadline", 2)]
    in_one_commit = """
        SELECT count(*) FROM entries h JOIN entries e ON e.event = 'job_ended' AND e.endpoint = 'emulator'
        WHERE h.event = 'held' AND h.seq < e.seq AND h."at" = e."at"
        """
    assert ask(night, in_one_commit) == [(2,)], "a kill in between would leave them lost, and sent again"


@pytest.mark.parametrize(("way", "reason"), [("wait", "waiting_cloud_unreachable"), ("hold", "cloud_unreachable")], ids=["wait", "hold"])
def test_a_provider_that_is_down(way: str, reason: str, trouble: Callable[..., Any], tmp_path: Path, waybill: Callable[..., Any]) -> None:
    night = trouble(base_url=NOBODY + "/v1", on_cloud_failure=way)
    waybill("run", night.job, "--out", night.out)
    assert ask(night, HELD) == [(reason, 2)]
    assert ask(night, OUTCOMES) == [("completed", "local", None, 1)]
    registry(tmp_path)
    reports = collect_job(NightOptions(job=str(night.job), out=str(night.out)))
    if way == "hold":
        assert reports == [], "a person releases it, or the next night takes it up"
        return
    assert [(report.results, report.held) for report in reports] == [(3, 0)]
    assert ask(night, "SELECT before, count(*) FROM entries WHERE event = 'released' GROUP BY 1") == [(reason, 2)]
    assert ask(night, OUTCOMES) == [("completed", "cloud", None, 2), ("completed", "local", None, 1)]
    assert collect_job(NightOptions(job=str(night.job), out=str(night.out))) == []


@pytest.mark.parametrize("faults", [[], [IGNORED]], ids=["stopped", "the cancel is ignored"])
def test_past_the_deadline_the_provider_is_stopped_before_anything_goes_elsewhere(
    faults: list[dict[str, Any]], trouble: Callable[..., Any], alerts: list[Alert]
) -> None:
    night = trouble(*faults, settings=", emulator_delay_s: 600", on_cloud_failure="local", deadline_h="0.0000001")
    report = run(night)
    assert len(requests(night, "openai.batches.cancel")) == 1
    assert alerts[-1].deadline == 1
    moved = "SELECT count(*) FROM assignments WHERE reason = 'fallback_cloud_deadline'"
    if faults:
        assert (report.results, report.pending) == (1, 2)
        assert ask(night, moved) == [(0,)]
        return
    assert (report.results, report.held, report.pending) == (3, 0, 0)
    assert ask(night, OUTCOMES) == [("completed", "local", None, 3)]
    assert ask(night, moved) == [(2,)]
    assert ask(night, "SELECT state, detail_code FROM entries WHERE event = 'job_ended' AND endpoint = 'emulator'") == [
        ("cancelled", "deadline")
    ]


@pytest.mark.parametrize("way", ["cloud", "wait"])
def test_a_dead_engine_inside_never_sends_a_restricted_record_out(way: str, trouble: Callable[..., Any], alerts: list[Alert]) -> None:
    night = trouble(lanes="{local: down, strategy: local_first}", on_local_failure=way)
    report = run(night)
    assert ask(night, "SELECT DISTINCT unnest(data_classes) FROM egress") == ([("CLEAN",)] if way == "cloud" else [])
    assert not any(b"Castellan" in body for body in requests(night, ""))
    if way == "cloud":
        assert (report.results, report.held) == (2, 1)
        assert ask(night, "SELECT reason, count(*) FROM assignments WHERE lane = 'cloud' GROUP BY 1") == [("fallback_local_down", 2)]
    else:
        assert (report.results, report.held) == (0, 3)
    assert ask(night, HELD) == [("waiting_local_down", report.held)]
    assert alerts[-1].local_down >= report.held


@pytest.mark.parametrize("times", [1, 2], ids=["the second answer is good", "neither is"])
def test_an_answer_that_broke_the_schema_is_asked_for_once_more(times: int, trouble: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICED)
    broken = {"at": "results", "fault": "invalid_json", "rows": 1, "times": times}
    schema = "{type: object, properties: {title: {type: string}}}"
    night = trouble(broken, task=f"{{kind: extract, schema: {schema}}}", repair="1", prices="prices.yaml")
    report = run(night)
    assert (report.results, report.failed) == ((3, 0) if times == 1 else (2, 1))
    story = """
        SELECT attempt, event, coalesce(error_code, reason), cost_usd > 0 FROM entries
        WHERE lane = 'cloud' AND event IN ('completed', 'failed', 'released') AND record_id IN
              (SELECT record_id FROM entries WHERE event = 'failed') ORDER BY seq
        """
    last = (2, "completed", None, True) if times == 1 else (2, "failed", "invalid_json", True)
    assert ask(night, story) == [(1, "failed", "invalid_json", True), (1, "released", "repair", None), last]
    (cloud,) = [one for one in report.costs if one.lane == "cloud"]
    assert (cloud.records, cloud.cost_usd) == (3, ask(night, "SELECT sum(cost_usd) FROM outcomes WHERE lane = 'cloud'")[0][0])
    uploads = requests(night, "openai.files.create")
    assert [b"not valid JSON of the required schema" in upload for upload in uploads] == [False, True]
    assert run(night).as_json()["failed"] == report.failed, "once per record and run"
    assert len(requests(night, "openai.files.create")) == 2


def test_a_registry_that_changed_since_the_decision_stops_the_hand_over(
    trouble: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = trouble()

    def edited_meanwhile(*arguments: Any) -> Iterator[Any]:
        text = (tmp_path / "registry.yaml").read_text()
        (tmp_path / "registry.yaml").write_text(text + "# somebody was here\n")
        return freeze_records(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(flows.nightly, "freeze_records", edited_meanwhile)
        report = run(night)
    assert (report.results, report.held, report.refused) == (0, 3, 2)
    assert ask(night, "SELECT DISTINCT detail_code FROM quarantines") == [("rulebook_changed",)]
    assert ask(night, "SELECT count(*) FROM hand_overs") == [(0,)]
    assert ask(night, HELD) == [("waiting_rulebook_changed", 3)]
    again = run(night)  # decided anew, under the registry as it is now
    assert (again.results, again.held, again.refused) == (3, 0, 0)
    assert ask(night, "SELECT count(DISTINCT policy_hash) FROM hand_overs") == [(1,)]


def test_an_account_that_contradicts_the_registry_is_refused_and_nothing_falls_back(
    trouble: Callable[..., Any], alerts: list[Alert], monkeypatch: pytest.MonkeyPatch
) -> None:
    def contradicted(_: object, __: ClearedShard) -> str:
        raise RejectedError("data_retention")

    monkeypatch.setattr(OpenAIBatchLane, "hand_over", contradicted)
    night = trouble(on_cloud_failure="local")
    night.job.write_text(night.job.read_text().replace("batch_size: 3", "batch_size: 1"))
    report = run(night)
    assert (report.results, report.held) == (1, 2)
    assert ask(night, HELD) == [("data_retention", 2)]
    assert ask(night, "SELECT count(*) FROM hand_overs WHERE lane = 'cloud'") == [(1,)], "the second was not even tried"
    assert alerts[-1].contradicted == 2


def test_several_jobs_are_looked_at_by_pages_of_the_list(trouble: Callable[..., Any]) -> None:
    night = trouble(settings=", emulator_delay_s: 1.5")
    night.job.write_text(night.job.read_text().replace("batch_size: 3", "batch_size: 1"))
    assert (run(night).results, len(requests(night, "openai.batches.create"))) == (3, 2)
    operations = [entry["operation"] for entry, _ in received(provider(night)) if entry["operation"].startswith("openai.batches")]
    assert operations[2] == "openai.batches.list", "running jobs are not asked one by one"


def test_odd_states_and_a_wrong_account_are_told(trouble: Callable[..., Any], alerts: list[Alert]) -> None:
    odd = [
        {"at": "batches.retrieve", "fault": "state", "state": "", "call": 1},
        {"at": "batches.retrieve", "fault": "gone", "call": 2},
    ]
    night = trouble(*odd, settings=", emulator_delay_s: 1.5")
    report = run(night)
    assert (report.results, report.pending) == (3, 0)
    assert (alerts[-1].unknown_state, alerts[-1].wrong_account) == (1, 1)
    assert len(requests(night, "openai.batches.create")) == 1
