from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import duckdb
import pyarrow.parquet as pq
import pytest

from docs import verify_ledger as independent
from flows.cli import main
from flows.closing import compact_ledger
from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import compaction, files, views
from sinks.ledger.compaction import GRACE, Compacted, compact
from sinks.ledger.entry import Entry, Event
from sinks.ledger.facts import gate_facts
from sinks.ledger.index import of_runs
from sinks.ledger.lock import one_runner
from sinks.ledger.lookup import last_words
from sinks.ledger.queries import run_counts, run_state
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify
from tests.sinks.ledger.ledger_attacker import Segment

if TYPE_CHECKING:
    from flows.night import Night

START = datetime(2100, 10, 30, 22, tzinfo=UTC)  # after the month of the first entry, whose time is that of the clock
HOUR = timedelta(hours=1)
LEAST = 4
SEEN = "SELECT count(*), count(DISTINCT seq), max(seq) FROM entries"


def tell(ledger: Ledger, night: int, commits: int = LEAST + 1) -> None:
    at = START + night * 24 * HOUR
    for number in range(commits):
        records = [f"r-{night}-{number}-{row}" for row in range(3)]
        ledger.commit([Entry(event=Event.HELD, at=at, run_id=f"n-{night}", record_id=record, reason="budget") for record in records])


def after(hours: float) -> Callable[[], datetime]:
    return lambda: START + hours * HOUR


def names(ledger: Ledger) -> list[str]:
    return [one.path.name for one in files.archived(ledger.path)]


def loose(ledger: Ledger) -> list[int]:
    return [number for number, _ in files.numbered(ledger.path / files.SEGMENTS)]


def rows_in(ledger: Ledger) -> int:
    return int(files.footer(files.numbered(ledger.path / files.SEGMENTS)[-1][1])[files.LAST_SEQ_KEY])


@contextmanager
def opened(ledger: Ledger) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that stays on the views as they are now, although `ledger.duckdb` is replaced."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{ledger.path / views.DATABASE}' AS log (READ_ONLY)")
        connection.execute("USE log")
        yield connection


def assert_whole(ledger: Ledger) -> None:
    """Fresh views, the program and both verifiers see every entry once."""
    with opened(ledger) as auditor:
        assert auditor.sql(SEEN).fetchall() == [(rows_in(ledger),) * 3]
        assert auditor.sql("SELECT count(*), max(segment) FROM checkpoints").fetchall() == [(ledger.head(),) * 2]
    assert len(gate_facts(ledger, "n-0", [f"r-0-{number}-1" for number in range(LEAST + 1)]).records) == LEAST + 1
    assert run_counts(ledger, "n-0").held == len(run_state(ledger.path, "n-0")) == 3 * (LEAST + 1)
    assert verify(ledger.path, deep=True).fault is None
    assert independent.verify(ledger.path, None, [])[0] == 0


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


def changed(path: Path) -> None:
    """Somebody edits a row, and leaves the footer as it was."""
    segment = Segment.read(path)
    column = segment.rows.schema.get_field_index("reason")
    reasons = ["nothing", *segment.rows["reason"].to_pylist()[1:]]
    Segment(segment.rows.set_column(column, segment.rows.schema.field(column), [reasons]), segment.footer).write(path)


def half(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("damage", [changed, half, Path.unlink])
@pytest.mark.parametrize("number", [2, 5])
def test_what_was_not_signed_is_not_compacted(ledger: Ledger, number: int, damage: Callable[[Path], Any]) -> None:
    tell(ledger, 0)
    damage(files.numbered_path(ledger.path / files.SEGMENTS, number))
    with pytest.raises(LedgerError, match="verify"):
        compact(ledger, clock=after(1), least=LEAST)
    assert names(ledger) == []
    assert not list((ledger.path / files.ARCHIVE).glob("*"))


def test_the_segments_stay_where_the_archive_file_is_not_what_was_stated(ledger: Ledger) -> None:
    tell(ledger, 0)
    compact(ledger, clock=after(1), least=LEAST)
    changed(files.archived(ledger.path)[0].path)
    with pytest.raises(LedgerUnavailableError, match="the segments in it are kept"):
        compact(ledger, clock=after(99), least=LEAST)
    assert loose(ledger) == list(range(1, 8))


def test_segments_under_an_archive_file_that_nobody_stated_stay(ledger: Ledger) -> None:
    tell(ledger, 0)
    compact(ledger, clock=after(1), least=LEAST)
    path = files.archived(ledger.path)[0].path
    path.rename(path.with_name(f"2099-01.{path.name[8:]}"))
    assert compact(ledger, clock=after(99), least=LEAST) == Compacted()
    assert loose(ledger) == list(range(1, 8))


def test_rows_are_copied_in_row_groups_of_one_size(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "ROW_GROUP_ROWS", 4)
    tell(ledger, 0)
    compact(ledger, clock=after(1), least=LEAST)
    metadata = pq.read_metadata(files.archived(ledger.path)[0].path)
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [4, 4, 4, 1]
    assert_whole(ledger)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["m.1-3", "m.4-9"], ["1-3", "4-9"], id="one after the other"),
        pytest.param(["m.1-3", "m.4-9", "m.1-9", "m.10-12"], ["1-9", "10-12"], id="merged"),
        pytest.param(["m.4-9"], [], id="the first is missing"),
        pytest.param(["m.1-3", "m.5-9"], ["1-3"], id="a gap"),
        pytest.param(["m.1-5", "m.4-9"], ["1-5"], id="crossing"),
        pytest.param(["m.1-0", "m.1-2"], ["1-2"], id="no range"),
    ],
)
def test_the_log_is_the_widest_file_each_time(names: list[str], expected: list[str]) -> None:
    every = []
    for name in names:
        first, last = map(int, name.partition(".")[2].split("-"))
        found = files.Archived(first=first, last=last, month="2026-11", path=Path(name))
        every.append(found)
    assert [f"{one.first}-{one.last}" for one in files.in_force(every)] == expected


@pytest.mark.parametrize(
    "name", ["2026-11.parquet", "2026-11.1-5.parquet", "2026-11.00000001-000000005.parquet", "x2026-11.00000001-00000005.parquet"]
)
def test_other_names_are_no_archive_files(name: str) -> None:
    assert files.Archived.parse(Path(name)) is None


def test_a_segment_that_is_missing_is_an_error_for_every_reader(ledger: Ledger) -> None:
    tell(ledger, 0)
    files.numbered_path(ledger.path / files.SEGMENTS, 3).unlink()
    with pytest.raises(LedgerUnavailableError, match="segment 3 is missing"):
        run_counts(ledger, "n-0")


def test_an_archive_without_a_segment_is_no_empty_ledger(ledger: Ledger) -> None:
    tell(ledger, 0)
    compact(ledger, clock=after(1), least=LEAST)
    for _, path in files.numbered(ledger.path / files.SEGMENTS):
        path.unlink()
    with pytest.raises(LedgerUnavailableError, match="the newest segment is gone"):
        Ledger.open(ledger.path)


@pytest.mark.parametrize("number", [5, 6], ids=["the one before", "the newest"])
def test_a_writer_does_not_go_on_after_rows_that_were_not_signed(ledger: Ledger, number: int) -> None:
    tell(ledger, 0)
    changed(files.numbered_path(ledger.path / files.SEGMENTS, number))
    with pytest.raises(LedgerUnavailableError, match="restore the ledger from a copy"):
        Ledger.open(ledger.path)


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
