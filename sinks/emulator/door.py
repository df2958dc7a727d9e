"""The ASGI application: note what arrived, ask for a key, find the operation, do what the fault plan says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sinks.emulator import transport
from sinks.emulator.admin import Admin
from sinks.emulator.calls import Call, Handler, WireError
from sinks.emulator.faults import Fault, FaultPlan
from sinks.emulator.manners import Manners
from sinks.emulator.operations import match, provider_of
from sinks.emulator.receipts import Receipts

Hang = Callable[[Scope], None]
"""Cuts the connection that a request came over."""


class Door:
    """The application. Handlers run in threads: a large upload does not stop the others."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        manners: Mapping[str, Manners],
        admin: Admin,
        receipts: Receipts,
        plan: FaultPlan,
        hang_up: Hang,
    ) -> None:
        self._handlers, self._manners, self._admin = handlers, manners, admin
        self._receipts, self._plan, self._hang_up = receipts, plan, hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        method, path, query = scope["method"], scope["path"], scope["query_string"].decode("ascii", "replace")
        body, whole = await transport.read_body(receive)
        if path.startswith("/_emulator/"):
            await (await run_in_threadpool(self._admin.answer, method, path, body))(scope, receive, send)
            return
        operation = match(method, path)
        named = operation.name if operation else None
        await run_in_threadpool(self._receipts.add, method=method, path=path, query=query, body=body, operation=named, whole=whole)
        if not whole:  # the sender went away in the middle: nothing happened
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        manners = self._manners[provider_of(path)]
        if (refused := manners.admit(headers)) is not None:
            await refused.response()(scope, receive, send)
            return
        if operation is None:
            await manners.refuse(404, "There is nothing at this path.").response()(scope, receive, send)
            return
        fault = self._plan.due(operation.name, operation.names.get("id", ""))
        call = Call(
            operation=operation.name,
            method=method,
            names=operation.names,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=headers,
            body=body,
            base=f"{scope['scheme']}://{headers.get('host', '')}",
            fault=fault,
        )
        if fault is None:
            await (await self._answer(call))(scope, receive, send)
        else:
            await self._faulty(fault, call, manners, (scope, receive, send))

    async def _answer(self, call: Call) -> Response:
        try:
            return await run_in_threadpool(self._handlers[call.operation], call)
        except WireError as error:
            return error.response()

    async def _faulty(self, fault: Fault, call: Call, manners: Manners, wire: tuple[Scope, Receive, Send]) -> None:
        scope, receive, send = wire
        if fault.fault == "drop_before":
            await self._drop(scope, receive)
            return
        instead = transport.instead(fault, manners)
        if instead is not None and not fault.after_commit:
            await instead(scope, receive, send)
            return
        response = await self._answer(call)
        if fault.fault == "slow":  # the effect is there; the sender may not wait for the word of it
            await asyncio.sleep(transport.slow_s(fault))
        if instead is not None:
            await instead(scope, receive, send)
        elif fault.fault == "slow_body":
            await transport.send_half(response, send)
            await asyncio.sleep(transport.slow_s(fault))
            await transport.send_rest(response, send)
        elif fault.fault in transport.CUT:
            if fault.fault != "drop_after":
                await transport.send_half(response, send)
            await self._drop(scope, receive)
        else:
            await transport.dressed(fault, response)(scope, receive, send)

    async def _drop(self, scope: Scope, receive: Receive) -> None:
        self._hang_up(scope)
        while (await receive())["type"] != "http.disconnect":
            pass
