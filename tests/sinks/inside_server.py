"""A server inside over real HTTP on loopback that can be told to misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Inside:
    """The server: what it was asked, and how it behaves for texts with certain words in them."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    open_now: int = 0
    most_open: int = 0
    models_status: int = 200
    context_characters: int = 10**9
    delay_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: dict[str, Any]) -> tuple[int, Any] | None:
        """Status and body; None drops the connection."""
        said = request["messages"][-1]["content"]
        text = said.removeprefix("Say: ")
        with self.lock:
            self.tries[text] += 1
            tries = self.tries[text]
        time.sleep(self.delay_s)
        if len(said) > self.context_characters:
            return 400, {"error": {"message": f"This model's maximum context length is 9 tokens, not {len(said)}", "code": 400}}
        if "BUSY" in text and tries < 3:
            return 503, {"error": {"message": "loading model"}}
        if "BROKEN" in text:
            return 500, {"error": {"message": f"could not handle {text}"}}
        if "DROP" in text:
            return None
        if "REFUSED" in text:
            return 400, {"error": {"message": f"bad request: {text}"}}
        content = '{"kind": "memo"}' if "response_format" in request else f"<{text[:12]}>"
        finish = "length" if "CUT" in text else "stop"
        tokens = [{"token": "t", "logprob": -0.5}, {"token": "u", "logprob": -1.5}]
        choice = {
            "index": 0,
            "finish_reason": finish,
            "message": {"role": "assistant", "content": content},
            "logprobs": {"content": tokens},
        }
        return 200, {
            "id": "chatcmpl-1",
            "model": "quill-7b",
            "system_fingerprint": "fp_1a2b",
            "choices": [choice],
            "usage": {"prompt_tokens": 11, "completion_tokens": 2},
        }


class Handler(BaseHTTPRequestHandler):
    inside: Inside

    def do_GET(self) -> None:
        self.inside.paths.append(self.path)
        self.answer(self.inside.models_status, {"object": "list", "data": []})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        inside = self.inside
        with inside.lock:
            inside.paths.append(self.path)
            inside.asked.append(request)
            inside.open_now += 1
            inside.most_open = max(inside.most_open, inside.open_now)
        reply = inside.reply(request)
        with inside.lock:
            inside.open_now -= 1
        if reply is None:
            self.close_connection = True
            self.connection.close()
        else:
            self.answer(*reply)

    def answer(self, status: int, tree: Any) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", "http://127.0.0.1:9/v1/models")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Running:
    server: ThreadingHTTPServer
    thread: threading.Thread

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@contextmanager
def serving(inside: Inside) -> Iterator[Running]:
    """The server runs until it is stopped, or the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"inside": inside}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    inside.url = f"http://127.0.0.1:{server.server_port}/v1"
    made = Running(server=server, thread=thread)
    try:
        yield made
    finally:
        if thread.is_alive():
            made.stop()
