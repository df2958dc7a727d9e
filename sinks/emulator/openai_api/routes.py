"""The HTTP side of OpenAI's Files and Batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from secrets import token_hex

from starlette.responses import JSONResponse, Response

from sinks.emulator.calls import Call, Handler, WireError, bounded, cut, json_object
from sinks.emulator.clock import Clock
from sinks.emulator.course import Courses
from sinks.emulator.downloads import download
from sinks.emulator.jobs import Job, JobStore, Tree
from sinks.emulator.openai_api.files import FileStore
from sinks.emulator.openai_api.multipart import parse_form
from sinks.emulator.openai_api.provider import Dialect
from sinks.emulator.openai_api.wire import (
    BATCH_FILE_EXPIRES_S,
    CHAT_URLS,
    COMPLETION_WINDOW_S,
    MAX_FILE_BYTES,
    NAME,
    STATES,
    batch_object,
    list_object,
    refusal,
)
from sinks.emulator.views import not_lagging, shown_state, skew_s

_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
_MIN_EXPIRES_S, _MAX_EXPIRES_S = 3600, 30 * 24 * 3600
_DEFAULT_BATCHES, _MAX_BATCHES, _MAX_FILES = 20, 100, 10_000


class OpenAIRoutes:
    """The handlers by operation."""

    def __init__(self, jobs: JobStore, courses: Courses, files: FileStore, clock: Clock, dialect: Dialect) -> None:
        self._jobs, self._courses, self._files, self._clock, self._dialect = jobs, courses, files, clock, dialect
        self.handlers: Mapping[str, Handler] = {
            "openai.files.create": self.create_file,
            "openai.files.list": self.list_files,
            "openai.files.retrieve": lambda call: JSONResponse(self._files.file(call.names["id"])),
            "openai.files.delete": lambda call: JSONResponse(self._files.delete(call.names["id"])),
            "openai.files.content": self.content,
            "openai.batches.create": self.create,
            "openai.batches.list": self.list_batches,
            "openai.batches.retrieve": self.retrieve,
            "openai.batches.cancel": self.cancel,
        }

    def create_file(self, call: Call) -> Response:
        """POST /v1/files."""
        form = parse_form(call.headers.get("content-type", ""), call.body)
        if "file" not in form or "purpose" not in form:
            raise refusal(400, "'file' and 'purpose' are required properties", code="missing_required_parameter")
        upload, purpose = form["file"], form["purpose"].content.decode("ascii", "replace")
        if purpose != "batch":
            raise refusal(400, "this provider keeps files with the purpose 'batch' only", param="purpose")
        if len(upload.content) > MAX_FILE_BYTES:
            raise refusal(413, "the file is larger than 200 MB", code="file_too_large", param="file")
        expires = form.get("expires_after[seconds]")
        expires_s = _expires(expires.content.decode("ascii", "replace"), "expires_after.seconds") if expires else BATCH_FILE_EXPIRES_S
        return JSONResponse(self._files.add(upload.content, name=upload.file_name, purpose=purpose, expires_s=expires_s))

    def list_files(self, call: Call) -> Response:
        """GET /v1/files."""
        purpose = call.query.get("purpose")
        files = [shown for shown in self._files.newest_first() if purpose in {None, shown["purpose"]}]
        if call.query.get("order") == "asc":
            files.reverse()
        data, more = cut(files, call, cursor=call.query.get("after"), limit=_limit(call, _MAX_FILES, _MAX_FILES))
        return JSONResponse(list_object(data, has_more=more))

    def content(self, call: Call) -> Response:
        """GET /v1/files/ID/content."""
        file_id = call.names["id"]
        if call.planned("gone"):
            raise refusal(404, "No such File object", param="id")
        content = self._files.content(file_id)
        if call.planned("retention"):
            self._files.delete(file_id)
        return download(call, content, media_type="application/octet-stream")

    def create(self, call: Call) -> Response:
        """POST /v1/batches."""
        asked = json_object(call.body, refusal(400, "We could not parse the JSON body of your request."))
        if asked.get("completion_window") != "24h":
            raise refusal(400, "completion_window must be '24h'", param="completion_window")
        if asked.get("endpoint") not in CHAT_URLS:
            raise refusal(400, f"this provider runs {' and '.join(sorted(CHAT_URLS))} only", param="endpoint")
        kept: Tree = {
            "endpoint": asked["endpoint"],
            "input_file_id": self._files.file(str(asked.get("input_file_id")))["id"],
            "metadata": _metadata(asked.get("metadata")),
            "output_expires_s": _output_expires(asked.get("output_expires_after")),
        }
        if call.planned("quota"):
            raise refusal(429, "Enqueued token limit reached for this model in the organization.", code="token_limit_exceeded")
        shown = self._begin(call, kept)
        if call.planned("duplicate"):
            self._begin(call, kept, twin=True)
        return JSONResponse(shown)

    def list_batches(self, call: Call) -> Response:
        """GET /v1/batches."""
        items = [self._shown(job, call) for job in not_lagging(self._jobs.newest_first(NAME), call, self._clock)]
        if self._dialect.oldest_first:
            items.reverse()
        data, more = cut(items, call, cursor=call.query.get("after"), limit=_limit(call, _DEFAULT_BATCHES, _MAX_BATCHES))
        return JSONResponse(list_object(data, has_more=more))

    def retrieve(self, call: Call) -> Response:
        """GET /v1/batches/ID."""
        return JSONResponse(self._shown(self._job(call), call))

    def cancel(self, call: Call) -> Response:
        """POST /v1/batches/ID/cancel."""
        job = self._job(call)
        if job.ended:
            raise refusal(409, f"Cannot cancel a batch with status '{job.state}'.")
        if not call.planned("ignored"):
            job = self._courses.cancel(job.job_id, race=call.planned("race") is not None)
        return JSONResponse(self._shown(job, call))

    def _begin(self, call: Call, asked: Tree, *, twin: bool = False) -> Tree:
        now = self._clock.now()
        created_at = now + skew_s(call)
        job = Job(
            job_id=f"batch_{token_hex(16)}",
            provider=NAME,
            state=STATES[0],
            created_at=created_at,
            since=now,
            expires_at=None if self._dialect.no_expiry else created_at + COMPLETION_WINDOW_S,
            asked=asked,
        )
        shown = self._shown(job, replace(call, fault=None))
        self._courses.begin(job, label=str((asked["metadata"] or {}).get("intent", "")), twin=twin)
        return shown

    def _job(self, call: Call) -> Job:
        job = self._jobs.find(NAME, call.names["id"])
        if job is None or call.planned("gone"):
            raise refusal(404, "No batch found with this id", param="batch_id")
        return job

    def _shown(self, job: Job, call: Call) -> Tree:
        tree = batch_object(job)
        if self._dialect.no_metadata:
            tree["metadata"] = None
        if self._dialect.scheduling and job.state == STATES[0]:
            tree["status"] = "scheduling"
        if self._dialect.empty_id:
            tree |= {name: tree[name] or "" for name in ("output_file_id", "error_file_id")}
        tree["status"] = shown_state(call, tree["status"], STATES)
        if (skew := int(skew_s(call))) and not call.operation.endswith(".create"):
            tree["created_at"] += skew
        return tree


def _metadata(metadata: object) -> dict[str, str] | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or len(metadata) > _MAX_PAIRS:
        raise refusal(400, "metadata must be an object of at most 16 pairs", param="metadata")
    if not all(isinstance(value, str) and len(key) <= _MAX_KEY and len(value) <= _MAX_VALUE for key, value in metadata.items()):
        raise refusal(400, "metadata keys have at most 64 characters, values are strings of at most 512", param="metadata")
    return metadata


def _output_expires(asked: object) -> int | None:
    if asked is None:
        return None
    seconds = asked.get("seconds") if isinstance(asked, dict) else None
    return _expires(str(seconds), "output_expires_after.seconds")


def _expires(seconds: str, param: str) -> int:
    return bounded(seconds, _MIN_EXPIRES_S, _MAX_EXPIRES_S, _out_of_bounds(param, _MIN_EXPIRES_S, _MAX_EXPIRES_S))


def _limit(call: Call, default: int, most: int) -> int:
    return bounded(call.query.get("limit", str(default)), 1, most, _out_of_bounds("limit", 1, most))


def _out_of_bounds(param: str, least: int, most: int) -> WireError:
    return refusal(400, f"{param} must be an integer from {least} to {most}", param=param)
