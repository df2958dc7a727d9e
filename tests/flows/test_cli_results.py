"""`waybill results export`: one current row per document, in three formats with the same rows, for its owner's eyes only."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

READ: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "csv": lambda path: list(csv.DictReader(io.StringIO(path.read_text(), newline=""))),
    "jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    "parquet": lambda path: pq.ParquetFile(path).read().to_pylist(),
}


def export(cli: Callable[..., Any], night: Any, target: Path, *options: str, code: int = 0) -> Any:
    return cli("results", "export", night.job, target, "--out", night.out, *options, code=code)


@pytest.mark.parametrize("kind", READ)
def test_one_row_a_document(kind: str, finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / f"current.{kind}"
    assert f"8 rows in {target}" in export(cli, finished_night, target).out
    rows = READ[kind](target)
    assert len(rows) == len({row["record_id"] for row in rows}) == 8
    assert {row["source"]: row["status"] for row in rows} == {
        "bank/letter.txt": "completed",
        "clinic/discharge.txt": "completed",
        "empty.txt": "held",
        "mail/timetable.eml": "completed",
        "mail/timetable.eml#letter.txt": "completed",
        "public/harbour.txt": "completed",
        "public/moss.html": "completed",
        "public/museum.md": "completed",
    }
    assert all(row["output"] for row in rows if row["status"] == "completed")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_formats_agree(finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    found = {}
    for kind, read in READ.items():
        export(cli, finished_night, tmp_path / f"current.{kind}")
        found[kind] = {
            row["record_id"]: (row["source"], row["output"] or "", row["error_code"] or "") for row in read(tmp_path / f"current.{kind}")
        }
    assert found["csv"] == found["jsonl"] == found["parquet"]


def test_typed_columns_of_an_extraction(make_night: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path) -> None:
    schema = "{type: object, required: [title], properties: {title: {type: string}, amount: {type: [number, 'null']}}}"
    night = make_night(
        documents={"bill.txt": "Title: Harbour dues\nAmount: 120.50\n"},
        task=f"{{kind: extract, schema: {schema}}}",
        extra="lanes: {cloud: null}\n",
    )
    cli("run", night.job, "--out", night.out)
    export(cli, night, tmp_path / "rows.jsonl")
    (row,) = READ["jsonl"](tmp_path / "rows.jsonl")
    assert row["title"] == json.loads(row["output"])["title"] == "Harbour dues"
    assert row["amount"] == 120.5


@pytest.mark.parametrize("name", ["rows.xlsx", "rows"])
def test_an_unknown_format(name: str, finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "expected a name ending in .parquet, .csv, .jsonl" in export(cli, finished_night, tmp_path / name, code=2).err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_not(finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    said = export(cli, finished_night, tmp_path / "rows.csv", "--run", "small-2000-01-01", code=1)
    assert "nothing was exported" in said.err
    assert list(tmp_path.iterdir()) == []


def test_before_the_first_night(night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "no ledger here" in export(cli, night, tmp_path / "rows.csv", code=1).err
    assert not (tmp_path / "rows.csv").exists()


def test_rows_of_the_ledger_are_made_again_when_their_file_is_gone(night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    night.run("--date", "2026-11-20")
    (night.job.parent / "inbox" / "empty.txt").unlink()  # held in the older run for ever
    night.run("--date", "2026-11-21")
    export(cli, night, tmp_path / "before.jsonl")
    (held,) = night.results.glob("*/held/rows.parquet")
    held.unlink()
    assert "8 rows in" in export(cli, night, tmp_path / "after.jsonl").out
    assert READ["jsonl"](tmp_path / "after.jsonl") == READ["jsonl"](tmp_path / "before.jsonl")
    assert not held.exists()


def test_results_that_are_gone_are_made_anew_as_the_message_says(night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    night.run()
    shutil.rmtree(night.results)
    said = export(cli, night, tmp_path / "rows.csv", code=1).err
    assert re.search(r"[/]small-[0-9-]+/.*\.parquet and \d more are missing; restore .*: `waybill run JOB --reprocess`", said)
    night.run("--reprocess")
    assert "8 rows in" in export(cli, night, tmp_path / "rows.csv").out
