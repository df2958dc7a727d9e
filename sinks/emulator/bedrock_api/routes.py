"""The HTTP side of Bedrock's model invocation jobs, in botocore's restJson1 paths."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from secrets import choice
from string import ascii_lowercase, digits

from starlette.responses import JSONResponse, Response

from sinks.emulator.bedrock_api.provider import Limits
from sinks.emulator.bedrock_api.wire import (
    LEAST_HOURS,
    NAME,
    STATES,
    account_of,
    arn,
    check_create,
    job_object,
    moment,
    refusal,
    region_of,
)
from sinks.emulator.calls import CREATING, Call, Handler, bounded, cut, json_object
from sinks.emulator.clock import Clock
from sinks.emulator.course import Courses
from sinks.emulator.jobs import Job, JobStore, Tree
from sinks.emulator.views import not_lagging, shown_state, skew_s

_DEFAULT_PAGE, _MAX_PAGE = 100, 1000


class BedrockRoutes:
    """The handlers by operation. retention: the account's data-retention mode."""

    def __init__(self, jobs: JobStore, courses: Courses, clock: Clock, limits: Limits, *, retention: str) -> None:
        self._jobs, self._courses, self._clock, self._limits = jobs, courses, clock, limits
        self.handlers: Mapping[str, Handler] = {
            "bedrock.jobs.create": self.create,
            "bedrock.jobs.list": self.list_jobs,
            "bedrock.jobs.get": lambda call: JSONResponse(self._shown(self._job(call), call)),
            "bedrock.jobs.stop": self.stop,
            "bedrock.retention.get": lambda _call: JSONResponse({"mode": retention}),
            "bedrock.logging.get": lambda _call: JSONResponse({}),
        }

    def create(self, call: Call) -> Response:
        """POST /model-invocation-job. A token that was used before gives its job again, or a conflict for another body."""
        body = dict(json_object(call.body, refusal(400, "The request body is not valid JSON")))
        check_create(body)
        token, content = body.get("clientRequestToken"), _content_hash(body)
        with CREATING:
            earlier = next((job for job in self._jobs.newest_first(NAME) if token and job.asked["token"] == token), None)
            if earlier is not None and earlier.asked["content"] != content:
                raise refusal(400, "The client request token was used with other parameters", code="ConflictException")
            if earlier is not None:
                return JSONResponse({"jobArn": arn(earlier)})
            under_way = sum(not job.ended for job in self._jobs.newest_first(NAME))
            if under_way >= self._limits.jobs or call.planned("quota"):
                raise refusal(400, "Too many batch inference jobs are in progress", code="ServiceQuotaExceededException")
            asked = {"body": body, "token": token, "content": content, "region": region_of(call.headers), "account": account_of(body)}
            job = self._begin(call, asked)
            if call.planned("duplicate"):
                self._begin(call, asked, twin=True)
        return JSONResponse({"jobArn": arn(job)})

    def list_jobs(self, call: Call) -> Response:
        """GET /model-invocation-jobs."""
        wrong = refusal(400, f"maxResults: expected 1 to {_MAX_PAGE}")
        limit = bounded(call.query.get("maxResults", str(_DEFAULT_PAGE)), 1, _MAX_PAGE, wrong)
        jobs = [job for job in not_lagging(self._jobs.newest_first(NAME), call, self._clock) if _wanted(job, call)]
        if call.query.get("sortOrder") == "Ascending":
            jobs.reverse()
        data, more = cut([self._shown(job, call) for job in jobs], call, cursor=call.query.get("nextToken"), limit=limit)
        page: Tree = {"invocationJobSummaries": data}
        return JSONResponse(page | {"nextToken": data[-1]["jobArn"]} if more and data else page)

    def stop(self, call: Call) -> Response:
        """POST /model-invocation-job/ID/stop."""
        job = self._job(call)
        if job.ended:
            raise refusal(400, f"A job with the status {job.state} cannot be stopped", code="ConflictException")
        if not call.planned("ignored"):
            self._courses.cancel(job.job_id, race=call.planned("race") is not None)
        return JSONResponse({})

    def _begin(self, call: Call, asked: Tree, *, twin: bool = False) -> Job:
        now = self._clock.now()
        created_at = now + skew_s(call)
        job = Job(
            job_id="".join(choice(ascii_lowercase + digits) for _ in range(12)),
            provider=NAME,
            state=STATES[0],
            created_at=created_at,
            since=now,
            expires_at=created_at + asked["body"].get("timeoutDurationInHours", LEAST_HOURS) * 3600,
            asked=asked,
        )
        self._courses.begin(job, label=str(asked["token"] or asked["body"]["jobName"]), twin=twin)
        return job

    def _job(self, call: Call) -> Job:
        name = call.names["id"]
        job = self._jobs.find(NAME, name.rpartition("/")[2])
        if job is None or name not in {job.job_id, arn(job)} or call.planned("gone"):
            raise refusal(404, "The specified model invocation job was not found")
        return job

    def _shown(self, job: Job, call: Call) -> Tree:
        tree = job_object(replace(job, state=shown_state(call, job.state, STATES)))
        if skew := skew_s(call):
            tree["submitTime"] = moment(job.created_at + skew)
        return tree


def _wanted(job: Job, call: Call) -> bool:
    body, query = job.asked["body"], call.query
    return (
        query.get("nameContains", "") in body["jobName"]
        and query.get("statusEquals", job.state) == job.state
        and _time(query.get("submitTimeAfter"), 0.0) <= job.created_at < _time(query.get("submitTimeBefore"), float("inf"))
    )


def _time(text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise refusal(400, "expected a timestamp") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _content_hash(body: Tree) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
