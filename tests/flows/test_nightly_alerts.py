"""The webhook of a job hears counts, once a night, and nothing else; a receiver that is down stops nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import duckdb
import pytest

from policies.load import DEFAULT_REGISTRY

CANARY = "quetzalcoatl-7719"
COUNTS = {
    *("held", "ambiguous", "failed", "deadline", "quarantined", "extra_jobs", "unanchored"),
    *("local_down", "contradicted", "wrong_account", "unknown_state"),
    *("budget_50", "budget_80", "budget_100"),
}


class Receiver:
    """What arrived, byte for byte, and what to answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, str, bytes]] = []
        self.answer = 204

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.requests.append((self.path, str(self.headers), body))
            self.send_response(heard.answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard = Receiver(f"http://127.0.0.1:{server.server_port}/hook/secret-token")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


def run(cli: Callable[..., Any], night: Any, *options: str) -> tuple[dict[str, Any], Any]:
    said = cli("run", night.job, "--out", night.out, "--json", *options)
    return json.loads(said.out.splitlines()[-1]), said


INSIDE = "lanes: {cloud: null}\n"


def test_one_alert_of_counts_only(receiver: Receiver, make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra=f"{INSIDE}alerts: {{webhook: '{receiver.url}'}}\n")
    report, said = run(cli, night)
    ((path, headers, body),) = receiver.requests
    assert path == "/hook/secret-token"
    assert "content-type: application/json" in headers.lower()
    alert = json.loads(body)
    assert set(alert) == COUNTS | {"run_id"}
    assert alert.pop("run_id") == report["run_id"]
    assert alert == dict.fromkeys(COUNTS, 0) | {"held": 1}
    everything = headers.encode() + body
    for text in (CANARY, "empty.txt", "discharge", "Castellan", "PHI", str(night.out)):
        assert text.encode() not in everything
    assert "secret-token" not in said.out + said.err


def test_a_night_without_trouble_is_quiet(receiver: Receiver, make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(documents={"ferry.txt": "The ferry leaves at nine."}, extra=f"{INSIDE}alerts: {{webhook: '{receiver.url}'}}\n")
    assert run(cli, night)[0]["results"] == 1
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("answer", "expected"), [(500, "answered HTTP 500"), (302, "redirects are not followed")], ids=["error", "redirect"]
)
def test_a_receiver_that_refuses(
    answer: int, expected: str, receiver: Receiver, make_night: Callable[..., Any], cli: Callable[..., Any]
) -> None:
    receiver.answer = answer
    report, said = run(cli, make_night(extra=f"{INSIDE}alerts: {{webhook: '{receiver.url}'}}\n"))
    assert (report["results"], report["held"]) == (7, 1)
    assert len(receiver.requests) == 1, "an alert is sent once"
    assert [expected in line for line in said.err.splitlines() if line.startswith("waybill: the alert")] == [True]
    assert "secret-token" not in said.out + said.err


def test_a_receiver_that_is_down_leaves_a_line(make_night: Callable[..., Any]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/hook/secret-token"
        night = make_night(extra=f"{INSIDE}alerts: {{webhook: '{url}'}}\n")
        done = subprocess.run(night.command(), capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["results"] == 7
    (line,) = [line for line in done.stderr.splitlines() if "webhook" in line]
    assert "the alert webhook was not reached" in line
    assert "secret-token" not in done.stdout + done.stderr


def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, make_night: Callable[..., Any], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    run(cli, make_night(extra=f"{INSIDE}alerts: {{webhook: '{receiver.url}'}}\n"))
    assert [body["held"] for body in receiver.bodies()] == [1]


def test_a_collection_tells_nothing_twice(receiver: Receiver, make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra=f"registry: registry.yaml\nalerts: {{webhook: '{receiver.url}'}}\n")
    registry, bundled = night.job.parent / "registry.yaml", "{emulator: true}"
    registry.write_text(DEFAULT_REGISTRY.read_text().replace(bundled, "{emulator: true, emulator_delay_s: 600}"))
    cli("run", night.job, "--out", night.out, "--no-wait", code=4)
    assert [body["held"] for body in receiver.bodies()] == [1]
    night.job.write_text(night.job.read_text() + "deadline_h: 0.0000001\n")
    cli("collect", night.job, "--out", night.out)  # they are cancelled, and their records wait
    late = receiver.bodies()[-1]
    assert len(receiver.requests) == 2, "hand-overs past their deadline are told"
    assert late["deadline"] >= 1
    assert late["held"] > 1
    night.job.write_text(night.job.read_text().replace("deadline_h: 0.0000001\n", ""))
    registry.write_text(DEFAULT_REGISTRY.read_text())
    cli("collect", night.job, "--out", night.out)
    assert len(receiver.requests) == 2, "what waited was sent again, and has its results; what is held still, was told"


def test_what_is_held_is_told_once_a_night_for_each_reason(
    receiver: Receiver, make_night: Callable[..., Any], cli: Callable[..., Any]
) -> None:
    night = make_night(extra=f"{INSIDE}alerts: {{webhook: '{receiver.url}'}}\n")
    receiver.answer = 500
    run(cli, night, "--date", "2026-11-22")
    receiver.answer = 204
    for _ in range(3):
        run(cli, night, "--date", "2026-11-22")
    assert [body["held"] for body in receiver.bodies()] == [1, 1], "what nobody took is told again, and then no more"
    (night.job.parent / "inbox" / "scan.pdf").write_bytes(b"%PDF-1.7 \x00\xff")
    for _ in range(2):
        run(cli, night, "--date", "2026-11-22")
    assert [body["held"] for body in receiver.bodies()] == [1, 1, 2], "another reason"
    run(cli, night, "--date", "2026-11-23")
    assert len(receiver.requests) == 4, "another night"
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        told = "SELECT run_id[-2:], state, count(DISTINCT reason) FROM entries WHERE event = 'alerted' GROUP BY ALL ORDER BY 1"
        assert connection.execute(told).fetchall() == [("22", "held", 2), ("23", "held", 2)]
