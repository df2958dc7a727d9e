"""What an operator sees: a live line on a terminal, plain lines elsewhere, and a closing table that fits."""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

from flows.progress import closing_table, engine_line, watching
from flows.report import ClosedEndpoint, NightReport
from sinks.lanes.vllm_fleet import LaneProgress

REPORT: dict[str, Any] = {
    "run_id": "small-2026-11-22",
    "documents": 9,
    "results": 5,
    "held": 2,
    "failed": 0,
    "pending": 2,
    "unchanged": 3,
    "refused": 0,
    "by_class": {
        "CLEAN": {"local": 0, "cloud": 3, "held": 1, "pending": 2},
        "PHI": {"local": 2, "cloud": 0, "held": 1, "pending": 0},
    },
    "output": "/data/[red]out[/red]/results",
    "ledger": "/data/[red]out[/red]/ledger",
    "seconds": 12.34,
    "stages": {},
}


def closing(*, job: str = "small.yaml", out: str | None = None, **changed: Any) -> list[str]:
    stream = io.StringIO()
    closing_table(NightReport(**REPORT | changed), stream=stream, job=job, out=out)
    return stream.getvalue().splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]]


def test_an_engine_says_how_far_it_is_and_when_it_will_be_done() -> None:
    begun = LaneProgress(rows=900, done=0, tokens_in=0, tokens_out=0, seconds_working=0.0, state="loading")
    assert engine_line("vllm", begun) == "vllm: 0 of 900 records, loading"
    going = LaneProgress(rows=900, done=300, tokens_in=500_000, tokens_out=40_000, seconds_working=100.0, state="working")
    assert engine_line("vllm", going).startswith("vllm: 300 of 900 records, 5,400 tokens/s, done about ")


def test_the_closing_table_is_class_by_destination() -> None:
    lines = closing()
    table = [cells(line) for line in lines if line.startswith(("│", "┃"))]
    assert table == [
        ["data class", "local", "cloud", "held", "pending"],
        ["CLEAN", "·", "3", "1", "2"],
        ["PHI", "2", "·", "1", "·"],
    ]
    assert "9 documents: 5 results, 2 held, 0 failed, 2 pending; 3 unchanged since an earlier night, in 12.3 s" in lines
    assert max(len(line) for line in lines if "│" in line or "─" in line) <= 80


def test_places_and_next_steps_are_said_as_they_are() -> None:
    text = "\n".join(closing())
    assert "results  /data/[red]out[/red]/results" in text
    assert "waybill audit summary --ledger '/data/[red]out[/red]/ledger'" in text
    assert "waybill held list" in text
    assert "waybill collect small.yaml   # fetches" in text


@pytest.mark.parametrize(
    ("job", "out", "command"),
    [
        ("jobs/small.yaml", None, "waybill collect jobs/small.yaml"),
        ("jobs/small.yaml", "/data/out", "waybill collect jobs/small.yaml --out /data/out"),
        ("the small one.yaml", "it's $out", """waybill collect 'the small one.yaml' --out 'it'"'"'s $out'"""),
    ],
    ids=["job", "out", "quoted"],
)
def test_the_command_that_collects_can_be_copied(job: str, out: str | None, command: str) -> None:
    (line,) = [line.strip() for line in closing(job=job, out=out) if "collect" in line]
    assert line == f"{command}   # fetches what the cloud has not finished yet"


def test_what_does_not_apply_is_not_said() -> None:
    quiet = {"CLEAN": {"local": 0, "cloud": 5, "held": 0, "pending": 0}}
    text = "\n".join(closing(held=0, pending=0, unchanged=0, documents=5, by_class=quiet))
    for word in ("held list", "collect", "unchanged", "refused", "pending ┃"):
        assert word not in text
    assert "The gate refused 2 shards:" in "\n".join(closing(refused=2))


def test_what_went_wrong_is_named_with_counts() -> None:
    lines = closing(
        held=35,
        documents=1,
        held_for={"budget_stopped": 34, "budget_night": 1},
        failed_for={"result_missing": 2},
        closed=[ClosedEndpoint(endpoint="openai-batch", failure="cloud_unreachable", way="local")],
        elsewhere={"cloud_unreachable": {"azure-batch": 30, "extractive": 1_010}, "budget_endpoint_night": {"azure-batch": 1}},
        stopped=True,
    )
    assert "A document of several classes counts in each." in lines
    assert any(line.startswith("1 document: 5 results, 35 held") for line in lines)
    begin = next(number for number, line in enumerate(lines) if line.startswith("stopped  by the budget (on_budget: stop)"))
    assert lines[begin + 1 : begin + 6] == [
        "held     34 budget_stopped, 1 budget_night",
        "failed   2 result_missing",
        "closed   openai-batch: cloud_unreachable: nothing more was sent to it in this start (the job says: local)",
        "moved    1,040 records because of cloud_unreachable: 30 to azure-batch, 1,010 to extractive",
        "moved    1 record because of budget_endpoint_night: 1 to azure-batch",
    ]
    assert not any(line.startswith(("stopped", "held ", "failed ", "closed", "moved")) for line in closing())


def test_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((0.0, 1.0, 2.0, 17.0, 17.0, 18.0))
    monkeypatch.setattr("flows.progress.time.monotonic", lambda: next(seconds))
    stream = io.StringIO()
    with watching(stream) as progress:
        progress.stage("carrying documents")
        progress.carried(200)
        progress.carried(200)
        progress.carried(200)
        logging.getLogger("waybill").warning("the webhook was not reached (%s)", "ConnectError")
    assert stream.getvalue().splitlines() == [
        "waybill: carrying documents",
        "waybill: 400 documents so far",
        "waybill: the webhook was not reached (ConnectError)",
    ]


@contextmanager
def terminal(columns: int, shown: bytearray) -> Iterator[IO[str]]:
    """A pseudo-terminal of a given width; what was written to it ends up in `shown`."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read() -> None:
        with contextlib.suppress(OSError):  # the end of a terminal is an error, not an empty read
            while data := os.read(master, 4096):
                shown.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with os.fdopen(slave, "w") as stream:
            yield stream
    finally:
        reader.join()
        os.close(master)


@pytest.mark.parametrize("columns", [80, 140])
def test_one_live_line_on_a_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    shown = bytearray()
    with terminal(columns, shown) as stream, watching(stream) as progress:
        progress.stage("carrying documents")
        progress.carried(1234)
        logging.getLogger("waybill").warning("the webhook was not reached")
        progress.live.refresh()  # type: ignore[attr-defined]  # rather than wait for its timer
    written = shown.decode()
    assert "carrying documents" in written
    assert "1,234 documents" in written
    lines = [line.rpartition("\x1b[2K")[2].strip("\r") for line in written.split("\n")]
    assert "waybill: the webhook was not reached" in lines, "a log line stands alone"
    assert "\x1b[2K" in written, "the live line is wiped"


def test_the_log_goes_its_usual_way_afterwards() -> None:
    logger = logging.getLogger("waybill")
    before = (logger.propagate, list(logger.handlers))
    with watching(io.StringIO()):
        assert (logger.propagate, list(logger.handlers)) != before
    assert (logger.propagate, list(logger.handlers)) == before
