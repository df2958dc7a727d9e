"""The official OpenAI SDK, held to what the endpoint registry says: Files + Batches, and nothing from the environment.

Invariants kept here:
- Nothing comes from the environment (invariant 8): the connection is `sinks/clients/connection.py`'s.
- One call sends one request. With its default of two retries the SDK sends up to three creates, without any idempotency key,
  when a connection drops after the provider has taken the first: three jobs, each paid. Retries are off for every call.
- Foreign exceptions end here: they quote response bodies (invariant 5).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from sinks.clients.calls import BATCH, DOWNLOAD_CHUNK, Calls, GoneError, count_of, id_and_state, identity_of, items_of, more_of, quiet
from sinks.clients.connection import NO_KEY, OpenAIOptions, http_client
from sinks.clients.provider_clock import ProviderClock
from sinks.errors import EndpointError, RejectedError

PAGE_SIZE = 100
INPUTS, OUTPUTS = "batch", "batch_output"
"""The purposes of files that batches read and write."""
READY_S, READY_POLL_S = 600.0, 1.0
"""How long an upload may take to become usable, and how often it is looked at."""

_PREPARING = frozenset({"pending", "running", "notrunning", "queued", "importing", "processing"})
_UNUSABLE = frozenset({"error", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """A provider's batch, in the few words that matter here. state is the provider's own."""

    job_id: str
    state: str
    created_at: int
    input_file_id: str
    file_ids: tuple[str, ...]
    metadata: Mapping[str, str]
    total: int | None
    completed: int | None
    failed: int | None


class OpenAIBatches:
    """Files + Batches of one endpoint."""

    def __init__(self, options: OpenAIOptions) -> None:
        import openai  # noqa: PLC0415 - half a second of imports that `waybill --help` must not pay

        quiet("openai", "httpx2", "httpcore2")  # whatever OPENAI_LOG says
        self.name = options.name
        self.clock = ProviderClock()
        self._calls = Calls(options.name, openai, openai.OpenAIError)
        self._client = openai.OpenAI(
            api_key=options.api_key or NO_KEY,  # an empty key would let the SDK look for one in the environment
            base_url=options.base_url,
            http_client=http_client(options, clock=self.clock),
            max_retries=0,
            timeout=options.timeout_s,
            default_query={"api-version": options.api_version} if options.api_version else None,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def upload(self, name: str, content: bytes, *, expires_after_s: int = 0) -> str:
        """Upload a batch input file and return its id, once it can be used. Raises RejectedError or AmbiguousError, like `create`."""
        extra: dict[str, Any] = {"expires_after": {"anchor": "created_at", "seconds": expires_after_s}} if expires_after_s else {}
        file = self._calls.send(lambda: self._client.files.create(file=(name, content, "application/jsonl"), purpose="batch", **extra))
        identity = identity_of(file)
        self._wait_until_read(identity, file)
        return identity

    def _wait_until_read(self, file_id: str, file: object) -> None:
        """Azure reads an upload before a batch may be made of it. One that is not ready in time is for the create to refuse."""
        until = time.monotonic() + READY_S
        while (state := str(getattr(file, "status", "")).lower()) in _PREPARING and time.monotonic() < until:
            time.sleep(READY_POLL_S)
            try:
                file = self._calls.ask("file", lambda: self._client.files.retrieve(file_id))
            except EndpointError:
                return
        if state in _UNUSABLE:
            with contextlib.suppress(EndpointError):
                self.delete_file(file_id)
            raise RejectedError("file_refused")

    def create(self, file_id: str, *, url: str, metadata: Mapping[str, str], expires_after_s: int = 0) -> str:
        """Create the batch, once, and return its id. Raises RejectedError on a definite refusal, AmbiguousError on anything unclear."""
        extra: dict[str, Any] = {"output_expires_after": {"anchor": "created_at", "seconds": expires_after_s}} if expires_after_s else {}
        create: Any = self._client.batches.create  # servers with the same API may want a path that the SDK's literals lack
        return identity_of(
            self._calls.send(lambda: create(input_file_id=file_id, endpoint=url, completion_window="24h", metadata=dict(metadata), **extra))
        )

    def batch(self, job_id: str) -> BatchJob:
        """The batch now. A batch that is gone means the wrong account or project: an EndpointError, never a reason to resend."""
        return _batch_job(self._calls.ask(BATCH, lambda: self._client.batches.retrieve(job_id)), self.name)

    def cancel(self, job_id: str) -> None:
        """Ask the provider to stop a batch."""
        self._calls.ask("cancel", lambda: self._client.batches.cancel(job_id))

    def batch_page(self, after: str | None) -> tuple[list[BatchJob], bool | None]:
        """One page of the account's batches, and whether there are more; None where the server does not say."""
        extra: dict[str, Any] = {"after": after} if after else {}
        page = self._calls.ask("batches", lambda: self._client.batches.list(limit=PAGE_SIZE, **extra))
        return [_batch_job(item, self.name) for item in items_of(page, self.name)], more_of(page)

    def files_named(self, name: str) -> list[str]:
        """Ids of the account's batch input files with this name."""
        return [identity for identity, filename in self.files() if filename == name]

    def files(self, purpose: str = INPUTS) -> Iterator[tuple[str, str]]:
        """Ids and names of the account's files of this purpose, each once."""
        seen: set[str] = set()
        after: str | None = None
        more: bool | None = True
        while more is not False:
            files, more = self._file_page(after, purpose)
            fresh = dict(file for file in files if file[0] not in seen)
            yield from fresh.items()
            if not fresh:
                return
            seen.update(fresh)
            after = files[-1][0] if files else None

    def file_name(self, file_id: str) -> str | None:
        """What a file is called; None when it is gone."""
        names: list[str] = []
        there = self._calls.remove("file", lambda: names.append(_name(self._client.files.retrieve(file_id))))
        return names[0] if there else None

    def _file_page(self, after: str | None, purpose: str) -> tuple[list[tuple[str, str]], bool | None]:
        extra: dict[str, Any] = {"after": after} if after else {}
        page = self._calls.ask("files", lambda: self._client.files.list(purpose=purpose, limit=PAGE_SIZE, **extra))
        found = [(getattr(item, "id", None), _name(item)) for item in items_of(page, self.name)]
        return [(identity, name) for identity, name in found if isinstance(identity, str) and identity], more_of(page)

    def download(self, file_id: str, target: IO[bytes]) -> int | None:
        """Stream a file's content into `target`; returns its length. A body shorter than announced is an EndpointError.

        None when the time that it is kept for is over: both its content and the file itself are said to be gone.
        """

        def stream() -> int:
            length = 0
            with self._client.files.with_streaming_response.content(file_id) as response:
                for chunk in response.iter_bytes(DOWNLOAD_CHUNK):
                    length += target.write(chunk)
            return length

        try:
            return self._calls.ask("content", stream)
        except GoneError:
            if self.file_name(file_id) is not None:
                raise
            return None

    def delete_file(self, file_id: str) -> bool:
        """Delete a file; False when it was gone already."""
        return self._calls.remove("delete", lambda: self._client.files.delete(file_id))


def _batch_job(batch: Any, name: str) -> BatchJob:
    """Our view of a batch. Servers differ: file ids may be None or empty, counts and metadata absent, states of their own."""
    identity, state = id_and_state(batch, getattr(batch, "status", None), name)
    counts = getattr(batch, "request_counts", None)
    files = (getattr(batch, "output_file_id", None), getattr(batch, "error_file_id", None))
    metadata = getattr(batch, "metadata", None)
    return BatchJob(
        job_id=identity,
        state=state,
        created_at=_seconds(getattr(batch, "created_at", None)),
        input_file_id=str(getattr(batch, "input_file_id", None) or ""),
        file_ids=tuple(dict.fromkeys(file_id for file_id in files if isinstance(file_id, str) and file_id)),
        metadata={str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, Mapping) else {},
        total=count_of(getattr(counts, "total", None)),
        completed=count_of(getattr(counts, "completed", None)),
        failed=count_of(getattr(counts, "failed", None)),
    )


def _name(file: object) -> str:
    """What a file is called; empty where the server does not say."""
    name = getattr(file, "filename", None)
    return name if isinstance(name, str) else ""


def _seconds(value: object) -> int:
    """A time since the epoch; 0 where a server gives none that can be read."""
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**37 else 0
