"""The HTTP side of Anthropic's Message Batches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from secrets import token_hex
from typing import Any

from starlette.responses import JSONResponse, Response

from sinks.emulator.anthropic_api.provider import AnthropicBatches
from sinks.emulator.anthropic_api.wire import (
    EXPIRES_S,
    IN_PROGRESS,
    MAX_BYTES,
    MAX_REQUESTS,
    NAME,
    RESULTS_KEPT_S,
    batch_object,
    list_object,
    moment,
    refusal,
)
from sinks.emulator.calls import Call, Handler, bounded, cut, json_object
from sinks.emulator.clock import Clock
from sinks.emulator.course import Courses
from sinks.emulator.downloads import download
from sinks.emulator.jobs import Job, JobStore, Tree
from sinks.emulator.views import not_lagging, shown_state, skew_s

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DEFAULT_PAGE, _MAX_PAGE = 20, 1000


class AnthropicRoutes:
    """The handlers by operation."""

    def __init__(self, jobs: JobStore, courses: Courses, batches: AnthropicBatches, clock: Clock) -> None:
        self._jobs, self._courses, self._batches, self._clock = jobs, courses, batches, clock
        self.handlers: Mapping[str, Handler] = {
            "anthropic.batches.create": self.create,
            "anthropic.batches.list": self.list_batches,
            "anthropic.batches.retrieve": self.retrieve,
            "anthropic.batches.cancel": self.cancel,
            "anthropic.batches.results": self.results,
            "anthropic.batches.delete": self.delete,
        }

    def create(self, call: Call) -> Response:
        """POST /v1/messages/batches."""
        if len(call.body) > MAX_BYTES:
            raise refusal(413, "Request exceeds the maximum size")
        requests = _requests(json_object(call.body, refusal(400, "The request body is not valid JSON")))
        if call.planned("quota"):
            raise refusal(429, "This request would exceed the number of batch requests that your organization may have in processing")
        shown = self._begin(call, requests)
        if call.planned("duplicate"):
            self._begin(call, requests, twin=True)
        return JSONResponse(shown)

    def list_batches(self, call: Call) -> Response:
        """GET /v1/messages/batches, newest first. after_id: the page that follows; before_id: the one before."""
        wrong = refusal(400, f"limit: Input should be an integer from 1 to {_MAX_PAGE}")
        limit = bounded(call.query.get("limit", str(_DEFAULT_PAGE)), 1, _MAX_PAGE, wrong)
        items = [self._shown(job, call) for job in not_lagging(self._jobs.newest_first(NAME), call, self._clock)]
        before = call.query.get("before_id")
        if before is not None:
            newer = items[: next((index for index, item in enumerate(items) if item["id"] == before), 0)]
            return JSONResponse(list_object(newer[-limit:], has_more=len(newer) > limit))
        data, more = cut(items, call, cursor=call.query.get("after_id"), limit=limit)
        return JSONResponse(list_object(data, has_more=more))

    def retrieve(self, call: Call) -> Response:
        """GET /v1/messages/batches/ID."""
        return JSONResponse(self._shown(self._job(call), call))

    def cancel(self, call: Call) -> Response:
        """POST /v1/messages/batches/ID/cancel."""
        job = self._job(call)
        if job.ended:
            raise refusal(400, "The batch has already ended and cannot be canceled")
        if not call.planned("ignored"):
            job = self._courses.cancel(job.job_id, race=call.planned("race") is not None)
        return JSONResponse(self._shown(job, call))

    def results(self, call: Call) -> Response:
        """GET /v1/messages/batches/ID/results."""
        job = self._job(call)
        if not job.ended:
            raise refusal(404, "The results of this batch are not available yet")
        if call.planned("gone") or job.notes.get("archived") or self._clock.now() >= job.created_at + RESULTS_KEPT_S:
            raise refusal(404, "The results of this batch are no longer available")
        if call.planned("retention"):
            self._jobs.change(job.job_id, lambda job: replace(job, notes=job.notes | {"archived": True}))
        return download(call, self._batches.results(job.job_id), media_type="application/x-jsonl")

    def delete(self, call: Call) -> Response:
        """DELETE /v1/messages/batches/ID."""
        job = self._job(call)
        if not job.ended:
            raise refusal(400, "A batch that is in progress cannot be deleted: cancel it first")
        self._jobs.remove(job.job_id)
        self._batches.remove(job.job_id)
        return JSONResponse({"id": job.job_id, "type": "message_batch_deleted"})

    def _begin(self, call: Call, requests: list[Tree], *, twin: bool = False) -> Tree:
        now = self._clock.now() + skew_s(call)
        job_id = f"msgbatch_{token_hex(12)}"
        self._batches.keep_requests(job_id, requests)
        job = Job(
            job_id=job_id,
            provider=NAME,
            state=IN_PROGRESS,
            created_at=now,
            since=self._clock.now(),
            expires_at=now + EXPIRES_S,
            total=len(requests),
            asked={"version": call.headers["anthropic-version"]},
        )
        shown = batch_object(job, call.base)
        self._courses.begin(job, label=str(requests[0]["custom_id"]).rpartition("-")[0], twin=twin)
        return shown

    def _job(self, call: Call) -> Job:
        job = self._jobs.find(NAME, call.names["id"])
        if job is None or (call.planned("gone") and not call.operation.endswith(".results")):
            raise refusal(404, "No message batch has this id")
        return job

    def _shown(self, job: Job, call: Call) -> Tree:
        tree = batch_object(job, call.base, now=self._clock.now())
        tree["processing_status"] = shown_state(call, tree["processing_status"], (IN_PROGRESS,))
        if (skew := skew_s(call)) and not call.operation.endswith(".create"):
            tree["created_at"], tree["expires_at"] = moment(job.created_at + skew), moment(job.created_at + skew + EXPIRES_S)
        return tree


def _requests(asked: Mapping[str, Any]) -> list[Tree]:
    requests = asked.get("requests")
    if not isinstance(requests, list) or not requests:
        raise refusal(400, "requests: at least one request is required")
    if len(requests) > MAX_REQUESTS:
        raise refusal(413, f"requests: at most {MAX_REQUESTS} requests are allowed")
    seen: set[str] = set()
    for index, request in enumerate(requests):
        custom_id = request.get("custom_id") if isinstance(request, dict) else None
        if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
            raise refusal(400, f"requests.{index}.custom_id: expected 1 to 64 characters of a-z, A-Z, 0-9, _ and -")
        if custom_id in seen:
            raise refusal(400, f"requests.{index}.custom_id: used by an earlier request")
        if not isinstance(request.get("params"), dict):
            raise refusal(400, f"requests.{index}.params: Field required")
        seen.add(custom_id)
    return requests
