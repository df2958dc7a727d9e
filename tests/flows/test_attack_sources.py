"""Attacks through what is read: content in messages, aliases of declared files, hidden spellings, results as input."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.document import Document, ReadProblem
from flows.job import load_job
from flows.sources import list_batches, read_batch
from sinks.ledger.keys import Keys

HARMLESS = "The harbour council will repave the promenade between the fish market and the old lighthouse this spring."
NUMBER = "536-22-8145"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Document]]:
    """Write files and read them as a job would."""

    def call(files: dict[str, str | bytes], source: str = "{path: inbox}") -> list[Document]:
        for name, content in files.items():
            path = tmp_path / "inbox" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        job_file = tmp_path / "job.yaml"
        job_file.write_text(f"name: job\nsource: {source}\ntask: {{kind: summarize}}\noutput: out\nledger: ledger\n")
        job = load_job(job_file)
        return [document for batch in list_batches(job) for document in read_batch(batch, job, Keys(b"0" * 32))]

    return call


@pytest.mark.parametrize(
    "text",
    [
        f"{HARMLESS} SSN 5\x013\x016-22-8145",
        f"{HARMLESS} SSN 536\x1b[0m-22-8145",
        f"{HARMLESS} SSN 5\x7f36-22-8145",
        f"{HARMLESS} SSN 5\x8f36-22-8145",
        "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nSSN 536=2D22=\n=2D8145",
        "BEGIN:VCARD\nNOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=35=33=36",
        f"{HARMLESS} =?utf-8?Q?=35=33=36=2D22=2D8145?=",
        f"{HARMLESS}\nbegin 644 note.txt\n34V]C:6%L('-E8W5R:71Y\n`\nend\n",
        r"{\rtf1\ansi Social security number 536-{\b 22}-8145}",
        "%PDF-1.4\n1 0 obj\n<</Length 9>>\nstream\n6tKk",
    ],
    ids=["control", "terminal colours", "delete", "c1", "quoted-printable", "vcard", "encoded word", "uuencode", "rtf", "pdf as text"],
)
@pytest.mark.parametrize("place", ["text", "row", "metadata"])
def test_spellings_that_hide_a_number_stay_inside(read: Callable[..., list[Document]], text: str, place: str) -> None:
    if place == "text":
        (document,) = read({"a.txt": text})
    else:
        row = {"id": "1", "text": text if place == "row" else HARMLESS, "note": text}
        (document,) = read({"a.jsonl": json.dumps(row) + "\n"}, "{path: inbox, metadata: [note]}")
    assert document.problem is ReadProblem.UNDECODABLE


@pytest.mark.parametrize(
    "text",
    [
        HARMLESS,
        f"{HARMLESS}\f\n{HARMLESS}\r\n\tIndented\u0085next",
        "Set the header Content-Transfer-Encoding to 8bit; base64 is for attachments.",
        "Begin 644 lines above the end. The encoding= parameter is optional.",
    ],
    ids=["prose", "page break", "about e-mail", "about numbers"],
)
def test_ordinary_text_is_not_stopped_by_it(read: Callable[..., list[Document]], text: str) -> None:
    (document,) = read({"a.txt": text})
    assert document.problem is None


def test_a_nul_in_metadata_is_no_way_out(read: Callable[..., list[Document]]) -> None:
    row = json.dumps({"id": "1", "text": HARMLESS, "note": "SSN 5\x0036-22-8145"})
    (document,) = read({"a.jsonl": row}, "{path: inbox, metadata: [note]}")
    assert document.problem is ReadProblem.UNDECODABLE


def test_a_declaration_holds_for_a_link_to_the_file(read: Callable[..., list[Document]], tmp_path: Path) -> None:
    (tmp_path / "inbox" / "public").mkdir(parents=True)
    (tmp_path / "inbox" / "public" / "b.txt").symlink_to("../legal/a.txt")
    found = read({"legal/a.txt": HARMLESS}, "{path: inbox, declared: [{glob: 'legal/**', class: PRIVILEGED}]}")
    assert {document.source: document.declared for document in found} == {
        "legal/a.txt": frozenset({"PRIVILEGED"}),
        "public/b.txt": frozenset({"PRIVILEGED"}),
    }


@pytest.mark.parametrize(("on_disk", "in_glob"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_declaration_holds_however_the_name_is_composed(read: Callable[..., list[Document]], on_disk: Any, in_glob: Any) -> None:
    folder, glob = unicodedata.normalize(on_disk, "übersicht"), unicodedata.normalize(in_glob, "übersicht")
    (document,) = read({f"{folder}/a.txt": HARMLESS}, f"{{path: inbox, declared: [{{glob: '{glob}/**', class: PRIVILEGED}}]}}")
    assert document.declared == {"PRIVILEGED"}


def test_a_table_without_a_header_is_not_quoted(make_night: Callable[..., Any], waybill: Callable[..., Any]) -> None:
    night = make_night({"people.csv": f"Goran Castellan,{NUMBER},chest pain\nInes Lindqvist,1,2\n"})
    failed = waybill("run", str(night.job), "--out", str(night.out), code=2)
    assert "people.csv" in failed.stderr
    for content in ("Castellan", NUMBER, "chest"):
        assert content not in failed.stdout + failed.stderr


RESULT = {"record_id": "r1", "run_id": "clinic-2026-11-22", "output": HARMLESS}


def write_table(path: Path, data_classes: list[str] | None) -> None:
    path.parent.mkdir(parents=True)
    if path.suffix == ".parquet":
        schema = pa.schema([*((name, pa.string()) for name in RESULT), ("data_classes", pa.list_(pa.string()))])
        pq.write_table(pa.Table.from_pylist([{**RESULT, "data_classes": data_classes}], schema), path)
    elif path.suffix == ".jsonl":
        path.write_text(json.dumps({**RESULT, "data_classes": data_classes}) + "\n")
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*RESULT, "data_classes"])
            writer.writerow([*RESULT.values(), f"[{', '.join(data_classes)}]" if data_classes else ""])  # as DuckDB writes a list


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
@pytest.mark.parametrize(
    ("data_classes", "declared"),
    [(["PHI", "NPI"], {"PHI", "NPI"}), (["CLEAN"], set()), ([], {"UNSCANNABLE"}), (None, {"UNSCANNABLE"})],
    ids=["restricted", "clean", "no classes", "null"],
)
def test_a_result_as_input_keeps_its_classes(
    read: Callable[..., list[Document]], tmp_path: Path, suffix: str, data_classes: list[str] | None, declared: set[str]
) -> None:
    write_table(tmp_path / "inbox" / f"results{suffix}", data_classes)
    (document,) = read({}, "{path: inbox, id: record_id, text: output}")
    assert document.declared == declared


def test_a_table_with_a_column_of_that_name_is_not_a_result(read: Callable[..., list[Document]]) -> None:
    (document,) = read({"a.jsonl": json.dumps({"id": "1", "text": HARMLESS, "data_classes": ["PHI"]}) + "\n"})
    assert document.declared == frozenset()


def test_restricted_results_of_one_night_never_reach_the_cloud_of_another(finished_night: Any, tmp_path: Path, waybill: Any) -> None:
    job = tmp_path / "chain.yaml"
    job.write_text(
        f"name: chain\nsource: {{path: {finished_night.results}, id: record_id, text: output}}\n"
        "task: {kind: summarize, max_tokens: 60}\noutput: unused\nledger: unused-ledger\n"
    )
    report = json.loads(waybill("run", str(job), "--out", str(tmp_path / "out"), "--json").stdout.splitlines()[-1])
    by_class = report["by_class"]
    assert by_class["CLEAN"]["cloud"] == 3
    assert by_class.keys() >= {"PHI", "NPI", "PRIVILEGED"}
    assert sum(counts["cloud"] for counts in by_class.values()) == 3
