"""Damaged, missing and misnamed files around compaction: nothing unsigned is copied, and nothing is deleted that is not held elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.compaction import Compacted, compact
from sinks.ledger.queries import run_counts
from sinks.ledger.segments import Ledger
from tests.sinks.ledger.ledger_attacker import Segment

if TYPE_CHECKING:
    pass
from tests.sinks.ledger.compacted_ledger import LEAST, after, loose, names, tell


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
