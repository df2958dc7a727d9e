"""Attacks on what surrounds the rows: footers, checkpoints, archive files, and files that were put there. Both verifiers find each."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment
from tests.sinks.ledger.ledger_cases import Case, assert_found, build, copied, faults

few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
draws = given(data=st.data())
any_of = pytest.mark.parametrize

ARCHIVE = Path("archive", "2026-10.00000001-00000005.parquet")
NAMES = "schema_version ledger_id segment last_segment first_seq last_seq tree_size key_id frontier checkpoint verifier_key"
KEYS = [f"waybill.{name}" for name in NAMES.split()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("plain"), archived=False)


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("compacted"), archived=True)


def edited(data: st.DataObject, value: str, others: list[str]) -> str | None:
    """Another value of a footer key; None takes the key away."""
    near = [None, "", "0", "-1", f"0{value}", f"{value} ", f"{value}\n", value[:-1], value.upper(), "9" * 30, *others]
    return data.draw(st.sampled_from([each for each in near if each != value]), "value")


@any_of("key", KEYS)
@few
@draws
def test_an_edited_footer_is_found(plain: Case, compacted: Case, key: str, data: st.DataObject) -> None:
    with copied(plain) as path:
        files = attacker.segment_files(path)
        others = [Segment.read(file).footer[key] for file in (*files, *attacker.segment_files(compacted.path))]
        victim = data.draw(st.sampled_from(files), "segment")
        segment = Segment.read(victim)
        value = edited(data, segment.footer[key], others)
        kept = {name: old for name, old in segment.footer.items() if name != key}
        Segment(segment.rows, kept if value is None else {**kept, key: value}).write(victim)
        assert_found(path)


@any_of("key", [*KEYS, "waybill.first_segment", "waybill.checkpoints"])
@few
@draws
def test_an_edited_footer_of_an_archive_file_is_found(compacted: Case, key: str, data: st.DataObject) -> None:
    with copied(compacted) as path:
        segment = Segment.read(path / ARCHIVE)
        others = ["[]", "{}", "[1]", "[[]]", segment.footer["waybill.checkpoints"].replace(", ", " , ", 1)]
        value = edited(data, segment.footer[key], others)
        kept = {name: old for name, old in segment.footer.items() if name != key}
        Segment(segment.rows, kept if value is None else {**kept, key: value}).write(path / ARCHIVE)
        assert_found(path)


@any_of("whole", [False, True], ids=["checkpoints", "footers"])
@few
@draws
def test_swapped_checkpoints_are_found(plain: Case, data: st.DataObject, *, whole: bool) -> None:
    with copied(plain) as path:
        first, second = data.draw(st.lists(st.sampled_from(attacker.segment_files(path)), min_size=2, max_size=2, unique=True), "segments")
        parts = [Segment.read(first), Segment.read(second)]
        for file, part, other in ((first, parts[0], parts[1]), (second, parts[1], parts[0])):
            swapped = other.footer if whole else {**part.footer, "waybill.checkpoint": other.footer["waybill.checkpoint"]}
            Segment(part.rows, swapped).write(file)
        assert_found(path)


@few
@draws
def test_swapped_segments_are_found(plain: Case, data: st.DataObject) -> None:
    with copied(plain) as path:
        first, second = data.draw(st.lists(st.sampled_from(attacker.segment_files(path)), min_size=2, max_size=2, unique=True), "segments")
        contents = first.read_bytes(), second.read_bytes()
        first.unlink()
        second.unlink()
        second.write_bytes(contents[0])
        first.write_bytes(contents[1])
        assert_found(path)


@any_of(
    "name",
    [
        "segments/00000010.parquet",
        "segments/00000012.parquet",
        "segments/00000000.parquet",
        "segments/8.parquet",
        "segments/000000008.parquet",
        "segments/copy.parquet",
        "segments/.tmp-host-1.parquet",
        "segments/.hidden.parquet",
        "segments/00000002.parquet.bak",
        "archive/2026-11.parquet",
        "archive/2026-11.00000006-00000006.parquet",
        "archive/2026-11.1-5.parquet",
        "archive/2026-11",
        "archive/.tmp-host-1.parquet",
    ],
)
@any_of("kind", ["plain", "compacted"])
def test_a_file_that_was_put_there_is_found(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(kind)
    with copied(case) as path:
        (path / name).parent.mkdir(exist_ok=True)
        shutil.copy(attacker.segment_files(path)[-1], path / name)
        assert_found(path)


@any_of("name", ["segments", "archive"])
def test_a_temporary_file_is_no_part_of_the_ledger(plain: Case, name: str) -> None:
    with copied(plain) as path:
        (path / name).mkdir(exist_ok=True)
        (path / name / ".tmp-host-1-abc").write_bytes(b"unfinished")
        assert faults(path) == (None, None)


@any_of("line", range(9), ids=["origin", "size", "root", "segment", "previous", "key_id", "schema", "blank", "signature"])
@few
@draws
def test_an_edited_copy_of_the_checkpoint_is_found(plain: Case, line: int, data: st.DataObject) -> None:
    with copied(plain) as path:
        lines = (path / "checkpoint").read_text(encoding="utf-8").splitlines()
        at = data.draw(st.integers(0, max(len(lines[line]) - 1, 0)), "position")
        old = lines[line][at : at + 1]
        lines[line] = lines[line][:at] + ("1" if old != "1" else "2") + lines[line][at + 1 :]
        (path / "checkpoint").write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert_found(path)


def test_a_copy_that_is_no_checkpoint_of_this_ledger_is_found(plain: Case, compacted: Case) -> None:
    note, other = ((case.path / "checkpoint").read_text(encoding="utf-8") for case in (plain, compacted))
    with copied(plain) as path:
        for forged in (other, "\n", note + "\n", note[:-1], note.partition("\n\n")[0] + "\n"):
            (path / "checkpoint").write_text(forged, encoding="utf-8")
            assert_found(path)


def test_a_checkpoint_of_an_earlier_commit_is_no_fault(plain: Case) -> None:
    with copied(plain) as path:
        (path / "checkpoint").write_text(attacker.note_of(attacker.segment_files(path)[0]), encoding="utf-8")
        assert faults(path) == (None, None)
        (path / "checkpoint").write_text("", encoding="utf-8")  # a power cut may leave it empty
        assert faults(path) == (None, None)
        (path / "checkpoint").unlink()
        assert faults(path) == (None, None)


def drop_row(path: Path) -> None:
    segment = Segment.read(path / ARCHIVE)
    Segment(segment.rows.slice(0, segment.rows.num_rows - 1), segment.footer).write(path / ARCHIVE)


def reorder_rows(path: Path) -> None:
    segment = Segment.read(path / ARCHIVE)
    order = [1, 0, *range(2, segment.rows.num_rows)]
    Segment(attacker.numbered(segment.rows.take(order), 1), segment.footer).write(path / ARCHIVE)


def change_row(path: Path) -> None:
    segment = Segment.read(path / ARCHIVE)
    column = segment.rows.schema.get_field_index("actor")
    actors = ["Eve Example", *segment.rows["actor"].to_pylist()[1:]]
    rows = segment.rows.set_column(column, segment.rows.schema.field(column), [actors])
    Segment(rows, segment.footer).write(path / ARCHIVE)


def write_anew(path: Path) -> None:
    """The same rows and footer in other bytes."""
    segment = Segment.read(path / ARCHIVE)
    pq.write_table(segment.rows.replace_schema_metadata(dict(segment.footer)), path / ARCHIVE, compression="snappy")


def remove(path: Path) -> None:
    (path / ARCHIVE).unlink()


def rename(path: Path) -> None:
    (path / ARCHIVE).rename(path / "archive" / "2026-09.00000001-00000005.parquet")


def rename_as_longer(path: Path) -> None:
    (path / ARCHIVE).rename(path / "archive" / "2026-10.00000001-00000006.parquet")


def double(path: Path) -> None:
    shutil.copy(path / ARCHIVE, path / "archive" / "2026-11.00000001-00000005.parquet")


def double_as_part(path: Path) -> None:
    shutil.copy(path / ARCHIVE, path / "archive" / "2026-10.00000002-00000003.parquet")


def cross(path: Path) -> None:
    shutil.copy(path / ARCHIVE, path / "archive" / "2026-10.00000005-00000006.parquet")


def change_retained(path: Path) -> None:
    """A segment that is compacted already, and not deleted yet."""
    file = path / "segments" / "00000003.parquet"
    segment = Segment.read(file)
    Segment(attacker.numbered(segment.rows, 2), segment.footer).write(file)


@any_of(
    "attack",
    [
        drop_row,
        reorder_rows,
        change_row,
        write_anew,
        remove,
        rename,
        rename_as_longer,
        double,
        double_as_part,
        cross,
        change_retained,
    ],
)
def test_an_archive_file_that_was_tampered_with_is_found(compacted: Case, attack: Callable[[Path], None]) -> None:
    with copied(compacted) as path:
        attack(path)
        assert_found(path)


def test_segments_that_are_all_in_the_archive_leave_a_gap_without_the_newest(compacted: Case) -> None:
    """Whoever cuts the tail off at the archive cuts off the entry that vouches for the archive file."""
    with copied(compacted) as path:
        shutil.rmtree(path / "segments")
        (path / "segments").mkdir()
        note = Segment.read(path / ARCHIVE).footer["waybill.checkpoint"]
        (path / "checkpoint").write_text(note, encoding="utf-8")
        assert_found(path)


def test_the_digests_of_these_tests_are_those_of_the_files(compacted: Case) -> None:
    """The archive file that the tests make is stated in the log: else every attack on it would be found for the wrong reason."""
    stated = pq.read_table(attacker.segment_files(compacted.path)[-2])
    assert hashlib.sha256((compacted.path / ARCHIVE).read_bytes()).hexdigest() in stated["result_digest"].to_pylist()
