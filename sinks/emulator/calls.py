"""What a handler gets and what it may raise: one request, already received, recorded and admitted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

from sinks.emulator.faults import Fault
from sinks.emulator.jobs import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. names: what the path names. base: scheme and host that it came to. fault: what is planned for it."""

    operation: str
    method: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    base: str
    fault: Fault | None = None

    def planned(self, kind: str) -> Fault | None:
        """The fault of this call, if it is of this kind."""
        return self.fault if self.fault is not None and self.fault.fault == kind else None


_DIGITS = 12

Handler = Callable[[Call], Response]


class WireError(Exception):
    """An HTTP answer with a provider's error body. The message never quotes what was sent."""

    def __init__(self, status: int, body: Tree, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return JSONResponse(self.body, status_code=self.status, headers=self.headers)


def json_object(body: bytes, refuse: WireError) -> Mapping[str, Any]:
    """The JSON object of a body, or the refusal."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict):
        raise refuse
    return tree


def bounded(text: str, least: int, most: int, refuse: WireError) -> int:
    """A number within its bounds, or the refusal."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS) or not least <= int(text) <= most:
        raise refuse
    return int(text)


def cut(items: Sequence[Tree], call: Call, *, cursor: str | None, limit: int) -> tuple[list[Tree], bool]:
    """The page after `cursor`, and whether there is more. Planned: the first page again, or a page left out."""
    start = next((index + 1 for index, item in enumerate(items) if _identity(item) == cursor), 0) if cursor else 0
    if call.planned("repeat_page"):
        start = 0
    if call.planned("skip_page"):
        start += limit
    more = len(items) > start + limit or call.planned("repeat_page") is not None
    return list(items[start : start + limit]), more


def _identity(item: Tree) -> str:
    return str(item.get("id") or item.get("jobArn"))


CREATING = threading.RLock()
"""Held by creates that first look whether there is one already."""
