"""The client of Bedrock's control plane: one request a call, foreign errors as codes, and nothing believed that proves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sinks.clients.aws import AwsConnection, AwsCredentials
from sinks.clients.bedrock_client import UNKNOWN_STATE, UNREADABLE, AccountState, BedrockJobs, NewJob
from sinks.errors import AmbiguousError, EndpointError, RejectedError, SinkError
from tests.sinks.bedrock_control import ACCOUNT, BEGAN, QUOTED, REGION, Control, Exchange, Fault, drop, error, page, running

INTENT = "0123456789abcdef0123456789abcdef"
JOB = NewJob(
    name=f"waybill-{INTENT}",
    token=INTENT,
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/batch",
    model="anthropic.claude-3-5-haiku-20241022-v1:0",
    input_uri=f"s3://bucket-a/waybill/{INTENT}.jsonl",
    output_uri=f"s3://bucket-a/waybill/{INTENT}/",
    invocation="Converse",
    timeout_h=24,
)


@pytest.fixture(scope="module")
def service() -> Iterator[Control]:
    with running() as control:
        yield control


def connection(url: str) -> AwsConnection:
    credentials = AwsCredentials(key_id="AKIATEST", secret="not-a-secret")
    return AwsConnection(name="endpoint aws", region=REGION, credentials=credentials, endpoint_url=url, timeout_s=1.0)


@pytest.fixture(scope="module")
def client(service: Control) -> Iterator[BedrockJobs]:
    made = BedrockJobs(connection(service.url), account=ACCOUNT)
    yield made
    made.close()


@pytest.fixture
def control(service: Control) -> Control:
    service.__init__(url=service.url)  # type: ignore[misc]  # as new, on the same port
    return service


@pytest.fixture
def jobs(client: BedrockJobs, control: Control) -> BedrockJobs:
    return client


def with_owner(**changes: Any) -> NewJob:
    return NewJob(**{**{name: getattr(JOB, name) for name in NewJob.__slots__}, **changes})


def test_a_job_is_made_once_with_its_token_and_its_owners(jobs: BedrockJobs, control: Control) -> None:
    arn = jobs.create(with_owner(account=ACCOUNT, kms_key="alias/waybill"))
    ((operation, sent),) = control.asked
    assert operation == "create"
    assert (sent["jobName"], sent["clientRequestToken"], sent["modelInvocationType"]) == (JOB.name, INTENT, "Converse")
    assert sent["inputDataConfig"] == {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": JOB.input_uri, "s3BucketOwner": ACCOUNT}}
    output = {"s3Uri": JOB.output_uri, "s3EncryptionKeyId": "alias/waybill", "s3BucketOwner": ACCOUNT}
    assert sent["outputDataConfig"] == {"s3OutputDataConfig": output}
    assert len(sent["jobName"]) <= 63
    assert jobs.job(arn).state == "Submitted"


def status(number: int) -> Fault:
    return lambda exchange: exchange.answer(number, QUOTED.encode(), "text/plain")


def answers(content: bytes) -> Fault:
    return lambda exchange: exchange.answer(200, content)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (error(400, "ValidationException"), (RejectedError, "bad_request")),
        (error(403, "AccessDeniedException"), (RejectedError, "access_denied")),
        (error(404, "ResourceNotFoundException"), (RejectedError, "resource_not_found")),
        (error(400, "ServiceQuotaExceededException"), (RejectedError, "quota_exceeded")),
        (error(403, "ExpiredTokenException"), (RejectedError, "expired_credentials")),
        (error(403, "UnrecognizedClientException"), (RejectedError, "bad_credentials")),
        (error(413, "RequestEntityTooLarge"), (RejectedError, "http_413")),
        (error(400, "ConflictException"), (AmbiguousError, "token_conflict")),
        (error(429, "ThrottlingException"), (AmbiguousError, "rate_limited")),
        (error(408, "RequestTimeout"), (AmbiguousError, "http_408")),
        (error(409, "Conflict"), (AmbiguousError, "http_409")),
        (error(500, "InternalServerException"), (AmbiguousError, "http_500")),
        (error(500, "ValidationException"), (AmbiguousError, "bad_request")),
        (status(503), (AmbiguousError, "http_503")),
        (drop, (AmbiguousError, "connection_lost")),
        (page, (AmbiguousError, "bad_response")),
        (answers(b"{}"), (AmbiguousError, "bad_response")),
        (answers(b"[]"), (AmbiguousError, "bad_response")),
        (answers(b'{"jobArn": 7}'), (AmbiguousError, "bad_response")),
        (answers(b'{"jobArn": "quoted-document"}'), (AmbiguousError, "bad_response")),
        (
            answers(f'{{"jobArn": "arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/000000000000"}}'.encode()),
            (AmbiguousError, "bad_response"),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else None,
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_create_is_refused_or_unclear_and_never_repeated(
    jobs: BedrockJobs, control: Control, fault: Fault, expected: tuple[type[SinkError], str], moment: str
) -> None:
    getattr(control, moment)["create"] = fault
    with pytest.raises(SinkError) as caught:
        jobs.create(JOB)
    assert (type(caught.value), str(getattr(caught.value, "code", ""))) == expected
    assert control.count("create") == 1
    assert QUOTED not in repr(caught.value) + str(caught.value.__cause__)
    if moment == "after":  # whatever was said, the same token does not make a second job
        control.after.clear()
        jobs.create(JOB)
        assert len(control.jobs) == 1


def test_a_token_used_for_something_else_is_not_a_refusal(jobs: BedrockJobs, control: Control) -> None:
    jobs.create(JOB)
    with pytest.raises(AmbiguousError, match="token_conflict"):
        jobs.create(with_owner(timeout_h=48))
    assert len(control.jobs) == 1


def test_what_cannot_be_a_request_is_refused_before_it_is_sent(jobs: BedrockJobs, control: Control) -> None:
    with pytest.raises(RejectedError, match="bad_request"):
        jobs.create(with_owner(timeout_h="a day"))
    assert control.asked == []


def test_nobody_there_is_a_refusal() -> None:
    jobs = BedrockJobs(connection("http://127.0.0.1:9"))
    with pytest.raises(RejectedError, match="unreachable"):
        jobs.create(JOB)
    with pytest.raises(EndpointError, match="EndpointConnectionError"):
        jobs.job("arn:aws:bedrock:eu-central-1:123456789012:model-invocation-job/000000000000")
    jobs.close()


def test_a_listing_is_read_to_its_end_earliest_first(jobs: BedrockJobs, control: Control) -> None:
    named = [control.add({"jobName": JOB.name, "clientRequestToken": f"{INTENT}{number}"}) for number in range(5)]
    control.add({"jobName": "somebody-elses", "clientRequestToken": "t"})
    control.listing = lambda found: list(reversed(found))
    assert [job.arn for job in jobs.jobs(named=JOB.name, since=BEGAN)] == named
    assert control.count("list") == 3
    late = jobs.jobs(named=JOB.name, since=BEGAN + timedelta(seconds=3))
    assert [job.arn for job in late] == named[3:]
    assert late[0].submitted_at == datetime(2026, 11, 22, 3, 0, 3, tzinfo=UTC)


def repeats(exchange: Exchange) -> bool:
    (job,) = exchange.control.jobs.values()
    return exchange.say({"invocationJobSummaries": [job], "nextToken": f"t{exchange.control.count('list')}"})


def repeats_its_token(exchange: Exchange) -> bool:
    return exchange.say({"invocationJobSummaries": [], "nextToken": "again"})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (repeats, "repeats itself"),
        (repeats_its_token, "repeats itself"),
        (answers(b"{}"), "another form"),
        (answers(b'{"invocationJobSummaries": [{}]}'), "without ARN or time"),
        (
            answers(b'{"invocationJobSummaries": [{"jobArn": "quoted-document", "submitTime": "2026-11-22T03:00:00Z"}]}'),
            "without ARN or time",
        ),
        (answers(b'{"invocationJobSummaries": [{"submitTime": "quoted-document"}]}'), "no usable answer"),
        (answers(b'{"invocationJobSummaries": 7}'), "another form|no usable answer"),
        (page, "control plane"),
        (drop, "ConnectionClosedError"),
        (error(429, "ThrottlingException"), "rate_limited"),
        (error(403, "ExpiredTokenException"), "expired_credentials"),
    ],
    ids=["page", "token", "empty", "no-arn", "bad-arn", "bad-time", "no-list", "html", "drop", "throttled", "expired"],
)
def test_a_listing_that_proves_nothing_is_an_error(jobs: BedrockJobs, control: Control, fault: Fault, said: str) -> None:
    control.add({"jobName": JOB.name, "clientRequestToken": INTENT})
    control.before["list"] = fault
    with pytest.raises(EndpointError, match=said) as caught:
        jobs.jobs(named=JOB.name, since=BEGAN)
    assert QUOTED not in repr(caught.value)


def test_a_job_of_another_account_is_not_ours(jobs: BedrockJobs, control: Control) -> None:
    control.account = "999999999999"
    arn = control.add({"jobName": JOB.name, "clientRequestToken": INTENT})
    with pytest.raises(EndpointError, match="another account or region"):
        jobs.job(arn)
    with pytest.raises(EndpointError, match="another account or region"):
        jobs.jobs(named=JOB.name, since=BEGAN)


def test_a_job_that_is_gone_means_another_account(jobs: BedrockJobs) -> None:
    with pytest.raises(EndpointError, match="the job is gone, which means another account or region"):
        jobs.job(f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-invocation-job/999999999999")


def test_a_job_comes_in_few_words(jobs: BedrockJobs, control: Control) -> None:
    counts = {"totalRecordCount": 9, "successRecordCount": 7, "errorRecordCount": 2, "aNewField": {"of": "theirs"}}
    arn = control.add({"jobName": JOB.name, "clientRequestToken": INTENT}, status="Completed", message=QUOTED, **counts)
    job = jobs.job(arn)
    assert (job.arn, job.job_id, job.state, job.total, job.completed, job.failed) == (arn, "0" * 12, "Completed", 9, 7, 2)
    assert QUOTED not in repr(job)
    control.jobs[arn] |= {"status": f"{QUOTED} 1", "totalRecordCount": None}
    assert (jobs.job(arn).state, jobs.job(arn).total) == (UNKNOWN_STATE, None)


def test_a_job_is_stopped_once(jobs: BedrockJobs, control: Control) -> None:
    arn = jobs.create(JOB)
    jobs.stop(arn)
    assert control.jobs[arn]["status"] == "Stopping"
    with pytest.raises(EndpointError, match="HTTP 400"):
        jobs.stop(arn)


LOGS: dict[str, Any] = {"s3Config": {"bucketName": "logs"}}


@pytest.mark.parametrize(
    ("arrange", "state"),
    [
        ({}, AccountState(logs_text=False, retention="none")),
        ({"retention": "provider_data_share"}, AccountState(logs_text=False, retention="provider_data_share")),
        ({"retention": "a_mode_of_tomorrow"}, AccountState(logs_text=False, retention="a_mode_of_tomorrow")),
        ({"retention": f"{QUOTED}!"}, AccountState(logs_text=False, retention=UNREADABLE)),
        ({"logging": LOGS}, AccountState(logs_text=True, retention="none")),
        ({"logging": {**LOGS, "textDataDeliveryEnabled": True}}, AccountState(logs_text=True, retention="none")),
        ({"logging": {**LOGS, "textDataDeliveryEnabled": False}}, AccountState(logs_text=False, retention="none")),
        ({"before": {"logs": error(403, "AccessDeniedException")}}, AccountState(logs_text=None, retention="none")),
        ({"before": {"retains": error(404, "UnknownOperationException")}}, AccountState(logs_text=False, retention=UNREADABLE)),
    ],
    ids=["plain", "shared", "new-mode", "no-mode", "logged", "text-logged", "no-text-logged", "may-not-ask", "does-not-know"],
)
def test_what_the_account_says_of_itself(jobs: BedrockJobs, control: Control, arrange: dict[str, Any], state: AccountState) -> None:
    for name, value in arrange.items():
        setattr(control, name, value)
    assert jobs.account_state() == state


@pytest.mark.parametrize("fault", [page, drop, error(500, "InternalServerException"), error(403, "ExpiredTokenException")])
@pytest.mark.parametrize("question", ["logs", "retains"])
def test_an_account_that_does_not_answer_has_not_said_no(
    jobs: BedrockJobs, control: Control, question: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # between botocore's attempts
    control.before[question] = fault
    with pytest.raises(EndpointError):
        jobs.account_state()


def test_an_account_that_answers_the_second_time_has_answered(jobs: BedrockJobs, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    control.before["logs"] = lambda exchange: control.count("logs") == 1 and exchange.drop()
    assert jobs.account_state() == AccountState(logs_text=False, retention="none")
    assert control.count("logs") == 2


def test_the_environment_does_not_reach_the_client(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    jobs = BedrockJobs(connection(control.url))
    control.before["create"] = drop
    with pytest.raises(AmbiguousError):
        jobs.create(JOB)
    jobs.close()
    assert control.count("create") == 1


@pytest.mark.parametrize("kind", ["application/octet-stream", "text/plain"])
def test_an_answer_is_known_by_what_it_holds(control: Control, jobs: BedrockJobs, kind: str) -> None:
    arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-invocation-job/2f0b6c1e-0000-4A4a-9d9d-000000000000"
    shown = {"jobArn": arn, "status": "In_Progress", "submitTime": "2026-11-22T03:00:00Z", "totalRecordCount": 7}

    def say(tree: dict[str, Any]) -> Fault:
        return lambda exchange: exchange.answer(200, json.dumps(tree).encode(), kind)

    control.before["create"], control.before["get"] = say({"jobArn": arn}), say(shown)
    control.before["list"] = say({"invocationJobSummaries": [shown]})
    assert jobs.create(JOB) == arn
    assert (jobs.job(arn).job_id, jobs.job(arn).state, jobs.job(arn).total) == (arn.rpartition("/")[2], "In_Progress", 7)
    assert [job.arn for job in jobs.jobs(named="", since=BEGAN)] == [arn]
    control.before["list"] = say({"hello": 1})
    with pytest.raises(EndpointError, match="another form"):
        jobs.jobs(named="", since=BEGAN)
