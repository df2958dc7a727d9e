"""The night end to end, as a user runs it: a process, the real emulator, real Parquet, a real ledger."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

CANARY = "quetzalcoatl-7719"
LOCAL = ("PHI", "NPI", "PRIVILEGED")


def ask(ledger: Path, question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(question).fetchall()


def rows(results: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(results.rglob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]


@pytest.fixture
def done(night: Any) -> Any:
    """A night that has run, for tests that go on from there."""
    report = night.run()
    return night, report


def test_every_document_has_exactly_one_row(finished: Any) -> None:
    night, report = finished
    found = rows(night.results)
    assert report["documents"] == len(found) == len({row["record_id"] for row in found}) == 8
    assert report["documents"] == report["results"] + report["held"] + report["failed"] + report["pending"]
    assert (report["held"], report["failed"], report["pending"]) == (1, 0, 0)
    assert {row["source"] for row in found} == {
        "clinic/discharge.txt",
        "bank/letter.txt",
        "public/harbour.txt",
        "public/museum.md",
        "public/moss.html",
        "mail/timetable.eml",
        "mail/timetable.eml#letter.txt",
        "empty.txt",
    }
    assert all(row["output"] for row in found if row["status"] == "completed")


def test_restricted_records_stay_and_clean_ones_go(finished: Any) -> None:
    night, report = finished
    by_class = report["by_class"]
    assert by_class["CLEAN"] == {"local": 0, "cloud": 3, "held": 0, "pending": 0}
    for name in LOCAL:
        assert by_class[name]["local"] >= 1
        assert by_class[name]["cloud"] == 0
    assert ask(night.ledger, "SELECT DISTINCT data_classes FROM egress") == [(["CLEAN"],)]
    # A family is only as clean as its worst member: the harmless mail stays with its privileged attachment.
    mail = next(row for row in rows(night.results) if row["source"] == "mail/timetable.eml")
    assert (mail["lane"], mail["data_classes"]) == ("local", ["PRIVILEGED"])


def test_every_egress_row_has_its_decision_assignment_and_spent_clearance(finished: Any) -> None:
    night, _ = finished
    assert ask(
        night.ledger,
        """SELECT count(*), count(decision_seq), count(assignment_seq), count(clearance_seq),
                  count(*) FILTER (decision_seq < assignment_seq AND assignment_seq < clearance_seq AND clearance_seq < seq),
                  count(*) FILTER (payload_hmac = cleared_payload_hmac AND endpoint = cleared_endpoint AND endpoint = assigned_endpoint)
           FROM egress""",
    ) == [(3, 3, 3, 3, 3, 3)]


def test_what_the_provider_received_is_what_the_ledger_says(finished: Any) -> None:
    night, _ = finished
    received = b"".join(path.read_bytes() for path in (night.out / "emulator" / "small" / "received").rglob("*.bin"))
    assert received.count(CANARY.encode()) == 3  # the three clean documents, each once
    for restricted in ("Castellan", "Lindqvist", "536-22-8145", "mooring", "timetable"):
        assert restricted.encode() not in received


def test_restricted_results_lie_under_roots_of_their_own(finished: Any) -> None:
    night, report = finished
    roots = {path.name: path for path in (night.results / report["run_id"]).iterdir()}
    assert {"clean", "held", "PHI", "PRIVILEGED"} <= roots.keys()
    for name, root in roots.items():
        if name != "clean":
            assert stat.S_IMODE(root.stat().st_mode) == 0o700
            assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in root.iterdir())
    clean = [row for path in roots["clean"].iterdir() for row in pq.ParquetFile(path).read().to_pylist()]
    assert all(row["data_classes"] == ["CLEAN"] for row in clean)


def test_held_row_says_why(finished: Any) -> None:
    night, _ = finished
    held = [row for row in rows(night.results) if row["status"] == "held"]
    assert [(row["source"], row["error_code"], row["output"]) for row in held] == [("empty.txt", "empty_text", None)]


def test_text_is_nowhere_but_in_results_and_at_the_emulator(finished: Any) -> None:
    night, _ = finished
    everywhere = [path for path in night.out.rglob("*") if path.is_file()]
    found = {path.relative_to(night.out).parts[0] for path in everywhere if CANARY.encode() in path.read_bytes()}
    assert found <= {"results", "emulator"}
    assert not any(CANARY in str(path) for path in everywhere)
    assert not list((night.out / "spool").rglob("*.jsonl")), "content must leave the spool once the outcome is committed"


def test_output_of_the_command_holds_no_text(night: Any) -> None:
    import subprocess  # noqa: PLC0415

    finished = subprocess.run(night.command(), capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0
    assert CANARY not in finished.stdout + finished.stderr


def test_run_again_changes_nothing(done: Any) -> None:
    night, first = done
    before = {path: path.read_bytes() for path in night.results.rglob("*.parquet")}
    creates = len(list((night.out / "emulator" / "small" / "batches").iterdir()))
    again = night.run()
    assert {key: again[key] for key in ("run_id", "documents", "results", "held", "by_class")} == {
        key: first[key] for key in ("run_id", "documents", "results", "held", "by_class")
    }
    assert {path: path.read_bytes() for path in night.results.rglob("*.parquet")} == before
    assert len(list((night.out / "emulator" / "small" / "batches").iterdir())) == creates


def test_the_next_night_takes_only_what_is_new_or_changed(done: Any) -> None:
    night, _ = done
    inbox = night.job.parent / "inbox"
    (inbox / "public" / "moss.html").write_text("<p>The moss was found again, on granite this time, and photographed.</p>")
    (inbox / "public" / "new.txt").write_text("The winter timetable of the ferry will be printed next week.")
    second = night.run("--date", "2099-01-02")
    assert second["run_id"].endswith("2099-01-02")
    assert (second["documents"], second["unchanged"]) == (3, 6)  # changed, new, and the held one, which is looked at again
    assert second["by_class"]["CLEAN"]["cloud"] == 2


def test_reprocess_takes_everything_again_in_a_new_run(done: Any) -> None:
    night, first = done
    again = night.run("--reprocess")
    assert again["run_id"] == first["run_id"] + ".r2"
    assert again["documents"] == first["documents"]


def test_export_has_one_current_row_per_document(done: Any, tmp_path: Path, waybill: Callable[..., Any]) -> None:
    night, _ = done
    night.run("--reprocess")
    target = tmp_path / "current.parquet"
    waybill("results", "export", str(night.job), str(target), "--out", str(night.out))
    exported = pq.ParquetFile(target).read().to_pylist()
    assert len(exported) == len({row["record_id"] for row in exported}) == 8
    assert {row["run_id"] for row in exported} == {exported[0]["run_id"]}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_extraction_gives_typed_columns(make_night: Callable[..., Any]) -> None:
    schema = "{type: object, required: [title], properties: {title: {type: string}, amount: {type: [number, 'null']}}}"
    night = make_night(task=f"{{kind: extract, schema: {schema}}}")
    report = night.run()
    assert report["results"] == 7
    completed = [row for row in rows(night.results) if row["status"] == "completed"]
    assert all(json.loads(row["output"])["title"] == row["title"] for row in completed)


@pytest.mark.parametrize(
    ("options", "code"),
    [(("--fail-on-held",), 3), (("--limit", "2"), 0)],
    ids=["held rows under --fail-on-held", "limit"],
)
def test_exit_codes(night: Any, options: tuple[str, ...], code: int) -> None:
    night.run(*options, code=code)


def test_without_a_cloud_endpoint_everything_stays(make_night: Callable[..., Any]) -> None:
    night = make_night(extra="lanes: {cloud: null}\n")
    report = night.run()
    assert all(counts["cloud"] == 0 for counts in report["by_class"].values())
    assert report["results"] == 7
    assert not (night.out / "emulator").exists()
