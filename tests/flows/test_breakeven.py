"""`waybill costs breakeven` and `waybill advise FILE`: the examples as people run them, and a chart that is the same every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from flows.breakeven import break_even, load_break_even, thousands, tokens
from flows.economics_chart import break_even_chart

EXAMPLES = Path(__file__).parents[2] / "examples" / "economics"
CROSSOVER = EXAMPLES / "crossover.yaml"
PNG = b"\x89PNG\r\n\x1a\n"


def test_the_tables_are_those_of_the_guides(cli: Callable[..., Any]) -> None:
    lines = [" ".join(line.split()) for line in cli("costs", "breakeven", CROSSOVER).out.splitlines()]
    for expected in (
        "10M 75 38 4,000 1 0.3% API API",
        "100M 750 375 4,000 1 3.2% API API",
        "500M 3,750 1,875 4,000 1 15.9% about equal API",
        "1B 7,500 3,750 4,000 1 31.7% self-host about equal",
        "5B 37,500 18,750 8,000 2 79.3% self-host self-host",
        "10B 75,000 37,500 16,000 4 79.3% self-host self-host",
        "GPT-4o 7.500 533.3M 16.9% 3.750 1.067B 33.8%",
        "GPT-4o-mini 0.450 never never 0.225 never never",
        "one A100 80 GB, owned 2,000 200 500 2,700",
        "four A100, owned 8,000 800 2,000 10,800",
        "cloud A100, reserved 3,500 0 500 4,000",
        "cloud H100, reserved 5,500 0 500 6,000",
        "total 68,000 115,000",
    ):
        assert expected in lines
    text = " ".join(lines)
    assert "0.25 a million is stated, 2.500 computed: it does not follow. A cache makes input cheaper, never output." in text
    assert text.count("it follows") == 4


def test_json_has_the_same_figures_whole(cli: Callable[..., Any]) -> None:
    values = json.loads(cli("costs", "breakeven", CROSSOVER, "--format", "json").out)
    assert [Decimal(row["api_list"]) for row in values["by_volume"]] == [75, 750, 3750, 7500, 37500, 75000]
    assert [row["winner_batch"] for row in values["by_volume"]] == ["API", "API", "API", "about equal", "self-host", "self-host"]
    assert [claim["follows"] for claim in values["claims"]] == [True, True, True, False, True]
    (own,) = (row for row in values["by_model"] if row["model"] == "GPT-4o")
    assert Decimal(own["batch"]["first"]) == 2 * Decimal(own["list"]["first"])


def test_the_chart_is_drawn_into_a_file(tmp_path: Path, cli: Callable[..., Any]) -> None:
    target = tmp_path / "chart.png"
    cli("costs", "breakeven", CROSSOVER, "--chart", target)
    drawn = target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o644
    assert drawn.startswith(PNG)
    assert b"matplotlib" not in drawn.lower()


def test_the_chart_for_the_report_names_axes_models_and_crossings() -> None:
    found = load_break_even(CROSSOVER)
    drawn = break_even_chart(found, kind="svg")
    assert drawn == break_even_chart(found, kind="svg")
    shown = "".join(ET.fromstring(drawn).itertext())  # noqa: S314 - our own drawing
    for expected in (
        "tokens a month (input to output 1:2)",
        "US dollars a month",
        "provider, list price",
        "provider, batch price",
        "533.3M at list price",
        "1.067B at batch price",
        *(api.name for api in found.inputs.apis),
    ):
        assert expected in shown
    assert b"<script" not in drawn
    assert b"<dc:date>" not in drawn


def test_a_chart_of_one_volume_and_of_a_free_model_is_drawn_too() -> None:
    inputs = load_break_even(CROSSOVER).inputs
    free = replace(inputs.against, name="free", input=Decimal(0), output=Decimal(0))
    assert break_even_chart(break_even(replace(inputs, volumes=(10**9,)))).startswith(PNG)
    assert break_even_chart(break_even(replace(inputs, apis=(inputs.against, free)))).startswith(PNG)


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((CROSSOVER, "--chart", "chart.jpg"), 2, "expected a name ending in .png or .svg, found chart.jpg"),
        ((CROSSOVER, "--chart", "missing/folder/chart.png"), 1, "cannot be written"),
        ((EXAMPLES / "healthcare.yaml",), 2, "healthcare.yaml:"),
        (("nowhere.yaml",), 2, "does not exist"),
    ],
    ids=["jpg", "no folder", "another file", "no file"],
)
def test_what_cannot_be_drawn_is_one_clear_line(arguments: tuple[Any, ...], code: int, said: str, cli: Callable[..., Any]) -> None:
    assert said in cli("costs", "breakeven", *arguments, code=code).err


@pytest.mark.parametrize(
    ("name", "first", "because"),
    [
        ("start-up", "Advice for SaaS start-up: API.", "look again at 500M [small_volume]"),
        ("healthcare", "Advice for healthcare: self-host", "it is under HIPAA and may not leave: compliance decides over cost"),
        ("e-commerce", "Advice for e-commerce: hybrid.", "customer service: hybrid, because its peak is 3 times its mean or more"),
        ("trading", "Advice for trading firm: self-host, redundant, no outside dependency.", "what is proprietary stands in its prompts"),
    ],
)
def test_the_four_scenarios_in_words(name: str, first: str, because: str, cli: Callable[..., Any]) -> None:
    said = " ".join(cli("advise", EXAMPLES / f"{name}.yaml").out.split())
    assert said.startswith(first)
    assert because in said


def test_advice_from_a_file_takes_no_options_of_a_ledger(cli: Callable[..., Any]) -> None:
    assert "FILE has all its figures" in cli("advise", EXAMPLES / "trading.yaml", "--cloud", "openai-batch", code=2).err
    values = json.loads(cli("advise", EXAMPLES / "e-commerce.yaml", "--format", "json").out)
    assert {one["name"]: one["rule"] for one in values["workloads"]} == {"product texts": "cheaper_inside", "customer service": "spiky"}


def test_amounts_are_written_for_people() -> None:
    assert [tokens(count) for count in (500_000, 10_000_000, 533_333_333, 999_000_000, 10**9, 1_066_700_000, 12_800_000_000)] == [
        "0.5M", "10M", "533.3M", "999M", "1B", "1.067B", "12.8B",
    ]  # fmt: skip
    assert thousands(Decimal("67986.40")) == "68,000"
