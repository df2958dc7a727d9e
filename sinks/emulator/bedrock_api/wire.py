"""The wire shapes of Bedrock's model invocation jobs: plain dicts, checked in the tests by botocore against its service model. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sinks.emulator.calls import WireError
from sinks.emulator.jobs import Job, Tree

NAME = "bedrock"
STATES = ("Submitted", "Validating", "Scheduled", "InProgress")
STOPPING = "Stopping"
LEAST_HOURS, MOST_HOURS = 24, 168
INVOKE, CONVERSE = "InvokeModel", "Converse"

# As the service model has them; botocore itself checks no patterns.
_JOB_NAME = re.compile(r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9+\-.]){0,63}")
_ROLE = re.compile(r"arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+")
_TOKEN = re.compile(r"[a-zA-Z0-9]{1,256}(-*[a-zA-Z0-9]){0,256}")
_S3_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][-.a-z0-9]{1,61}[a-z0-9])(?P<key>(?:/[-!_*'().a-z0-9A-Z]+)*)/?")
_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/(?P<region>[a-z0-9-]{1,20})/")
_ACCOUNT = "123456789012"
_MAX_NAME, _MAX_TOKEN = 63, 256

_CODES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def refusal(status: int, message: str, *, code: str = "") -> WireError:
    """An error answer in the restJson1 form."""
    code = code or _CODES.get(status, "InternalServerException" if status >= 500 else "ValidationException")  # noqa: PLR2004 - HTTP's own border
    return WireError(status, {"message": message}, {"x-amzn-ErrorType": code})


def moment(seconds: float) -> str:
    """A time as the service writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def arn(job: Job) -> str:
    """The job's ARN: in the region that the request was signed for, of the role's account."""
    return f"arn:aws:bedrock:{job.asked['region']}:{job.asked['account']}:model-invocation-job/{job.job_id}"


def job_object(job: Job) -> Tree:
    """A job as Get and List show it."""
    body = job.asked["body"]
    tree = {
        "jobArn": arn(job),
        "jobName": body["jobName"],
        "modelId": body["modelId"],
        "roleArn": body["roleArn"],
        "status": job.state,
        "submitTime": moment(job.created_at),
        "lastModifiedTime": moment(job.since),
        "inputDataConfig": body["inputDataConfig"],
        "outputDataConfig": body["outputDataConfig"],
        "timeoutDurationInHours": body.get("timeoutDurationInHours", LEAST_HOURS),
        "jobExpirationTime": moment(job.expires_at or job.created_at),
        "modelInvocationType": body.get("modelInvocationType", INVOKE),
        "totalRecordCount": job.total,
        "processedRecordCount": sum(job.counts.values()),
        "successRecordCount": job.counts.get("succeeded", 0),
        "errorRecordCount": job.counts.get("errored", 0),
    }
    if "clientRequestToken" in body:
        tree["clientRequestToken"] = body["clientRequestToken"]
    if job.ended:
        tree["endTime"] = moment(job.since)
    return tree | job.results


def region_of(headers: Mapping[str, str]) -> str:
    """The region that a request was signed for."""
    found = _SCOPE.search(headers.get("authorization", ""))
    return found["region"] if found else "us-east-1"


def account_of(body: Mapping[str, Any]) -> str:
    """The role's account."""
    found = _ROLE.fullmatch(str(body.get("roleArn")))
    return (found[2] if found else None) or _ACCOUNT


def place(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    found = _S3_URI.fullmatch(uri)
    if found is None:
        raise refusal(400, "s3Uri: expected s3://BUCKET/KEY")
    return found["bucket"], found["key"].lstrip("/")


def check_create(body: Mapping[str, Any]) -> None:
    """Refuse a create that the service would refuse."""
    for name, pattern, most in (("jobName", _JOB_NAME, _MAX_NAME), ("roleArn", _ROLE, 2048), ("modelId", re.compile(r"\S+"), 2048)):
        value = body.get(name)
        if not isinstance(value, str) or len(value) > most or not pattern.fullmatch(value):
            raise refusal(400, f"{name}: does not satisfy the constraint {pattern.pattern}, at most {most} characters")
    token = body.get("clientRequestToken")
    if token is not None and (not isinstance(token, str) or len(token) > _MAX_TOKEN or not _TOKEN.fullmatch(token)):
        raise refusal(400, "clientRequestToken: does not satisfy the constraint")
    hours = body.get("timeoutDurationInHours", LEAST_HOURS)
    if not isinstance(hours, int) or not LEAST_HOURS <= hours <= MOST_HOURS:
        raise refusal(400, f"timeoutDurationInHours: expected {LEAST_HOURS} to {MOST_HOURS}")
    if body.get("modelInvocationType", INVOKE) not in {INVOKE, CONVERSE}:
        raise refusal(400, f"modelInvocationType: expected {INVOKE} or {CONVERSE}")
    for outer, inner in (("inputDataConfig", "s3InputDataConfig"), ("outputDataConfig", "s3OutputDataConfig")):
        config = body.get(outer)
        config = config.get(inner) if isinstance(config, dict) else None
        place(str(config.get("s3Uri")) if isinstance(config, dict) else "")
