"""Replies of a server that is broken or hostile: too long, packed, of another shape."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sinks.clients import chat_client
from sinks.clients.chat_client import ChatServer, Reply
from sinks.clients.connection import OpenAIOptions


@dataclass
class Inside:
    content: bytes = b"{}"
    encoding: str = ""
    url: str = ""
    accepted: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    inside: Inside

    def do_GET(self) -> None:
        self.inside.accepted.append(self.headers["accept-encoding"])
        self.send_response(200)
        if self.inside.encoding:
            self.send_header("content-encoding", self.inside.encoding)
        self.send_header("content-length", str(len(self.inside.content)))
        self.end_headers()
        self.wfile.write(self.inside.content)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def inside() -> Iterator[Inside]:
    made = Inside()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"inside": made}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(inside: Inside) -> Iterator[ChatServer]:
    made = ChatServer(OpenAIOptions(name="inside", base_url=inside.url, api_key="", local=True, timeout_s=20))
    yield made
    made.close()


@pytest.mark.parametrize("listed", [5, "text", {"id": "m"}, True, None, [5, None, {"id": 7}]], ids=str)
def test_a_list_of_models_of_another_shape_holds_none(client: ChatServer, inside: Inside, listed: Any) -> None:
    inside.content = json.dumps({"data": listed}).encode()
    assert client.models() == {}
    client.check()


def test_a_reply_is_read_up_to_a_limit(client: ChatServer, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_client, "MOST_REPLY_BYTES", 1000)
    inside.content = b'{"a": "' + b"x" * 900 + b'"}'
    assert client.complete(b"{}").tree == json.loads(inside.content)
    inside.content = b'{"a": "' + b"x" * 1000 + b'"}'
    assert client.complete(b"{}") == Reply(status=200)
    inside.content = b'{"b": 1}'
    assert client.complete(b"{}").tree == {"b": 1}


def test_a_reply_is_not_unpacked(client: ChatServer, inside: Inside) -> None:
    inside.content, inside.encoding = gzip.compress(b'{"a": 1}'), "gzip"
    assert client.complete(b"{}") == Reply(status=200)
    assert inside.accepted == ["identity"]
