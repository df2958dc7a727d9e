"""`waybill plan`: what would go where, and not a trace of having asked."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policies.load import DEFAULT_REGISTRY

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


def test_a_plan_says_what_is_out_already(night: Any, cli: Callable[..., Any]) -> None:
    assert "out at a provider" not in cli("plan", night.job, "--out", night.out).out
    pending = night.run("--no-wait", code=4)["pending"]
    said = cli("plan", night.job, "--out", night.out).out
    assert f"{pending} records are out at a provider already, in none of these figures, and may end later (waybill jobs;" in said
    assert "what is not sent yet fits: it ends about" in said
    assert "1 document;" in said  # the empty one
    for more in ("--json", "--reprocess"):
        assert json.loads(cli("plan", night.job, "--out", night.out, "--json", more).out)["out"] == pending


def test_a_plan_says_what_it_costs_and_that_it_does_not_fit(
    make_night: Callable[..., Any], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine inside is declared to be so slow that restricted records alone take longer than there is; what may leave overflows."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-invented")
    lanes, budget = (
        "lanes: {cloud: openai-batch, strategy: local_first}\non_budget: stop",
        "budget_usd: {night: 20, endpoints: {openai-batch: {month: 0}}}",
    )
    night = make_night(extra=f"registry: slow.yaml\n{lanes}\n{budget}\n")
    text = DEFAULT_REGISTRY.read_text(encoding="utf-8")
    text = text.replace("model: lexrank\n", "model: lexrank\n    tokens_per_s: 0.005\n")
    text = text.replace("model: gpt-4o-mini\n", "model: gpt-4o-mini\n    tokens_per_s: 100\n", 1)
    (night.job.parent / "slow.yaml").write_text(text, encoding="utf-8")
    said = cli("plan", night.job).out
    assert re.search(r"local: extractive\s+│\s+4 ", said)
    assert re.search(r"cloud: openai-batch\s+│\s+3 .*│ 0\.\d{4} to 0\.\d{4} ", said)
    assert re.search(r"extractive: \d d \d+ h: [\d,]+ tokens at 0.005 a second, as the registry declares", said)
    assert "IT DOES NOT FIT: extractive would end about" in said
    assert re.search(r"it costs \$0\.\d{4} at the least and \$0\.\d{4} at the most", said)
    assert "budget for the night: $20.00; this plan alone fits into it" in said
    beyond = r"budget for the month at openai-batch: \$0.00; THIS PLAN MAY NOT FIT INTO IT: \$0\.\d{4} at the most; then "
    assert re.search(beyond + r"the night stops sending from the first record that does not fit \(on_budget: stop\), unlike", said)
    assert "A document of several classes counts in each." in said
