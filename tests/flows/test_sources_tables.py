"""Tables: rows as documents, spans that read only their own bytes, columns and ids checked before the first hand-over."""

from __future__ import annotations

import csv
import io
import json
import pickle
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.document import Document, ReadProblem
from flows.errors import JobError
from flows.job import Job, load_job
from flows.sources import Batch, check_duplicates, list_batches, read_batch
from flows.sources.lines import LineReader

Rows = list[tuple[str, str, str]]
SUFFIXES = [".csv", ".jsonl", ".parquet"]


class PlainIds:
    """Readable record ids: what they are made of."""

    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        return f"{source}|{source_id}|{member}"


def write_table(path: Path, rows: Iterable[tuple[object, object, object]], *, row_group: int = 1000) -> None:
    names = ("id", "text", "title")
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([names, *rows])
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows), "utf-8")
    else:
        columns = zip(*rows, strict=True)
        pq.write_table(pa.table(dict(zip(names, map(list, columns), strict=True))), path, row_group_size=row_group)


def job_for(root: Path, *, batch_size: int = 200, source: str = "{path: inbox, metadata: [title]}") -> Job:
    (root / "inbox").mkdir(exist_ok=True)
    (root / "job.yaml").write_text(
        f"name: n\nsource: {source}\ntask: {{kind: summarize}}\noutput: o/r\nledger: o/l\nbatch_size: {batch_size}\n", "utf-8"
    )
    return load_job(root / "job.yaml")


def read_all(job: Job) -> list[Document]:
    return [document for batch in list_batches(job) for document in read_batch(batch, job, PlainIds())]


