"""A prefix in a bucket gives the documents that the same folder gives; nothing of it stays on disk; what changes meanwhile is held."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.document import Document, ReadProblem
from flows import bucket_files
from flows.bucket_files import Wanted
from flows.errors import JobError, SpoolError
from flows.job import Job, load_job
from flows.sources import check_duplicates, list_batches, read_batch
from sinks.clients.aws import AwsConnection
from sinks.clients.s3_client import S3Store
from sinks.errors import EndpointError, ObjectError

SECRET = "WAYBILL_TEST_SOURCE_KEY"
MAIL = b"""From: Noor Abara <noor@harbour.test>
Subject: Timetable
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/plain

The new ferry timetable is attached.
--cut
Content-Type: text/plain; name=pier.txt
Content-Disposition: attachment; filename=pier.txt

The pier opens at six in the morning.
--cut--
"""
LINES = b"".join(json.dumps({"id": f"j{row}", "text": f"line {row}"}).encode() + b"\n" for row in range(5))
FILES = {
    "a/harbour.txt": b"The harbour council will repave the promenade this spring.\n",
    "a/moss #2 + \xc3\xa4.txt": b"A new species of moss was described.\n",
    "mail/timetable.eml": MAIL,
    "tables/notices.csv": b"id,text\nrow-one,The pier will be painted.\nrow-two,The ferry keeps its timetable.\n",
    "tables/lines.jsonl": LINES,
    "empty.txt": b"",
    ".git/config": b"not a document",
    "a/.DS_Store": b"neither",
}


class PlainIds:
    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        return f"{source}|{source_id}|{member}"


@pytest.fixture
def store(s3_connection: AwsConnection, new_bucket: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    monkeypatch.setenv(SECRET, "AKIATEST:not-a-secret")
    made = S3Store(s3_connection, new_bucket())
    yield made
    made.close()


def named(name: bytes | str) -> str:
    return name.encode("latin-1").decode() if isinstance(name, str) else name.decode()


def fill(store: S3Store, files: dict[str, bytes] | None = None, prefix: str = "inbox/") -> None:
    for name, content in (files or FILES).items():
        store.put(f"{prefix}{named(name)}", content)


def write_job(folder: Path, store: S3Store | None, path: str = "inbox", extra: str = "", top: str = "") -> Path:
    source = path
    if store is not None:
        url = store._connection.s3_endpoint_url
        source = f"'s3://{store.bucket}/{path}', s3: {{region: eu-central-1, secret: {SECRET}, endpoint_url: '{url}'}}"
    job = folder / f"job-{'s3' if store else 'folder'}.yaml"
    job.write_text(
        f"name: n\nsource: {{path: {source}{extra}}}\ntask: {{kind: summarize, max_tokens: 60}}\noutput: o/r\nledger: o/l\n{top}", "utf-8"
    )
    return job


def bucket_job(folder: Path, store: S3Store, *args: Any, **more: Any) -> Job:
    return load_job(write_job(folder, store, *args, **more))


def read(job: Job) -> list[Document]:
    return [document for batch in list_batches(job) for document in read_batch(batch, job, PlainIds())]


def gets(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int | None]]:
    """Which objects are downloaded from now on, and how much of them."""
    seen: list[tuple[str, int | None]] = []
    download = S3Store.download

    def counted(self: S3Store, key: str, target: Any, *, first: int | None = None) -> Any:
        seen.append((key, first))
        return download(self, key, target, first=first)

    monkeypatch.setattr(S3Store, "download", counted)
    return seen


@pytest.mark.parametrize(
    "extra", ["", ", include: ['a/**', '*.csv', '*.eml'], exclude: ['*2*'], declared: [{glob: 'a/*', class: TRADE_SECRET}]"]
)
def test_the_same_documents_as_of_a_folder(store: S3Store, tmp_path: Path, extra: str) -> None:
    pq.write_table(pa.table({"id": [f"p{row}" for row in range(900)], "text": ["words"] * 900}), tmp_path / "p.parquet")
    files = FILES | {"tables/p.parquet": (tmp_path / "p.parquet").read_bytes()}
    fill(store, files)
    store.put("inbox/tables/", b"")  # what consoles make in place of a folder
    store.put("inbox-2/other.txt", b"another prefix")
    for name, content in files.items():
        path = tmp_path / "inbox" / named(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    local = load_job(write_job(tmp_path, None, extra=extra, top="batch_size: 250\n"))
    remote = bucket_job(tmp_path, store, extra=extra, top="batch_size: 250\n")
    assert {document.record_id: document for document in read(remote)} == {document.record_id: document for document in read(local)}
    check_duplicates(remote)
    assert list((tmp_path / "o" / "spool").rglob("*")) == [remote.spool]
    assert remote.spool.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("prefix", ["", "deep/er"], ids=["at the top", "in a folder"])
def test_one_object_is_a_source(store: S3Store, tmp_path: Path, prefix: str) -> None:
    place = f"{prefix}/notices.csv".lstrip("/")
    store.put(place, FILES["tables/notices.csv"])
    store.put(f"{place}.bak", b"beginning alike")
    documents = read(bucket_job(tmp_path, store, place))
    assert [document.record_id for document in documents] == ["notices.csv|row-one|", "notices.csv|row-two|"]


def test_a_table_is_fetched_once_however_many_spans_it_has(store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    job = bucket_job(tmp_path, store, top="batch_size: 1\n")
    seen = gets(store, monkeypatch)
    check_duplicates(job)
    read(job)
    tables = [key for key, _ in seen if key.startswith("inbox/tables/")]
    assert sorted(tables) == ["inbox/tables/lines.jsonl", "inbox/tables/notices.csv"]
    monkeypatch.setattr(bucket_files, "KEPT_BYTES", 1)  # room for the newest only
    seen.clear()
    check_duplicates(job)
    assert len(read(job)) == 12
    assert len(seen) < 12


def test_of_a_large_file_no_more_is_fetched_than_is_read(store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, {"large.txt": b"word " * 1000, "small.txt": b"word"})
    job = bucket_job(tmp_path, store, extra=", max_document_bytes: 100")
    seen = gets(store, monkeypatch)
    large, small = read(job)
    assert (large.problem, len(large.text), small.problem) == (ReadProblem.TOO_LARGE, 100, None)
    assert sorted(seen) == [("inbox/large.txt", 101), ("inbox/small.txt", None)]


def test_objects_are_fetched_ahead_some_at_a_time(store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, {f"{number:02}.txt": b"words %d" % number for number in range(20)})
    together = threading.Barrier(4, timeout=20)
    under_way, most = threading.Semaphore(bucket_files.AT_ONCE), []
    download = S3Store.download

    def counted(self: S3Store, key: str, *args: Any, **more: Any) -> Any:
        most.append(under_way.acquire(blocking=False))
        together.wait()  # breaks unless four are under way at once
        try:
            return download(self, key, *args, **more)
        finally:
            under_way.release()

    monkeypatch.setattr(S3Store, "download", counted)
    job = bucket_job(tmp_path, store)
    assert [document.text for document in read(job)] == [f"words {number}" for number in range(20)]
    assert len(most) == 20
    assert all(most)
    (batch,) = list_batches(job)
    job.source.bucket.fetch_ahead([Wanted(name=piece.path, first=None, size=piece.size) for piece in batch.pieces])  # type: ignore[union-attr]
    job.source.bucket.close()  # type: ignore[union-attr]  # what was not taken is dropped
    assert len(most) < 40


def test_what_changes_between_listing_and_reading_is_held(store: S3Store, tmp_path: Path) -> None:
    fill(store)
    job = bucket_job(tmp_path, store)
    batches = list(list_batches(job))
    store.put("inbox/a/harbour.txt", b"Another text altogether.")
    store.put("inbox/tables/lines.jsonl", LINES.replace(b"line", b"verse"))
    store.delete("inbox/mail/timetable.eml")
    found = {document.record_id: document for batch in batches for document in read_batch(batch, job, PlainIds())}
    assert found["a/harbour.txt|None|"].problem is ReadProblem.CHANGED
    assert found["mail/timetable.eml|None|"].problem is ReadProblem.VANISHED
    # The copy that was listed is the copy that is read, unless it had to make room: then the rows keep their places, and are held.
    assert found["tables/lines.jsonl|j0|"].text == "line 0"
    job.source.bucket.close()  # type: ignore[union-attr]
    again = {document.record_id: document for batch in batches for document in read_batch(batch, job, PlainIds())}
    assert [again[f"tables/lines.jsonl|None|row:{row}"].problem for row in range(1, 6)] == [ReadProblem.CHANGED] * 5
    assert {document.record_id: document.text for document in read(job)}["tables/lines.jsonl|j0|"] == "verse 0"


def test_an_object_that_is_refused_is_held_and_a_bucket_out_of_reach_stops(
    store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, {"a.txt": b"words", "b.csv": b"id,text\n1,a\n"})
    job = bucket_job(tmp_path, store)
    for error in (ObjectError("refused"), EndpointError("out of reach")):
        with monkeypatch.context() as patched:
            patched.setattr(S3Store, "download", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
            if isinstance(error, ObjectError):
                assert [document.problem for document in read(job)] == [ReadProblem.UNREADABLE] * 2
                continue
            for reading in (read, check_duplicates):
                with pytest.raises(EndpointError, match="out of reach"):
                    reading(job)
    job.file.write_text(job.file.read_text().replace(str(store._connection.s3_endpoint_url), "http://127.0.0.1:9"))
    with pytest.raises(EndpointError, match=r"source.path: s3://.* no usable answer to a listing"):
        read(load_job(job.file))


def test_a_full_disk_is_not_the_sources_fault(store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, os.strerror(28))

    fill(store, {"a.txt": b"words", "b.csv": b"id,text\n1,a\n"})
    job = bucket_job(tmp_path, store)
    monkeypatch.setattr(S3Store, "download", full)
    for reading in (read, check_duplicates):
        with pytest.raises(SpoolError, match=r"no room for what is read from the bucket .* make room and run again"):
            reading(job)


def test_mistakes_name_the_object(store: S3Store, tmp_path: Path) -> None:
    fill(store, {"t/a.csv": b"id,text\n1,a\n1,b\n"})
    with pytest.raises(JobError, match=rf"^s3://{store.bucket}/inbox/t/a.csv:3: expected every 'id' once"):
        check_duplicates(bucket_job(tmp_path, store))
    with pytest.raises(JobError, match=rf"^s3://{store.bucket}/inbox/t/a.csv: expected a column 'body'"):
        read(bucket_job(tmp_path, store, extra=", text: body"))


@pytest.mark.parametrize(
    ("path", "extra", "said"),
    [
        ("'s3://bucket/x'", "", "expected s3 with region and secret beside path"),
        ("inbox", ", s3: {region: eu-central-1, secret: S}", "expected no s3 beside a path of this machine"),
        ("'s3://Bucket'", ", s3: {region: eu-central-1, secret: S}", "expected s3://BUCKET or s3://BUCKET/PREFIX"),
        ("'s3://bucket/x'", ", s3: {region: eu-central-1}", "secret: expected this key"),
    ],
    ids=["no s3", "s3 of a folder", "no bucket's name", "no secret"],
)
def test_nothing_is_guessed(tmp_path: Path, path: str, extra: str, said: str) -> None:
    (tmp_path / "inbox").mkdir()
    with pytest.raises(JobError, match=said):
        load_job(write_job(tmp_path, None, path, extra))


def test_a_secret_that_is_not_set_is_one_line(store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET)
    with pytest.raises(JobError, match=f"source.path needs its key in the environment variable {SECRET}; it is not set"):
        read(bucket_job(tmp_path, store))


def test_a_night_and_a_look_back_over_a_bucket(store: S3Store, tmp_path: Path, cli: Callable[..., Any]) -> None:
    """Objects are read by reference again: by the second night, which finds nothing new, and by the look-back."""
    files = {name: FILES[name] for name in ("a/harbour.txt", "a/moss #2 + \xc3\xa4.txt", "tables/notices.csv")}
    fill(
        store, files | {"clinic/note.txt": b"Patient: Goran Castellan\nMedical record number: MRN 40718823\nDiagnosis: angina, aspirin.\n"}
    )
    job = write_job(tmp_path, store, top="scan_processes: 1\n")
    report = json.loads(cli("run", job, "--json").out.splitlines()[-1])
    assert (report["documents"], report["results"], report["held"]) == (5, 5, 0)
    assert report["by_class"]["PHI"]["local"] == 1
    report = json.loads(cli("run", job, "--date", "2031-01-01", "--json").out.splitlines()[-1])
    assert (report["documents"], report["unchanged"]) == (0, 5)
    store.put("inbox/a/harbour.txt", b"Another text altogether.")
    store.delete("inbox/tables/notices.csv")
    said = cli("audit", "lookback", "--job", job)
    assert "judged: 1 of 4 texts sent" in said.out
    assert "source_gone 2" in said.out
    assert "source_changed 1" in said.out
    named_twice = [path for path in (tmp_path / "o").rglob("*") if path.is_file() and b"AKIATEST" in path.read_bytes()]
    assert named_twice == []
