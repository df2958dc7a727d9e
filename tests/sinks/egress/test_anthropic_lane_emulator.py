"""The Anthropic lane over the wire: the official SDK against the emulator, fault by fault, and the emulator's own log of what it received.

All tests share one workspace, so each meets the ended batches of the others: as large as its own, and unknown to its ledger.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from anthropic.types.messages import MessageBatchIndividualResponse

from policies.model import Endpoint
from sinks.clients.anthropic_client import AnthropicBatches
from sinks.clients.connection import OpenAIOptions
from sinks.emulator.process import RunningEmulator, start_emulator
from sinks.emulator.receipts import received
from sinks.errors import EndpointError
from sinks.handover import HandOverState
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.lanes.anthropic_batch import AnthropicBatchLane, AnthropicBatchOptions
from sinks.ledger.entry import Event
from sinks.ledger.queries import open_intents, run_state
from sinks.reconcile import ReconcileReport, reconcile
from sinks.request import TaskKind

RUN = "nightly-2026-11-22"
RECORDS = ("r-ada", "r-bob", "r-cyd")
CREATED = "anthropic.batches.create"
GIVE_UP_S = 60.0

Found = TypeVar("Found")


@dataclass
class Wire:
    """A scene whose provider is the emulator process."""

    scene: Any
    running: RunningEmulator
    endpoint: Endpoint
    client: AnthropicBatches
    outputs: dict[str, str] = field(default_factory=dict)

    def plan(self, *faults: Mapping[str, Any]) -> None:
        url = f"{self.running.root}/_emulator/faults"
        request = urllib.request.Request(url, data=json.dumps(faults).encode())  # noqa: S310 - our own emulator
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            assert json.loads(answer.read()) == {"planned": True}

    def frozen(self) -> Any:
        return self.scene.frozen(endpoint=self.endpoint)

    def again(self) -> Any:
        items = [self.scene.clear(record_id, self.endpoint, attempt=2) for record_id in RECORDS]
        return self.scene.freeze_all(items, endpoint=self.endpoint).shards[0]

    def recover(self) -> ReconcileReport:
        return reconcile(self.scene.ledger, {self.endpoint.name: self.scene.lane}, self.scene.registry, now=self.scene.now)

    def decided(self) -> ReconcileReport:
        """Look until the provider's batch has ended and it can be told whose it is."""
        return until(self.recover, lambda report: not report.unreachable)

    def take_in(self) -> IngestReport:
        (intent,) = open_intents(self.scene.ledger)
        options = {"endpoint": self.endpoint, "prompt": self.scene.prompt, "spool": self.scene.spool, "now": self.scene.now}
        return ingest(self.scene.ledger, self.scene.lane, intent, write=self.write, **options)

    def finish(self) -> IngestReport:
        """Take the open job in once it has ended, however often the provider cannot be asked."""

        def look() -> IngestReport | None:
            with suppress(EndpointError):
                return self.take_in()
            return None

        report = until(look, lambda found: found is not None and found.ended)
        assert report is not None
        return report

    def write(self, rows: Sequence[CompletedRow]) -> Mapping[str, ResultPlace]:
        self.outputs |= {row.record_id: row.result.output or "" for row in rows}
        return {row.record_id: ResultPlace(file="f.parquet", row=n, digest="d") for n, row in enumerate(rows)}

    def creates_of(self, intent_id: str) -> int:
        """How many creates with rows of this intent the provider took or refused."""
        rows = f'"{intent_id[:12]}-'.encode()
        return sum(entry["operation"] == CREATED and rows in body for entry, body in received(self.running.state))

    def states(self) -> set[str]:
        table = run_state(self.scene.ledger, RUN)
        return {found.state for record_id in RECORDS if (found := table.get(record_id)) is not None}


def until(look: Callable[[], Found], good: Callable[[Found], bool]) -> Found:
    deadline = time.monotonic() + GIVE_UP_S
    while not good(found := look()):
        assert time.monotonic() < deadline, "the emulator did not get there"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    with start_emulator(tmp_path_factory.mktemp("emulator")) as found:
        yield found


