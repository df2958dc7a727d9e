"""What goes wrong on the line, whatever was asked: answers that are cut, slow, replaced, or say more than they should."""

from __future__ import annotations

import json

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Send

from sinks.emulator.faults import Fault
from sinks.emulator.manners import Manners

CUT = frozenset({"drop_after", "drop_middle", "retention"})
"""The request takes effect; of the answer nothing or half arrives."""

_SLOW_S = 1.0
_EXTRA = {"x_new_in_2031": {"tier": None, "parts": [1, "two"]}}
_HTML = "<html><body>It works!</body></html>"


async def read_body(receive: Receive) -> tuple[bytes, bool]:
    """A request's body, and whether all of it came."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks), False
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks), True


def instead(fault: Fault, manners: Manners) -> Response | None:
    """The answer that takes the place of the true one."""
    if fault.fault == "html":
        return HTMLResponse(_HTML)
    if fault.fault == "credentials":
        return manners.expired().response()
    if fault.fault != "status":
        return None
    response = manners.refuse(fault.status, "a planned fault").response()
    if fault.retry_after_s is not None:
        response.headers["retry-after"] = str(fault.retry_after_s)
    return response


def dressed(fault: Fault, response: Response) -> Response:
    """The true answer; planned: with a field that nobody knows, also in the objects that it lists."""
    if fault.fault != "extra_fields" or response.media_type != "application/json":
        return response
    tree = json.loads(bytes(response.body))
    lists = {key: [item | _EXTRA for item in value] for key, value in tree.items() if isinstance(value, list)}
    return Response(json.dumps(tree | lists | _EXTRA).encode(), status_code=response.status_code, media_type="application/json")


async def send_half(response: Response, send: Send) -> None:
    """The head of an answer, which promises its whole length, and half of its body."""
    body = bytes(response.body)
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def send_rest(response: Response, send: Send) -> None:
    """The other half."""
    body = bytes(response.body)
    await send({"type": "http.response.body", "body": body[len(body) // 2 :]})


def slow_s(fault: Fault) -> float:
    """How long the answer waits, by the wall clock."""
    return _SLOW_S if fault.seconds is None else fault.seconds
