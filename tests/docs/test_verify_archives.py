"""The independent verifier and archive files: files that nest are one log, whichever are deleted, and nothing is missed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from docs import verify_ledger as verifier
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment
from tests.sinks.ledger.ledger_cases import START, assert_found, entries

PARTS, MERGED = ((1, 3), (4, 6)), (1, 6)


def archive_name(first: int, last: int) -> str:
    return f"2026-10.{first:08}-{last:08}.parquet"


def compact(ledger: Ledger, first: int, last: int) -> None:
    """As the page says, with pyarrow alone: the file, and the entry that states it."""
    name = archive_name(first, last)
    digest = attacker.archive(ledger.path, first, last, name)
    ledger.commit(
        [Entry(event=Event.COMPACTED, at=START, result_file=name, result_digest=digest, before=str(first), after=str(last))],
    )


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two archive files and the one that they were merged into, and all segments still there."""
    ledger = Ledger.open(tmp_path_factory.mktemp("nested") / "ledger")
    for batch in range(3):
        ledger.commit(entries(batch, 4))
    ledger.rotate_key(actor="Ada Example")
    for first, last in (*PARTS, MERGED):
        compact(ledger, first, last)
    return ledger.path


def without(path: Path, archived: Sequence[tuple[int, int]], segments: Sequence[int]) -> Path:
    for first, last in archived:
        (path / "archive" / archive_name(first, last)).unlink()
    for number in segments:
        (path / "segments" / f"{number:08}.parquet").unlink()
    return path


WHOLE: dict[str, tuple[Sequence[tuple[int, int]], Sequence[int]]] = {
    "before anything is deleted": ((), ()),
    "the guards are gone": ((), (1, 4)),
    "all segments are gone": ((), range(1, 7)),
    "the parts are gone too": (PARTS, range(1, 7)),
    "only the parts": ([MERGED], range(1, 7)),
    "a part, then segments": ([MERGED, (4, 6)], range(1, 4)),
    "segments alone": ([MERGED, *PARTS], ()),
}
NOT_WHOLE: dict[str, tuple[Sequence[tuple[int, int]], Sequence[int]]] = {
    "a part is missing": ([MERGED, (4, 6)], range(1, 7)),
    "a segment is missing": ([MERGED, (4, 6)], [5]),
    "a part that follows on segments": ([MERGED, (1, 3)], ()),
    "the newest segment is missing": ((), [7, 8, 9]),
}


@pytest.mark.parametrize(("archived", "segments"), WHOLE.values(), ids=WHOLE)
def test_files_that_nest_are_one_log_whichever_are_deleted(
    nested: Path, tmp_path: Path, archived: Sequence[tuple[int, int]], segments: Sequence[int]
) -> None:
    path = without(shutil.copytree(nested, tmp_path / "ledger"), archived, segments)
    status, line = verifier.verify(path)
    assert (status, line.partition(" segments")[0]) == (0, "self-consistent, key not pinned: 18 entries in 9"), line


@pytest.mark.parametrize(("archived", "segments"), NOT_WHOLE.values(), ids=NOT_WHOLE)
def test_what_queries_would_miss_is_missed(
    nested: Path, tmp_path: Path, archived: Sequence[tuple[int, int]], segments: Sequence[int]
) -> None:
    assert_found(without(shutil.copytree(nested, tmp_path / "ledger"), archived, segments))


def test_files_that_cross_are_found_though_the_log_states_them(nested: Path, tmp_path: Path) -> None:
    ledger = Ledger.open(shutil.copytree(nested, tmp_path / "ledger"), keys=nested.with_name("ledger.keys"))
    compact(ledger, 4, 7)
    assert_found(ledger.path, first=7, last=18)


@pytest.mark.parametrize("changed", [(1, 6), (4, 6)], ids=["the merged file", "a part"])
def test_a_changed_row_is_found_in_whichever_file_it_is(nested: Path, tmp_path: Path, changed: tuple[int, int]) -> None:
    file = shutil.copytree(nested, tmp_path / "ledger") / "archive" / archive_name(*changed)
    segment = Segment.read(file)
    rows = segment.rows.set_column(segment.rows.schema.get_field_index("actor"), "actor", [["Eve Example"] * segment.rows.num_rows])
    Segment(rows, segment.footer).write(file)
    assert_found(tmp_path / "ledger")