@pytest.fixture
def wire(scene: Any, cloud: Endpoint, running: RunningEmulator) -> Iterator[Wire]:
    scene.now = datetime.now(UTC)  # the emulator's own clock
    endpoint = replace(
        cloud,
        name="claude",
        engine="anthropic_batch",
        provider="emulator",
        model="claude-emulated",
        base_url=running.anthropic_url,
        review_by=date(2999, 1, 1),
        settings={"prompt_cache": True},
    )
    client = AnthropicBatches(OpenAIOptions.of(endpoint, "any-key"))
    scene.lane = AnthropicBatchLane(client, AnthropicBatchOptions(spool=scene.spool, model=endpoint.model))
    scene.registry[endpoint.name] = endpoint
    yield Wire(scene=scene, running=running, endpoint=endpoint, client=client)
    client.close()


def test_from_frozen_to_results_over_the_wire(wire: Wire) -> None:
    shard = wire.frozen()
    content = shard.path.read_bytes()
    assert wire.scene.hand_over(shard).state is HandOverState.SUBMITTED
    (intent,) = open_intents(wire.scene.ledger)
    report = wire.finish()
    assert (report.status.state, report.completed, report.failed, report.missing, report.quarantined) == ("ended", 3, 0, (), 0)
    assert (report.status.total, report.status.completed, report.status.failed, report.deleted) == (3, 3, 0, True)
    assert all(wire.outputs[record_id] for record_id in RECORDS)
    bodies = [body for entry, body in received(wire.running.state) if entry["operation"] == CREATED]
    assert bodies == [b'{"requests":[' + content.strip().replace(b"\n", b",") + b"]}"]
    assert all(job.job_id != intent.provider_job_id for job in wire.client.batch_page(None)[0])
    assert list(wire.scene.spool.iterdir()) == []
    completed = wire.scene.events(Event.COMPLETED)
    assert {(entry["model"], entry["finish_reason"]) for entry in completed} == {("claude-emulated", "end_turn")}
    assert all(entry["tokens_in"] > 0 and entry["tokens_out"] > 0 for entry in completed)


@pytest.mark.parametrize("settings", [{}, {"structured_output": "tool"}], ids=["json_schema", "tool"])
def test_an_extraction_comes_back_as_json(wire: Wire, settings: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"title": {"type": ["string", "null"], "maxLength": 90}}, "additionalProperties": False}
    wire.endpoint = wire.scene.registry[wire.endpoint.name] = replace(wire.endpoint, settings=settings)
    wire.scene.prompt = replace(wire.scene.prompt, kind=TaskKind.EXTRACT, schema=schema)
    wire.scene.start()
    wire.scene.hand_over(wire.frozen())
    report = wire.finish()
    assert (report.completed, report.failed) == (3, 0)
    assert all(isinstance(json.loads(output), dict) for output in wire.outputs.values())


