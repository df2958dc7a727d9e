"""The official OpenAI SDK, held to what the endpoint registry says: Files + Batches, and nothing from the environment.

Invariants kept here:
- Nothing comes from the environment (invariant 8): the connection is `sinks/clients/connection.py`'s.
- One call sends one request. With its default of two retries the SDK sends up to three creates, without any idempotency key,
  when a connection drops after the provider has taken the first: three jobs, each paid. Retries are off for every call.
- Foreign exceptions end here: they quote response bodies (invariant 5).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from sinks.clients.connection import NO_KEY, OpenAIOptions, http_client
from sinks.errors import AmbiguousError, EndpointError, RejectedError

PAGE_SIZE = 100
_DOWNLOAD_CHUNK = 1 << 16

# A refusal at the door. 408, 409 and 429 are not among them: a proxy in between may say them after the provider has accepted.
_UNDECIDED_STATUS = frozenset({408, 409, 429})

# Ids and states go into the ledger, and ids into the paths of requests: what is neither is not repeated.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=-]{0,199}")
_STATE = re.compile(r"[A-Za-z_-]{1,40}")
UNKNOWN_STATE = "unknown"

Answer = TypeVar("Answer")


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

        for name in ("openai", "httpx2", "httpcore2"):  # OPENAI_LOG=debug must not make these talkative (invariant 5)
            logging.getLogger(name).setLevel(logging.WARNING)
        self.name = options.name
        self._sdk = openai
        self._client = openai.OpenAI(
            api_key=options.api_key or NO_KEY,  # an empty key would let the SDK look for one in the environment
            base_url=options.base_url,
            http_client=http_client(options),
            max_retries=0,
            timeout=options.timeout_s,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def upload(self, name: str, content: bytes, *, expires_after_s: int = 0) -> str:
        """Upload a batch input file and return its id. Raises RejectedError or AmbiguousError, like `create`."""
        extra: dict[str, Any] = {"expires_after": {"anchor": "created_at", "seconds": expires_after_s}} if expires_after_s else {}
        file = self._send(lambda: self._client.files.create(file=(name, content, "application/jsonl"), purpose="batch", **extra))
        return _identity(file)

    def create(self, file_id: str, *, url: str, metadata: Mapping[str, str], expires_after_s: int = 0) -> str:
        """Create the batch, once, and return its id. Raises RejectedError on a definite refusal, AmbiguousError on anything unclear."""
        extra: dict[str, Any] = {"output_expires_after": {"anchor": "created_at", "seconds": expires_after_s}} if expires_after_s else {}
        create: Any = self._client.batches.create  # servers with the same API may want a path that the SDK's literals lack
        return _identity(
            self._send(lambda: create(input_file_id=file_id, endpoint=url, completion_window="24h", metadata=dict(metadata), **extra))
        )

    def batch(self, job_id: str) -> BatchJob:
        """The batch now. A batch that is gone means the wrong account or project: an EndpointError, never a reason to resend."""
        return _batch_job(self._ask("batch", lambda: self._client.batches.retrieve(job_id)), self.name)

    def cancel(self, job_id: str) -> None:
        """Ask the provider to stop a batch."""
        self._ask("cancel", lambda: self._client.batches.cancel(job_id))

    def batch_page(self, after: str | None) -> tuple[list[BatchJob], bool]:
        """One page of the account's batches, and whether there are more."""
        extra: dict[str, Any] = {"after": after} if after else {}
        page = self._ask("batches", lambda: self._client.batches.list(limit=PAGE_SIZE, **extra))
        return [_batch_job(item, self.name) for item in _items(page, self.name)], bool(getattr(page, "has_more", False))

    def files_named(self, name: str) -> list[str]:
        """Ids of the account's batch input files with this name."""
        found: list[str] = []
        seen: set[str] = set()
        after: str | None = None
        more = True
        while more:
            files, more = self._file_page(after)
            found += [identity for identity, filename in files if filename == name and identity not in seen]
            more = more and any(identity not in seen for identity, _ in files)
            seen.update(identity for identity, _ in files)
            after = files[-1][0] if files else None
        return found

    def _file_page(self, after: str | None) -> tuple[list[tuple[str, str]], bool]:
        extra: dict[str, Any] = {"after": after} if after else {}
        page = self._ask("files", lambda: self._client.files.list(purpose="batch", limit=PAGE_SIZE, **extra))
        files = [(str(item.id), str(getattr(item, "filename", ""))) for item in _items(page, self.name)]
        return files, bool(getattr(page, "has_more", False))

    def download(self, file_id: str, target: IO[bytes]) -> int:
        """Stream a file's content into `target`; returns its length. A body shorter than announced is an EndpointError."""

        def stream() -> int:
            length = 0
            with self._client.files.with_streaming_response.content(file_id) as response:
                for chunk in response.iter_bytes(_DOWNLOAD_CHUNK):
                    length += target.write(chunk)
            return length

        return self._ask("content", stream)

    def delete_file(self, file_id: str) -> bool:
        """Delete a file; False when it was gone already."""
        try:
            self._client.files.delete(file_id)
        except self._sdk.NotFoundError:
            return False
        except (self._sdk.OpenAIError, ValueError) as error:
            raise self._unusable("delete", error) from None
        return True

    def _send(self, call: Callable[[], Answer]) -> Answer:
        """A request that makes something at the provider: refused, done, or nobody knows."""
        try:
            return call()
        except self._sdk.APIStatusError as error:
            status = error.status_code
            if 400 <= status < 500 and status not in _UNDECIDED_STATUS:  # noqa: PLR2004 - the HTTP client-error range
                raise RejectedError(f"http_{status}") from None
            raise AmbiguousError(f"http_{status}") from None
        except self._sdk.APITimeoutError:
            raise AmbiguousError("timeout") from None
        except self._sdk.APIConnectionError as error:
            if _never_connected(error):
                raise RejectedError("unreachable") from None
            raise AmbiguousError("connection_lost") from None
        except (self._sdk.OpenAIError, ValueError):  # ValueError: not JSON, whatever its content type said
            raise AmbiguousError("bad_response") from None

    def _ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        """A request that only reads or removes: any failure is one of the endpoint, to be tried again later."""
        import httpx2  # noqa: PLC0415 - as the SDK: while a body is streamed its errors come unwrapped

        try:
            return call()
        except (self._sdk.OpenAIError, httpx2.HTTPError, ValueError) as error:
            raise self._unusable(what, error) from None

    def _unusable(self, what: str, error: Exception) -> EndpointError:
        status = getattr(error, "status_code", None)
        if isinstance(error, self._sdk.NotFoundError) and what == "batch":
            return EndpointError(
                f"endpoint {self.name}: the batch is gone, which means another account or project; check the endpoint's secret"
            )
        reason = f"HTTP {status}" if status else type(error).__name__
        return EndpointError(f"endpoint {self.name}: no usable answer to {what!r} ({reason}); run again when it is reachable")


