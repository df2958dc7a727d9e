"""The Bedrock lane over the wire: boto3's library against the emulator over a real S3, and the emulator's log of what it received."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.clients.aws import AwsConnection
from sinks.clients.bedrock_client import BedrockJobs
from sinks.clients.s3_client import S3Store
from sinks.emulator.process import RunningEmulator, start_emulator
from sinks.errors import EndpointError
from sinks.handover import HandOverState
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.lanes.bedrock_batch import BedrockBatchLane
from sinks.ledger.entry import Event
from sinks.ledger.queries import open_intents, run_state
from sinks.reconcile import ReconcileReport, reconcile

RUN = "nightly-2026-11-22"
RECORDS = ("r-ada", "r-bob", "r-cyd")


@dataclass
class Wire:
    """A scene whose provider is the emulator process and a bucket."""

    scene: Any
    emulator: RunningEmulator
    endpoint: Endpoint
    store: S3Store
    outputs: dict[str, str] = field(default_factory=dict)

    def frozen(self) -> Any:
        return self.scene.frozen(endpoint=self.endpoint)

    def recover(self) -> ReconcileReport:
        return reconcile(self.scene.ledger, {self.endpoint.name: self.scene.lane}, self.scene.registry, now=self.scene.now)

    def finish(self) -> IngestReport:
        """Take the open job in, once it has ended."""
        (intent,) = open_intents(self.scene.ledger)
        options = {"endpoint": self.endpoint, "prompt": self.scene.prompt, "write": self.write, "spool": self.scene.spool}
        for _ in range(200):
            report = ingest(self.scene.ledger, self.scene.lane, intent, now=self.scene.now, **options)
            if report.ended:
                return report
            self.emulator.advance(3600)
            time.sleep(0.05)
        pytest.fail("the job did not end")

    def finish_open(self) -> None:
        if any(intent.provider_job_id for intent in open_intents(self.scene.ledger)):
            self.finish()

    def write(self, rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        self.outputs |= {row.record_id: row.result.output or "" for row in rows}
        return {row.record_id: ResultPlace(file="f.parquet", row=n, digest="d") for n, row in enumerate(rows)}

    def received(self, method: str, end: str) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in (self.emulator.state / "received.jsonl").read_text().splitlines()]
        return [entry for entry in entries if entry["method"] == method and entry["path"].endswith(end)]

    def states(self) -> dict[str, str]:
        table = run_state(self.scene.ledger, RUN)
        return {record_id: found.state for record_id in RECORDS if (found := table.get(record_id)) is not None}


Connect = Callable[..., Wire]


@pytest.fixture
def connect(scene: Any, cloud: Endpoint, tmp_path: Path, s3_url: str, new_bucket: Callable[..., str]) -> Iterator[Connect]:
    with ExitStack() as stack:

        def start(*faults: dict[str, Any], min_records: int = 1, **settings: Any) -> Wire:
            plan = tmp_path / "faults.json"
            plan.write_text(json.dumps(faults))
            options = ["--s3-url", s3_url, "--min-records", str(min_records)]
            emulator = stack.enter_context(start_emulator(tmp_path / "emulator", faults=plan, options=options))
            chosen = {"bucket": new_bucket(), "role_arn": "arn:aws:iam::210987654321:role/batch", "s3_endpoint_url": s3_url, **settings}
            endpoint = replace(
                cloud, engine="bedrock_batch", provider="emulator", region="eu-central-1", base_url=emulator.bedrock_url, settings=chosen
            )
            endpoint = replace(endpoint, model="anthropic.claude-3-5-haiku-20241022-v1:0")
            connection = AwsConnection.of(endpoint, "AKIATEST:not-a-secret")
            jobs, store = BedrockJobs(connection, account="210987654321"), S3Store(connection, chosen["bucket"])
            stack.callback(jobs.close)
            stack.callback(store.close)
            scene.registry[endpoint.name] = endpoint
            scene.lane = BedrockBatchLane(jobs, store, endpoint, scene.spool)
            return Wire(scene=scene, emulator=emulator, endpoint=endpoint, store=store)

        yield start


@pytest.mark.parametrize("invocation", ["converse", "invoke"])
def test_from_frozen_to_results_over_the_wire(connect: Connect, invocation: str) -> None:
    wire = connect(invocation=invocation, prompt_cache=True)
    shard = wire.frozen()
    content = shard.path.read_bytes()
    assert wire.scene.hand_over(shard).state is HandOverState.SUBMITTED
    report = wire.finish()
    assert (report.completed, report.failed, report.missing, report.quarantined, report.deleted) == (3, 0, (), 0, True)
    assert report.status.total == 3
    assert all(wire.outputs[record_id] for record_id in RECORDS)
    (read,) = wire.received("S3 GET", f"{shard.intent_id}.jsonl")
    assert (wire.emulator.state / read["body"]).read_bytes() == content
    assert len(wire.received("POST", "/model-invocation-job")) == 1
    assert list(wire.store.keys("")) == []
    completed = wire.scene.events(Event.COMPLETED)
    assert all(entry["tokens_in"] > 0 and entry["tokens_out"] > 0 and entry["model"] == wire.endpoint.model for entry in completed)


@pytest.mark.parametrize(
    ("faults", "jobs"),
    [
        ([{"at": "bedrock.jobs.create", "fault": "drop_after"}, {"at": "bedrock.jobs.list", "fault": "lag", "seconds": 60}], 1),
        ([{"at": "bedrock.jobs.create", "fault": "drop_before"}, {"at": "bedrock.jobs.list", "fault": "html"}], 1),
        ([{"at": "bedrock.lifecycle.Validating", "fault": "quota"}, {"at": "bedrock.jobs.get", "fault": "state", "state": ""}], 2),
        ([{"at": "bedrock.lifecycle.InProgress", "fault": "expire", "rows": 1}, {"at": "bedrock.results", "fault": "no_manifest"}], 2),
        ([{"at": "bedrock.results", "fault": "conflicting_row", "rows": 1}, {"at": "bedrock.jobs.get", "fault": "gone"}], 2),
    ],
    ids=["answer lost", "never arrived", "quota at validation", "done in part", "two answers"],
)
def test_every_record_ends_with_one_result_and_no_intent_has_two_jobs(connect: Connect, faults: list[dict[str, Any]], jobs: int) -> None:
    wire = connect(*faults)
    shards = [wire.frozen()]
    wire.scene.hand_over(shards[0])
    for _ in range(6):
        wire.recover()
        with contextlib.suppress(EndpointError):  # asked again, as the next start would
            wire.finish_open()
        if lost := [record_id for record_id, state in wire.states().items() if state in {"released", "rejected"}]:
            items = [wire.scene.clear(record_id, wire.endpoint, attempt=2) for record_id in lost]
            shards += wire.scene.freeze_all(items, endpoint=wire.endpoint).shards
            wire.scene.hand_over(shards[-1])
        wire.scene.later(minutes=3)
        if set(wire.states().values()) == {"completed"}:
            break
    assert wire.states() == dict.fromkeys(RECORDS, "completed")
    assert sorted(wire.outputs) == list(RECORDS)
    created = [json.loads(line) for line in (wire.emulator.state / "created.jsonl").read_text().splitlines()]
    labels = [entry["label"] for entry in created if "label" in entry]
    assert len(labels) == len(set(labels)) == jobs
    sent = {shard.intent_id for shard in shards}
    assert set(labels) <= sent
    assert list(wire.store.keys("")) == []


def test_a_job_below_the_providers_minimum_fails_and_its_records_go_back(connect: Connect) -> None:
    wire = connect(min_records=100)
    assert wire.scene.hand_over(wire.frozen()).state is HandOverState.SUBMITTED
    report = wire.finish()
    assert (report.status.state, report.missing) == ("Failed", RECORDS)
