"""Nights with a second look that are killed: nothing is asked twice, nothing is lost, and no text stays behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.judge_server import KEYWORD, Judge
from tests.flows.looked_nights import HARBOUR, THREE, ask, places, rows, run

DIE = """
import os, signal, sys
import {module} as module
module.{name} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
from flows.cli import main
main(sys.argv[1:])
"""


INSTANTS = {
    "asked, before the answers": ("flows.second_look", "wait_for_answers"),
    "answered, before the ledger knows": ("flows.look_run", "_identity"),
    "judged, before the job has ended": ("sinks.ingest", "_commit_once"),
    "looked, before the decision": ("flows.nightly", "decide_documents"),
    "decided, before the hand-over": ("flows.nightly", "freeze_records"),
}


def killed(night: Any, instant: str, *options: str) -> None:
    module, name = INSTANTS[instant]
    command = [sys.executable, "-c", DIE.format(module=module, name=name), *night.command(*options)[1:]]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("instant", INSTANTS)
def test_killed_and_run_again(looking: Callable[..., Any], judge: Judge, instant: str) -> None:
    night = looking(THREE)
    killed(night, instant)
    asked = len(judge.asked)
    run(night)
    assert places(night) == {
        "harbour.txt": ("cloud", ("CLEAN",)),
        "museum.txt": ("cloud", ("CLEAN",)),
        "recipe.txt": ("local", ("TRADE_SECRET",)),
    }
    assert len(judge.asked) == 3 or instant == "asked, before the answers"
    assert asked == 3 or instant == "asked, before the answers"
    assert ask(night, "SELECT run_id, record_id FROM entries WHERE event = 'completed' GROUP BY ALL HAVING count(*) > 1") == []
    assert not [path for path in (night.out / "spool").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_text_that_changed_since_is_asked_about_again(looking: Callable[..., Any], judge: Judge) -> None:
    night = looking(THREE)
    killed(night, "looked, before the decision")
    (night.job.parent / "inbox" / "harbour.txt").write_text(f"{HARBOUR} There will be {KEYWORD}.")
    run(night)
    assert places(night)["harbour.txt"] == ("local", ("TRADE_SECRET",))
    assert len(judge.asked) == 4


@pytest.mark.slow
def test_a_look_that_nobody_goes_on_with_leaves_no_text(looking: Callable[..., Any]) -> None:
    night = looking(THREE)
    killed(night, "answered, before the ledger knows", "--date", "2026-11-01")
    assert [path for path in (night.out / "spool").rglob("*") if path.is_file()]
    run(night, date="2026-11-02")
    assert not [path for path in (night.out / "spool").rglob("*") if path.is_file()]
    assert ask(night, "SELECT state FROM intents WHERE run_id LIKE 'small-2026-11-01.look-%'") == [("cancelled",)]
    assert len(rows(night)) == 3