def _never_connected(error: BaseException) -> bool:
    """Whether the connection was never made: then no byte of the request has left, and nothing runs."""
    import httpx2  # noqa: PLC0415

    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.UnsupportedProtocol)


def _identity(answer: object) -> str:
    """The id in an answer to a create. A login page with status 200 has none: nobody knows what happened behind it."""
    identity = getattr(answer, "id", None)
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise AmbiguousError("bad_response")
    return identity


def _items(page: Any, name: str) -> Iterator[Any]:
    items = getattr(page, "data", None)
    if not isinstance(items, list):
        msg = f"endpoint {name}: a listing came back in another form; is base_url the API's root, ending in /v1?"
        raise EndpointError(msg)
    return iter(items)


def _batch_job(batch: Any, name: str) -> BatchJob:
    """Our view of a batch. Servers differ: file ids may be None or empty, counts and metadata absent, states of their own."""
    identity = getattr(batch, "id", None)
    state = getattr(batch, "status", None)
    if not isinstance(identity, str) or not _ID.fullmatch(identity) or not isinstance(state, str):
        msg = f"endpoint {name}: a batch came back without id or status; is base_url the API's root, ending in /v1?"
        raise EndpointError(msg)
    counts = getattr(batch, "request_counts", None)
    files = (getattr(batch, "output_file_id", None), getattr(batch, "error_file_id", None))
    return BatchJob(
        job_id=identity,
        state=state if _STATE.fullmatch(state) else UNKNOWN_STATE,
        created_at=_seconds(getattr(batch, "created_at", None)),
        input_file_id=str(getattr(batch, "input_file_id", None) or ""),
        file_ids=tuple(dict.fromkeys(file_id for file_id in files if isinstance(file_id, str) and file_id)),
        metadata=dict(getattr(batch, "metadata", None) or {}),
        total=getattr(counts, "total", None),
        completed=getattr(counts, "completed", None),
        failed=getattr(counts, "failed", None),
    )


def _seconds(value: object) -> int:
    """A time since the epoch; 0 where a server gives none that can be read."""
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**40 else 0
