"""Chat completions of a server inside: one request, one reply, nothing of either in an exception.

A reply is read up to a limit and not unpacked: a server that is broken, or not ours, must not fill the memory.

Invariant 8: the address is resolved and checked on every connection, redirects are refused, no proxy, nothing from the environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sinks.clients.calls import quiet
from sinks.clients.connection import OpenAIOptions, http_client
from sinks.clients.resolve import Lookup
from sinks.errors import EndpointError, RejectedError

_REDIRECTS = range(300, 400)
_SERVER_ERROR = 500
MOST_REPLY_BYTES = 64 << 20
"""Of one reply: some hundred times the longest answer of a model, with a log-probability of each token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. status 0: nothing did, for the reason `failure` (timeout, unreachable, connection_lost). tree: the body, if JSON."""

    status: int
    tree: Any = field(default=None, repr=False)
    failure: str = ""


class ChatServer:
    """A server with `POST {base_url}/chat/completions`: vLLM serve, Ollama, llama.cpp's server, and others."""

    def __init__(self, options: OpenAIOptions, *, lookup: Lookup | None = None) -> None:
        quiet("httpx2", "httpcore2")
        self.name = options.name
        self._base = options.base_url.rstrip("/")
        self._http = http_client(options, lookup)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def check(self) -> None:
        """Ask for the list of models: is there a server, is it local, does it answer for itself?

        Raises RejectedError when nobody answers, EndpointError when the address is not local or the server sends us elsewhere.
        """
        self.models()

    def models(self) -> dict[str, int | None]:
        """Its models, and how many tokens each takes where the server says so (vLLM does). Raises as `check`."""
        reply = self._request("GET", "/models", None)
        if reply.status == 0:
            raise RejectedError(reply.failure)
        if reply.status >= _SERVER_ERROR:
            raise RejectedError(f"http_{reply.status}")
        listed = reply.tree.get("data") if isinstance(reply.tree, dict) else None
        models = [one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict) and isinstance(one.get("id"), str)]
        return {one["id"]: length if isinstance(length := one.get("max_model_len"), int) else None for one in models}

    def complete(self, body: bytes) -> Reply:
        """Send one request. Raises EndpointError where going on would be wrong: not local any more, or redirected."""
        return self._request("POST", "/chat/completions", body)

    def _request(self, method: str, path: str, body: bytes | None) -> Reply:
        import httpx2  # noqa: PLC0415 - a third of a second that `waybill --help` must not pay

        headers = {"accept-encoding": "identity", **({"content-type": "application/json"} if body is not None else {})}
        try:
            with self._http.stream(method, self._base + path, content=body, headers=headers) as response:
                content = _content(response.iter_raw())
        except httpx2.ConnectError:
            return Reply(status=0, failure="unreachable")
        except httpx2.TimeoutException:
            return Reply(status=0, failure="timeout")
        except httpx2.HTTPError:
            return Reply(status=0, failure="connection_lost")
        if response.status_code in _REDIRECTS:
            raise EndpointError(
                f"endpoint {self.name}: the server sends requests elsewhere (HTTP {response.status_code}); a local lane follows nobody: "
                "name the right base_url in the endpoint registry"
            )
        try:
            tree = json.loads(content)
        except (ValueError, RecursionError):
            tree = None
        return Reply(status=response.status_code, tree=tree)


def _content(chunks: Iterator[bytes]) -> bytes:
    """All of it, or nothing where it is too much."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MOST_REPLY_BYTES:
            return b""
    return bytes(content)
