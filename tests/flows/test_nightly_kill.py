"""Killed at any instruction and run again, the night ends with the same rows and no second hand-over (invariant 6)."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

CLEAN_DOCUMENTS = 3
KILLS = 5


def outcome(results: Path) -> set[tuple[Any, ...]]:
    found = [row for path in results.rglob("*.parquet") for row in pq.ParquetFile(path).read().to_pylist()]
    assert len(found) == len({row["record_id"] for row in found})
    return {(row["source"], row["status"], tuple(row["data_classes"]), row["lane"], row["output"], row["error_code"]) for row in found}


def kill_when(night: Any, reached: Any) -> bool:
    """Start a night and kill -9 it at the moment `reached` says so; False when it ended before."""
    with subprocess.Popen(night.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if reached():
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.001)
    return False


def batches_created(state: Path) -> list[str]:
    """The intent of every batch that the provider created."""
    return [json.loads(path.read_text())["object"]["metadata"]["intent"] for path in (state / "batches").glob("*.json")]


def check(night: Any, reference: set[tuple[Any, ...]]) -> None:
    """The same rows as an undisturbed night; every clean record in exactly one batch that the provider created; one outcome each."""
    assert outcome(night.results) == reference
    created = batches_created(night.out / "emulator" / "small")
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        handed_over = connection.execute("SELECT record_id, intent_id FROM egress").fetchall()
        outcomes = connection.execute("SELECT record_id FROM entries WHERE event = 'completed'").fetchall()
    paid = [record for record, intent in handed_over for _ in range(created.count(intent))]
    assert len(paid) == len(set(paid)) == CLEAN_DOCUMENTS
    assert len(outcomes) == len(set(outcomes))


@pytest.fixture
def reference(finished_night: Any) -> set[tuple[Any, ...]]:
    """What a night ends with that nobody kills."""
    return outcome(finished_night.results)


@pytest.mark.slow
@pytest.mark.parametrize("segments", range(2, 18, 3), ids=lambda number: f"after segment {number}")
def test_killed_at_a_ledger_transition(make_night: Any, reference: set[tuple[Any, ...]], segments: int) -> None:
    night = make_night()
    folder = night.ledger / "segments"
    kill_when(night, lambda: folder.exists() and len(list(folder.glob("*.parquet"))) >= segments)
    night.run()
    check(night, reference)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2), ids=lambda seed: f"seed {seed}")
def test_killed_again_and_again_at_random_instants(make_night: Any, reference: set[tuple[Any, ...]], seed: int) -> None:
    night = make_night()
    chance = random.Random(seed)
    for _ in range(KILLS):
        deadline = time.monotonic() + chance.uniform(0.5, 6.0)
        kill_when(night, lambda until=deadline: time.monotonic() >= until)
    night.run()
    check(night, reference)


def test_a_second_runner_leaves(night: Any) -> None:
    with subprocess.Popen(night.command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as first:
        locks = night.ledger / "locks"
        while not (locks.exists() and any(path.stat().st_size for path in locks.iterdir())):
            assert first.poll() is None, "the first runner ended before it took its lock"
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)  # a small night can be over before the second runner has started
        second = subprocess.run(night.command(), capture_output=True, text=True, check=False, timeout=60)
        first.send_signal(signal.SIGCONT)
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert second.returncode == 1
    assert "already running" in second.stderr