AWKWARD: Rows = [(f"r{n}", ["plain", 'two\nlines, "quoted"', "naïve 患者 🩺", "semi;colon", "x" * 5000][n % 5], f"t{n}") for n in range(57)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("batch_size", [1, 7, 56, 57, 1000])
def test_spans_give_the_same_rows_as_one_reading(tmp_path: Path, suffix: str, batch_size: int) -> None:
    job = job_for(tmp_path, batch_size=batch_size)
    write_table(tmp_path / "inbox" / f"t{suffix}", AWKWARD, row_group=10)
    documents = read_all(job)
    assert [(document.source_id, document.text, document.metadata["title"]) for document in documents] == AWKWARD
    assert documents[3].record_id == f"t{suffix}|r3|"
    assert all(document.problem is None for document in documents)
    assert all(batch.entries <= batch_size for batch in list_batches(job))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_batch_can_be_read_alone_in_any_order_and_elsewhere(tmp_path: Path, suffix: str) -> None:
    job = job_for(tmp_path, batch_size=10)
    write_table(tmp_path / "inbox" / f"t{suffix}", AWKWARD, row_group=25)
    batches: list[Batch] = pickle.loads(pickle.dumps(list(list_batches(job))))  # noqa: S301 - our own bytes
    backwards = [[document.source_id for document in read_batch(batch, job, PlainIds())] for batch in reversed(batches)]
    assert [row for rows in reversed(backwards) for row in rows] == [row[0] for row in AWKWARD]
    assert list(list_batches(job)) == batches
    assert "inbox" not in repr(batches)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_encodings_of_tables(tmp_path: Path, encoding: str, suffix: str) -> None:
    rows = [(f"r{n}", f"Sehr geehrte Frau Müller, die Prüfung für das nächste Jahr wurde geändert, Grüße {n}", "ä") for n in range(9)]
    path = tmp_path / "inbox" / f"t{suffix}"
    job = job_for(tmp_path, batch_size=2)
    write_table(path, rows)
    path.write_bytes(path.read_text("utf-8").encode(encoding))
    assert [(document.source_id, document.text, document.metadata["title"]) for document in read_all(job)] == rows
    assert {document.problem for document in read_all(job)} == {None}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_taken_when_they_give_the_columns(tmp_path: Path, delimiter: str) -> None:
    job = job_for(tmp_path, source="{path: inbox}")
    (tmp_path / "inbox" / "t.csv").write_text(delimiter.join(["id", "text"]) + "\n" + delimiter.join(["1", "a, b"]) + "\n")
    assert [document.text for document in read_all(job)] == ["a, b"]


def test_a_large_cell_is_no_error(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    write_table(tmp_path / "inbox" / "t.csv", [("1", "word " * 200_000, "t")])
    assert len(read_all(job)[0].text) == 1_000_000


def test_bad_csv_lines_are_held_and_the_rest_is_read(tmp_path: Path) -> None:
    job = job_for(tmp_path, source="{path: inbox}", batch_size=2)
    lines = ["id,text", '1,"fine"', '2,"closed" too early', "3,one,too many", "4", "", "5,fine", '6,"never closed', "7,after it", "8,last"]
    (tmp_path / "inbox" / "t.csv").write_text("\n".join(lines) + "\n")
    found = [(document.source_id, document.text, document.problem) for document in read_all(job)]
    corrupt = ReadProblem.CORRUPT
    assert found == [
        ("1", "fine", None),
        ("line:3", "", corrupt),
        ("line:4", "", corrupt),
        ("line:5", "", corrupt),
        ("5", "fine", None),
        ("line:8", "", corrupt),
        ("7", "after it", None),
        ("8", "last", None),
    ]


def test_bad_json_lines_are_held_and_the_rest_is_read(tmp_path: Path) -> None:
    job = job_for(tmp_path, source="{path: inbox}", batch_size=2)
    lines = [
        '{"id": 1, "text": "fine"}',
        '{"id": 2, "text":',
        "[1]",
        "",
        '{"id": 3, "text": {"a": 1}}',
        '{"id": 4}',
        '{"id": 5, "text": "last"}',
    ]
    (tmp_path / "inbox" / "t.jsonl").write_text("\n".join(lines))
    found = [(document.source_id, document.text, document.problem) for document in read_all(job)]
    assert found == [
        ("1", "fine", None),
        ("line:2", "", ReadProblem.CORRUPT),
        ("line:3", "", ReadProblem.CORRUPT),
        ("3", "", ReadProblem.CORRUPT),
        ("4", "", ReadProblem.EMPTY),
        ("5", "last", None),
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_without_text_are_empty_and_rows_without_id_go_by_place(tmp_path: Path, suffix: str) -> None:
    job = job_for(tmp_path)
    write_table(tmp_path / "inbox" / f"t{suffix}", [("a", None, "t"), ("b", "  ", "t"), (None, "words", "t"), ("line:4", "words", "t")])
    documents = read_all(job)
    assert [document.problem for document in documents] == [ReadProblem.EMPTY, ReadProblem.EMPTY, None, None]
    assert len({document.record_id for document in documents}) == 4


def test_numbers_as_ids_and_texts(tmp_path: Path) -> None:
    job = job_for(tmp_path, source="{path: inbox}")
    pq.write_table(pa.table({"id": [1, 2], "text": [10.5, None]}), tmp_path / "inbox" / "t.parquet")
    assert [(document.source_id, document.text) for document in read_all(job)] == [("1", "10.5"), ("2", "")]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_undecodable_rows_are_unscannable_one_by_one(tmp_path: Path, suffix: str) -> None:
    job = job_for(tmp_path)
    path = tmp_path / "inbox" / f"t{suffix}"
    write_table(path, [("1", "fine", "t"), ("2", "BROKEN", "t"), ("3", "fine", "t")])
    path.write_bytes(path.read_bytes().replace(b"BROKEN", b"n\xff\xfe\x81te"))
    documents = read_all(job)
    assert [document.problem for document in documents] == [None, ReadProblem.UNDECODABLE, None]
    assert documents[1].readable


def test_lone_surrogates_from_json_can_be_hashed_and_sent(tmp_path: Path) -> None:
    job = job_for(tmp_path, source="{path: inbox}")
    (tmp_path / "inbox" / "t.jsonl").write_text('{"id": "\\ud800", "text": "half \\ud83d a smile"}\n')
    (document,) = read_all(job)
    assert document.problem is ReadProblem.UNDECODABLE
    (document.text + document.record_id).encode("utf-8")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_larger_than_a_document_may_be(tmp_path: Path, suffix: str) -> None:
    job = job_for(tmp_path, source="{path: inbox, max_document_bytes: 500}")
    write_table(tmp_path / "inbox" / f"t{suffix}", [("1", "fine", ""), ("2", "x" * 2000, ""), ("3", "fine", "")])
    assert [document.problem for document in read_all(job)] == [None, ReadProblem.TOO_LARGE, None]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("column", ["id", "text"])
def test_a_table_without_its_column_is_a_job_error(tmp_path: Path, suffix: str, column: str) -> None:
    job = job_for(tmp_path, source=f"{{path: inbox, {column}: body}}")
    write_table(tmp_path / "inbox" / f"t{suffix}", [("1", "words", "t")])
    with pytest.raises(JobError, match=rf"t\{suffix}: expected a column 'body', found id, text, title"):
        check_duplicates(job)
    with pytest.raises(JobError):
        list(list_batches(job))


def test_a_missing_metadata_column_is_a_job_error_where_columns_are_fixed(tmp_path: Path) -> None:
    job = job_for(tmp_path, source="{path: inbox, metadata: [titel]}")
    write_table(tmp_path / "inbox" / "t.csv", [("1", "words", "t")])
    with pytest.raises(JobError, match="expected a column 'titel'"):
        check_duplicates(job)


def test_two_columns_of_one_name_are_a_job_error(tmp_path: Path) -> None:
    job = job_for(tmp_path, source="{path: inbox}")
    (tmp_path / "inbox" / "t.csv").write_text("id,text,text\n1,a,b\n")
    with pytest.raises(JobError, match="several of that name"):
        check_duplicates(job)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_duplicate_ids_are_named_with_both_places(tmp_path: Path, suffix: str) -> None:
    job = job_for(tmp_path)
    write_table(tmp_path / "inbox" / f"t{suffix}", [("078-05-1120", "one", "t"), ("b", "two", "t"), ("078-05-1120", "three", "t")])
    first = 2 if suffix == ".csv" else 1
    with pytest.raises(JobError) as caught:
        check_duplicates(job)
    assert f"t{suffix}:{first + 2}: " in str(caught.value)
    assert f"t{suffix}:{first} again" in str(caught.value)
    assert "078" not in str(caught.value)


def test_duplicate_ids_across_files_depend_on_the_scope(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    write_table(tmp_path / "inbox" / "a.csv", [("1", "one", "t")])
    write_table(tmp_path / "inbox" / "b.jsonl", [(1, "two", "t")])
    with pytest.raises(JobError, match=r"b\.jsonl:1: .*a\.csv:2 again.*ids: file"):
        check_duplicates(job)
    check_duplicates(job_for(tmp_path, source="{path: inbox, ids: file}"))
    assert len({document.record_id for document in read_all(job)}) == 2


def test_broken_tables_do_not_stop_the_check(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    (tmp_path / "inbox" / "a.parquet").write_bytes(b"PAR1")
    write_table(tmp_path / "inbox" / "b.csv", [("1", "one", "t")])
    check_duplicates(job)
    assert [document.problem for document in read_all(job)] == [ReadProblem.CORRUPT, None]


def test_one_table_as_the_source(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", AWKWARD)
    job = job_for(tmp_path, source="{path: t.csv}")
    assert len(read_all(job)) == len(AWKWARD)
    assert read_all(job)[0].source == "t.csv"


def vanish(path: Path) -> None:
    path.unlink()


def replace_by_another(path: Path) -> None:
    other = path.with_name("other")
    write_table(other.with_suffix(path.suffix), [("x", "another", "t")] * 3)
    other.with_suffix(path.suffix).replace(path)


def cut(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", [vanish, replace_by_another, cut])
def test_a_table_that_changes_mid_run_loses_no_row(tmp_path: Path, suffix: str, change: Callable[[Path], None]) -> None:
    job = job_for(tmp_path, batch_size=20)
    write_table(tmp_path / "inbox" / f"t{suffix}", AWKWARD)
    batches = list(list_batches(job))
    assert len(read_batch(batches[0], job, PlainIds())) == 20
    change(tmp_path / "inbox" / f"t{suffix}")
    rest = [document for batch in batches[1:] for document in read_batch(batch, job, PlainIds())]
    assert len(rest) == len(AWKWARD) - 20
    assert all(document.problem in {ReadProblem.VANISHED, ReadProblem.CORRUPT} for document in rest)


def test_a_damaged_page_holds_its_rows(tmp_path: Path) -> None:
    job = job_for(tmp_path, batch_size=20)
    path = tmp_path / "inbox" / "t.parquet"
    write_table(path, [(f"r{n}", f"text {n * 7919}", "t") for n in range(60)], row_group=30)
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    documents = read_all(job)
    assert len(documents) == 60
    assert [document.problem for document in documents[:30]] == [None] * 30
    assert documents[-1].problem is ReadProblem.CORRUPT


def count_lines_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counted = [0]
    read = LineReader.read

    def counting(reader: LineReader) -> object:
        counted[0] += 1
        return read(reader)

    monkeypatch.setattr(LineReader, "read", counting)
    return counted


def test_reading_a_late_span_does_not_read_what_lies_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_for(tmp_path, batch_size=10)
    write_table(tmp_path / "inbox" / "t.csv", [(f"r{n}", "words", "t") for n in range(5000)])
    *_, last = list_batches(job)
    counted = count_lines_read(monkeypatch)
    assert len(read_batch(last, job, PlainIds())) == 10
    assert counted[0] < 20


def peak_of(job: Job) -> int:
    tracemalloc.start()
    try:
        check_duplicates(job)
        rows = sum(len(read_batch(batch, job, PlainIds())) for batch in list_batches(job))
        assert rows >= 1000
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_does_not_grow_with_the_table(tmp_path: Path, suffix: str) -> None:
    peaks = []
    for rows in (1000, 8000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        job = job_for(folder, batch_size=250)
        write_table(folder / "inbox" / f"t{suffix}", [(f"r{n}", f"{n} " + "words " * 150, "t") for n in range(rows)], row_group=2000)
        peak_of(job)  # imports and caches of the first time are no part of the comparison
        peaks.append(peak_of(job))
    assert peaks[1] <= 1.3 * peaks[0]


def test_a_header_of_one_line_and_no_rows_is_no_document(tmp_path: Path) -> None:
    job = job_for(tmp_path, source="{path: inbox}")
    (tmp_path / "inbox" / "t.csv").write_text("id,text\n")
    assert read_all(job) == []


def test_csv_agrees_with_the_standard_reader(tmp_path: Path) -> None:
    job = job_for(tmp_path, batch_size=3)
    write_table(tmp_path / "inbox" / "t.csv", AWKWARD)
    expected = list(csv.DictReader(io.StringIO((tmp_path / "inbox" / "t.csv").read_bytes().decode("utf-8"), newline="")))
    assert [document.text for document in read_all(job)] == [row["text"] for row in expected]
