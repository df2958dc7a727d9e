"""Ctrl-C and SIGTERM: one line, the shell's exit code, wherever the command was; and what an interrupted night leaves to see."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flows.cli import main
from sinks.lanes.extractive import ExtractiveLane

SLOW = """
import signal
import sys
import time
import click
from flows.cli import COMMANDS, main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored

def statement():  # as DuckDB 2.0 does; a real statement loses a signal that comes just when it begins
    try:
        sleep()
    except BaseException:
        raise RuntimeError("Query interrupted") from None

def sleep():
    print("ready", flush=True)
    time.sleep(120)

@click.command()
def slow():
    try:
        {"sleep": sleep, "statement": statement}[sys.argv[1]]()
    finally:
        print("closed", flush=True)
        if sys.argv[2:]:
            time.sleep(120)

COMMANDS["slow"] = ("__main__:slow", "")
main(["slow"])
"""


def slow(*arguments: str) -> subprocess.Popen[str]:
    """A command that does not end by itself, and has begun."""
    words = [sys.executable, "-c", SLOW, *arguments]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("where", ["sleep", "statement"])
@pytest.mark.parametrize(("signum", "word", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)])
def test_one_line_and_the_code_of_the_signal(where: str, signum: signal.Signals, word: str, code: int) -> None:
    with slow(where) as process:
        process.send_signal(signum)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "closed\n")
    assert err.strip() == f"waybill: {word}; run the same command again to go on"


def test_a_second_termination_does_not_wait_for_what_closes() -> None:
    with slow("sleep", "closes slowly") as process:
        process.terminate()
        assert process.stdout
        assert process.stdout.readline() == "closed\n"
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM


def test_the_end_of_a_file_is_no_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def end(*_: object, **__: object) -> None:
        raise EOFError

    monkeypatch.setattr("flows.cli.LazyGroup.invoke", end)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.strip().startswith("waybill: unexpected EOFError at ")
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupted_night_has_work_inside_and_nobody_to_ask(
    make_night: Callable[..., Any], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    night = make_night({"discharge.txt": "Discharge summary\nPatient: Goran Castellan\nMRN 40718823\nDiagnosis: angina.\n"})
    where = ("--out", night.out)
    with monkeypatch.context() as patched:
        patched.setattr(ExtractiveLane, "_answers", stop)
        said = cli("run", night.job, *where, code=130)
    assert said.err.splitlines()[-1] == "waybill: interrupted; run the same command again to go on"
    asked = cli("jobs", "--job", night.job, *where, "--format", "json")
    assert [(one["endpoint"], one["provider"]) for one in map(json.loads, asked.out.splitlines())] == [("extractive", "runs inside")]
    assert asked.err == ""
