"""`waybill detectors list` and `waybill detectors test`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_every_detector_is_listed(cli: Callable[..., Any]) -> None:
    rows = [json.loads(line) for line in cli("detectors", "list", "--json").out.splitlines()]
    assert {"name", "version", "cost", "provides"} == set(rows[0])
    assert "us_ssn" in {row["name"] for row in rows}


def test_one_detector_on_its_examples(cli: Callable[..., Any]) -> None:
    row = json.loads(cli("detectors", "test", "us_ssn", "--json").out)
    assert (row["name"], row["as_recorded"], row["false_alarms"]) == ("us_ssn", True, 0)
    assert row["found"] == row["expected"] >= 3
    assert row["words_per_s"] > 0


def test_figures_and_no_text_for_a_person(cli: Callable[..., Any]) -> None:
    said = cli("detectors", "test", "us_ssn", "us_mbi").out
    assert said.startswith("us_ssn\n  hits         ")
    assert said.endswith("every example comes out as recorded\n")
    assert "536-22-8145" not in said


def test_examples_of_ones_own(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text('- text: "it is 536-22-8145"\n  expect: []\n')
    said = cli("detectors", "test", "us_ssn", "--examples", path, code=1).out
    assert "  line 1: false alarm US_SSN at text 6-17\n1 example comes out otherwise than recorded" in said


def test_an_unknown_name_is_told_with_its_likeness(cli: Callable[..., Any]) -> None:
    assert cli("detectors", "test", "us_sn", code=2).err.endswith("did you mean us_ssn?\n")


def test_one_file_is_for_one_detector(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "exactly one NAME" in cli("detectors", "test", "--examples", tmp_path / "x.yaml", code=2).err
