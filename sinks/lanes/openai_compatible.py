"""The local lane over a server that already runs inside: vLLM serve, Ollama, llama.cpp's server. Rows and answers lie in the spool.

Invariants kept here:
- Local means local (8): the client resolves and checks the address on every connection and follows no redirect.
- What is scanned is what is sent (2): the gate looks at each part by itself; the wire form made of a checked row only joins the parts of
  a message, as the template has them (some servers would put line breaks between content elements, others take no elements at all),
  and puts a space into what looks like a control token in a record's part (`control_tokens`).
- A server inside costs nothing per call, so a job that was interrupted goes on by itself: rows that have an answer are not asked again.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from policies.model import Endpoint
from sinks import durable
from sinks.clients.chat_client import ChatServer
from sinks.egress import redeem
from sinks.errors import EndpointError, RejectedError
from sinks.lanes import Sought
from sinks.lanes.chat_body import chat_body
from sinks.lanes.chat_documents import ChatOptions
from sinks.lanes.chat_job import ChatJob
from sinks.lanes.spool_results import decode_results
from sinks.request import Message, Prompt, TaskKind
from sinks.shard import ClearedShard, JobStatus, LaneResult

ENGINE_UNAVAILABLE = "engine_unavailable"

_SUFFIXES = ("in.jsonl", "out.jsonl")


class OpenAICompatibleLane:
    """A server with `POST /chat/completions`.

    Endpoint settings: `max_model_len`, the server's context in tokens, mandatory because a server may cut what is too long without a
    word (Ollama does); `bytes_per_token`, the least that a token of a record stands for, because no tokenizer is asked (default 3 to
    summarize, and 1, which no text undercuts, to extract); `concurrency` (requests at a time, default 16); `timeout_s`;
    `strict_schema`; `logprobs` (false where the server refuses them); `local_networks`.
    """

    isolation = ""

    def __init__(self, server: ChatServer, spool: Path, endpoint: Endpoint, *, salt: str) -> None:
        self._server, self._spool = server, spool
        self._options = ChatOptions.of(endpoint, salt)
        self._jobs: dict[str, ChatJob] = {}
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(self._options.concurrency)
        self._down = False

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """A chat completion. Every part is a content element of its own, with the name of its slot."""
        body = chat_body(messages, prompt, endpoint)
        if prompt.kind is TaskKind.EXTRACT and prompt.schema is not None:
            strict = bool(endpoint.settings.get("strict_schema", True))
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "extraction", "strict": strict, "schema": dict(prompt.schema)},
            }
        if endpoint.settings.get("logprobs", True):
            body["logprobs"] = True
        return body

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:  # noqa: ARG002 - the protocol's signature
        """One line of the shard file."""
        return {"custom_id": row_id, "body": body}

    def hand_over(self, shard: ClearedShard) -> str:
        """See that the server is there, put the checked rows into the spool and begin. The intent id is the job id."""
        redeem(shard)
        if self._down:
            raise RejectedError(ENGINE_UNAVAILABLE)
        self._server.check()
        try:
            self._spool.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
            durable.replace(self._path(shard.intent_id, "in.jsonl"), shard.content, mode=durable.PRIVATE_FILE)
            self._job(shard.intent_id)
        except OSError:
            self._path(shard.intent_id, "in.jsonl").unlink(missing_ok=True)  # else a later look would find a job that was refused
            raise RejectedError("spool_unwritable") from None
        return shard.intent_id

    def find(self, sought: Sought) -> Sequence[str]:
        """The intent itself once its rows lie in the spool: `poll` goes on with it."""
        return [sought.intent_id] if self._path(sought.intent_id, "in.jsonl").exists() else []

    def poll(self, provider_job_id: str) -> JobStatus:
        """How far the job is. One that an earlier process left is taken up where it stood."""
        if not self._path(provider_job_id, "in.jsonl").exists():
            return JobStatus(provider_job_id=provider_job_id, state="absent", ended=False)
        try:
            job = self._job(provider_job_id)
        except OSError as error:
            raise EndpointError(f"openai_compatible: the spool cannot be used ({error.strerror}); free the disk or check it") from None
        state = job.state
        self._down = self._down or state == "failed"
        answered, failed = job.counts
        return JobStatus(
            provider_job_id=provider_job_id,
            state=state,
            ended=state != "running",
            total=job.total,
            completed=answered - failed,
            failed=failed,
        )

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """The answers in the order of the rows; a row that the server did not stay long enough for goes back."""
        path = self._path(provider_job_id, "in.jsonl")
        if not path.exists():
            raise EndpointError(f"openai_compatible: job {provider_job_id} is not in the spool; its records need a new attempt")
        out = self._path(provider_job_id, "out.jsonl")
        answers = {result.row_id: result for result in decode_results(out)} if out.exists() else {}
        with path.open("rb") as rows:
            for line in rows:
                row_id = json.loads(line)["custom_id"]
                yield answers.get(row_id) or LaneResult(row_id=row_id, error_code=ENGINE_UNAVAILABLE)

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Stop the job, if it runs, and delete its files."""
        self.cancel(provider_job_id)
        paths = [path for suffix in _SUFFIXES if (path := self._path(provider_job_id, suffix)).exists()]
        for path in paths:
            path.unlink(missing_ok=True)
        return [path.name for path in paths]

    def cancel(self, provider_job_id: str) -> None:
        """Ask no more; what is under way ends first."""
        with self._lock:
            job = self._jobs.pop(provider_job_id, None)
        if job is not None:
            job.stop()

    def close(self) -> None:
        """Stop every job; the next run goes on with them."""
        with self._lock:
            jobs = list(self._jobs.values())
            self._jobs.clear()
        for job in jobs:
            job.stop()
        with contextlib.suppress(OSError):
            self._server.close()

    def _job(self, job_id: str) -> ChatJob:
        with self._lock:
            if job_id not in self._jobs:
                rows, out = self._path(job_id, "in.jsonl"), self._path(job_id, "out.jsonl")
                self._jobs[job_id] = ChatJob(self._server, self._options, rows=rows, answers=out, turns=self._turns)
            return self._jobs[job_id]

    def _path(self, job_id: str, suffix: str) -> Path:
        return self._spool / f"{job_id}.{suffix}"
