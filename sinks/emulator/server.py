"""Serving on loopback: a socket on 127.0.0.1, uvicorn over it, and an end when the parent is gone."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import json
import os
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from sinks import durable
from sinks.emulator.house import Behaviour, build
from sinks.errors import EmulatorError

_LOOK_AFTER_PARENT_S = 0.5
_LOCK_WITHIN_S = 10.0
_LOCK_AGAIN_S = 0.05

_connections: dict[tuple[str, int], asyncio.Transport] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to serve, and how. port: 0 takes a free one."""

    state: Path
    host: str = "127.0.0.1"
    port: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)


class Connection(H11Protocol):
    """uvicorn's protocol, which also remembers each transport, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself has it
        """Remember the transport by its peer, which is also what a request's scope carries."""
        super().connection_made(transport)
        _connections[transport.get_extra_info("peername")[:2]] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        _connections.pop(self.transport.get_extra_info("peername")[:2], None)
        super().connection_lost(exc)


def serve(settings: Settings) -> None:
    """Serve until the parent closes our standard input or dies. Says where on standard output, in one JSON line."""
    if not ipaddress.ip_address(settings.host).is_loopback:
        raise EmulatorError(f"host {settings.host}: the emulator listens on loopback only, for example 127.0.0.1")
    settings.state.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
    lock = _lock(settings.state)
    house = build(settings.state, settings.behaviour, _hang_up)
    listener = socket.create_server((settings.host, settings.port), backlog=128)
    config = uvicorn.Config(
        house.door,
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # they would replace the peer's address
    )
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), name="parent", daemon=True).start()
    house.courses.start()
    host, port = listener.getsockname()[:2]
    sys.stdout.write(json.dumps({"base_url": f"http://{host}:{port}/v1", "root": f"http://{host}:{port}"}) + "\n")
    sys.stdout.flush()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        os.close(lock)


def _hang_up(scope: Scope) -> None:
    transport = _connections.get(tuple(scope["client"]))
    if transport is not None:
        # Flush what was written first: `abort` would throw half an answer away with the rest.
        transport.close()


def _lock(state: Path) -> int:
    """Hold the state folder. An emulator whose parent was just killed may need a moment to go."""
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE)
    deadline = time.monotonic() + _LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise EmulatorError(f"{state}: another emulator uses this folder; stop it or choose another folder") from None
            time.sleep(_LOCK_AGAIN_S)
        else:
            return descriptor


def _end_with_parent(parent: int) -> None:
    """End the process at the end of standard input, or with the parent: a killed run leaves nothing that listens.

    Both are watched, since a sibling that was forked while we started may hold the other end of the pipe open.
    """
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _LOOK_AFTER_PARENT_S)
        if readable and not os.read(0, 4096):
            break
    os._exit(0)  # everything that was answered for is on disk already
