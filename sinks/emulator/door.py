"""The ASGI layer in front of the routes: note what arrived, ask for a key, do what the fault plan says."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sinks.emulator.app import BODY_KEY, FAULT_KEY
from sinks.emulator.faults import Fault, FaultPlan
from sinks.emulator.receipts import Receipts
from sinks.emulator.wire import error_body

Hang = Callable[[Scope], None]
"""Cuts the connection that a request came over."""

_OPERATIONS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("POST", re.compile(r"/v1/files"), "files.create"),
    ("GET", re.compile(r"/v1/files"), "files.list"),
    ("GET", re.compile(r"/v1/files/[^/]+"), "files.retrieve"),
    ("DELETE", re.compile(r"/v1/files/[^/]+"), "files.delete"),
    ("GET", re.compile(r"/v1/files/[^/]+/content"), "files.content"),
    ("POST", re.compile(r"/v1/batches"), "batches.create"),
    ("GET", re.compile(r"/v1/batches"), "batches.list"),
    ("GET", re.compile(r"/v1/batches/[^/]+"), "batches.retrieve"),
    ("POST", re.compile(r"/v1/batches/[^/]+/cancel"), "batches.cancel"),
)


class Door:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, receipts: Receipts, plan: FaultPlan, hang_up: Hang) -> None:
        self._app, self._receipts, self._plan, self._hang_up = app, receipts, plan, hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        body = await _whole_body(receive)
        self._receipts.add(method=scope["method"], path=scope["path"], query=scope["query_string"].decode("ascii", "replace"), body=body)
        if not _has_key(scope):
            await _unauthorized()(scope, receive, send)
            return
        scope[BODY_KEY] = body
        operation = _operation(scope)
        fault = self._plan.due(operation) if operation else None
        scope[FAULT_KEY] = fault
        if fault is None or fault.fault in {"lag", "stuck", "expire"}:
            await self._app(scope, _replay(body), send)
        else:
            await self._faulty(fault, scope, receive, send)

    async def _faulty(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.fault == "html":
            await HTMLResponse("<html><body>It works!</body></html>")(scope, receive, send)
            return
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        if fault.fault in {"drop_after", "drop_middle"} or (fault.fault == "status" and fault.after_commit):
            await self._app(scope, _replay(scope[BODY_KEY]), keep)
        if fault.fault == "status":
            await _failure(fault)(scope, receive, send)
            return
        if fault.fault == "drop_middle":
            await _send_half(kept, send)
        self._hang_up(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


def _operation(scope: Scope) -> str | None:
    return next((name for method, path, name in _OPERATIONS if scope["method"] == method and path.fullmatch(scope["path"])), None)


def _has_key(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return scheme.lower() == b"bearer" and bool(key.strip())


def _unauthorized() -> Response:
    return JSONResponse(error_body("You didn't provide an API key.", code="invalid_api_key"), status_code=401)


def _failure(fault: Fault) -> Response:
    headers = {} if fault.retry_after_s is None else {"retry-after": str(fault.retry_after_s)}
    kind = "rate_limit_error" if fault.status == 429 else "server_error"  # noqa: PLR2004 - HTTP's own number
    return JSONResponse(error_body("a planned fault", code=kind, kind=kind), status_code=fault.status, headers=headers)


async def _whole_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes) -> Receive:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _send_half(kept: list[Message], send: Send) -> None:
    """The head of an answer, which promises its whole length, and half of its body."""
    body = b"".join(message.get("body", b"") for message in kept)
    await send(kept[0])
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
