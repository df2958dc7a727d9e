"""The official Anthropic SDK, held to what the endpoint registry says: Message Batches, and nothing from the environment.

Invariants kept here:
- Nothing comes from the environment (invariant 8): the connection is `sinks/clients/connection.py`'s, the key is always given, so that the
  SDK looks for no other, and its tracing, which would read more variables and can copy requests, is off.
- One call sends one request. The API knows neither an idempotency key nor metadata, and with its default of two retries the SDK sends up
  to three creates when a connection drops after the provider has taken the first. Retries are off for every call.
- The bytes of a create are the gate's (invariant 2): rows are joined, never parsed and written again.
- Foreign exceptions end here: they quote response bodies (invariant 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from urllib.parse import quote

from sinks.clients.calls import BATCH, DOWNLOAD_CHUNK, Calls, count_of, id_and_state, identity_of, items_of, more_of, quiet
from sinks.clients.connection import NO_KEY, OpenAIOptions, http_client
from sinks.clients.provider_clock import ProviderClock

PAGE_SIZE = 1000
API_VERSION = "2026-10-21"
"""The version that the SDK speaks. It refuses every sampling parameter; an endpoint may name an earlier one."""

KEY = "x-api-key"
"""Where the API's reference, and older servers, expect the key; the SDK of today sends it as `authorization`."""

# The API answers a create when it has read all of it, which for the largest takes longer than any other answer.
CREATE_S = 600.0

_PATH = "/v1/messages/batches"
# What the SDK's own `with_streaming_response` sets to have a body left unread; no server sees it do anything.
_STREAMED = {"x-stainless-raw-response": "stream", "accept": "application/x-jsonl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageBatch:
    """A provider's batch, in the few words that matter here. state is the provider's own, in small letters.

    created_at: seconds since the epoch, 0 where none can be read. total: None where the counts cannot be read; the others are 0 until it
    has ended. archived: its results are no longer there.
    """

    job_id: str
    state: str
    created_at: int
    total: int | None
    succeeded: int | None
    unsuccessful: int | None
    archived: bool


class AnthropicBatches:
    """Message Batches of one workspace. version: of the API. create_s: how long the answer to a create is waited for."""

    def __init__(self, options: OpenAIOptions, *, version: str = API_VERSION, create_s: float = CREATE_S) -> None:
        import anthropic  # noqa: PLC0415 - half a second of imports that `waybill --help` must not pay
        import httpx2  # noqa: PLC0415

        quiet("anthropic", "httpx2", "httpcore2")  # whatever ANTHROPIC_LOG says
        self.name = options.name
        self.clock = ProviderClock()
        self._sdk = anthropic
        self._raw = httpx2.Response
        self._creating = httpx2.Timeout(options.timeout_s, read=create_s)
        self._calls = Calls(options.name, anthropic, anthropic.AnthropicError)
        self._client = anthropic.Anthropic(
            api_key=options.api_key or NO_KEY,  # without one the SDK would look in the environment and in the home folder
            base_url=options.base_url,
            http_client=http_client(options, headers={"anthropic-version": version, KEY: options.api_key or NO_KEY}, clock=self.clock),
            max_retries=0,
            timeout=options.timeout_s,
            open_telemetry=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def create(self, rows: bytes) -> str:
        """Create a batch of these rows, one JSON object a line, with one request, and return its id.

        Raises RejectedError on a definite refusal, AmbiguousError on anything unclear, EndpointError when nothing left.
        """
        whole = memoryview(rows)[: len(rows) - rows.endswith(b"\n")]  # a shard may be large: one copy less
        content = b"".join((b'{"requests":[', whole, b"]}")).replace(b"\n", b",")
        batch = self._sdk.types.messages.MessageBatch
        return identity_of(
            self._calls.send(lambda: self._client.post(_PATH, cast_to=batch, content=content, options={"timeout": self._creating}))
        )

    def batch(self, job_id: str) -> MessageBatch:
        """The batch now. A batch that is gone means another workspace: an EndpointError, never a reason to resend."""
        return _message_batch(self._calls.ask(BATCH, lambda: self._client.messages.batches.retrieve(job_id)), self.name)

    def cancel(self, job_id: str) -> None:
        """Ask the provider to stop a batch; what it has begun with may still be finished."""
        self._calls.ask("cancel", lambda: self._client.messages.batches.cancel(job_id))

    def batch_page(self, after: str | None) -> tuple[list[MessageBatch], bool | None]:
        """One page of the workspace's batches, newest first, and whether there are more; None where the server does not say."""
        extra: dict[str, Any] = {"after_id": after} if after else {}
        page = self._calls.ask("batches", lambda: self._client.messages.batches.list(limit=PAGE_SIZE, **extra))
        return [_message_batch(item, self.name) for item in items_of(page, self.name)], more_of(page)

    def download(self, job_id: str, target: IO[bytes], *, most: int | None = None) -> int:
        """Stream the results of an ended batch into `target`; returns the length. most: stop after about so many bytes.

        The path is made here: the address that a batch names for its results may be another host's. A body shorter than announced is an
        EndpointError.
        """

        def stream() -> int:
            length = 0
            response = self._client.get(f"{_PATH}/{quote(job_id, safe='')}/results", cast_to=self._raw, options={"headers": _STREAMED})
            try:
                for chunk in response.iter_bytes(DOWNLOAD_CHUNK):
                    length += target.write(chunk)
                    if most is not None and length >= most:
                        break
            finally:
                response.close()
            return length

        return self._calls.ask("results", stream)

    def delete(self, job_id: str) -> bool:
        """Delete an ended batch and its results; False when it was gone already."""
        return self._calls.remove("delete", lambda: self._client.messages.batches.delete(job_id))


def _message_batch(batch: Any, name: str) -> MessageBatch:
    """Our view of a batch. Counts may be absent, states and fields new."""
    identity, state = id_and_state(batch, getattr(batch, "processing_status", None), name)
    counts = getattr(batch, "request_counts", None)
    kinds = ("processing", "succeeded", "errored", "canceled", "expired")
    numbers = {kind: count_of(getattr(counts, kind, None)) for kind in kinds}
    known = {kind: number for kind, number in numbers.items() if number is not None}
    whole = len(known) == len(kinds) and sum(known.values()) > 0
    return MessageBatch(
        job_id=identity,
        state=state.lower(),
        created_at=_seconds(getattr(batch, "created_at", None)),
        total=sum(known.values()) if whole else None,
        succeeded=numbers["succeeded"],
        unsuccessful=sum(known[kind] for kind in ("errored", "canceled", "expired")) if whole else None,
        archived=bool(getattr(batch, "archived_at", None)),
    )


def _seconds(value: object) -> int:
    """A time since the epoch; 0 where a server gives none that can be read, or one without a zone."""
    return max(0, int(value.timestamp())) if isinstance(value, datetime) and value.tzinfo is not None else 0
