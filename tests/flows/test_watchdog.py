"""A text that makes a detector hang ends as UNSCANNABLE, whichever command meets it, however little there is to scan."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.night import NightOptions
from flows.nightly import run_night
from flows.scan_workers import SCAN_TIMEOUT, Patience

PLUGIN = """
import time
from detectors.detector import EachText, marker_kind
from detectors.document import Evidence

def look(text):
    if "PLEASE HANG" in text.text:
        time.sleep(60)  # for ever, to whoever waits a second; without a watchdog the text would then be clean
    return Evidence(markers=frozenset({"looked"}))

def detector():
    return EachText(name="slow", provides=frozenset({marker_kind("looked")}), look=look, cost=0)
"""
POLICY = """
version: 1
classes:
  LOOKED: {basis: house rule, marker: looked}
routes:
  - {when: [LOOKED, UNSCANNABLE], lanes: [local]}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""
TEXT = "PLEASE HANG while you read of the new ferry timetable, which the harbour council has put up at the old pier this week."


@pytest.fixture(autouse=True)
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that hangs when a text says so, here and in every process started from here, and little patience."""
    site = tmp_path / "site"
    information = site / "slow-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[waybill.detectors]\nslow = slow_detector:detector\n")
    (site / "slow_detector.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.delitem(sys.modules, "slow_detector", raising=False)
    monkeypatch.setattr("flows.scan_workers.PATIENCE", Patience(batch_s=1.0, megacharacter_s=0.0))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "looked.yaml"
    path.write_text(POLICY)
    return path


def test_scan(tmp_path: Path, policy: Path, cli: Callable[..., Any]) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text(TEXT)
    said = cli("scan", letter, "--policy", policy, "--json", "--explain")
    found = json.loads(said.out)
    assert (found["data_classes"], found["failures"]) == (["UNSCANNABLE"], [SCAN_TIMEOUT])
    assert "timetable" not in said.out + said.err


def test_eval(tmp_path: Path, policy: Path, cli: Callable[..., Any]) -> None:
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text(json.dumps({"id": "1", "text": TEXT, "labels": []}))
    found = json.loads(cli("eval", labelled, "--policy", policy, "--json").out)
    assert found["over_block"]["labelled"]["kept_as"] == {"UNSCANNABLE": 1}


def test_plan(make_night: Callable[..., Any], policy: Path, cli: Callable[..., Any]) -> None:
    night = make_night(documents={"letter.txt": TEXT}, extra=f"policy: {policy}\nlanes: {{cloud: null}}\n")
    (row,) = [line for line in cli("plan", night.job).out.splitlines() if "UNSCANNABLE" in line]
    assert "1" in row


def test_a_small_run(make_night: Callable[..., Any], policy: Path) -> None:
    night = make_night(documents={"letter.txt": TEXT}, extra=f"policy: {policy}\nlanes: {{cloud: null}}\n")
    report = run_night(NightOptions(job=str(night.job), out=str(night.out)))
    assert report.by_class.keys() == {"UNSCANNABLE"}
