"""The cloud lane over the wire: the official SDK against the emulator process, and the emulator's own log of what it received."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.clients.connection import OpenAIOptions
from sinks.clients.openai_client import OpenAIBatches
from sinks.emulator.process import start_emulator
from sinks.errors import EndpointError
from sinks.handover import HandOverState
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.lanes.extractive import ExtractiveLane
from sinks.lanes.openai_batch import OpenAIBatchLane, OpenAIBatchOptions
from sinks.ledger.entry import Event
from sinks.ledger.queries import open_intents, run_state
from sinks.reconcile import ReconcileReport, reconcile

RUN = "nightly-2026-11-22"


class KilledError(BaseException):
    """As `kill -9` would: nothing catches it, nothing is written after it."""


@dataclass
class Wire:
    """A scene whose provider is the emulator process."""

    scene: Any
    state: Path
    endpoint: Endpoint
    client: OpenAIBatches
    outputs: dict[str, str] = field(default_factory=dict)

    def frozen(self) -> Any:
        return self.scene.frozen(endpoint=self.endpoint)

    def again(self) -> Any:
        items = [self.scene.clear(record_id, self.endpoint, attempt=2) for record_id in ("r-ada", "r-bob", "r-cyd")]
        return self.scene.freeze_all(items, endpoint=self.endpoint).shards[0]

    def recover(self) -> ReconcileReport:
        return reconcile(self.scene.ledger, {self.endpoint.name: self.scene.lane}, self.scene.registry, now=self.scene.now)

    def finish(self) -> IngestReport:
        """Take the open job in, once it has ended."""
        (intent,) = open_intents(self.scene.ledger)
        for _ in range(200):
            report = ingest(
                self.scene.ledger,
                self.scene.lane,
                intent,
                endpoint=self.endpoint,
                prompt=self.scene.prompt,
                write=self.write,
                spool=self.scene.spool,
                now=self.scene.now,
            )
            if report.ended:
                return report
            time.sleep(0.05)
        pytest.fail("the job did not end")

    def write(self, rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        self.outputs |= {row.record_id: row.result.output or "" for row in rows}
        return {row.record_id: ResultPlace(file="f.parquet", row=n, digest="d") for n, row in enumerate(rows)}

    def received(self, method: str, path: str) -> list[dict[str, Any]]:
        lines = (self.state / "received.jsonl").read_text().splitlines()
        return [entry for line in lines if (entry := json.loads(line))["method"] == method and entry["path"] == path]

    def bodies(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.state / "received").iterdir()))


Connect = Callable[..., Wire]


@pytest.fixture
def connect(scene: Any, cloud: Endpoint, tmp_path: Path) -> Iterator[Connect]:
    state = tmp_path / "emulator"
    with ExitStack() as stack:

        def start(*faults: dict[str, Any]) -> Wire:
            plan = tmp_path / "faults.json"
            plan.write_text(json.dumps(faults))
            running = stack.enter_context(start_emulator(state, faults=plan))
            endpoint = replace(cloud, provider="emulator", base_url=running.base_url)
            client = OpenAIBatches(OpenAIOptions.of(endpoint, "any-key"))
            stack.callback(client.close)
            scene.registry[endpoint.name] = endpoint
            scene.lane = OpenAIBatchLane(client, OpenAIBatchOptions(spool=scene.spool))
            return Wire(scene=scene, state=state, endpoint=endpoint, client=client)

        yield start


def states(scene: Any) -> set[str]:
    table = run_state(scene.ledger, RUN)
    return {found.state for record_id in ("r-ada", "r-bob", "r-cyd") if (found := table.get(record_id)) is not None}


def test_from_frozen_to_results_over_the_wire(connect: Connect) -> None:
    wire = connect()
    shard = wire.frozen()
    content = shard.path.read_bytes()
    assert wire.scene.hand_over(shard).state is HandOverState.SUBMITTED
    report = wire.finish()
    assert (report.completed, report.failed, report.missing, report.quarantined, report.deleted) == (3, 0, (), 0, True)
    assert all(wire.outputs[record_id] for record_id in ("r-ada", "r-bob", "r-cyd"))
    (upload,) = wire.received("POST", "/v1/files")
    assert content in (wire.state / upload["body"]).read_bytes()
    assert len(wire.received("POST", "/v1/batches")) == 1
    assert wire.client.files_named(f"{shard.intent_id}.jsonl") == []
    assert list(wire.scene.spool.iterdir()) == []
    completed = wire.scene.events(Event.COMPLETED)
    assert len(completed) == 3
    assert all(entry["tokens_in"] > 0 and entry["tokens_out"] > 0 for entry in completed)


def test_only_what_passed_the_gate_is_received(connect: Connect) -> None:
    wire = connect()
    shard = wire.frozen()
    shard.path.write_bytes(shard.path.read_bytes().replace(b"beekeeping", b"burglary!!"))
    with pytest.raises(Exception, match="row_text"):
        wire.scene.hand_over(shard)
    assert not (wire.state / "received.jsonl").exists() or wire.received("POST", "/v1/files") == []
    assert b"burglary" not in wire.bodies()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"at": "batches.create", "fault": "drop_after"}, id="drop after commit"),
        pytest.param({"at": "batches.create", "fault": "drop_middle"}, id="answer cut in the middle"),
        pytest.param({"at": "batches.create", "fault": "status", "status": 500, "after_commit": True}, id="500 after commit"),
        pytest.param({"at": "batches.create", "fault": "status", "status": 503, "after_commit": True}, id="503 after commit"),
    ],
)
def test_a_job_whose_answer_was_lost_is_adopted(connect: Connect, fault: dict[str, Any]) -> None:
    wire = connect(fault)
    outcome = wire.scene.hand_over(wire.frozen())
    assert outcome.state is HandOverState.AMBIGUOUS
    assert wire.recover().adopted == (outcome.intent_id,)
    assert wire.finish().completed == 3
    assert len(wire.received("POST", "/v1/batches")) == 1


def test_killed_after_the_create_and_before_its_commit(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = connect()
    create = wire.client.create

    def killed(*arguments: Any, **options: Any) -> str:
        create(*arguments, **options)
        raise KilledError

    monkeypatch.setattr(wire.client, "create", killed)
    shard = wire.frozen()
    with pytest.raises(KilledError):
        wire.scene.hand_over(shard)
    monkeypatch.undo()
    assert states(wire.scene) == {"submitting"}
    assert wire.recover().adopted == (shard.intent_id,)
    assert wire.finish().completed == 3
    assert len(wire.received("POST", "/v1/batches")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"at": "batches.create", "fault": "drop_before"}, id="drop before commit"),
        pytest.param({"at": "batches.create", "fault": "status", "status": 429, "retry_after_s": 0}, id="429"),
        pytest.param({"at": "batches.create", "fault": "html"}, id="HTML with 200"),
        pytest.param({"at": "files.create", "fault": "drop_after"}, id="upload done, answer lost"),
        pytest.param({"at": "files.create", "fault": "status", "status": 500}, id="upload failed"),
    ],
)
def test_a_hand_over_that_did_not_arrive_is_sent_again_after_clean_lists(connect: Connect, fault: dict[str, Any]) -> None:
    wire = connect(fault)
    shard = wire.frozen()
    assert wire.scene.hand_over(shard).state is HandOverState.AMBIGUOUS
    assert wire.recover().not_found == (shard.intent_id,)
    assert wire.client.files_named(f"{shard.intent_id}.jsonl") == []
    assert states(wire.scene) == {"rejected"}
    assert wire.scene.hand_over(wire.again()).state is HandOverState.SUBMITTED
    assert wire.finish().completed == 3


def test_a_definite_refusal_is_rejected(connect: Connect) -> None:
    wire = connect({"at": "batches.create", "fault": "status", "status": 400})
    outcome = wire.scene.hand_over(wire.frozen())
    assert (outcome.state, outcome.code) == (HandOverState.REJECTED, "http_400")
    assert wire.client.files_named(f"{outcome.intent_id}.jsonl") == []


def test_an_expired_batch_gives_its_finished_rows_and_frees_the_rest(connect: Connect) -> None:
    wire = connect({"at": "lifecycle.in_progress", "fault": "expire", "rows": 1})
    wire.scene.hand_over(wire.frozen())
    report = wire.finish()
    assert (report.status.state, report.completed, len(report.missing)) == ("expired", 1, 2)
    assert states(wire.scene) == {"completed", "released"}


@pytest.mark.parametrize("middle", ["drop_middle", "drop_before"])
def test_a_download_that_breaks_is_repeated_whole(connect: Connect, middle: str) -> None:
    wire = connect({"at": "files.content", "fault": middle})
    wire.scene.hand_over(wire.frozen())
    with pytest.raises(Exception, match="no usable answer"):
        wire.finish()
    assert states(wire.scene) == {"submitted"}
    assert wire.finish().completed == 3


def test_results_whose_time_is_over_are_lost_rows(connect: Connect) -> None:
    wire = connect({"at": "files.content", "fault": "gone"}, {"at": "files.content", "call": 2, "fault": "retention"})
    wire.scene.hand_over(wire.frozen())
    for _ in range(2):  # a 404 while the file is there; then the file goes in the middle of a download
        with pytest.raises(EndpointError, match="no usable answer"):
            wire.finish()
        assert states(wire.scene) == {"submitted"}
    assert len(wire.finish().missing) == 3
    assert states(wire.scene) == {"released"}


def test_an_account_without_the_job_is_no_reason_to_send_again(connect: Connect) -> None:
    wire = connect({"at": "batches.create", "fault": "drop_after"})
    outcome = wire.scene.hand_over(wire.frozen())
    wire.client.close()
    with start_emulator(wire.state.with_name("other")) as stranger:  # a provider without the job: the wrong account
        client = OpenAIBatches(OpenAIOptions.of(replace(wire.endpoint, base_url=stranger.base_url), "any-key"))
        wire.scene.lane = OpenAIBatchLane(client, OpenAIBatchOptions(spool=wire.scene.spool))
        waiting = replace(wire.endpoint, settings={"reconcile_after_s": 120})
        report = reconcile(wire.scene.ledger, {wire.endpoint.name: wire.scene.lane}, {wire.endpoint.name: waiting}, now=wire.scene.now)
        assert report.waiting == (outcome.intent_id,)
        client.close()
    client = OpenAIBatches(OpenAIOptions.of(wire.endpoint, "any-key"))
    wire.scene.lane = OpenAIBatchLane(client, OpenAIBatchOptions(spool=wire.scene.spool))
    assert wire.recover().adopted == (outcome.intent_id,)
    assert wire.finish().completed == 3
    client.close()


def test_the_embedded_local_lane_goes_the_same_way(scene: Any, local: Endpoint, tmp_path: Path) -> None:
    scene.lane = ExtractiveLane(scene.spool)
    wire = Wire(scene=scene, state=tmp_path, endpoint=local, client=None)  # type: ignore[arg-type]
    shard = wire.frozen()
    assert scene.hand_over(shard).state is HandOverState.SUBMITTED
    assert wire.finish().completed == 3
    assert all(wire.outputs.values())
    assert list(scene.spool.iterdir()) == []
    assert {(entry["lane"], entry["endpoint"]) for entry in scene.events(Event.SUBMITTING)} == {("local", "local-test")}
