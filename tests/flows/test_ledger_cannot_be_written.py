"""Ledger before egress (invariant 4), on a real disk that is full, and in real folders without permission.

In the middle of a night the ledger can no longer be written: the run ends with one clear line, nothing has been sent, and when the cause is
mended the same command ends the night.
"""

from __future__ import annotations

import ctypes
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from docs import verify_ledger as independent
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify

_DROP_FROM_BOUNDING_SET, _OVERRIDE, _SEARCH = 24, 1, 2  # prctl(2): PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_LIBC = ctypes.CDLL(None)
BEFORE_DECIDING = 3
"""A night's first segments are its schema, its policy and its start. What would be sent is decided after them."""
CLEAN_DOCUMENTS = 3


def like_anybody() -> None:
    """In the child, so that permissions mean something: root loses, with the next program, the right to pass them over."""
    for capability in (_OVERRIDE, _SEARCH):
        _LIBC.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


def no_room() -> None:
    """No file may grow beyond what holds a single entry: the write of many fails as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, resource.RLIM_INFINITY))


def segments(night: Any) -> list[Path]:
    return sorted((night.ledger / "segments").glob("*.parquet"))


def end_of(night: Any, prepare: Callable[[], None], reached: Callable[[], None] = lambda: None) -> str:
    """What a night says that fails; `reached` is called once it has committed its first segments."""
    command: list[str] = night.command()
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=prepare, **quiet) as process:  # noqa: PLW1509 - this test starts no threads
        while process.poll() is None and len(segments(night)) < BEFORE_DECIDING:
            time.sleep(0.002)
        reached()
        said: str = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    return said


def assert_nothing_was_sent(night: Any, said: str, reason: str) -> None:
    (line,) = [line for line in said.splitlines() if str(night.ledger) in line]
    assert line == f"waybill: {night.ledger}: the ledger cannot be written ({reason}); nothing is sent until it can"
    assert "Traceback" not in said
    assert not list((night.out / "emulator").rglob("received/*"))
    assert not any(night.results.rglob("*.parquet"))
    events = {event for path in segments(night) for event in pq.read_table(path)["event"].to_pylist()}
    assert not events & {"submitting", "submitted", "completed"}


def assert_goes_on(night: Any) -> None:
    report = night.run()
    assert (report["failed"], report["pending"]) == (0, 0)
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT record_id) FROM egress").fetchone() == (CLEAN_DOCUMENTS, CLEAN_DOCUMENTS)
    assert verify(night.ledger, deep=True).fault is None
    assert independent.verify(night.ledger)[0] == 0


def test_a_full_disk_and_lost_permission_stop_the_night_until_they_are_mended(make_night: Any) -> None:
    night = make_night()
    folder = night.ledger / "segments"
    Ledger.open(night.ledger)
    said = end_of(night, no_room)
    assert_nothing_was_sent(night, said, "File too large")
    said = end_of(night, like_anybody, lambda: folder.chmod(0o500))
    folder.chmod(0o750)
    assert_nothing_was_sent(night, said, "Permission denied")
    assert_goes_on(night)
