"""Bedrock's control plane through botocore: batch jobs made, looked at, listed, stopped; and what the account says of itself.

Invariants kept here:
- Nothing comes from the environment (invariant 8): the connection is `sinks/clients/aws.py`'s.
- One call sends one request, but for the two questions about the account. botocore sends a create three times when the connection
  drops; retries are off.
- Foreign exceptions end here: they quote requests and answers (invariant 5). So do failure messages of jobs, which are never read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sinks.clients.aws import AwsConnection, ask, aws_client, create, reason_of, status_of
from sinks.clients.calls import count_of
from sinks.clients.provider_clock import ProviderClock
from sinks.errors import AmbiguousError, EndpointError, RejectedError, WrongAccountError

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient

PAGE_SIZE = 100
UNKNOWN_STATE = "unknown"
UNREADABLE = "unreadable"

# The API reference's own form, but for the short id, which names the folder of the job's output: other servers make other ones.
_ARN = re.compile(
    r"arn:aws(?:-[a-z-]{1,20})?:bedrock:(?P<region>[a-z0-9-]{1,20}):(?P<account>[0-9]{12}):model-invocation-job/(?P<id>[A-Za-z0-9_-]{1,64})"
)
_STATE = re.compile(r"[A-Za-z_-]{1,40}")
_MODE = re.compile(r"[a-z_]{1,40}")
_FORBIDDEN, _NOT_FOUND = 403, 404
# Refusals of a create in the words of the API. A conflict is none: something with this token is there.
_REFUSALS: Mapping[str, str] = {
    "AccessDeniedException": "access_denied",
    "ResourceNotFoundException": "resource_not_found",  # the model, the role, the bucket or the key
    "ServiceQuotaExceededException": "quota_exceeded",
    "ValidationException": "bad_request",
}
# Answers that show by what they hold that they are Bedrock's, whatever their content type says.
_SHOWN_BY_CONTENT = frozenset({"job", "jobs"})
# What botocore raises for an answer that is not what its model says; not one of them is its own kind of error.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be made. Buckets must belong to `account`, where it is given; `kms_key` encrypts the output."""

    name: str
    token: str
    role_arn: str
    model: str
    input_uri: str
    output_uri: str
    invocation: str
    timeout_h: int
    account: str = ""
    kms_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockJob:
    """A job, in the few words that matter here. state is the provider's own; counts are None where it has none."""

    arn: str
    name: str
    token: str
    state: str
    submitted_at: datetime
    input_uri: str
    output_uri: str
    total: int | None
    completed: int | None
    failed: int | None

    @property
    def job_id(self) -> str:
        """The short id: the name of the folder in which its output lies."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What the account says of itself in this region. logs_text: whether what models read and write is logged; None: it may not be read.

    retention: the data-retention mode, in the service's word, or `unreadable`.
    """

    logs_text: bool | None
    retention: str