def test_what_the_emulator_answers_is_of_the_sdks_own_form(wire: Wire, tmp_path: Path) -> None:
    wire.scene.hand_over(wire.frozen())
    (intent,) = open_intents(wire.scene.ledger)
    until(lambda: wire.client.batch(str(intent.provider_job_id)), lambda batch: batch.state == "ended")
    with (tmp_path / "results").open("w+b") as target:
        wire.client.download(str(intent.provider_job_id), target)
        target.seek(0)
        lines = [MessageBatchIndividualResponse.model_validate_json(line, strict=True) for line in target]
    assert sorted(line.custom_id for line in lines) == [f"{intent.intent_id[:12]}-{ordinal:06d}" for ordinal in range(3)]
    assert wire.finish().completed == 3


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "drop_after"},
        {"fault": "drop_middle"},
        {"fault": "status", "status": 529, "after_commit": True},
        {"fault": "status", "status": 429, "after_commit": True, "retry_after_s": 0},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_batch_whose_answer_was_lost_is_adopted_once_it_has_ended(wire: Wire, fault: dict[str, Any]) -> None:
    wire.plan({"at": CREATED, **fault}, {"at": "anthropic.lifecycle.in_progress", "fault": "stuck", "seconds": 0.7})
    outcome = wire.scene.hand_over(wire.frozen())
    assert outcome.state is HandOverState.AMBIGUOUS
    assert wire.recover().unreachable == (outcome.intent_id,)  # it runs: nobody can tell
    assert wire.states() == {"ambiguous"}
    assert wire.decided().adopted == (outcome.intent_id,)
    assert wire.finish().completed == 3
    assert wire.creates_of(outcome.intent_id) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "drop_before"},
        {"fault": "html"},
        {"fault": "status", "status": 529},
        {"fault": "quota"},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_hand_over_that_did_not_arrive_is_sent_again_after_clean_lists(wire: Wire, fault: dict[str, Any]) -> None:
    wire.plan({"at": CREATED, **fault})
    outcome = wire.scene.hand_over(wire.frozen())
    assert outcome.state is HandOverState.AMBIGUOUS
    assert wire.decided().not_found == (outcome.intent_id,)
    assert wire.scene.hand_over(wire.again()).state is HandOverState.SUBMITTED
    assert wire.finish().completed == 3
    assert wire.creates_of(outcome.intent_id) == 1


@pytest.mark.parametrize("status", [400, 413])
def test_a_definite_refusal_is_rejected(wire: Wire, status: int) -> None:
    wire.plan({"at": CREATED, "fault": "status", "status": status})
    outcome = wire.scene.hand_over(wire.frozen())
    assert (outcome.state, outcome.code) == (HandOverState.REJECTED, f"http_{status}")
    assert wire.recover() == ReconcileReport()


def test_of_several_batches_with_our_rows_one_is_adopted_and_the_others_counted(wire: Wire) -> None:
    shard = wire.frozen()
    wire.plan({"at": CREATED, "fault": "duplicate"})
    wire.client.create(shard.path.read_bytes())  # the provider makes two of it, and of the hand-over a third
    wire.plan({"at": CREATED, "fault": "drop_after"})
    outcome = wire.scene.hand_over(shard)
    report = wire.decided()
    assert (report.adopted, len(report.stopped)) == ((outcome.intent_id,), 2)
    (intent,) = open_intents(wire.scene.ledger)
    assert intent.provider_job_id not in report.stopped
    assert wire.finish().completed == 3


