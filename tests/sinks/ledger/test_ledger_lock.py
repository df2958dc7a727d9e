from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger.lock import one_runner

HOLDER = """
import sys
from pathlib import Path
from sinks.ledger.lock import one_runner
with one_runner(Path(sys.argv[1]), "night"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(ledger: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(ledger)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_second_runner_is_told_who_runs_and_follows_a_killed_one(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    try:
        with pytest.raises(LedgerError, match=f"already running: pid {holder.pid} on host"), one_runner(tmp_path, "night"):
            raise AssertionError
        with one_runner(tmp_path, "another job"):
            pass
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate(timeout=30)
    with one_runner(tmp_path, "night"):
        pass


def test_the_same_process_cannot_run_a_job_twice_at_once(tmp_path: Path) -> None:
    with one_runner(tmp_path, "night"), pytest.raises(LedgerError, match=f"pid {os.getpid()}"), one_runner(tmp_path, "night"):
        raise AssertionError
    with one_runner(tmp_path, "night"):
        pass


def test_a_worker_that_outlives_its_parent_does_not_keep_the_lock(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from sinks.ledger.lock import one_runner
with one_runner(Path({str(tmp_path)!r}), "night"):
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    os._exit(0)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert parent.wait(60) == 0
    with one_runner(tmp_path, "night"):
        pass
    parent.communicate(timeout=30)


def test_a_job_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    with one_runner(tmp_path / "ledger", "../../night"):
        assert [path.parent.name for path in tmp_path.rglob("*.lock")] == ["locks"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailableError, match="lock cannot be opened"), one_runner(tmp_path / "file", "night"):
        raise AssertionError
