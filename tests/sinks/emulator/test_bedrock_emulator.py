"""Bedrock's batch jobs over the wire: boto3 against the emulator, with inputs and outputs in a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import boto3
import pytest
from anthropic.types import Message
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from moto.server import ThreadedMotoServer

from sinks.clients.aws import AwsConnection, AwsCredentials
from sinks.clients.s3_client import S3Store
from sinks.emulator.process import start_emulator
from sinks.emulator.receipts import received
from sinks.errors import AmbiguousError, EndpointError, ObjectExistsError, ObjectMissingError

LETTER = "The bridge over the Arlo is closed for repairs. The repairs of the bridge take six weeks. We had soup."
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
KEYS = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "invented", "region_name": "eu-central-1"}
NIGHT = f"night-{token_hex(6)}"  # the server's buckets are the process's, and other modules have theirs
ROLE = "arn:aws:iam::111122223333:role/batch"

Until = Callable[[Callable[[], bool]], None]


def converse(number: int, text: str = LETTER, **more: Any) -> dict[str, Any]:
    content = [{"text": "What does it say?\n"}, {"text": f"{text}\nThe number is {number}."}]
    body = {"messages": [{"role": "user", "content": content}], "inferenceConfig": {"maxTokens": 200}} | more
    return {"recordId": f"abcdefabcdef{number:06d}", "modelInput": body}


def message(number: int, **more: Any) -> dict[str, Any]:
    turn = {"role": "user", "content": [{"type": "text", "text": f"{LETTER} The number is {number}."}]}
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [turn]} | more
    return {"recordId": f"abcdefabcdef{number:06d}", "modelInput": body}


@dataclass
class Account:
    emulated: Any
    s3: Any
    bedrock: Any

    def put(self, key: str, records: list[dict[str, Any]]) -> None:
        self.s3.put_object(Bucket=NIGHT, Key=key, Body=b"".join(json.dumps(record).encode() + b"\n" for record in records))

    def create(self, key: str, **more: Any) -> str:
        asked = {
            "jobName": "waybill-abcdefabcdef",
            "roleArn": ROLE,
            "modelId": "anthropic.claude-emulated-v1:0",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{NIGHT}/{key}"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{NIGHT}/out/"}},
        }
        return str(self.bedrock.create_model_invocation_job(**(asked | more))["jobArn"])

    def job(self, arn: str) -> Any:
        return self.bedrock.get_model_invocation_job(jobIdentifier=arn)

    def output(self, arn: str) -> dict[str, bytes]:
        prefix = f"out/{arn.rpartition('/')[2]}/"
        found = self.s3.list_objects_v2(Bucket=NIGHT, Prefix=prefix).get("Contents", ())
        return {entry["Key"].removeprefix(prefix): self.s3.get_object(Bucket=NIGHT, Key=entry["Key"])["Body"].read() for entry in found}


def conforms(client: Any, operation: str, answer: dict[str, Any]) -> None:
    """An answer as botocore parsed it has what the service model asks for, in its types, and its states are known ones."""
    shape = client.meta.service_model.operation_model(operation).output_shape
    shown = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    assert not ParamValidator().validate(shown, shape).has_errors()
    if operation == "GetModelInvocationJob":
        assert shown["status"] in shape.members["status"].enum


def all_unknown(client: Any) -> list[str]:
    """The fields of raw answers that the service model does not know: filled as answers come in."""
    unknown: list[str] = []
    summary = client.meta.service_model.shape_for("ModelInvocationJobSummary").members

    def look(operation_model: Any, response_dict: Any, **_: Any) -> None:
        if response_dict["status_code"] == 200:
            tree = json.loads(response_dict["body"])
            unknown.extend(set(tree) - set(operation_model.output_shape.members))
            unknown.extend(key for entry in tree.get("invocationJobSummaries", ()) for key in set(entry) - set(summary))

    client.meta.events.register("before-parse.bedrock", look)
    return unknown


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, s3_url: str, make_emulated: Any) -> Iterator[Account]:
    state: Path = tmp_path_factory.mktemp("bedrock")
    config = Config(retries={"total_max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=s3_url, **KEYS)  # type: ignore[call-overload]  # the keys are the same for both
    s3.create_bucket(Bucket=NIGHT, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with start_emulator(state, delay_s=40 * 3600, options=["--s3-url", s3_url, "--min-records", "3", "--max-jobs", "3"]) as running:
        bedrock = boto3.client("bedrock", endpoint_url=running.bedrock_url, config=config, **KEYS)  # type: ignore[call-overload]
        yield Account(emulated=make_emulated(running, state), s3=s3, bedrock=bedrock)


@pytest.fixture
def reach(account: Account, until: Until) -> Callable[[str, str], Any]:
    def wait(arn: str, state: str) -> Any:
        until(lambda: account.job(arn)["status"] == state)
        return account.job(arn)

    return wait


def test_a_job_goes_through_its_states_and_leaves_its_output_in_s3(account: Account, reach: Any) -> None:
    structured = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "form", "schema": json.dumps(SCHEMA)}}}}
    tool = {"tools": [{"toolSpec": {"name": "record", "inputSchema": {"json": SCHEMA}}}], "toolChoice": {"tool": {"name": "record"}}}
    cached = [{"text": "Be brief. " * 40}, {"cachePoint": {"type": "default"}}]
    records = [
        *(converse(number, system=cached) for number in range(4)),
        converse(4, "Name: Ines Calder", outputConfig=structured),
        converse(5, "Name: Ines Calder", toolConfig=tool),
        converse(6, "Nothing of the kind", outputConfig=structured),
    ]
    account.put("in/abc.jsonl", records)
    arn = account.create("in/abc.jsonl", modelInvocationType="Converse", timeoutDurationInHours=48)
    assert arn.startswith("arn:aws:bedrock:eu-central-1:111122223333:model-invocation-job/")
    for state in ("Submitted", "Validating", "Scheduled", "InProgress"):
        shown = reach(arn, state)
        conforms(account.bedrock, "GetModelInvocationJob", shown)
        assert account.output(arn) == {}
        account.emulated.advance(10 * 3600)
    done = reach(arn, "Completed")
    conforms(account.bedrock, "GetModelInvocationJob", done)
    assert [done[name] for name in ("totalRecordCount", "processedRecordCount", "successRecordCount", "errorRecordCount")] == [7, 7, 6, 1]
    output = account.output(arn)
    rows = [json.loads(line) for line in output["abc.jsonl.out"].splitlines()]
    found = {row["recordId"]: row for row in rows}
    assert [row["recordId"] for row in rows] != sorted(found)
    assert {row["recordId"]: row["modelInput"] for row in rows} == {record["recordId"]: record["modelInput"] for record in records}
    converse_shape = boto3.client("bedrock-runtime", **KEYS).meta.service_model.shape_for("ConverseResponse")  # type: ignore[call-overload]
    for row in rows:
        assert ("error" in row) != ("modelOutput" in row)
        if "modelOutput" in row:
            assert not ParamValidator().validate(row["modelOutput"], converse_shape).has_errors()
    said = {number: found[f"abcdefabcdef{number:06d}"].get("modelOutput") for number in range(7)}
    assert "bridge" in said[0]["output"]["message"]["content"][0]["text"]
    assert json.loads(said[4]["output"]["message"]["content"][0]["text"]) == {"name": "Ines Calder"}
    assert said[5]["output"]["message"]["content"][0]["toolUse"]["input"] == {"name": "Ines Calder"}
    assert found["abcdefabcdef000006"]["error"]["errorCode"] == 400
    assert (
        sum("cacheReadInputTokens" in (one or {}).get("usage", {}) and one["usage"]["cacheReadInputTokens"] > 0 for one in said.values())
        == 3
    )
    manifest = json.loads(output["manifest.json.out"])
    assert (manifest["totalRecordCount"], manifest["successRecordCount"]) == (7, 6)
    (read,) = [entry for entry in account.emulated.entries("received.jsonl") if entry["path"] == f"s3://{NIGHT}/in/abc.jsonl"]
    body = (account.emulated.state / read["body"]).read_bytes()
    assert body == account.s3.get_object(Bucket=NIGHT, Key="in/abc.jsonl")["Body"].read()


def test_tokens_names_minimum_quota_and_stopping(account: Account, reach: Any) -> None:
    account.put("in/msg.jsonl", [message(number) for number in range(4)])
    account.put("in/few.jsonl", [message(number) for number in range(2)])
    arn = account.create("in/msg.jsonl", clientRequestToken="tokenOne", jobName="waybill-one")
    assert account.create("in/msg.jsonl", clientRequestToken="tokenOne", jobName="waybill-one") == arn
    with pytest.raises(ClientError) as conflict:
        account.create("in/few.jsonl", clientRequestToken="tokenOne", jobName="waybill-one")
    assert conflict.value.response["Error"]["Code"] == "ConflictException"
    with pytest.raises(ClientError) as refused:
        account.create("in/msg.jsonl", jobName="a" * 64)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    few = account.create("in/few.jsonl", clientRequestToken="tokenTwo", jobName="waybill-two")
    gone = account.create("in/none.jsonl", clientRequestToken="tokenThree", jobName="waybill-three")
    with pytest.raises(ClientError) as quota:
        account.create("in/msg.jsonl", clientRequestToken="tokenFour", jobName="waybill-four")
    assert quota.value.response["Error"]["Code"] == "ServiceQuotaExceededException"
    account.emulated.advance(20 * 3600)
    assert "fewer than 3" in reach(few, "Failed")["message"]
    assert reach(gone, "Failed")["totalRecordCount"] == 0
    assert reach(arn, "Scheduled")["totalRecordCount"] == 4
    account.bedrock.stop_model_invocation_job(jobIdentifier=arn.rpartition("/")[2])
    reach(arn, "Stopped")
    assert account.output(arn) == {}
    with pytest.raises(ClientError):
        account.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    with pytest.raises(ClientError) as missing:
        account.job("aaaaaaaaaaaa")
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_job_that_runs_out_of_time_is_partly_completed_or_expired(account: Account, reach: Any) -> None:
    account.put("in/many.jsonl", [message(number) for number in range(10)])
    partly = account.create("in/many.jsonl", clientRequestToken="tokenFive", timeoutDurationInHours=36)
    never = account.create("in/many.jsonl", clientRequestToken="tokenSix")  # 24 hours, of which 30 go by before it begins
    account.emulated.advance(37 * 3600)
    done = reach(partly, "PartiallyCompleted")
    assert (done["totalRecordCount"], done["successRecordCount"]) == (10, 6)
    rows = [json.loads(line) for line in account.output(partly)["many.jsonl.out"].splitlines()]
    answers = [Message.model_validate_json(json.dumps(row["modelOutput"]), strict=True) for row in rows]
    assert [(answer.stop_reason, answer.content[0].type) for answer in answers] == [("end_turn", "text")] * 6
    assert reach(never, "Expired")["successRecordCount"] == 0
    assert account.output(never) == {}


def test_listings_are_filtered_sorted_and_paged(account: Account, reach: Any) -> None:
    account.put("in/msg.jsonl", [message(number) for number in range(4)])
    unknown = all_unknown(account.bedrock)
    before = datetime.now(UTC) + timedelta(seconds=account.emulated.admin("clock")["now"] - datetime.now(UTC).timestamp())
    made = [account.create("in/msg.jsonl", jobName=f"list-{number}", clientRequestToken=f"list{number}") for number in range(3)]
    page = account.bedrock.list_model_invocation_jobs(nameContains="list-", maxResults=2, sortBy="CreationTime", sortOrder="Ascending")
    conforms(account.bedrock, "ListModelInvocationJobs", page)
    rest = account.bedrock.list_model_invocation_jobs(
        nameContains="list-", maxResults=2, nextToken=page["nextToken"], sortBy="CreationTime", sortOrder="Ascending"
    )
    listed = [*page["invocationJobSummaries"], *rest["invocationJobSummaries"]]
    assert ([job["jobArn"] for job in listed], "nextToken" in rest) == (made, False)
    assert [job["clientRequestToken"] for job in listed] == ["list0", "list1", "list2"]
    newest = account.bedrock.list_model_invocation_jobs(submitTimeAfter=before - timedelta(seconds=1), statusEquals="Submitted")
    assert [job["jobArn"] for job in newest["invocationJobSummaries"]] == made[::-1]
    assert account.bedrock.list_model_invocation_jobs(submitTimeBefore=before - timedelta(days=9))["invocationJobSummaries"] == []
    account.job(made[0])
    assert unknown == []
    for arn in made:
        account.bedrock.stop_model_invocation_job(jobIdentifier=arn)
        reach(arn, "Stopped")


def test_the_account_says_how_it_keeps_data_and_asks_for_a_signature(account: Account) -> None:
    assert account.bedrock.get_account_data_retention()["mode"] == "default"
    assert "loggingConfig" not in account.bedrock.get_model_invocation_logging_configuration()
    unsigned = boto3.client(
        "bedrock",
        endpoint_url=account.emulated.running.bedrock_url,
        config=Config(signature_version="v4", retries={"total_max_attempts": 1}),
        **KEYS,
    )  # type: ignore[call-overload]
    unsigned.meta.events.register("before-send.bedrock", lambda request, **_: request.headers.pop("Authorization") and None)
    with pytest.raises(ClientError) as refused:
        unsigned.list_model_invocation_jobs()
    assert refused.value.response["Error"]["Code"] == "MissingAuthenticationTokenException"


def test_s3_by_way_of_the_emulator_is_recorded_and_can_fail(account: Account) -> None:
    credentials = AwsCredentials(key_id="AKIATEST", secret="invented")
    running = account.emulated.running
    store = S3Store(AwsConnection(name="s3", region="eu-central-1", credentials=credentials, s3_endpoint_url=running.s3_url), NIGHT)
    store.put("door/a b.jsonl", b"zephyr-9917\n", exclusive=True)
    with pytest.raises(ObjectExistsError):
        store.put("door/a b.jsonl", b"other", exclusive=True)
    assert store.read("door/a b.jsonl") == b"zephyr-9917\n"
    assert [(one.key, one.size) for one in store.keys("door/")] == [("door/a b.jsonl", 12)]
    assert account.s3.get_object(Bucket=NIGHT, Key="door/a b.jsonl")["Body"].read() == b"zephyr-9917\n"
    bodies = [body for entry, body in received(account.emulated.state) if entry["operation"] == "bedrock.s3.put"]
    assert sum(b"zephyr-9917" in body for body in bodies) == 1
    account.emulated.plan(
        {"at": "bedrock.s3.get", "fault": "status", "status": 403},
        {"at": "bedrock.s3.get", "fault": "torn_line", "call": 2},
        {"at": "bedrock.s3.get", "fault": "credentials", "call": 3},
        {"at": "bedrock.s3.put", "fault": "drop_after"},
        {"at": "bedrock.s3.list", "fault": "credentials"},
    )
    with pytest.raises(EndpointError, match="access_denied"):
        store.read("door/a b.jsonl")
    assert store.read("door/a b.jsonl") == b"zephyr"
    with pytest.raises(EndpointError, match="expired_credentials"):
        store.read("door/a b.jsonl")
    with pytest.raises(AmbiguousError):
        store.put("door/b", b"there")
    assert account.s3.get_object(Bucket=NIGHT, Key="door/b")["Body"].read() == b"there"
    with pytest.raises(EndpointError):
        list(store.keys("door/"))
    assert store.delete("door/b")
    with pytest.raises(ObjectMissingError):
        store.head("door/b")
    store.close()
