"""What `docs/cloud/emulator.md` says there is, is there, and nothing is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from sinks.emulator.catalogue import KINDS, OPERATIONS, kinds_at
from sinks.emulator.chance import Draws
from sinks.emulator.faults import read_plan
from sinks.emulator.openai_api.provider import Dialect

PAGE = (Path(__file__).parents[2] / "docs" / "cloud" / "emulator.md").read_text(encoding="utf-8")
PLANS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
COLUMNS = {"create": "create", "list": "list", "look": "retrieve", "cancel": "cancel", "download": "content", "course": "lifecycle"}


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_the_fault_table_is_the_catalogue() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Faults"), re.MULTILINE))
    assert sorted(rows) == sorted(KINDS)
    for kind, where in rows.items():
        allowed = {OPERATIONS[at] for at in OPERATIONS if kind in kinds_at(at)}
        if where.startswith("any request"):
            assert allowed == {"create", "list", "retrieve", "cancel", "other"} | (set() if "JSON" in where else {"content", "object"})
        else:
            named = {COLUMNS.get(word, word) for word in re.findall(r"create|list|look|cancel|download|course|results", where)}
            assert named == allowed, kind


def test_the_operations_are_the_catalogues() -> None:
    assert sorted(re.findall(r"`([a-z]+\.[\w.]+)`", section("Operations"))) == sorted(OPERATIONS)


def test_the_options_are_the_programs() -> None:
    said = subprocess.run([sys.executable, "-m", "sinks.emulator", "--help"], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"`(--[\w-]+)`", PAGE.partition("\nDialects:")[0])) == set(re.findall(r"--[\w-]+", said)) - {"--help"}
    dialects = PAGE.partition("\nDialects:")[2].partition("\n\n")[0]
    assert re.findall(r"`(\w+)` \(", dialects) == [one.name for one in fields(Dialect)]


@pytest.mark.parametrize("plan", PLANS, ids=["planned", "by chance"])
def test_the_plans_load(plan: object, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    faults, chance = read_plan(path)
    assert bool(faults) != bool(chance)
    if chance is not None:
        Draws.of(chance, tmp_path)
