from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def deaths(mode: str, folder: Path, count: int) -> int:
    """Run the driver, which stops at the first ledger that is not whole, and say how many writers it killed."""
    command = [sys.executable, str(Path(__file__).with_name("kill_driver.py")), mode, str(folder), str(count), "20261122"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=ROOT, check=False, env={"PYTHONPATH": str(ROOT)})
    found = re.fullmatch(r"deaths (\d+) unacknowledged \d+\n", done.stdout)
    assert found, done.stderr[-500:]
    return int(found[1])


def test_killed_at_every_step_of_a_commit_it_is_there_in_full_or_not_at_all(tmp_path: Path) -> None:
    assert deaths("commit", tmp_path / "ledger", 1) >= 20


def test_killed_at_random_moments_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert deaths("random", tmp_path / "ledger", 20) == 20


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["create", "rotate"])
def test_killed_while_making_a_ledger_or_handing_over_its_key(tmp_path: Path, mode: str) -> None:
    """At every fourth step. All of them: the driver by hand, with 1."""
    assert deaths(mode, tmp_path / "ledger", 4) >= 12
