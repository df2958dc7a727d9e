"""`waybill plan`: what would go where, and not a trace of having asked."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CANARY = "quetzalcoatl-7719"


def contents(folder: Path) -> dict[Path, tuple[int, str]]:
    """Every file with its time and digest, and every folder."""
    return {
        path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in folder.rglob("*")
    }


def test_a_plan_has_no_side_effects(night: Any, tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("home", "temporary", "here")}
    for place in places.values():
        place.mkdir()
    before = contents(tmp_path)
    environment = {"HOME": str(places["home"]), "TMPDIR": str(places["temporary"]), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(Path(sys.executable).with_name("waybill")), "plan", str(night.job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=places["here"], env=environment)
    assert "Nothing was sent or recorded" in done.stdout
    assert contents(tmp_path) == before


def test_a_plan_agrees_with_the_night(night: Any, cli: Callable[..., Any]) -> None:
    said = cli("plan", night.job)
    rows = {
        cells[0]: cells[1:] for line in said.out.splitlines() if len(cells := [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]) > 1
    }
    report = night.run()
    assert f"{report['documents']} documents" in said.out
    for name, counts in report["by_class"].items():
        assert rows[name] == [str(counts[place] or "·") for place in ("local", "cloud", "held")]
    assert rows["cloud: emulator"][0] == "3"
    assert rows["local: extractive"][0] == "4"
    assert rows["held: empty_text"][0] == "1"
    assert CANARY not in said.out + said.err


def test_a_plan_estimates_from_above(night: Any, cli: Callable[..., Any]) -> None:
    line = next(line for line in cli("plan", night.job).out.splitlines() if "cloud: emulator" in line)
    tokens_in, tokens_out = (int(cell.replace(",", "")) for cell in re.split("[│┃]", line)[3:5])
    public = sum(len(path.read_bytes()) for path in (night.job.parent / "inbox" / "public").iterdir())
    assert tokens_in > public / 6  # ordinary English: four to five bytes a token, and the template besides
    assert tokens_out == 3 * 60


def test_a_plan_of_the_first_documents(night: Any, cli: Callable[..., Any]) -> None:
    assert "2 documents;" in cli("plan", night.job, "--limit", 2).out
