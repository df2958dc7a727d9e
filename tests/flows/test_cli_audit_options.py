"""What narrows, names and carries an answer of `waybill audit`: days, classes, endpoints, names, files, spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli.output import show
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger


def told(folder: Path) -> Path:
    """A ledger with a clean record handed to the emulator late on one day, and a class that only the policy knows."""
    ledger = Ledger.open(folder / "ledger")
    at = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    about: dict[str, Any] = {"at": at, "run_id": "night-2026-11-21", "record_id": "r0000000000000000000000a1"}
    moved: dict[str, Any] = {
        "lane": "cloud",
        "endpoint": "emulator",
        "clearance_id": "c1",
        "payload_hmac": "p1",
        "payload_bytes": 70,
        "attempt": 1,
    }
    policy = "classes:\n  EXPORT_CONTROLLED: {any_marker: [itar]}\ndefault: held\n"
    ledger.commit(
        [
            Entry(event=Event.POLICY_REGISTERED, at=at, policy_hash="p1", policy_text=policy),
            Entry(
                event=Event.DECIDED, **about, data_classes=("CLEAN",), partial=False, lanes=("cloud",), rule="routes[2]", policy_hash="p1"
            ),
            Entry(event=Event.SUBMITTING, **about, **moved, intent_id="i1"),
            Entry(event=Event.AMBIGUOUS, at=at, run_id="night-2026-11-21", intent_id="i1", actor="=1+1"),
        ]
    )
    return ledger.path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return told(tmp_path_factory.mktemp("options"))


def rows(cli: Callable[..., Any], ledger: Path, *options: str) -> int:
    return len(cli("audit", "egress", "--ledger", ledger, "--format", "json", *options).out.splitlines())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(("--since", "2026-11-21"), 1, id="since is included"),
        pytest.param(("--since", "2026-11-22"), 0, id="since the day after"),
        pytest.param(("--until", "2026-11-21"), 0, id="until is not included"),
        pytest.param(("--until", "2026-11-22"), 1, id="until the day after"),
        pytest.param(("--since", "2026-11-21", "--until", "2026-11-22"), 1, id="one day"),
        pytest.param(("--class", "CLEAN"), 1, id="class"),
        pytest.param(("--class", "PHI"), 0, id="built-in class without rows"),
        pytest.param(("--class", "EXPORT_CONTROLLED"), 0, id="class of the policy without rows"),
        pytest.param(("--endpoint", "emulator"), 1, id="endpoint"),
        pytest.param(("--endpoint", "extractive"), 0, id="endpoint of the registry without rows"),
    ],
)
def test_narrowing(options: tuple[str, ...], expected: int, small: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # where that day is the next one already
    assert rows(cli, small, *options) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(("--class", "PHl"), "CLEAN, CREDENTIALS, EXPORT_CONTROLLED", id="class"),
        pytest.param(("--class", "phi"), "PHI", id="class in small letters"),
        pytest.param(("--endpoint", "emulatr"), "it knows emulator", id="endpoint"),
        pytest.param(("--since", "yesterday"), "%Y-%m-%d", id="no date"),
        pytest.param(("--since", "2026-11-22", "--until", "2026-11-22"), "no day is asked about", id="no day"),
    ],
)
@pytest.mark.parametrize("question", ["summary", "egress", "held", "costs"])
def test_a_name_nobody_knows_is_no_reassuring_nothing(
    *, question: str, options: tuple[str, ...], said: str, small: Path, cli: Callable[..., Any]
) -> None:
    answer = cli("audit", question, "--ledger", small, *options, code=2)
    assert answer.out == ""
    assert said in answer.err


def test_a_record_nobody_knows(small: Path, cli: Callable[..., Any]) -> None:
    answer = cli("audit", "document", "r9999999", "--ledger", small, code=1)
    assert (answer.out, answer.err.count("\n")) == ("", 1)


def test_no_ledger(tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("audit", "egress", "--class", "PHI", "--ledger", tmp_path, code=1)
    assert (answer.out, answer.err.count("\n"), "no ledger here" in answer.err) == ("", 1, True)


def test_nothing_found_is_an_empty_table(small: Path, cli: Callable[..., Any]) -> None:
    answer = cli("audit", "egress", "--class", "PHI", "--ledger", small)
    assert answer.out.split()[:3] == ["at", "record", "classes"]
    assert answer.err == "nothing found\n"
    as_csv = cli("audit", "egress", "--class", "PHI", "--ledger", small, "--format", "csv").out
    assert [len(row) > 20 for row in csv.reader(io.StringIO(as_csv))] == [True]


def test_an_ambiguous_hand_over_is_egress_with_all_that_is_asked_of_it(small: Path, cli: Callable[..., Any]) -> None:
    row = json.loads(cli("audit", "egress", "--ledger", small, "--format", "json").out)
    wanted = ("data_classes", "endpoint", "payload_bytes", "intent_id", "at", "rule", "policy_hash", "hand_over")
    assert [row[name] for name in wanted] == [["CLEAN"], "emulator", 70, "i1", "2026-11-21T23:59:59+00:00", "routes[2]", "p1", "ambiguous"]


def test_a_document_can_be_narrowed_too(small: Path, cli: Callable[..., Any]) -> None:
    def events(*options: str) -> list[str]:
        said = cli("audit", "document", "r000000000", "--ledger", small, "--format", "json", *options).out
        return [json.loads(line)["event"] for line in said.splitlines()]

    assert events() == ["decided", "submitting", "ambiguous"]
    assert events("--endpoint", "emulator") == ["submitting"]
    assert events("--class", "CLEAN") == ["decided"]
    assert events("--until", "2026-11-21") == []


@pytest.mark.parametrize("fmt", ["table", "json", "csv", "parquet"])
@pytest.mark.parametrize("question", ["egress", "held", "document"])
def test_names_are_said_only_where_they_are_asked_for(
    *, question: str, fmt: str, finished_night: Any, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    about = ("public/moss.html",) if question == "document" else ()
    name = b"empty.txt" if question == "held" else b"public/moss.html"
    found = []
    for names in ((), ("--names",)):
        target = tmp_path / f"{len(names)}.{fmt}"
        cli("audit", question, *about, "--ledger", finished_night.ledger, "--format", fmt, "--output", target, *names)
        if fmt == "parquet":
            found.append(name.decode() in str(pq.read_table(target).to_pylist()))
        else:
            found.append(name in target.read_bytes())
    # The table that a history is has no column for a name: it is the one that was asked for.
    assert found == [False, (question, fmt) != ("document", "table")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_names_nobody_may_read(small: Path, cli: Callable[..., Any]) -> None:
    (small / "sources").chmod(0)
    try:
        assert rows(cli, small) == 1
        answer = cli("audit", "egress", "--names", "--ledger", small, code=1)
        assert (answer.out, answer.err.count("\n")) == ("", 1)
    finally:
        (small / "sources").chmod(0o700)


def test_an_answer_in_a_file_is_its_owners(small: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "egress.parquet"
    assert cli("audit", "egress", "--ledger", small, "--format", "parquet", "--output", target).out == ""
    assert pq.read_table(target).num_rows == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    answer = cli("audit", "egress", "--ledger", small, "--output", tmp_path / "no" / "where.csv", code=1)
    assert (answer.err.count("\n"), "cannot be written" in answer.err) == (1, True)


DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "\uff20A"]


@pytest.mark.parametrize("text", DANGEROUS, ids=ascii)
def test_a_spreadsheet_computes_nothing(text: str, tmp_path: Path) -> None:
    target = tmp_path / "answer.csv"
    table = pa.table({"text": [text, "plain =1"], "list": [[text], []], "number": [-1, 2], "day": [datetime(2026, 11, 21, tzinfo=UTC)] * 2})
    show(table, "csv", output=target)
    written = target.read_bytes().decode()
    header, first, second = list(csv.reader(io.StringIO(written, newline="")))
    assert header == ["text", "list", "number", "day"]
    assert first[0] == "'" + text
    assert (first[1], json.loads(first[1])) == (json.dumps([text]), [text])
    assert first[2:] == ["-1", "2026-11-21 00:00:00.000000Z"]
    assert second[:3] == ["plain =1", "[]", "2"]


def test_a_table_does_not_steer_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    show(pa.table({"source": ["a\x1b[2Jb\u202ec"]}), "table")
    assert "a\\x1b[2Jb\\x202ec" in capfd.readouterr().out


def test_parquet_is_not_printed_on_a_terminal(monkeypatch: pytest.MonkeyPatch, small: Path, cli: Callable[..., Any]) -> None:
    monkeypatch.setattr("flows.cli.output._is_terminal", lambda: True)
    answer = cli("audit", "egress", "--ledger", small, "--format", "parquet", code=2)
    assert (answer.out, "--output FILE" in answer.err) == ("", True)


@pytest.mark.parametrize(
    ("content", "code"),
    [pytest.param(b"", 2, id="empty"), pytest.param(b"\n \n", 2, id="blank"), pytest.param(b"\xff\xfe", 1, id="binary")],
)
def test_a_pinned_key_that_is_none_is_not_left_out(small: Path, tmp_path: Path, cli: Callable[..., Any], content: bytes, code: int) -> None:
    key = tmp_path / "pinned.pub"
    key.write_bytes(content)
    said = cli("audit", "verify", "--ledger", small, "--key", key, code=code)
    assert "waybill ledger key" in said.err
    assert "intact" not in said.out
