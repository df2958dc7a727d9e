"""A plan that knows earlier nights: what is unchanged is not taken again, speeds are measured, and a night is held against its plan."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_cli_plan import contents


@pytest.fixture(scope="module")
def after(finished: tuple[Any, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """A copy of a finished night, from which a document has gone, and to which one was added: job, outputs, report."""
    night, report = finished
    folder = tmp_path_factory.mktemp("after") / "copy"
    shutil.copytree(night.job.parent, folder)
    (folder / "inbox" / "public" / "museum.md").unlink()
    (folder / "inbox" / "public" / "new.txt").write_text("The ferry leaves at nine from the northern pier.", encoding="utf-8")
    return folder / night.job.name, folder / night.out.name, report


def test_what_is_unchanged_is_not_taken_again(after: tuple[Path, Path, Any], cli: Callable[..., Any]) -> None:
    job, out, _ = after
    before = contents(job.parent)
    said = cli("plan", job, "--out", out).out
    assert "6 documents are unchanged since they were done" in said
    assert "2 documents;" in said  # the new one, and the empty one
    assert re.search(r"emulator: .* tokens at [\d,.]+ a second, as measured in \d+ hand-overs?", said)
    assert "it fits: it ends about" in said
    made = json.loads(cli("plan", job, "--out", out, "--reprocess", "--json").out)
    assert (made["documents"], made["unchanged"], made["forecast"]["fits"]) == (8, 0, True)
    assert {one["endpoint"]: one["basis"] for one in made["forecast"]["endpoints"]} == {"emulator": "measured", "extractive": "measured"}
    assert made["places"]["cloud: emulator"]["tokens_out_about"] < made["places"]["cloud: emulator"]["tokens_out"]
    assert contents(job.parent) == before


def test_without_its_keys_a_plan_is_refused_as_a_night_is(after: tuple[Path, Path, Any], tmp_path: Path, cli: Callable[..., Any]) -> None:
    job, out, report = after
    copied = Path(shutil.copytree(job.parent, tmp_path / "copy"))
    shutil.rmtree(copied / out.name / "ledger.keys")
    where = (copied / job.name, "--out", copied / out.name)
    refused = cli("plan", *where, code=1).err.splitlines()[-1]
    assert "hmac.key: the ledger is not empty, but its HMAC key is missing" in refused
    assert cli("plan", *where, "--against", report["run_id"][-10:], code=1).err.splitlines()[-1] == refused
    assert not (copied / out.name / "ledger.keys").exists()
    assert cli("run", *where, code=1).err.splitlines()[-1] == refused


def test_a_plan_is_held_against_its_night(after: tuple[Path, Path, Any], cli: Callable[..., Any]) -> None:
    job, out, report = after
    date = report["run_id"][-10:]
    before = contents(job.parent)
    made = json.loads(cli("plan", job, "--out", out, "--against", date, "--json").out)
    lines = {(line["place"], line["what"]): line for line in made["lines"]}
    assert (made["gone"], made["new"], made["finished"]) == (1, 1, True)
    figures = ("planned", "actual", "difference", "percent")
    assert [lines["emulator", "documents"][name] for name in figures] == ["2", "3", "1", "50.0"]
    assert [lines["extractive", "documents"][name] for name in figures] == ["4", "4", "0", "0.0"]
    assert [lines["the night", "documents"][name] for name in figures] == ["6", str(report["results"]), "1", "16.7"]
    assert [lines["the night", "held"][name] for name in figures] == ["1", "1", "0", "0.0"]
    # Before that night nothing was measured: the limit stands for the output, and nobody knew when it would end.
    assert lines["emulator", "tokens out (at most)"]["planned"] == "120"
    assert lines["the night", "ends after"]["planned"] is None
    assert float(lines["the night", "ends after"]["actual"]) > 0
    assert contents(job.parent) == before
    refused = cli("plan", job, "--out", out, "--against", "2001-01-01", code=2).err
    assert "has no night of small on that date; its nights are from" in refused
    assert "it has had none" in cli("plan", job, "--against", "2001-01-01", code=2).err
