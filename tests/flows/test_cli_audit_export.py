"""`waybill audit export`: a copy that stands alone, says how to open and verify it, and holds neither names nor keys."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.errors import LedgerError
from sinks.ledger import audit_export, files
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger

NOW = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
SQL = (
    "SELECT count(*), (SELECT count(*) FROM egress), (SELECT count(*) FROM sources), (SELECT max(tree_size) FROM checkpoints) FROM entries"
)


@pytest.fixture(scope="module")
def exported(finished_night: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that was moved since, of a ledger that is elsewhere."""
    folder = tmp_path_factory.mktemp("exported")
    audit_export.export(finished_night.ledger, folder / "made here", now=NOW)
    return (folder / "made here").rename(folder / "moved [to] the auditor's")


def asked_in(folder: Path) -> list[int]:
    """The answer of a client that was started in the folder."""
    code = f"import duckdb, json; print(json.dumps(duckdb.connect('ledger.duckdb', read_only=True).sql({SQL!r}).fetchall()[0]))"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    answer: list[int] = json.loads(done.stdout)
    return answer


def test_it_answers_wherever_it_is(exported: Path, finished_night: Any) -> None:
    with duckdb.connect(finished_night.ledger / "ledger.duckdb", read_only=True) as original:
        entries, egress, names, size = original.sql(SQL).fetchall()[0]
    assert names > 0
    assert asked_in(exported) == [entries, egress, 0, size]


def test_no_path_of_the_operator_is_in_it(exported: Path, finished_night: Any) -> None:
    operator = str(finished_night.ledger.parent).encode()
    holding = [path.name for path in exported.rglob("*") if path.is_file() and operator in path.read_bytes()]
    assert holding == []
    assert not [path for path in exported.rglob("*") if path.suffix in {".key", ".pub"}]


@pytest.mark.parametrize("names", [False, True], ids=["without names", "with names"])
def test_names_only_where_they_are_asked_for(*, names: bool, finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    said = cli("audit", "export", "--ledger", finished_night.ledger, "--output", tmp_path / "copy", *(["--names"] if names else []))
    assert said.out.count("\n") == 1
    assert bool(asked_in(tmp_path / "copy")[2]) == names
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy" / "sources").iterdir()}
    assert modes == ({0o600} if names else {0o640})
    assert ("keep this copy as private" in (tmp_path / "copy" / "README.md").read_text()) == names


def test_both_verifiers_take_it(exported: Path, cli: Callable[..., Any]) -> None:
    assert "intact" in cli("audit", "verify", "--deep", "--ledger", exported).out
    done = subprocess.run([sys.executable, "-P", exported / "verify_ledger.py", exported], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_it_says_of_which_commit_it_is(exported: Path, finished_night: Any) -> None:
    readme = (exported / "README.md").read_text(encoding="utf-8")
    checkpoint = (exported / "checkpoint").read_text(encoding="utf-8")
    assert checkpoint == (finished_night.ledger / "checkpoint").read_text(encoding="utf-8")
    assert checkpoint in readme
    assert f"segment {files.head(finished_night.ledger)}" in readme
    assert "2026-11-22 06:30 UTC" in readme
    assert "$" not in readme


def test_relinked_it_answers_from_anywhere(exported: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    copy = shutil.copytree(exported, tmp_path / "relinked")
    cli("ledger", "relink", copy)
    with duckdb.connect(copy / "ledger.duckdb", read_only=True) as auditor:
        assert auditor.sql("SELECT count(*) FROM egress").fetchall() == [(3,)]


@pytest.mark.parametrize("where", ["full", "inside", "a file", "comma"])
def test_what_it_refuses(where: str, finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    target = {"full": tmp_path, "inside": finished_night.ledger / "copy", "a file": tmp_path / "kept", "comma": tmp_path / "a,b" / "copy"}[
        where
    ]
    (tmp_path / "kept").write_text("kept")
    said = cli("audit", "export", "--ledger", finished_night.ledger, "--output", target, code=1)
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


def test_an_empty_folder_is_taken(finished_night: Any, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    assert audit_export.export(finished_night.ledger, tmp_path / "copy", now=NOW).entries == asked_in(tmp_path / "copy")[0]


def test_a_copy_that_fails_leaves_nothing(finished_night: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(LedgerError, match="No space left"):
        audit_export.export(finished_night.ledger, tmp_path / "copy", now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_while_the_night_commits_it_is_the_ledger_of_one_moment(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger")
    stop = threading.Event()

    def commit() -> None:
        while not stop.is_set():
            ledger.commit([Entry(event=Event.HELD, at=NOW, record_id="r1", reason="budget") for _ in range(3)])

    writer = threading.Thread(target=commit)
    writer.start()
    try:
        copies = [audit_export.export(ledger.path, tmp_path / f"copy{number}", now=NOW) for number in range(3)]
    finally:
        stop.set()
        writer.join()
    for copy in copies:
        found = asked_in(copy.path)
        assert (found[0], found[3]) == (copy.entries, copy.entries)
        assert (copy.path / "checkpoint").read_text().splitlines()[1] == str(copy.entries)


def test_a_segment_that_was_merged_meanwhile_is_looked_for_again(
    finished_night: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = files.snapshot
    gone = finished_night.ledger / "segments" / "00000000.parquet"
    answers = iter([(1, [gone]), listed(finished_night.ledger)])
    monkeypatch.setattr(files, "snapshot", lambda ledger, **_: next(answers, None) or listed(ledger))
    made = audit_export.export(finished_night.ledger, tmp_path / "copy", now=NOW)
    assert asked_in(made.path)[0] == made.entries
