"""The page on money says what the program does: its YAML is read, its tables are printed, its rules are all there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flows.breakeven import break_even_text, load_break_even
from flows.cli import main
from policies.economics import thresholds
from policies.economics.advice import Rule
from policies.prices import parse_prices
from policies.yaml_value import Source

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "economics.md").read_text(encoding="utf-8")
PRICES = """version: 1
currency: USD
prices:
  - {provider: emulator, feature: batch, input: "0", output: "0", valid_from: 2026-01-01, review_by: 2027-01-01, source: README.md}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_hosts_of_the_page_are_read() -> None:
    (text,) = blocks("yaml")
    (host,) = parse_prices(Source(name="page", data=(PRICES + text).encode())).hosts
    assert (host.name, host.endpoints, host.machine.gpus) == ("gpu-1", ("vllm",), 2)


def test_the_table_by_volume_is_what_is_printed() -> None:
    (table,) = (block for block in blocks("text") if block.startswith("By volume"))
    assert table in break_even_text(load_break_even(ROOT / "examples" / "economics" / "crossover.yaml"))


def test_every_rule_is_on_the_page_and_no_other() -> None:
    rows = PAGE.partition("| code | what | advice |")[2].partition("\n\n")[0].splitlines()[2:]
    assert [code for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1])] == [str(rule) for rule in Rule]


def test_every_threshold_says_where_it_is_from() -> None:
    source = Path(thresholds.__file__).read_text(encoding="utf-8")
    documented = dict(re.findall(r'^([A-Z_]+) = [^\n]*\n"""(.*?)"""', source, re.MULTILINE | re.DOTALL))
    assert set(documented) == {name for name, value in vars(thresholds).items() if isinstance(value, int | Decimal)}
    assert all(re.search(r"[Gg]uides|Our own", text) for text in documented.values())


@pytest.mark.parametrize("command", re.findall(r"`waybill ((?:costs|advise)[^`]*examples/[^`]*)`", PAGE))
def test_the_commands_of_the_page_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    assert cli(*command.split()).out


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def call(*arguments: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capfd.readouterr()
        assert not ended.value.code, said.err
        return said

    return call
