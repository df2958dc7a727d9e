"""`docs/routing.md`, of strategies and the month: every name, reason and key is explained, and the table is that of the last run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.month.report import HEADING
from policies import assign
from policies.model import TIERS
from policies.registry import ROUTING, parse_registry
from policies.strategies import STRATEGIES
from policies.strategies.batch import Situation
from policies.yaml_value import Source

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "routing.md").read_text("utf-8")
SECTION = PAGE[PAGE.index("## Strategies") : PAGE.index("## Complexity")]
MONTH = PAGE[PAGE.index("## A month") :]


def test_every_strategy_has_a_row_in_their_order() -> None:
    assert re.findall(r"^\| `([a-z_]+)` \| ", SECTION, re.MULTILINE)[: len(STRATEGIES)] == list(STRATEGIES)


@pytest.mark.parametrize(
    "code",
    [*assign.CODES, *assign.REFUSALS[:-1], assign.LOW_CONFIDENCE, assign.NONE_AVAILABLE, assign.NONE_CHOSEN, "no_permitted_endpoint"],
)
def test_every_reason_is_explained(code: str) -> None:
    assert f"`{code}`" in SECTION


def test_the_keys_of_the_registry_are_those_that_load() -> None:
    block = SECTION.split("```yaml\n")[1].split("```")[0]
    text = "version: 1\nendpoints:\n  one:\n    lane: local\n    engine: extractive\n    provider: p\n    model: m\n" + block
    endpoint = parse_registry(Source(name="docs/routing.md", data=text.encode()))["one"]
    for key in ROUTING:
        assert f"{key}: " in block
        assert getattr(endpoint, key)
    assert ", ".join(TIERS) in block
    assert (Situation().medium_from, Situation().large_from) == (1 / 3, 2 / 3)  # as the page says


def test_the_month_is_the_one_that_was_run_last() -> None:
    kept = json.loads((ROOT / "benchmarks" / "results" / "month.json").read_text())
    assert kept["heading"] == list(HEADING)
    for row in (kept["heading"], *kept["rows"]):
        assert f"| {' | '.join(row)} |" in MONTH
    assert [row[0] for row in kept["rows"]][: len(STRATEGIES)] == list(STRATEGIES)
