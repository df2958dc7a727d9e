"""A server of ours, inside: it speaks chat completions, judges documents for the second look, and does the local lane's work.

Its answers fail by chance, the same ones for the same question: no answer, an error, a web page, an answer that is cut off, or one that
breaks the schema. In nights that escalate, it has little confidence in some of the others, or says of none how much. What a model would
say of a document it knows by one word (`documents.KEYWORD`).
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.chaos.documents import KEYWORD

WAYS = ("error", "page", "nothing", "cut", "nonsense", "unavailable")


class Answers:
    """What the server says: from the request, and a seed. doubt: how many answers it has little confidence in; None: it never says."""

    def __init__(self, seed: int, rate: float, doubt: float | None) -> None:
        self._seed, self._rate, self._doubt = seed, rate, doubt
        self._asked: dict[bytes, int] = {}

    def way(self, request: bytes) -> str:
        """How this request fails, or nothing. The same request again is another draw."""
        self._asked[request] = self._asked.get(request, 0) + 1
        chance = random.Random(f"{self._seed}|{self._asked[request]}|{request.decode()}")
        return chance.choice(WAYS) if chance.random() < self._rate else ""

    def confidence(self, request: bytes) -> dict[str, Any] | None:
        """Of the answer to a request, as log-probabilities. The same request again has the same."""
        chance = random.Random(f"{self._seed}|doubt|{request.decode()}")
        doubted, mute = chance.random() < (self._doubt or 0.0), chance.random() < 0.2
        if self._doubt is None or (doubted and mute):
            return None
        return {"content": [{"token": "A", "logprob": -2.0 if doubted else -0.01}]}

    def said(self, body: dict[str, Any]) -> str:
        """The answer to a request that does not fail."""
        text = json.dumps(body["messages"], ensure_ascii=False)
        schema = json.dumps(body.get("response_format", {}))
        if '"classes"' in schema:
            return json.dumps({"classes": ["TRADE_SECRET"] if KEYWORD in text else []})
        return json.dumps({"title": "The harbour"}) if schema != "{}" else "The harbour, in one sentence."


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: Answers

    def do_GET(self) -> None:
        self._reply(200, {"object": "list", "data": [{"id": "judge", "object": "model"}]})

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["content-length"]))
        said, way = self.answers.said(json.loads(request)), self.answers.way(request)
        if way == "nothing":
            self.close_connection = True
        elif way in {"error", "unavailable"}:
            self._reply(400 if way == "error" else 503, {"error": {"message": "no", "code": "bad_request"}})
        elif way == "page":
            self._send(200, b"<html>maintenance</html>")
        else:
            content = {"cut": said[:5], "nonsense": '{"classes": ["CLEAN"], "more": 1}'}.get(way, said)
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "length" if way == "cut" else "stop",
                "logprobs": self.answers.confidence(request),
            }
            usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
            self._reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "judge", "choices": [choice], "usage": usage})

    def _reply(self, status: int, tree: dict[str, Any]) -> None:
        self._send(status, json.dumps(tree).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever asked was killed."""


@contextmanager
def inside(seed: int, rate: float, port: int = 0, doubt: float | None = None) -> Iterator[int]:
    """The server in a child, as long as the block lasts; gives its port."""

    class Handler(_Handler):
        answers = Answers(seed, rate, doubt)

    server = _Server(("127.0.0.1", port), Handler)
    child = os.fork()
    if not child:
        with suppress(BaseException):
            server.serve_forever()
        os._exit(0)
    port = server.server_port
    server.server_close()
    try:
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
