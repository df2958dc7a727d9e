"""`waybill audit`: every question in every format, the same rows in each, and never a word of a document."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

CANARY = "quetzalcoatl-7719"

QUESTIONS = [
    ("summary", {"day", "data_class", "partial", "lane", "endpoint", "records", "bytes"}, 5),
    ("egress", {"at", "record_id", "data_classes", "endpoint", "payload_bytes", "intent_id", "rule", "policy_hash", "clearance_id"}, 3),
    ("held", {"record_id", "reason", "still_held"}, 1),
    ("costs", {"day", "run_id", "lane", "endpoint", "model", "records", "tokens_in", "tokens_out", "cost_usd"}, 2),
    ("document", {"record_id", "event", "rule", "detectors_hash", "reason"}, 2),
]


def ask(cli: Callable[..., Any], night: Any, question: str, fmt: str, *more: str) -> str:
    about = ("empty.txt",) if question == "document" else ()
    said = cli("audit", question, *about, "--ledger", night.ledger, "--format", fmt, *more)
    assert CANARY not in said.out
    assert said.err == ""
    return str(said.out)


@pytest.mark.parametrize(("question", "columns", "rows"), QUESTIONS, ids=[question for question, _, _ in QUESTIONS])
def test_json_and_csv_agree(question: str, columns: set[str], rows: int, finished_night: Any, cli: Callable[..., Any]) -> None:
    lines = [json.loads(line) for line in ask(cli, finished_night, question, "json").splitlines()]
    assert len(lines) == rows
    assert columns <= set(lines[0])
    table = list(csv.DictReader(io.StringIO(ask(cli, finished_night, question, "csv"))))
    assert [set(row) for row in table] == [set(lines[0])] * rows
    key = "data_class" if question == "summary" else "endpoint" if question == "costs" else "record_id"
    assert [row[key] for row in table] == [line[key] for line in lines]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("summary", ("CLEAN", "PHI", "emulator", "extractive")),
        ("egress", ("public/moss.html", "public/museum.md", "public/harbour.txt", "emulator")),
        ("held", ("empty.txt", "empty_text")),
        ("costs", ("lexrank", "extractive-emulator")),
        ("document", ("decided", "held", "empty_text")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("columns", [80, 160])
def test_for_people(
    *, question: str, words: tuple[str, ...], columns: int, finished_night: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    named = ("--names",) if question in {"egress", "held", "document"} else ()
    shown = ask(cli, finished_night, question, "table", *named)
    assert [word for word in words if word not in shown] == []
    assert max(map(len, shown.splitlines())) <= columns


SHOWN = {
    "summary": ["day", "data_class", "partial", "lane", "endpoint", "records", "bytes"],
    "egress": ["at", "record", "source", "classes", "endpoint", "bytes", "intent", "rule", "policy", "hand_over"],
    "held": ["day", "record", "source", "reason", "still_held"],
    "document": ["time", "event", "what", "actor"],
}


@pytest.mark.parametrize("width", [80, 120, 160])
@pytest.mark.parametrize("question", SHOWN)
def test_a_table_has_the_columns_that_tell_the_story(
    question: str, width: int, finished_night: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    named = ("--names",) if "source" in SHOWN[question] else ()
    lines = ask(cli, finished_night, question, "table", *named).splitlines()
    given_up = set(SHOWN[question]) - set(lines[0].split())
    assert given_up <= ({"intent", "policy", "rule", "bytes"} if width == 80 else {"intent"} if width == 120 else set())
    assert [name for name in SHOWN[question] if name not in given_up] == lines[0].split()
    rows = next(rows for name, _, rows in QUESTIONS if name == question)
    assert sum(not line.startswith(" ") for line in lines[2:]) == rows  # what a fold continues is indented


def test_a_table_cuts_ids_so_that_they_can_still_be_asked_for(
    finished_night: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    rows = [line.split() for line in ask(cli, finished_night, "egress", "table", "--names").splitlines()[2:]]
    short = next(row[2] for row in rows if row[3] == "public/moss.html")
    by_beginning = cli("audit", "document", short, "--ledger", finished_night.ledger, "--format", "json").out
    assert by_beginning == cli("audit", "document", "public/moss.html", "--ledger", finished_night.ledger, "--format", "json").out
    told = cli("audit", "document", short, "--ledger", finished_night.ledger).out
    assert "CLEAN → cloud or local, by routes[" in told
    assert cli("audit", "document", "r", "--ledger", finished_night.ledger, code=1).out == ""


@pytest.mark.parametrize(("question", "columns", "rows"), QUESTIONS, ids=[question for question, _, _ in QUESTIONS])
def test_parquet_on_stdout(question: str, columns: set[str], rows: int, finished_night: Any) -> None:
    about = ["empty.txt"] if question == "document" else []
    command = [str(Path(sys.executable).with_name("waybill")), "audit", question, *about, "--ledger", str(finished_night.ledger)]
    done = subprocess.run([*command, "--format", "parquet"], capture_output=True, timeout=60, check=True)
    table = pq.read_table(io.BytesIO(done.stdout))
    assert table.num_rows == rows
    assert columns <= set(table.column_names)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (("--class", "CLEAN"), 3),
        (("--class", "PHI"), 0),
        (("--endpoint", "emulator"), 3),
        (("--endpoint", "extractive"), 0),
        (("--since", "2000-01-01"), 3),
        (("--until", "2000-01-01"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_filters(options: tuple[str, ...], rows: int, finished_night: Any, cli: Callable[..., Any]) -> None:
    assert len(ask(cli, finished_night, "egress", "json", *options).splitlines()) == rows


def test_a_document_by_id_by_source_and_unknown(finished_night: Any, cli: Callable[..., Any]) -> None:
    by_source = cli("audit", "document", "public/moss.html", "--ledger", finished_night.ledger, "--format", "json").out
    events = [json.loads(line) for line in by_source.splitlines()]
    assert [row["event"] for row in events][:4] == ["decided", "assigned", "cleared", "submitting"]
    by_id = cli("audit", "document", events[0]["record_id"], "--ledger", finished_night.ledger, "--format", "json").out
    assert by_id == by_source
    unknown = cli("audit", "document", "public/no-such.html", "--ledger", finished_night.ledger, code=1)
    assert (unknown.out, unknown.err.count("\n")) == ("", 1)


def test_a_moved_ledger_is_relinked(finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(finished_night.ledger, moved)
    cli("ledger", "relink", moved)
    with duckdb.connect(str(moved / "ledger.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM egress").fetchall() == [(3,)]
        views = connection.execute("SELECT string_agg(sql) FROM duckdb_views() WHERE NOT internal").fetchall()[0][0]
    assert str(finished_night.ledger) not in views
