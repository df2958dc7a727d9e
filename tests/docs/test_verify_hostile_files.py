"""Hostile files before the independent verifier: whatever they hold or are, it answers with one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs import verify_ledger as verifier
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment
from tests.sinks.ledger.ledger_cases import Case, copied


def with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def rows_of(make: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def attack(file: Path) -> None:
        segment = Segment.read(file)
        Segment(make(segment.rows), segment.footer).write(file)

    return attack


def footer_of(**values: str) -> Callable[[Path], None]:
    def attack(file: Path) -> None:
        segment = Segment.read(file)
        Segment(segment.rows, {**segment.footer, **{f"waybill.{name}": value for name, value in values.items()}}).write(file)

    return attack


def replace_by_link(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


def replace_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def state_twice(file: Path) -> None:
    """A footer key twice, in Thrift's compact form: readers differ in which they believe."""
    data = file.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    first = min(footer.index(b"\x18" + bytes([len(key)]) + key + b"\x18") for key in (pq.read_metadata(file).metadata or {}))
    assert footer[first - 1] == 0xCC  # a list of twelve structures; now of thirteen
    footer = footer[: first - 1] + b"\xdc\x18\x0fwaybill.segment\x18\x011\x00" + footer[first:]
    file.write_bytes(data[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    pq.read_metadata(file)


def lie_about_bounds(file: Path) -> None:
    """The newest segment, whose bytes nothing vouches for yet: query engines skip a row group by the bounds in its metadata."""
    data = file.read_bytes()
    at = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    assert data.count(b"r-6-0", at)
    file.write_bytes(data[:at] + data[at:].replace(b"r-6-0", b"r-6-9"))


def filter_of_nothing(file: Path) -> None:
    segment = Segment.read(file)
    rows = segment.rows.replace_schema_metadata(dict(segment.footer))
    pq.write_table(rows, file, write_page_index=True)


def bytes_of(make: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def attack(file: Path) -> None:
        file.write_bytes(make(file.read_bytes()))

    return attack


HOSTILE: dict[str, Callable[[Path], None]] = {
    "empty file": bytes_of(lambda _: b""),
    "no Parquet": bytes_of(lambda _: b"not" * 2000),
    "cut short": bytes_of(lambda data: data[:-100]),
    "footer of zeros": bytes_of(lambda data: data[:-3000] + bytes(2992) + data[-8:]),
    "huge footer length": bytes_of(lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"),
    "pages of zeros": bytes_of(lambda data: b"PAR1" + bytes(2000) + data[2004:]),
    "link": replace_by_link,
    "pipe": replace_by_pipe,
    "folder": replace_by_folder,
    "no rows": rows_of(lambda rows: rows.slice(0, 0)),
    "missing column": rows_of(lambda rows: rows.drop_columns(["lane"])),
    "extra column": rows_of(lambda rows: rows.append_column("note", pa.array(["x"] * rows.num_rows))),
    "doubled column": rows_of(lambda rows: rows.append_column("lane", rows["lane"])),
    "columns reordered": rows_of(lambda rows: rows.select(rows.column_names[::-1])),
    "wrong type": rows_of(lambda rows: with_column(rows, "seq", rows["seq"].cast(pa.string()))),
    "wider type": rows_of(lambda rows: with_column(rows, "attempt", rows["attempt"].cast(pa.int64()))),
    "time zone": rows_of(lambda rows: with_column(rows, "at", rows["at"].cast(pa.timestamp("us", "Asia/Tokyo")))),
    "null seq": rows_of(lambda rows: with_column(rows, "seq", pa.nulls(rows.num_rows, pa.int64()))),
    "negative seq": rows_of(lambda rows: with_column(rows, "seq", pa.array(range(-9, rows.num_rows - 9), pa.int64()))),
    "null event": rows_of(lambda rows: with_column(rows, "event", pa.nulls(rows.num_rows, pa.string()))),
    "null in a list": rows_of(lambda rows: with_column(rows, "lanes", pa.array([[None]] * rows.num_rows, pa.list_(pa.string())))),
    "null struct": rows_of(lambda rows: with_column(rows, "evidence", pa.array([[None]] * rows.num_rows, verifier.EVIDENCE))),
    "no UTF-8": rows_of(lambda rows: with_column(rows, "rule", pa.array([b"\xff"] * rows.num_rows).view(pa.string()))),
    "not a number": rows_of(lambda rows: with_column(rows, "score", pa.array([float("nan")] * rows.num_rows))),
    "huge value": rows_of(lambda rows: with_column(rows, "policy_text", pa.array(["x" * (1 << 22)] * rows.num_rows))),
    "huge footer value": footer_of(frontier="0" * (1 << 23)),
    "huge number": footer_of(first_seq="9" * 5000),
    "negative number": footer_of(first_seq="-1"),
    "other digits": footer_of(first_seq="\u0661"),
    "no note": footer_of(checkpoint="\n\n"),
    "no key": footer_of(verifier_key="+"),
    "extra key": footer_of(note="x"),
    "doubled key": state_twice,
    "false bounds": lie_about_bounds,
    "index": filter_of_nothing,
}


@pytest.mark.parametrize("attack", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_answered_with_one_line(verified: Case, attack: Callable[[Path], None]) -> None:
    with copied(verified) as path:
        newest = attacker.segment_files(path)[-1]
        first = Segment.read(newest).footer["waybill.first_seq"]
        attack(newest)
        status, line = verifier.verify(path)
        assert status == 1
        assert line.startswith(f"NOT INTACT: seq {first}: segment {int(newest.stem)}: ")
        assert "\n" not in line


def test_nothing_of_the_ledger_is_where_it_should_be(tmp_path: Path) -> None:
    assert verifier.verify(tmp_path)[0] == 1
    (tmp_path / "segments").symlink_to(tmp_path)
    assert verifier.verify(tmp_path)[0] == 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"x" * 100_000, b"waybill/0000000000000000\n1\n"], ids=["empty", "no text", "huge", "cut"]
)
def test_an_anchor_that_is_no_checkpoint_is_not_passed_over(verified: Case, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.note").write_bytes(content)
    assert verifier.verify(verified.path, None, [tmp_path])[0] == 1
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    assert verifier.verify(verified.path, None, [tmp_path])[0] == 1