class BedrockJobs:
    """Batch jobs of one account in one region. `account`: its number, if the registry names it; then jobs of others are refused."""

    def __init__(self, connection: AwsConnection, *, account: str = "") -> None:
        self.name = connection.name
        self.clock = ProviderClock()
        self._connection = connection
        self._account = account
        self._client: BedrockClient = aws_client(connection, "bedrock", url=connection.endpoint_url)
        self._safe: BedrockClient = aws_client(connection, "bedrock", url=connection.endpoint_url, retries=True)
        for client in (self._client, self._safe):
            client.meta.events.register_last("after-call.bedrock", self._note_time)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._safe.close()

    def create(self, job: NewJob) -> str:
        """Make the job, once, and return its ARN. Raises RejectedError on a definite refusal, AmbiguousError on anything unclear."""
        answer = create(lambda: self._create(_parameters(job)))
        arn = answer.get("jobArn")
        if not isinstance(arn, str) or not self._is_ours(arn):
            raise AmbiguousError("bad_response")  # a login page with status 200; or a job where none was asked for
        return arn

    def _create(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as in `aws`
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        try:
            return self._client.create_model_invocation_job(**parameters)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "ConflictException":  # the token was used before, so something of this intent may run
                raise AmbiguousError("token_conflict") from None
            if code in _REFUSALS and status_of(error) // 100 == 4:  # noqa: PLR2004 - the HTTP client-error range
                raise RejectedError(_REFUSALS[code]) from None
            raise
        except (ResponseParserError, *_UNREADABLE):
            raise AmbiguousError("bad_response") from None

    def job(self, arn: str) -> BedrockJob:
        """The job now. One that is gone means another account or region: an EndpointError, never a reason to resend."""
        return self._job(self._ask("job", lambda: self._client.get_model_invocation_job(jobIdentifier=arn)))

    def jobs(self, *, named: str, since: datetime) -> list[BedrockJob]:
        """The account's jobs with `named` in their name, submitted since then, earliest first.

        Raises EndpointError for a listing that repeats itself or has another form: it proves nothing about what is missing.
        """
        found: dict[str, BedrockJob] = {}
        pages: set[str] = set()
        extra: dict[str, Any] = {}
        while True:
            page = self._page(named, since, extra)
            entries, token = page.get("invocationJobSummaries"), page.get("nextToken")
            if not isinstance(entries, list):
                raise EndpointError(f"{self.name}: a listing of jobs came back in another form; is base_url Bedrock's control plane?")
            fresh = {job.arn: job for job in map(self._job, entries) if job.arn not in found}
            found |= fresh
            if not token:
                return sorted(found.values(), key=lambda job: (job.submitted_at, job.arn))
            if token in pages or (entries and not fresh):
                raise EndpointError(f"{self.name}: the listing of jobs repeats itself, so it proves nothing; run again later")
            pages.add(token)
            extra = {"nextToken": token}

    def _page(self, named: str, since: datetime, extra: dict[str, Any]) -> Mapping[str, Any]:
        return self._ask(
            "jobs",
            lambda: self._client.list_model_invocation_jobs(
                **({"nameContains": named} if named else {}),  # type: ignore[arg-type]  # as `extra`
                submitTimeAfter=since,
                maxResults=PAGE_SIZE,
                sortBy="CreationTime",
                sortOrder="Ascending",
                **extra,
            ),
        )

    def stop(self, arn: str) -> None:
        """Ask the provider to stop a job."""
        self._ask("stop", lambda: self._client.stop_model_invocation_job(jobIdentifier=arn))

    def account_state(self) -> AccountState:
        """What the account says of itself. What may not be read is None or `unreadable`; raises EndpointError when nobody answers.

        Asked again when nobody does: a dropped connection here would hold back a whole hand-over.
        """
        logging = self._permitted("the logging configuration", self._safe.get_model_invocation_logging_configuration)
        retention = self._permitted("the data retention", self._safe.get_account_data_retention)
        mode = str(retention.get("mode", "")) if retention is not None else ""
        return AccountState(
            logs_text=None if logging is None else _logs_text(logging.get("loggingConfig")),
            retention=mode if _MODE.fullmatch(mode) else UNREADABLE,
        )

    def _note_time(self, parsed: Mapping[str, Any], **_: object) -> None:
        self.clock.note(parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))

    def _permitted(self, what: str, call: Callable[[], Any]) -> Mapping[str, Any] | None:
        """An answer, or None where this account may not have it or this service does not know the question."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as in `aws`

        def asked() -> Mapping[str, Any]:
            try:
                answer: Mapping[str, Any] = call()
            except ClientError as error:
                if status_of(error) == _NOT_FOUND or (status_of(error) == _FORBIDDEN and reason_of(error) == "access_denied"):
                    raise _DeniedError from None
                raise
            return answer

        try:
            return self._ask(what, asked)
        except _DeniedError:
            return None

    def _ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        """A request that only reads or stops: any failure is one of the endpoint, to be tried again later."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as in `aws`
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        def asked() -> Answer:
            try:
                answer = call()
            except ClientError as error:
                if what == "job" and status_of(error) == _NOT_FOUND:
                    msg = f"{self.name}: the job is gone, which means another account or region; check the endpoint's secret and region"
                    raise WrongAccountError(msg) from None
                raise
            except (ResponseParserError, *_UNREADABLE):
                raise EndpointError(f"{self.name}: no usable answer to {what!r}; run again later") from None
            if what not in _SHOWN_BY_CONTENT and not _is_json(answer):
                raise EndpointError(f"{self.name}: no usable answer to {what!r}; is base_url Bedrock's control plane?")
            return answer

        return ask(self.name, what, asked)

    def _job(self, entry: Any) -> BedrockJob:
        """Our view of a job, from a listing or by itself. Its message may quote a record: it is not looked at."""
        entry = entry if isinstance(entry, dict) else {}
        arn, state, submitted = entry.get("jobArn"), entry.get("status"), entry.get("submitTime")
        if not isinstance(arn, str) or not _ARN.fullmatch(arn) or not isinstance(submitted, datetime):
            raise EndpointError(f"{self.name}: a job came back without ARN or time; is base_url Bedrock's control plane?")
        if not self._is_ours(arn):
            raise WrongAccountError(f"{self.name}: a job of another account or region came back; check region, secret and settings.account")
        return BedrockJob(
            arn=arn,
            name=str(entry.get("jobName") or ""),
            token=str(entry.get("clientRequestToken") or ""),
            state=state if isinstance(state, str) and _STATE.fullmatch(state) else UNKNOWN_STATE,
            submitted_at=submitted if submitted.tzinfo else submitted.replace(tzinfo=UTC),
            input_uri=_uri(entry, "inputDataConfig", "s3InputDataConfig"),
            output_uri=_uri(entry, "outputDataConfig", "s3OutputDataConfig"),
            total=count_of(entry.get("totalRecordCount")),
            completed=count_of(entry.get("successRecordCount")),
            failed=count_of(entry.get("errorRecordCount")),
        )

    def _is_ours(self, arn: str) -> bool:
        found = _ARN.fullmatch(arn)
        return found is not None and found["region"] == self._connection.region and self._account in {"", found["account"]}


class _DeniedError(EndpointError):
    """The account may not ask this."""


def _parameters(job: NewJob) -> dict[str, Any]:
    owner = {"s3BucketOwner": job.account} if job.account else {}
    key = {"s3EncryptionKeyId": job.kms_key} if job.kms_key else {}
    return {
        "jobName": job.name,
        "clientRequestToken": job.token,
        "roleArn": job.role_arn,
        "modelId": job.model,
        "inputDataConfig": {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": job.input_uri, **owner}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": job.output_uri, **key, **owner}},
        "timeoutDurationInHours": job.timeout_h,
        "modelInvocationType": job.invocation,
    }


def _is_json(answer: Any) -> bool:
    """Whether an answer said that it is JSON. botocore reads any other page as an empty object."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(answer, Mapping) else {}
    return "json" in str(headers.get("content-type", ""))


def _logs_text(config: Any) -> bool:
    """A configuration with a destination logs text unless it says that it does not."""
    return isinstance(config, Mapping) and bool(config) and config.get("textDataDeliveryEnabled") is not False


def _uri(entry: Mapping[str, Any], outer: str, inner: str) -> str:
    config = entry.get(outer)
    found = config.get(inner) if isinstance(config, Mapping) else None
    return str(found.get("s3Uri") or "") if isinstance(found, Mapping) else ""
