"""Batches: order, bounds, globs, declared classes, limits."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path

import pytest

from flows.job import Job, load_job
from flows.sources import batch as batch_module
from flows.sources import list_batches, read_batch
from flows.sources.globs import matches


class PlainIds:
    """Readable record ids: what they are made of."""

    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        return f"{source}|{source_id}|{member}"


def job_for(root: Path, extra: str = "", *, batch_size: int = 200, top: str = "") -> Job:
    (root / "inbox").mkdir(exist_ok=True)
    (root / "job.yaml").write_text(
        f"name: n\nsource: {{path: inbox{extra}}}\ntask: {{kind: summarize}}\noutput: o/r\nledger: o/l\nbatch_size: {batch_size}\n{top}",
        "utf-8",
    )
    return load_job(root / "job.yaml")


def fill(root: Path, *names: str) -> None:
    for name in names:
        path = root / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"words of {path.name}" if not name.endswith(".csv") else "id,text\n1,a\n2,b\n3,c\n", "utf-8")


def sources(job: Job) -> list[str]:
    return [document.source for batch in list_batches(job) for document in read_batch(batch, job, PlainIds())]


def test_order_is_by_name_folders_in_place(tmp_path: Path) -> None:
    fill(tmp_path, "b.txt", "a/z.txt", "a/b/c.txt", "B.txt", "ä.txt", "10.txt", "9.txt")
    assert sources(job_for(tmp_path)) == ["10.txt", "9.txt", "B.txt", "a/b/c.txt", "a/z.txt", "b.txt", "ä.txt"]


def test_hidden_files_are_documents_and_rubbish_is_not(tmp_path: Path) -> None:
    fill(tmp_path, ".env", ".git/config", ".DS_Store", "Thumbs.db", "~$memo.docx", ".~lock.memo.odt#", ".hidden/a.txt")
    assert sources(job_for(tmp_path)) == [".env", ".hidden/a.txt"]


def test_links_inside_the_source_are_read_once_per_name(tmp_path: Path) -> None:
    fill(tmp_path, "a/real.txt")
    (tmp_path / "inbox" / "link.txt").symlink_to("a/real.txt")
    (tmp_path / "inbox" / "folder").symlink_to("a")
    (tmp_path / "inbox" / "a" / "up").symlink_to("..")
    assert sources(job_for(tmp_path)) == ["a/real.txt", "link.txt"]


def test_a_source_that_is_itself_a_link(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt")
    (tmp_path / "alias").symlink_to("inbox")
    job = job_for(tmp_path)
    text = job.file.read_text().replace("path: inbox", "path: alias")
    job.file.write_text(text)
    assert sources(load_job(job.file)) == ["a.txt"]


def test_names_that_are_not_utf8_are_read_and_can_be_written_down(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    with open(os.fsencode(tmp_path / "inbox") + b"/caf\xe9.txt", "wb") as stream:  # noqa: PTH123 - a name that is no text
        stream.write(b"words")
    (batch,) = pickle.loads(pickle.dumps(list(list_batches(job))))  # noqa: S301 - our own bytes
    (document,) = read_batch(batch, job, PlainIds())
    assert (document.source, document.text) == ("caf\\xe9.txt", "words")
    document.record_id.encode("utf-8")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("board/**", "board/2026/minutes.txt", True),
        ("board/**", "board/minutes.txt", True),
        ("board/**", "aboard/minutes.txt", False),
        ("**", ".env", True),
        ("*.csv", "deep/down/a.csv", True),
        ("*.csv", "a.csvx", False),
        ("a/*.txt", "a/b/c.txt", False),
        ("a/**/c.txt", "a/c.txt", True),
        ("a/**/c.txt", "a/b/b/c.txt", True),
        ("/a.txt", "a.txt", True),
        ("/a.txt", "b/a.txt", False),
        ("file?.txt", "file1.txt", True),
        ("file[12].txt", "file3.txt", False),
        ("file[!12].txt", "file3.txt", True),
        ("[x", "[x", True),
        ("a.txt", "aXtxt", False),
        ("Board/**", "board/a", False),
    ],
)
def test_globs(pattern: str, path: str, *, expected: bool) -> None:
    assert matches(path, (pattern,)) is expected


def test_include_and_exclude(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", "b.md", "old/a.txt")
    assert sources(job_for(tmp_path, ", include: ['*.txt'], exclude: ['old/**']")) == ["a.txt"]


def test_declared_classes_reach_the_documents(tmp_path: Path) -> None:
    fill(tmp_path, "board/minutes.txt", "a.txt")
    extra = ", declared: [{glob: 'board/**', class: TRADE_SECRET}, {glob: '*.txt', class: HOUSE}]"
    job = job_for(tmp_path, extra)
    found = {document.source: document.declared for batch in list_batches(job) for document in read_batch(batch, job, PlainIds())}
    assert found == {"a.txt": {"HOUSE"}, "board/minutes.txt": {"TRADE_SECRET", "HOUSE"}}


def test_batches_are_bounded_by_count_and_mix_files_and_rows(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", "b.csv", "c.txt", "d.txt", "e.txt")
    batches = list(list_batches(job_for(tmp_path, batch_size=4)))
    assert [(batch.ordinal, [piece.entries for piece in batch.pieces]) for batch in batches] == [(0, [1, 3]), (1, [1, 1, 1])]


def test_batches_are_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, *[f"{n}.txt" for n in range(6)])
    monkeypatch.setattr(batch_module, "BATCH_BYTES", 40)
    assert [batch.entries for batch in list_batches(job_for(tmp_path))] == [2, 2, 2]


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (50, 6)])
def test_limit_counts_files_and_rows(tmp_path: Path, limit: int, expected: int) -> None:
    fill(tmp_path, "a.txt", "b.csv", "c.txt", "d.txt")
    assert (
        len([d for batch in list_batches(job_for(tmp_path), limit=limit) for d in read_batch(batch, job_for(tmp_path), PlainIds())])
        == expected
    )
    assert len(sources(job_for(tmp_path, top=f"limit: {limit}\n"))) == expected


def test_an_empty_folder_gives_no_batch(tmp_path: Path) -> None:
    assert list(list_batches(job_for(tmp_path))) == []


def test_batches_are_references_only(tmp_path: Path) -> None:
    fill(tmp_path, "canary.txt")
    (batch,) = list_batches(job_for(tmp_path))
    assert b"words of" not in pickle.dumps(batch)
    assert "canary" not in repr(batch)


def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 1500):
        root = tmp_path / str(count)
        root.mkdir()
        job = job_for(root, batch_size=50)
        for number in range(count):
            (root / "inbox" / f"{number:05d}.txt").write_text("words " * 500)
        sources_read = 0
        tracemalloc.start()
        for batch in list_batches(job):
            sources_read += len(read_batch(batch, job, PlainIds()))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sources_read == count
    # Names of one folder are held together, 100 bytes each; texts, 3,000 bytes each, are not.
    assert peaks[1] <= peaks[0] + 1400 * 150
