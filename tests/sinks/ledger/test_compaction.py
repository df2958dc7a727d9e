"""Compaction: segments become one file, whoever reads sees every entry once, and what was copied goes only when nobody can need it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import duckdb
import pyarrow.parquet as pq
import pytest

from flows.cli import main
from flows.closing import compact_ledger
from sinks.ledger import compaction, files, views
from sinks.ledger.compaction import GRACE, Compacted, compact
from sinks.ledger.facts import gate_facts
from sinks.ledger.index import of_runs
from sinks.ledger.lock import one_runner
from sinks.ledger.lookup import last_words
from sinks.ledger.segments import Ledger

if TYPE_CHECKING:
    from flows.night import Night
from tests.sinks.ledger.compacted_ledger import HOUR, LEAST, SEEN, after, assert_whole, loose, names, opened, rows_in, tell


def test_few_segments_are_left_alone(ledger: Ledger) -> None:
    tell(ledger, 0, LEAST - 1)
    assert loose(ledger) == [1, 2, 3, 4]
    assert compact(ledger, clock=after(1), least=LEAST) == Compacted()
    assert not (ledger.path / files.ARCHIVE).exists()


def test_all_but_the_newest_become_one_file_and_every_note_stays(ledger: Ledger) -> None:
    tell(ledger, 0)
    with opened(ledger) as auditor:
        before = auditor.sql("SELECT checkpoint FROM checkpoints ORDER BY segment").fetchall()
    done = compact(ledger, clock=after(1), least=LEAST)
    assert done == Compacted(written=(f"{datetime.now(UTC):%Y-%m}.00000001-00000005.parquet",))
    assert_whole(ledger)
    path = files.archived(ledger.path)[0].path
    assert path.stat().st_mode & 0o777 == 0o640
    with opened(ledger) as auditor:
        assert auditor.sql("SELECT checkpoint FROM checkpoints ORDER BY segment").fetchall()[: len(before)] == before
        stated = auditor.sql("SELECT before, after, result_file FROM entries WHERE event = 'compacted'").fetchall()
    assert stated == [("1", "5", path.name)]


QUESTIONS = {
    "count": SEEN,
    "nothing to read": "SELECT seq FROM entries WHERE false",
    "the newest only": "SELECT * FROM entries ORDER BY seq DESC LIMIT 1",
    "a far filter": "SELECT count(*) FROM entries WHERE seq > 1000000",
    "checkpoints": "SELECT count(*) FROM checkpoints",
    "history": "SELECT * FROM document_history('r-0-1-1')",
    "states": "SELECT * FROM record_states LIMIT 0",
    "prepared": "EXECUTE prepared",
}


def test_an_old_connection_sees_every_row_until_it_fails_loudly(ledger: Ledger) -> None:
    tell(ledger, 0)
    with opened(ledger) as aged:
        aged.execute(f"PREPARE prepared AS {SEEN}")
        compact(ledger, clock=after(1), least=LEAST)
        tell(ledger, 0, 2)  # stated again, and seen by the old views as well
        compact(ledger, clock=after(12.9), least=1000)
        assert aged.sql(SEEN).fetchall() == [(rows_in(ledger),) * 3]
        assert aged.sql("SELECT count(*) FROM checkpoints").fetchall() == [(ledger.head(),)]
        assert compact(ledger, clock=after(13.1), least=1000) == Compacted(deleted=1)
        for question in QUESTIONS.values():
            with pytest.raises(duckdb.IOException, match="No files found that match the pattern"):
                aged.execute(question).fetchall()
    with opened(ledger) as fresh:
        fresh.execute(f"PREPARE prepared AS {SEEN}")
        for question in QUESTIONS.values():
            fresh.execute(question).fetchall()


def test_the_guard_goes_first_and_the_rest_never_in_the_same_pass(ledger: Ledger) -> None:
    tell(ledger, 0)
    compact(ledger, clock=after(1), least=LEAST)
    assert loose(ledger) == list(range(1, 8))
    assert compact(ledger, clock=after(1) if GRACE > HOUR else after(0), least=LEAST) == Compacted()
    assert compact(ledger, clock=after(999), least=LEAST) == Compacted(deleted=1)
    assert loose(ledger) == list(range(2, 8))
    assert_whole(ledger)
    assert compact(ledger, clock=after(20), least=LEAST) == Compacted()
    assert compact(ledger, clock=after(999), least=LEAST) == Compacted(deleted=4)
    assert loose(ledger) == [6, 7]
    assert_whole(ledger)


def test_a_month_that_is_over_becomes_one_file_and_its_parts_go_later(ledger: Ledger) -> None:
    passes = []
    for night in range(3):  # the third is of November
        tell(ledger, night)
        passes.append(compact(ledger, clock=after(24 * night + 1), least=LEAST))
    assert_whole(ledger)
    parts = ["2100-10.00000006-00000011.parquet", "2100-10.00000012-00000017.parquet"]
    assert passes[-1] == Compacted(written=(parts[1], "2100-10.00000006-00000017.parquet"), deleted=5)
    assert names(ledger)[1:] == [parts[0], "2100-10.00000006-00000017.parquet", parts[1]]
    assert [one.path.name for one in files.in_force(files.archived(ledger.path))][1:] == ["2100-10.00000006-00000017.parquet"]
    with opened(ledger) as aged:
        for hours in (74, 75):
            compact(ledger, clock=after(hours), least=1000)
        assert_whole(ledger)
        assert names(ledger)[1:] == ["2100-10.00000006-00000017.parquet"]
        assert loose(ledger) == [18, 19, 20]
        assert aged.sql(SEEN).fetchall() == [(rows_in(ledger),) * 3]  # made after the merger: nothing of it is gone


def test_views_over_parts_fail_once_these_are_gone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_merge_months", lambda *_: [])
    for night in range(3):
        tell(ledger, night)
        compact(ledger, clock=after(24 * night + 1), least=LEAST)
    monkeypatch.undo()
    with opened(ledger) as aged:
        assert compact(ledger, clock=after(50), least=LEAST) == Compacted(written=("2100-10.00000006-00000017.parquet",), deleted=5)
        for hours in (62, 73):
            compact(ledger, clock=after(hours), least=LEAST)
            assert aged.sql(SEEN).fetchall() == [(rows_in(ledger),) * 3]
        compact(ledger, clock=after(75), least=LEAST)
        with pytest.raises(duckdb.IOException):
            aged.sql(SEEN).fetchall()
    assert names(ledger)[1:] == ["2100-10.00000006-00000017.parquet"]
    assert_whole(ledger)


def test_a_compacted_ledger_can_be_moved(ledger: Ledger, tmp_path: Path) -> None:
    tell(ledger, 0)
    compact(ledger, clock=after(1), least=LEAST)
    moved = ledger.path.rename(tmp_path / "moved [2026] it's*")
    views.relink(moved)
    with duckdb.connect(moved / views.DATABASE, read_only=True) as auditor:
        ((rows, distinct, last),) = auditor.sql(SEEN).fetchall()
    assert rows == distinct == last


def test_a_question_about_a_run_leaves_out_archive_files_without_it(ledger: Ledger) -> None:
    for night in range(2):
        tell(ledger, night)
        compact(ledger, clock=after(24 * night + 1), least=LEAST)
    _, paths = files.snapshot(ledger.path)
    first, second = (one.path for one in files.archived(ledger.path))
    assert [first, second] == paths[:2]
    assert of_runs(paths, ["n-0"]) == paths  # its last segment was the newest when the others were copied
    assert of_runs(paths, ["n-7", "n-1"]) == paths[1:]
    assert of_runs(paths, ["n-7"]) == paths[2:]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda ledger: gate_facts(ledger, "n-0", ["r-0-1-1"]).records.keys(), id="DuckDB"),
        pytest.param(lambda ledger: last_words(ledger, "n-0", ["r-0-1-1"]).keys(), id="Arrow"),
    ],
)
def test_what_is_deleted_after_it_was_listed_is_looked_for_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Ledger], Any]
) -> None:
    tell(ledger, 0)
    snapshot, hours_later, calls = files.snapshot, after, list[Path]()

    def slow(path: Path, *, after: int = 0) -> tuple[int, list[Path]]:
        found = snapshot(path, after=after)
        calls.append(path)
        if len(calls) == 1:
            for hours in (1, 99, 999):
                compact(ledger, clock=hours_later(hours), least=LEAST)
        return found

    monkeypatch.setattr(files, "snapshot", slow)
    assert list(ask(ledger)) == ["r-0-1-1"]
    assert loose(ledger) == [6, 7]


def test_a_night_compacts_at_its_end_and_is_done_even_if_that_fails(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    night = cast("Night", SimpleNamespace(ledger=ledger))
    tell(ledger, 0, compaction.LEAST)
    compact_ledger(night)
    assert len(names(ledger)) == 1
    tell(ledger, 1, compaction.LEAST)
    files.numbered_path(ledger.path / files.SEGMENTS, compaction.LEAST + 9).unlink()
    compact_ledger(night)
    assert "is missing" in caplog.text
    assert len(names(ledger)) == 1


def test_of_two_processes_the_second_leaves(ledger: Ledger) -> None:
    tell(ledger, 0)
    with one_runner(ledger.path, "(compaction)"):
        assert compact(ledger, clock=after(1), least=LEAST) is None
    assert names(ledger) == []


def test_rows_are_copied_in_row_groups_of_one_size(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "ROW_GROUP_ROWS", 4)
    tell(ledger, 0)
    compact(ledger, clock=after(1), least=LEAST)
    metadata = pq.read_metadata(files.archived(ledger.path)[0].path)
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [4, 4, 4, 1]
    assert_whole(ledger)


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_the_command_says_what_it_did(ledger: Ledger, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tell(ledger, 0, compaction.LEAST)
    assert run("ledger", "compact", str(ledger.path)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 archive files written, 0 superseded files deleted"
    assert run("ledger", "compact", str(ledger.path), "--grace", "0") == 0
    assert capsys.readouterr().out == "0 archive files written, 1 superseded files deleted\n"
    assert run("ledger", "compact", str(tmp_path)) == 1
    assert "no ledger here" in capsys.readouterr().err