@pytest.mark.parametrize(
    "fault", [{"fault": "lag", "seconds": 0.5}, {"fault": "status", "status": 503}, {"fault": "html"}, {"fault": "drop_middle"}]
)
def test_a_listing_that_cannot_be_had_decides_nothing(wire: Wire, fault: dict[str, Any]) -> None:
    """With a lag the job turns up late, and is adopted because nothing was sent in its place."""
    wire.plan({"at": CREATED, "fault": "drop_after"}, {"at": "anthropic.batches.list", "times": 2, **fault})
    outcome = wire.scene.hand_over(wire.frozen())
    found = until(wire.recover, lambda report: bool(report.adopted))
    assert found.adopted == (outcome.intent_id,)
    assert wire.finish().completed == 3
    assert wire.creates_of(outcome.intent_id) == 1


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        ({"fault": "missing_row", "rows": 1}, (2, 0, 1, 0)),
        ({"fault": "duplicate_row", "rows": 1}, (3, 0, 0, 0)),
        ({"fault": "conflicting_row", "rows": 1}, (2, 0, 1, 1)),
        ({"fault": "foreign_row", "rows": 1}, (3, 0, 0, 1)),
        ({"fault": "torn_line"}, (2, 0, 1, 1)),
        ({"fault": "bom"}, (3, 0, 0, 0)),
        ({"fault": "crlf"}, (3, 0, 0, 0)),
        ({"fault": "blank_lines"}, (3, 0, 0, 0)),
        ({"fault": "line_separator", "rows": 1}, (3, 0, 0, 0)),
        ({"fault": "no_usage", "rows": 3}, (3, 0, 0, 0)),
        ({"fault": "wrong_counts"}, (3, 0, 0, 0)),
        ({"fault": "all_errors"}, (0, 0, 3, 0)),
        ({"fault": "refusal", "rows": 1}, (2, 1, 0, 0)),
        ({"fault": "length", "rows": 1}, (2, 1, 0, 0)),
        ({"fault": "empty_output", "rows": 1}, (2, 1, 0, 0)),
        ({"fault": "no_choices", "rows": 1}, (2, 1, 0, 0)),
        ({"fault": "zero_bytes"}, (0, 0, 3, 0)),
        ({"fault": "no_file"}, (3, 0, 0, 0)),
    ],
    ids=lambda value: value["fault"] if isinstance(value, dict) else "",
)
def test_odd_results_end_every_row_in_one_place(wire: Wire, fault: dict[str, Any], counts: tuple[int, int, int, int]) -> None:
    """counts: completed, failed, missing, quarantined."""
    wire.plan({"at": "anthropic.results", **fault})
    wire.scene.hand_over(wire.frozen())
    report = wire.finish()
    assert (report.completed, report.failed, len(report.missing), report.quarantined) == counts
    outcomes = wire.scene.events(Event.COMPLETED, Event.FAILED, Event.RELEASED)
    assert sorted(entry["record_id"] for entry in outcomes) == sorted(RECORDS)
    codes = {entry["error_code"] for entry in wire.scene.events(Event.FAILED)}
    assert codes == ({{"refusal": "refusal", "length": "max_tokens"}.get(fault["fault"], "empty_output")} if counts[1] else set())


@pytest.mark.parametrize(
    ("at", "fault"),
    [
        ("results", {"fault": "drop_middle"}),
        ("results", {"fault": "drop_before"}),
        ("results", {"fault": "status", "status": 502}),
        ("results", {"fault": "html"}),
        ("results", {"fault": "gone"}),
        ("retrieve", {"fault": "gone"}),
        ("retrieve", {"fault": "html"}),
        ("retrieve", {"fault": "state"}),
        ("retrieve", {"fault": "state", "state": "backwards"}),
        ("retrieve", {"fault": "credentials"}),
        ("retrieve", {"fault": "extra_fields"}),
        ("delete", {"fault": "status", "status": 500}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(str(part) for part in value.values()),
)
def test_what_goes_wrong_on_the_way_is_asked_for_again(wire: Wire, at: str, fault: dict[str, Any]) -> None:
    wire.scene.hand_over(wire.frozen())
    (intent,) = open_intents(wire.scene.ledger)
    wire.plan({"at": f"anthropic.batches.{at}", **fault})
    report = wire.finish()
    assert (report.completed, report.failed, report.missing, report.quarantined) == (3, 0, (), 0)
    assert wire.creates_of(intent.intent_id) == 1


def test_an_expired_batch_gives_its_finished_rows_and_frees_the_rest(wire: Wire) -> None:
    wire.plan({"at": "anthropic.lifecycle.in_progress", "fault": "expire", "rows": 1})
    wire.scene.hand_over(wire.frozen())
    report = wire.finish()
    assert (report.status.state, report.completed, len(report.missing)) == ("ended", 1, 2)
    assert {entry["reason"] for entry in wire.scene.events(Event.RELEASED)} == {"batch_expired"}


def test_a_cancelled_batch_frees_what_it_did_not_run(wire: Wire) -> None:
    wire.plan({"at": "anthropic.lifecycle.in_progress", "fault": "stuck", "seconds": 30})
    wire.scene.hand_over(wire.frozen())
    (intent,) = open_intents(wire.scene.ledger)
    wire.scene.lane.cancel(intent.provider_job_id)
    report = wire.finish()
    assert (report.completed, len(report.missing)) == (0, 3)
    assert {entry["reason"] for entry in wire.scene.events(Event.RELEASED)} == {"batch_cancelled"}
