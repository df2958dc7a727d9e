"""Auditors read `ledger.duckdb` while commits go on: no question fails, no entry is seen twice or missed, no half of a commit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.ledger import views
from sinks.ledger.entry import Event
from sinks.ledger.segments import Ledger

COMMITS = 25
QUESTIONS = (
    "SELECT count(*), count(DISTINCT seq), max(seq) FROM entries",
    "SELECT count(*), count(decision_seq), count(clearance_seq) FROM hand_overs",
    "SELECT count(*), count(DISTINCT (run_id, record_id)), count(*) FROM record_states",
    "SELECT count(*), count(DISTINCT segment), count(*) FROM checkpoints",
)
"""In each the three numbers are the same, whenever it is asked."""


def ask_until(stop: threading.Event, database: Path, wrong: list[object]) -> None:
    """Ask on one connection until the night is over, and once more then."""
    seen = 0
    with duckdb.connect(database, read_only=True) as auditor:
        while True:
            last = stop.is_set()
            for question in QUESTIONS:
                try:
                    ((first, *others),) = auditor.execute(question).fetchall()
                except duckdb.Error as error:
                    wrong.append(repr(error))
                    return
                if {first, *others} != {first}:
                    wrong.append((question, first, *others))
            ((entries,),) = auditor.execute("SELECT count(*) FROM entries").fetchall()
            if entries < seen:
                wrong.append(f"{seen} entries, then {entries}")
            seen = entries
            if last:
                return


@pytest.mark.parametrize("readers", [3])
def test_readers_while_a_night_commits(readers: int, ledger: Ledger, night: Any) -> None:
    wrong: list[object] = []
    stop = threading.Event()
    threads = [threading.Thread(target=ask_until, args=(stop, ledger.path / views.DATABASE, wrong)) for _ in range(readers)]
    for thread in threads:
        thread.start()
    try:
        for number in range(COMMITS):
            tell_one_record(night, f"r-{number}", f"i-{number}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def tell_one_record(night: Any, record: str, intent: str) -> None:
    """Five commits about one record."""
    night.decide(record, ("CLEAN",), ("cloud",))
    night.clear(record, "cloud", "emulator")
    night.submit(record, "cloud", "emulator", intent)
    night.intent(Event.SUBMITTED, intent)
    night.end(Event.COMPLETED, record, "cloud", "emulator", intent)
