"""The Bedrock lane through the shared protocol: a real gate and ledger, S3 over HTTP, and every fault of the control plane."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.clients.aws import AwsConnection
from sinks.clients.bedrock_client import AccountState, BedrockJobs
from sinks.clients.s3_client import S3Store
from sinks.errors import AmbiguousError, EndpointError, GateError, ObjectMissingError, RejectedError
from sinks.handover import HandOverState
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.lanes import Sought
from sinks.lanes.bedrock_account import contradictions
from sinks.lanes.bedrock_batch import BedrockBatchLane
from sinks.ledger.entry import Event
from sinks.ledger.queries import open_intents, run_state
from sinks.reconcile import ReconcileReport, reconcile
from sinks.shard import ClearedShard
from tests.sinks.bedrock_control import ACCOUNT, QUOTED, REGION, Control, Fault, drop, error, page, running

RUN = "nightly-2026-11-22"
RECORDS = ("r-ada", "r-bob", "r-cyd")


class KilledError(BaseException):
    """As `kill -9` would: nothing catches it, nothing is written after it."""


@dataclass
class Bare:
    """The lane without a ledger: shards come as the gate issues them."""

    lane: BedrockBatchLane
    control: Control
    store: S3Store
    endpoint: Endpoint
    jobs: BedrockJobs

    def issued(self) -> ClearedShard:
        intent_id = secrets.token_hex(16)
        row = {"recordId": f"{intent_id[:12]}000000", "modelInput": {}}
        shard = ClearedShard(
            intent_id=intent_id,
            run_id=RUN,
            endpoint=self.endpoint,
            attempt=1,
            content=json.dumps(row).encode() + b"\n",
            row_ids=(f"{intent_id[:12]}-000000",),
            digest="d",
        )
        egress._issued[intent_id] = shard
        return shard

    def keys(self) -> list[str]:
        return [found.key for found in self.store.keys("")]


@dataclass
class Cloud:
    """A scene whose provider is the control plane and a bucket."""

    scene: Any
    control: Control
    store: S3Store
    endpoint: Endpoint
    jobs: BedrockJobs
    rows: dict[str, CompletedRow] = field(default_factory=dict)

    def frozen(self) -> Any:
        return self.scene.frozen(endpoint=self.endpoint)

    def submitted(self) -> Any:
        assert self.scene.hand_over(self.frozen()).state is HandOverState.SUBMITTED
        (intent,) = open_intents(self.scene.ledger)
        return intent

    def recover(self, **options: Any) -> ReconcileReport:
        return reconcile(self.scene.ledger, {self.endpoint.name: self.scene.lane}, self.scene.registry, now=self.scene.now, **options)

    def keys(self) -> list[str]:
        return [found.key for found in self.store.keys("")]

    def finish(self, lines: Sequence[bytes] | None, *, state: str = "Completed", manifest: bytes | None = None) -> None:
        """End the only job; its output comes first, as at the provider."""
        (job,) = self.control.jobs.values()
        folder = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix(f"s3://{self.store.bucket}/") + job["jobArn"][-12:]
        name = job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].rpartition("/")[2]
        if lines is not None:
            self.store.put(f"{folder}/{name}.out", b"".join(lines))
        if manifest is not None:
            self.store.put(f"{folder}/manifest.json.out", manifest)
        job["status"] = state

    def take_in(self) -> IngestReport:
        (intent,) = open_intents(self.scene.ledger)
        options = {"endpoint": self.endpoint, "prompt": self.scene.prompt, "write": self.write}
        return ingest(self.scene.ledger, self.scene.lane, intent, spool=self.scene.spool, now=self.scene.now, **options)

    def write(self, rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        self.rows |= {row.record_id: row for row in rows}
        return {row.record_id: ResultPlace(file="f.parquet", row=n, digest="d") for n, row in enumerate(rows)}

    def states(self) -> dict[str, str]:
        table = run_state(self.scene.ledger, RUN)
        return {record_id: found.state for record_id in RECORDS if (found := table.get(record_id)) is not None}

    def answers(self, **replaced: dict[str, Any]) -> list[bytes]:
        """One output line for each row of the input, in another order."""
        (job,) = self.control.jobs.values()
        key = job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix(f"s3://{self.store.bucket}/")
        rows = [json.loads(row) for row in self.store.read(key).decode().split("\n") if row]
        good = {"output": {"message": {"content": [{"text": "A summary."}]}}, "stopReason": "end_turn"}
        lines = []
        for row, record_id in zip(rows, RECORDS, strict=True):
            usage = {"usage": {"inputTokens": 10, "outputTokens": 5}}
            lines.append(json.dumps({**row, **replaced.get(record_id[2:], {"modelOutput": {**good, **usage}})}).encode() + b"\n")
        return lines[::-1]


@pytest.fixture(scope="module")
def service() -> Iterator[Control]:
    with running() as control:
        yield control


@pytest.fixture(scope="module")
def parts(service: Control, s3_url: str, new_bucket: Callable[..., str]) -> Iterator[tuple[Endpoint, BedrockJobs, S3Store]]:
    endpoint = Endpoint(
        name="aws-test",
        lane=Lane.CLOUD,
        engine="bedrock_batch",
        provider="aws",
        model="amazon.nova-lite-v1:0",
        region=REGION,
        base_url=service.url,
        facts={"dpa": True, "training_use": False},
        review_by=date(2027, 1, 1),
        settings={"bucket": new_bucket(), "role_arn": f"arn:aws:iam::{ACCOUNT}:role/batch", "s3_endpoint_url": s3_url, "timeout_s": 1.0},
    )
    connection = AwsConnection.of(endpoint, "AKIATEST:not-a-secret")
    jobs, store = BedrockJobs(connection, account=ACCOUNT), S3Store(connection, str(endpoint.settings["bucket"]))
    yield endpoint, jobs, store
    jobs.close()
    store.close()


@pytest.fixture
def bare(parts: tuple[Endpoint, BedrockJobs, S3Store], service: Control, tmp_path: Path) -> Bare:
    """The lane alone, on an empty bucket."""
    endpoint, jobs, store = parts
    service.__init__(url=service.url)  # type: ignore[misc]  # as new, on the same port
    for found in store.keys(""):
        store.delete(found.key)
    return Bare(lane=BedrockBatchLane(jobs, store, endpoint, tmp_path), control=service, store=store, endpoint=endpoint, jobs=jobs)


@pytest.fixture
def cloud_lane(scene: Any, bare: Bare) -> Cloud:
    scene.registry[bare.endpoint.name] = bare.endpoint
    scene.lane = bare.lane
    return Cloud(scene=scene, control=bare.control, store=bare.store, endpoint=bare.endpoint, jobs=bare.jobs)


def test_from_frozen_to_results(cloud_lane: Cloud) -> None:
    shard = cloud_lane.frozen()
    content = shard.path.read_bytes()
    assert cloud_lane.scene.hand_over(shard).state is HandOverState.SUBMITTED
    assert cloud_lane.keys() == [f"waybill/{shard.intent_id}.jsonl"]
    assert cloud_lane.store.read(f"waybill/{shard.intent_id}.jsonl") == content
    (sent,) = [sent for operation, sent in cloud_lane.control.asked if operation == "create"]
    assert (sent["clientRequestToken"], sent["jobName"], sent["timeoutDurationInHours"]) == (
        shard.intent_id,
        f"waybill-{shard.intent_id}",
        24,
    )
    assert sent["outputDataConfig"]["s3OutputDataConfig"]["s3BucketOwner"] == ACCOUNT
    assert not any(record_id in json.dumps(sent) for record_id in RECORDS)
    lines = [json.loads(line) for line in content.split(b"\n") if line]
    assert [line["recordId"] for line in lines] == [f"{shard.intent_id[:12]}{ordinal:06d}" for ordinal in range(3)]
    assert not cloud_lane.take_in().ended
    cloud_lane.finish(cloud_lane.answers(), manifest=b'{"totalRecordCount": 3, "successRecordCount": 3, "errorRecordCount": 0}')
    report = cloud_lane.take_in()
    assert (report.completed, report.failed, report.missing, report.quarantined, report.deleted) == (3, 0, (), 0, True)
    assert (report.status.total, report.status.completed, report.status.failed) == (3, 3, 0)
    assert {row.result.output for row in cloud_lane.rows.values()} == {"A summary."}
    assert {entry["tokens_in"] for entry in cloud_lane.scene.events(Event.COMPLETED)} == {10}
    (gone,) = cloud_lane.scene.events(Event.DELETED_REMOTE)
    assert (gone["state"], cloud_lane.keys(), cloud_lane.control.count("create")) == ("deleted_3", [], 1)


def test_a_job_whose_answer_was_lost_is_found_by_its_token(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = page
    assert cloud_lane.scene.hand_over(cloud_lane.frozen()).state is HandOverState.AMBIGUOUS
    assert len(cloud_lane.recover().adopted) == 1
    cloud_lane.finish(cloud_lane.answers())
    assert cloud_lane.take_in().completed == 3
    assert (len(cloud_lane.control.jobs), cloud_lane.control.count("create")) == (1, 1)


def test_a_job_that_never_was_is_given_up_after_two_listings_and_its_input_removed(cloud_lane: Cloud) -> None:
    cloud_lane.control.before["create"] = drop
    shard = cloud_lane.frozen()
    assert cloud_lane.scene.hand_over(shard).state is HandOverState.AMBIGUOUS
    assert cloud_lane.recover().waiting == (shard.intent_id,)
    assert cloud_lane.keys() == [f"waybill/{shard.intent_id}.jsonl"]
    cloud_lane.scene.later(minutes=3)
    assert cloud_lane.recover().not_found == (shard.intent_id,)
    assert cloud_lane.keys() == []  # whatever turns up late finds nothing to run on
    assert cloud_lane.control.count("create") == 1


def test_a_listing_that_lags_behind_does_not_make_a_second_job(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = drop
    cloud_lane.control.listing = lambda _: []
    assert cloud_lane.scene.hand_over(cloud_lane.frozen()).state is HandOverState.AMBIGUOUS
    assert len(cloud_lane.recover().waiting) == 1
    cloud_lane.control.listing = lambda jobs: jobs
    assert len(cloud_lane.recover().adopted) == 1


def test_a_listing_that_fails_changes_nothing(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = drop
    cloud_lane.scene.hand_over(cloud_lane.frozen())
    for fault in (page, error(403, "ExpiredTokenException")):
        cloud_lane.control.before["list"] = fault
        assert len(cloud_lane.recover().unreachable) == 1
        cloud_lane.scene.later(minutes=10)
    del cloud_lane.control.before["list"]
    assert len(cloud_lane.recover().adopted) == 1


def test_a_second_job_of_an_intent_is_stopped(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = drop
    cloud_lane.scene.hand_over(cloud_lane.frozen())
    (first,) = cloud_lane.control.jobs.values()
    second = cloud_lane.control.add({name: first[name] for name in first if name not in {"jobArn", "status", "submitTime"}})
    report = cloud_lane.recover()
    assert report.stopped == (second,)
    assert [job["status"] for job in cloud_lane.control.jobs.values()] == ["Submitted", "Stopping"]


def test_a_job_of_our_name_with_another_token_is_for_a_person(cloud_lane: Cloud) -> None:
    cloud_lane.control.before["create"] = drop
    shard = cloud_lane.frozen()
    cloud_lane.scene.hand_over(shard)
    cloud_lane.control.add({"jobName": f"waybill-{shard.intent_id}", "clientRequestToken": "somebody-elses"})
    assert len(cloud_lane.recover().unreachable) == 1
    with pytest.raises(EndpointError, match="resolve the hand-over by hand"):
        cloud_lane.scene.lane.find(Sought(intent_id=shard.intent_id, digest="", since=cloud_lane.scene.now, rows=3))


def test_killed_between_input_and_job(cloud_lane: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> str:
        raise KilledError

    shard = cloud_lane.frozen()
    with monkeypatch.context() as patched:
        patched.setattr(cloud_lane.jobs, "create", killed)
        with pytest.raises(KilledError):
            cloud_lane.scene.hand_over(shard)
    assert cloud_lane.keys() == [f"waybill/{shard.intent_id}.jsonl"]
    cloud_lane.recover()
    cloud_lane.scene.later(minutes=3)
    assert cloud_lane.recover().not_found == (shard.intent_id,)
    assert (cloud_lane.keys(), cloud_lane.control.count("create")) == ([], 0)


@pytest.mark.parametrize("state", ["PartiallyCompleted", "Failed"])
def test_rows_without_an_answer_go_back_whatever_the_end(cloud_lane: Cloud, state: str) -> None:
    cloud_lane.submitted()
    lines = cloud_lane.answers()[1:] if state == "PartiallyCompleted" else None
    cloud_lane.finish(lines, state=state)
    report = cloud_lane.take_in()
    assert (report.ended, report.status.state, report.status.total) == (True, state, None)
    assert report.missing == (("r-cyd",) if lines else RECORDS)
    assert set(cloud_lane.states().values()) <= {"completed", "released"}
    assert report.deleted


def test_odd_output_never_loses_a_record(cloud_lane: Cloud) -> None:
    cloud_lane.submitted()
    ada, *_ = cloud_lane.answers(ada={"error": {"errorCode": 400, "errorMessage": QUOTED}})[::-1]
    _, bob, cyd = cloud_lane.answers()[::-1]
    foreign = json.dumps({"recordId": "CALL0000001", "modelOutput": {}}).encode() + b"\n"
    other = json.dumps({**json.loads(cyd), "modelOutput": {"output": {"message": {"content": [{"text": "Another."}]}}}}).encode() + b"\n"
    cloud_lane.finish([foreign, b"\xef\xbb\xbf" + bob, bob, cyd, other, ada, bob[:50]], manifest=b"<html>")
    report = cloud_lane.take_in()
    assert cloud_lane.states() == {"r-ada": "failed", "r-bob": "completed", "r-cyd": "released"}
    (failed,) = cloud_lane.scene.events(Event.FAILED)
    assert failed["error_code"] == "bad_request"
    assert report.quarantined == 3  # a foreign row, a torn line, two answers to one row
    assert QUOTED not in str(cloud_lane.scene.events(*Event))


def test_a_download_that_breaks_is_tried_again(cloud_lane: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud_lane.submitted()
    cloud_lane.finish(cloud_lane.answers())
    whole = cloud_lane.store.get

    def gone(*_: Any, **__: Any) -> int:
        raise ObjectMissingError("removed in the middle")

    monkeypatch.setattr(cloud_lane.store, "get", gone)
    with pytest.raises(EndpointError):
        cloud_lane.take_in()
    assert set(cloud_lane.states().values()) == {"submitted"}
    monkeypatch.setattr(cloud_lane.store, "get", whole)
    assert cloud_lane.take_in().completed == 3


LOGS = {"cloudWatchConfig": {"logGroupName": "g", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}}
SHARED = AccountState(logs_text=False, retention="provider_data_share")


@pytest.mark.parametrize(
    ("facts", "state", "codes"),
    [
        ({"zero_data_retention": True, "human_review": False}, AccountState(logs_text=False, retention="none"), ()),
        ({"zero_data_retention": True}, AccountState(logs_text=False, retention="inherit"), ("data_retention",)),
        ({"zero_data_retention": False}, AccountState(logs_text=False, retention="inherit"), ()),
        ({"human_review": False}, AccountState(logs_text=False, retention="default"), ()),
        ({"human_review": False}, AccountState(logs_text=False, retention="aws_review"), ("data_retention",)),
        ({"training_use": False}, SHARED, ("data_retention",)),
        ({"training_use": False}, AccountState(logs_text=False, retention="a_mode_of_tomorrow"), ("data_retention",)),
        ({"dpa": True}, SHARED, ()),
        ({"retention_days": 0}, AccountState(logs_text=False, retention="none"), ()),
        ({"retention_days": 0}, AccountState(logs_text=False, retention="default"), ("data_retention",)),
        ({"retention_days": 30}, AccountState(logs_text=False, retention="inherit"), ()),
        ({"retention_days": 30}, AccountState(logs_text=False, retention="aws_review"), ("data_retention",)),
        ({"retention_days": 30}, SHARED, ("data_retention",)),
        ({}, AccountState(logs_text=True, retention="none"), ("invocation_logging",)),
        ({}, AccountState(logs_text=None, retention="none"), ("account_unreadable",)),
        ({"zero_data_retention": True}, AccountState(logs_text=False, retention="unreadable"), ("account_unreadable",)),
    ],
)
def test_the_account_may_contradict_the_registry(
    cloud: Endpoint, facts: dict[str, Any], state: AccountState, codes: tuple[str, ...]
) -> None:
    endpoint = replace(cloud, model="anthropic.claude-3-5-haiku-20241022-v1:0", facts=facts)
    assert tuple(one.code for one in contradictions(endpoint, state)) == codes


@pytest.mark.parametrize(
    ("model", "crosses"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc", True),
        ("meta.llama3-1-8b-instruct-v1:0", False),
        ("amazon.nova-lite-v1:0", False),
        ("arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0", False),
    ],
)
def test_an_inference_profile_may_leave_the_region(cloud: Endpoint, model: str, *, crosses: bool) -> None:
    found = contradictions(replace(cloud, model=model), AccountState(logs_text=False, retention="none"))
    assert [one.code for one in found] == (["cross_region"] if crosses else [])


def test_nothing_is_sent_while_the_account_logs_text(cloud_lane: Cloud) -> None:
    cloud_lane.control.logging = LOGS
    outcome = cloud_lane.scene.hand_over(cloud_lane.frozen())
    assert (outcome.state, outcome.code) == (HandOverState.REJECTED, "invocation_logging")
    assert (cloud_lane.keys(), cloud_lane.control.count("create")) == ([], 0)
    assert cloud_lane.states() == dict.fromkeys(RECORDS, "rejected")


def test_what_the_account_contradicts_can_be_accepted_by_its_code(bare: Bare) -> None:
    bare.control.logging = LOGS
    settings = {**bare.endpoint.settings, "unsafe_accept": "invocation_logging"}
    lane = BedrockBatchLane(bare.jobs, bare.store, replace(bare.endpoint, settings=settings), bare.lane._spool)
    assert [one.code for one in lane.account_facts()] == ["invocation_logging"]
    assert lane.hand_over(bare.issued())


def test_an_emulator_has_no_account(bare: Bare) -> None:
    lane = BedrockBatchLane(bare.jobs, bare.store, replace(bare.endpoint, provider="emulator"), bare.lane._spool)
    assert lane.account_facts() == ()
    assert bare.control.asked == []


def test_the_account_is_asked_once_for_many_hand_overs(bare: Bare) -> None:
    for _ in range(3):
        bare.lane.hand_over(bare.issued())
    assert (bare.control.count("logs"), bare.control.count("retains"), bare.control.count("create")) == (1, 1, 3)


def test_a_shard_is_sent_once(bare: Bare) -> None:
    shard = bare.issued()
    bare.lane.hand_over(shard)
    with pytest.raises(GateError):
        bare.lane.hand_over(shard)
    with pytest.raises(GateError):
        bare.lane.hand_over(replace(shard, content=b"forged"))
    assert bare.control.count("create") == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (error(400, "ValidationException"), "bad_request"),
        (error(400, "ServiceQuotaExceededException"), "quota_exceeded"),
        (error(403, "ExpiredTokenException"), "expired_credentials"),
    ],
    ids=["invalid", "quota", "expired"],
)
def test_a_refused_job_leaves_no_input_behind(bare: Bare, fault: Fault, code: str) -> None:
    bare.control.before["create"] = fault
    with pytest.raises(RejectedError, match=code):
        bare.lane.hand_over(bare.issued())
    assert bare.keys() == []


def test_an_input_that_somebody_put_there_before_is_not_run_and_not_touched(bare: Bare) -> None:
    shard = bare.issued()
    bare.store.put(f"waybill/{shard.intent_id}.jsonl", b"somebody else's")
    with pytest.raises(RejectedError, match="input_changed"):
        bare.lane.hand_over(shard)
    assert bare.store.read(f"waybill/{shard.intent_id}.jsonl") == b"somebody else's"
    assert bare.control.count("create") == 0


def test_our_own_input_from_a_put_whose_answer_was_lost_is_used(bare: Bare) -> None:
    shard = bare.issued()
    bare.store.put(f"waybill/{shard.intent_id}.jsonl", shard.content)
    assert bare.lane.hand_over(shard) in bare.control.jobs


def test_an_input_that_cannot_be_read_back_is_not_run(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> int:
        raise EndpointError("the download broke")

    monkeypatch.setattr(bare.store, "get", broken)
    shard = bare.issued()
    with pytest.raises(AmbiguousError, match="input_unverified"):
        bare.lane.hand_over(shard)
    assert bare.control.count("create") == 0
    assert bare.lane.sweep(shard.intent_id) == [f"s3://{bare.store.bucket}/waybill/{shard.intent_id}.jsonl"]
    assert bare.lane.sweep(shard.intent_id) == []


def test_output_that_lies_there_too_early_is_not_read(bare: Bare) -> None:
    shard = bare.issued()
    arn = bare.lane.hand_over(shard)
    bare.store.put(f"waybill/{shard.intent_id}/{arn[-12:]}/{shard.intent_id}.jsonl.out", b"half")
    for state in ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping", "Paused"):
        bare.control.jobs[arn]["status"] = state
        assert not bare.lane.poll(arn).ended
        with pytest.raises(EndpointError, match="has not ended"):
            list(bare.lane.collect(arn))
    for state in ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"):
        bare.control.jobs[arn]["status"] = state
        assert bare.lane.poll(arn).ended
        assert [result.error_code for result in bare.lane.collect(arn)] == ["torn_line"]


def test_the_job_counts_and_else_its_manifest(bare: Bare) -> None:
    shard = bare.issued()
    arn = bare.lane.hand_over(shard)
    bare.control.jobs[arn]["status"] = "Completed"

    def counts() -> tuple[int | None, int | None, int | None]:
        found = bare.lane.poll(arn)
        return found.total, found.completed, found.failed

    assert counts() == (None, None, None)
    manifest = b'{"totalRecordCount": 3, "successRecordCount": 2, "errorRecordCount": 1}'
    bare.store.put(f"waybill/{shard.intent_id}/{arn[-12:]}/manifest.json.out", manifest)
    assert counts() == (3, 2, 1)
    bare.control.jobs[arn] |= {"totalRecordCount": 9, "successRecordCount": 9, "errorRecordCount": 0}
    assert counts() == (9, 9, 0)


def test_the_lane_touches_its_own_objects_only(bare: Bare) -> None:
    shard = bare.issued()
    arn = bare.lane.hand_over(shard)
    bare.store.put("waybill/somebody-elses", b"keep")
    bare.control.jobs[arn]["status"] = "Completed"
    honest = dict(bare.control.jobs[arn])
    for uri in ("s3://another-bucket/waybill/", f"s3://{bare.store.bucket}/", ""):
        bare.control.jobs[arn] = {**honest, "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": uri}}}
        with pytest.raises(EndpointError, match=r"not under settings\.bucket and prefix"):
            list(bare.lane.collect(arn))
        with pytest.raises(EndpointError, match=r"not under settings\.bucket and prefix"):
            bare.lane.discard(arn)
    bare.control.jobs[arn] = honest
    bare.store.put(f"waybill/{shard.intent_id}/{arn[-12:]}/logs/more", b"a file that nobody told us of")
    assert len(bare.lane.discard(arn)) == 2
    assert bare.keys() == ["waybill/somebody-elses"]
