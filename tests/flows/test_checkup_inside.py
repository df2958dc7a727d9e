"""`waybill doctor --lane local` on a real server inside: whether it is there, lists the model, has its context and answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.flows.doctor_lines import findings


@dataclass
class Inside:
    """A server inside: what it lists, and how it answers."""

    url: str = ""
    models: Any = field(default_factory=lambda: {"data": [{"id": "quill-7b", "max_model_len": 4096}]})
    status: int = 200
    redirects: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def inside() -> Iterator[Inside]:
    state = Inside()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(302 if state.redirects else 200, state.models)

        def do_POST(self) -> None:
            state.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.answer(state.status, {"choices": [{"message": {"content": "r"}, "finish_reason": "length"}]})

        def answer(self, status: int, tree: Any) -> None:
            content = json.dumps(tree).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("location", "http://192.0.2.1/")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def served(night: Any, url: str, settings: str = "{max_model_len: 4096}") -> Path:
    registry = night.job.with_name("endpoints.yaml")
    registry.write_text(
        "version: 2026-11-22\nendpoints:\n  inside: {lane: local, engine: openai_compatible, provider: vllm, model: quill-7b, "
        f"base_url: '{url}', settings: {settings}}}\n"
    )
    with night.job.open("a") as file:
        file.write("registry: endpoints.yaml\nlanes: {local: inside, cloud: null}\n")
    job: Path = night.job
    return job


def test_a_server_inside_that_is_well(night: Any, inside: Inside, cli: Callable[..., Any]) -> None:
    found = findings(cli("doctor", "--lane", "local", "--job", served(night, inside.url)))
    assert {health for health, _ in found.values()} == {"ok"}
    assert set(found) == {"job", "server", "model", "context", "generation"}
    assert [(body["model"], body["max_tokens"]) for body in inside.asked] == [("quill-7b", 1)]


@pytest.mark.parametrize(
    ("behave", "settings", "what", "words"),
    [
        ({"redirects": True}, "{max_model_len: 4096}", "server", "elsewhere"),
        ({"models": {"data": [{"id": "other"}]}}, "{max_model_len: 4096}", "model", "it lists other"),
        ({}, "{max_model_len: 9999}", "context", "more than the 4,096"),
        ({"status": 500}, "{max_model_len: 4096}", "generation", "HTTP 500"),
        ({}, "{concurrency: 2}", "settings", "max_model_len"),
        ({"url": "http://127.0.0.1:9/v1"}, "{max_model_len: 4096}", "server", "nobody answers"),
        ({"url": "http://192.0.2.1/v1"}, "{max_model_len: 4096}", "server", "must be local"),
    ],
    ids=["redirects", "another model", "a longer context", "no answer", "no context named", "nobody there", "not local"],
)
def test_a_server_inside_that_is_not(
    *, behave: dict[str, Any], settings: str, what: str, words: str, night: Any, inside: Inside, cli: Callable[..., Any]
) -> None:  # fmt: skip
    for name, value in behave.items():
        setattr(inside, name, value)
    found = findings(cli("doctor", "--lane", "local", "--job", served(night, inside.url, settings), code=1))
    assert [name for name, (health, _) in found.items() if health == "FAIL"] == [what]
    assert words in found[what][1]


def test_a_server_that_does_not_say_its_context(night: Any, inside: Inside, cli: Callable[..., Any]) -> None:
    inside.models = {"data": [{"id": "quill-7b"}, "odd", {"id": 7}]}
    found = findings(cli("doctor", "--lane", "local", "--job", served(night, inside.url)))
    assert found["context"][0] == "warn"
