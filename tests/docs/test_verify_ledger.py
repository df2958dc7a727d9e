"""The independent verifier: agrees with the format page and with RFC 6962, answers hostile files with one line, and says 0, 1 or 2."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs import verify_ledger as verifier
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment
from tests.sinks.ledger.ledger_cases import START, Case, assert_found, build, copied, entries

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "ledger-format.md").read_text(encoding="utf-8")

# The test vectors of the Certificate Transparency project for RFC 6962, section 2.1: leaves, and the root of the first 1, 2, … of them.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("verified"), archived=False)


def run(*arguments: str | Path) -> tuple[int, str]:
    """As an auditor runs it: by path, from elsewhere, with nothing of ours importable."""
    command = [sys.executable, "-P", str(DOCS / "verify_ledger.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("split", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_rfc_6962(size: int, split: int) -> None:
    hashes = [hashlib.sha256(b"\0" + bytes.fromhex(leaf)).digest() for leaf in LEAVES[:size]]
    frontier: list[verifier.Subtree] = []
    for start in range(0, size, split):
        part: list[verifier.Subtree] = []
        verifier.push_leaves(part, start, hashes[start : start + split])
        for subtree in part:
            verifier.push(frontier, subtree)
    assert verifier.root(frontier).hex() == ROOTS[size - 1]
    assert len(frontier) == size.bit_count()


def test_the_example_of_the_page_has_the_bytes_that_it_shows() -> None:
    shown = re.search(r"\n\n((?:    \w+:\d+:[^\n]*\n)+)", PAGE)
    assert shown
    expected = "".join(line[4:] + "\n" for line in shown[1].splitlines())
    stated: dict[str, Any] = dict.fromkeys(verifier.NAMES)
    values = {match[1]: match[2] for match in re.finditer(r"^(\w+):\d+:(.*)$", expected, re.MULTILINE)}
    stated |= {name: values[name] for name in ("actor", "entry_id", "event", "record_id")}
    stated |= {"seq": 7, "at": int(values["at"]), "partial": False, "data_classes": ["PHI", "PII"]}
    stated["evidence"] = [{"entity": "US_SSN", "count": 2, "max_score": 0.75, "detector": "us_ssn"}]
    row = pa.record_batch({name: pa.array([value], verifier.TYPES.get(name, pa.string())) for name, value in stated.items()})
    assert verifier.leaf_hashes(row) == [hashlib.sha256(b"\0" + expected.encode()).digest()]


def test_columns_are_those_of_the_page() -> None:
    table = PAGE.partition("## Columns")[2].partition("\n## ")[0]
    words = {
        "timestamp, µs, UTC": verifier.TIME,
        "bool": pa.bool_(),
        "list of string": verifier.STRINGS,
        "list of struct": verifier.EVIDENCE,
    }
    words |= {
        "string": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "decimal(18, 9)": pa.decimal128(18, 9),
    }
    columns = [(match[1], words[match[2]]) for match in re.finditer(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)]
    assert columns == [(name, verifier.TYPES.get(name, pa.string())) for name in verifier.NAMES]


def test_it_imports_nothing_but_pyarrow_cryptography_and_the_standard_library() -> None:
    source = (DOCS / "verify_ledger.py").read_text(encoding="utf-8")
    imported = {match[1] for match in re.finditer(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)}
    assert imported - sys.stdlib_module_names == {"pyarrow", "cryptography"}


def test_the_command_says_what_it_could_know(case: Case, tmp_path: Path) -> None:
    key = tmp_path / "pinned"
    key.write_text(case.newest_key + "\n", encoding="utf-8")
    status, said = run(case.path)
    assert (status, said.partition(":")[0]) == (0, "self-consistent, key not pinned")
    status, said = run(case.path, "--key", key, "--anchor", case.anchor)
    assert (status, said.partition(":")[0]) == (0, "intact")
    assert "1 anchored checkpoint" in said


def test_the_command_fails_with_one_line(case: Case, tmp_path: Path) -> None:
    with copied(case) as path:
        attacker.segment_files(path)[-1].unlink()
        status, said = run(path, "--anchor", case.anchor)
        assert (status, said.count("\n")) == (1, 1)
        assert "Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [[], ["nowhere"], [".", "--key", "nowhere"], [".", "--anchor", "nowhere"], [".", "--key", "."], [".", "--secret"]],
    ids=["none", "no ledger", "no key", "no anchor", "key is a folder", "unknown option"],
)
def test_wrong_arguments_are_told_from_a_broken_ledger(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        verifier.main(arguments)
    assert ended.value.code == 2


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
def test_hostile_files_are_answered_with_one_line(case: Case, attack: Callable[[Path], None]) -> None:
    with copied(case) as path:
        newest = attacker.segment_files(path)[-1]
        first = Segment.read(newest).footer["waybill.first_seq"]
        attack(newest)
        status, line = verifier.verify(path)
        assert status == 1
        assert line.startswith(f"NOT INTACT: seq {first}: segment {int(newest.stem)}: ")
        assert "\n" not in line


def test_a_dictionary_that_unfolds_is_hashed_in_parts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = verifier.verify(case.path)
    monkeypatch.setattr(verifier, "BYTES_AT_ONCE", 1)
    monkeypatch.setattr(verifier, "ROWS_AT_ONCE", 3)
    assert verifier.verify(case.path) == whole


def test_nothing_of_the_ledger_is_where_it_should_be(tmp_path: Path) -> None:
    assert verifier.verify(tmp_path)[0] == 1
    (tmp_path / "segments").symlink_to(tmp_path)
    assert verifier.verify(tmp_path)[0] == 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"x" * 100_000, b"waybill/0000000000000000\n1\n"], ids=["empty", "no text", "huge", "cut"]
)
def test_an_anchor_that_is_no_checkpoint_is_not_passed_over(case: Case, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.note").write_bytes(content)
    assert verifier.verify(case.path, None, [tmp_path])[0] == 1
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    assert verifier.verify(case.path, None, [tmp_path])[0] == 1


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
    rows_of(lambda rows: with_column(rows, "actor", pa.array(["Eve Example"] * rows.num_rows)))(file)
    assert_found(tmp_path / "ledger")
