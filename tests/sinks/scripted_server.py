"""A server on loopback that answers as it is told to and keeps every byte that it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[["Handler"], None]


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Handler(BaseHTTPRequestHandler):
    script: Script
    seen: list[Seen]

    def _serve(self) -> None:
        if self.headers.get("expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append(Seen(method=self.command, path=self.path, headers=headers, body=body))
        type(self).script(self)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do_CONNECT = _serve  # noqa: N815 - names that http.server looks for

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Server:
    url: str
    seen: list[Seen]
    handler: type[Handler]
    http: ThreadingHTTPServer

    def play(self, script: Script) -> None:
        self.handler.script = script


def status(code: int, body: Any = None, **headers: str) -> Script:
    return lambda handler: handler.answer(code, json.dumps(body if body is not None else {"error": {"message": "m"}}).encode(), **headers)


def drop(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.close()


@contextmanager
def servers(script: Script) -> Iterator[Callable[[], Server]]:
    """Starts a server at each call, all with this script at first; they end with the block."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start() -> Server:
        seen: list[Seen] = []
        handler = type("Scripted", (Handler,), {"seen": seen, "script": script})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        running.append((server, thread))
        return Server(url=f"http://127.0.0.1:{server.server_port}", seen=seen, handler=handler, http=server)

    try:
        yield start
    finally:
        for server, thread in running:
            server.shutdown()
            thread.join()
            server.server_close()
