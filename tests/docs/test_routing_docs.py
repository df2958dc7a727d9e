"""`docs/routing.md`, of training and calibrating: its commands are commands, its figures follow from the formulas."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from flows.cli.router import router
from flows.router_calibration import STARTS, THRESHOLDS, enough
from flows.router_outcomes import MIN_EACH, MIN_ROWS, MIN_SUBJECTS
from policies.strategies.complexity import LOOKED_AT

PAGE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ waybill router (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_on_the_page_is_one(line: str) -> None:
    name, *arguments = shlex.split(line)
    with router.commands[name].make_context(name, arguments) as context:
        assert isinstance(context, click.Context)


def test_the_page_shows_every_step() -> None:
    assert [line.split()[0] for line in COMMANDS] == ["train", "sample", "review", "calibrate"]


def test_the_line_of_outcomes_is_one() -> None:
    found = re.search(r"^```json\n(.+)\n```$", PAGE, re.MULTILINE)
    assert found is not None
    assert {name: type(value) for name, value in json.loads(found[1]).items()} == {
        "prompt": str,
        "domain": str,
        "weak_correct": bool,
        "strong_correct": bool,
    }


def test_how_many_kept_answers_it_takes_is_what_the_exact_tail_says() -> None:
    rows = re.findall(r"^\| (none|\d%) \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
    assert [share for share, *_ in rows] == ["none", "1%", "2%", "3%", "5%"]
    for share, *numbers in rows:
        wrong = 0.0 if share == "none" else int(share[:-1]) / 100
        expected = [enough(wrong, target=target, level=0.05 / len(STARTS)) for target in (0.90, 0.95, 0.99)]
        assert numbers == ["–" if one is None else str(one) for one in expected]


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    assert f"for each of {len(THRESHOLDS)} thresholds" in PAGE
    assert f"six starting points ({', '.join(f'{one:g}' for one in STARTS)})" in PAGE
    assert f"At least {MIN_ROWS} requests of {MIN_SUBJECTS} subjects are needed, and {MIN_EACH} that only" in PAGE
    assert f"the first {LOOKED_AT:,} characters" in PAGE
