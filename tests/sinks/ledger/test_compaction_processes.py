from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def driven(mode: str, folder: Path, answer: str) -> re.Match[str]:
    """Run the driver, which stops at the first ledger that is not whole."""
    command = [sys.executable, str(Path(__file__).with_name("compaction_driver.py")), mode, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=ROOT, check=False, env={"PYTHONPATH": str(ROOT)})
    found = re.fullmatch(answer, done.stdout)
    assert found, (done.stdout, done.stderr[-500:])
    return found


def test_killed_at_any_step_of_compaction_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    found = driven("kill", tmp_path / "folder", r"deaths (\d+) archive (.*) segments 2\n")
    assert int(found[1]) >= 15
    assert re.findall(r"2100-\d\d\.\d+-\d+", found[2]) == ["2100-10.00000004-00000011", "2100-11.00000012-00000013"]


def test_readers_with_old_and_new_connections_see_every_row_once_while_others_write_and_compact(tmp_path: Path) -> None:
    found = driven("race", tmp_path / "folder", r"right (\d+) refused \d+ archives (\d+)\n")
    assert min(int(found[1]), int(found[2])) >= 1
