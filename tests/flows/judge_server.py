"""A server that speaks chat completions and judges documents by a rule: what a model would be to the second look, without a model."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OBEY = re.compile(r"OBEY\[(.*?)\]YEBO", re.DOTALL)
"""What a document makes a gullible model say, word for word."""
KEYWORD = "marzipan"


@dataclass
class Judge:
    """Says TRADE_SECRET of a document that speaks of marzipan; obeys a document that tells it what to answer; keeps what it was asked."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    @property
    def documents(self) -> list[str]:
        """What the user messages held."""
        return [body["messages"][-1]["content"] for body in self.asked]

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(body)
        text = body["messages"][-1]["content"]
        if "NO ANSWER" in text:
            return 400, {"error": {"message": "no", "code": "bad_request"}}
        obeyed = OBEY.search(text)
        said = obeyed[1] if obeyed else json.dumps({"classes": ["TRADE_SECRET"] if KEYWORD in text else []})
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "length" if "CUT" in text else "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
        return 200, {"id": "c", "object": "chat.completion", "created": 1, "model": "judge-1", "choices": [choice], "usage": usage}


@contextmanager
def judging(another: Judge | None = None) -> Iterator[Judge]:
    """A running judge, or another that answers as it does."""
    judge = another or Judge()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(200, {"object": "list", "data": [{"id": "judge-1", "object": "model"}]})

        def do_POST(self) -> None:
            self.reply(*judge.answer(json.loads(self.rfile.read(int(self.headers["content-length"])))))

        def reply(self, status: int, tree: dict[str, Any]) -> None:
            content = json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        judge.url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield judge
        finally:
            server.shutdown()
            thread.join()
