"""Reading survives forks, threads and damaged files; what it cannot read it names in one line."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sinks.errors import LedgerUnavailableError
from sinks.ledger import audit, files
from sinks.ledger.lookup import decided_classes
from sinks.ledger.segments import Ledger

# In a process of its own, because a fork of a process with threads is what is tested here.
FORK = """
import os, sys
from pathlib import Path
from sinks.ledger import audit
ledger = Path(sys.argv[1])
before = audit.egress(ledger).num_rows
child = os.fork()
if child == 0:
    os._exit(0 if audit.egress(ledger).num_rows == before else 3)
print(before, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), audit.egress(ledger).num_rows)
"""


def test_a_forked_process_reads_on(story: Ledger) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, str(story.path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["4", "0", "4"], done.stderr


def test_threads_read_side_by_side(story: Ledger) -> None:
    expected = (audit.egress(story).num_rows, audit.held(story).num_rows)
    found: list[tuple[int, int]] = []

    def work() -> None:
        found.extend((audit.egress(story).num_rows, audit.held(story).num_rows) for _ in range(4))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 24


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda ledger: audit.summary(ledger.path), id="by DuckDB"),
        pytest.param(lambda ledger: decided_classes(ledger, "night-2026-11-22", ["r-1"]), id="by Arrow"),
    ],
)
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: b"", lambda data: data[:4] + data[-4:]], ids=["cut", "empty", "hollow"]
)
def test_a_damaged_segment_is_named(ledger: Ledger, night: Any, ask: Callable[[Ledger], object], damage: Callable[[bytes], bytes]) -> None:
    night.decide("r-1", ("PHI",), ("local",))
    damaged = files.numbered_path(ledger.path / files.SEGMENTS, 3)
    damaged.write_bytes(damage(damaged.read_bytes()))
    with pytest.raises(LedgerUnavailableError, match=r"00000003\.parquet: not a readable Parquet file; restore"):
        ask(ledger)
