"""`waybill purge`: what is past its retention goes, after the ledger has said so; what is under legal hold stays, and is said to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from flows import purging
from flows.errors import JobError
from flows.job import load_job
from flows.purging import PurgeReport, purge
from sinks.errors import AlreadyRunningError, EndpointError, LedgerError, ResultsError
from sinks.ledger import views
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lock import one_runner
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

KEEP = "retention: {results_days: 30, spool_days: 2, remote_days: 7}\n"
LATER = datetime.now(UTC) + timedelta(days=31)


class KilledError(BaseException):
    """The process is gone."""


@pytest.fixture
def old(finished_night: Any, tmp_path: Path) -> SimpleNamespace:
    """A copy of a night that is over, and what to do with it."""
    folder = tmp_path / "copy"
    shutil.copytree(finished_night.job.parent, folder)
    return SimpleNamespace(job=folder / finished_night.job.name, out=folder / "out", ledger=folder / "out" / "ledger")


def keeping(old: SimpleNamespace, extra: str = KEEP) -> Any:
    text = old.job.read_text()
    if "retention" not in text:
        old.job.write_text(text + extra)
    return load_job(old.job, out=old.out)


def run(old: SimpleNamespace, extra: str = KEEP, *, now: datetime = LATER, dry_run: bool = False) -> PurgeReport:
    return purge(keeping(old, extra), now=now, actor="mara", dry_run=dry_run)


def ask(ledger: Path, query: str, **parameters: object) -> list[dict[str, Any]]:
    with reading(ledger, ("intents", "record_states", "outcomes", "erasures")) as reader:
        found: list[dict[str, Any]] = reader.table(query, **parameters).to_pylist()
    return found


def results(old: SimpleNamespace) -> set[str]:
    return {path.relative_to(old.out / "results").as_posix() for path in (old.out / "results").rglob("*.parquet")}


def roots(old: SimpleNamespace) -> set[str]:
    return {name.split("/")[1] for name in results(old)}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_nothing_goes_before_its_time(old: SimpleNamespace) -> None:
    before = results(old)
    assert run(old, now=datetime.now(UTC) + timedelta(days=29)).deleted == ()
    assert results(old) == before


def test_without_the_key_everything_stays(old: SimpleNamespace) -> None:
    before = results(old)
    assert run(old, "retention: {}\n").deleted == ()
    assert results(old) == before


def test_a_dry_run_changes_nothing(old: SimpleNamespace) -> None:
    keeping(old)
    before = snapshot(old.out)
    report = run(old, dry_run=True)
    assert {one.kind for one in report.deleted} == {"result", "explicit_rows"}
    assert snapshot(old.out) == before


def test_results_go_and_the_ledger_has_each(old: SimpleNamespace) -> None:
    rows = ask(old.ledger, "FROM outcomes SELECT run_id, record_id, result_file ORDER BY record_id")
    assert len(rows) == 7
    report = run(old)
    assert results(old) == set()
    assert list((old.out / "results").iterdir()) == []
    assert sum(len(one.record_ids) for one in report.deleted if one.kind == "result") == 7
    purged = ask(old.ledger, "FROM erasures SELECT run_id, record_id, result_file WHERE detail_code = 'result' ORDER BY record_id")
    assert purged == rows
    said = ask(old.ledger, "FROM erasures SELECT detail_code, reason, state, actor WHERE detail_code <> 'result' ORDER BY detail_code")
    assert said == [
        {"detail_code": "explicit_rows", "reason": "retention", "state": "rows_1", "actor": "mara"},
        {"detail_code": "run", "reason": "retention", "state": "explicit_rows_1,result_7", "actor": "mara"},
    ]
    assert all(row["result_file"] is None and row["purged_at"] for row in ask(old.ledger, "FROM outcomes"))


def test_purged_is_what_results_say(old: SimpleNamespace, cli: Callable[..., Any], tmp_path: Path) -> None:
    run(old, KEEP + "legal_hold: [PHI]\n")
    for kind in ("jsonl", "csv", "parquet"):
        said = cli("results", "export", old.job, tmp_path / f"rows.{kind}", "--out", old.out)
        assert "8 rows" in said.out
        assert "7 of them purged by retention" in said.out
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert sorted(row["status"] for row in rows) == ["completed"] + ["purged"] * 7
    assert [row["data_classes"] for row in rows if row["status"] == "completed"] == [["PHI"]]
    assert all(row["output"] is None for row in rows if row["status"] == "purged")


def test_when_all_is_purged_the_export_says_so_too(old: SimpleNamespace, cli: Callable[..., Any], tmp_path: Path) -> None:
    run(old)
    assert "8 of them purged" in cli("results", "export", old.job, tmp_path / "rows.parquet", "--out", old.out).out


def test_again_there_is_nothing_left_to_do(old: SimpleNamespace) -> None:
    run(old)
    head = Ledger.open(old.ledger).head()
    assert run(old) == PurgeReport(deleted=(), kept=())
    assert Ledger.open(old.ledger).head() == head


def test_killed_after_the_announcement_the_next_one_deletes(old: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results(old)

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(purging, "_delete", die)
        with pytest.raises(KilledError):
            run(old)
    assert results(old) == before
    assert all(row["result_file"] is None for row in ask(old.ledger, "FROM outcomes"))
    run(old)
    assert results(old) == set()
    assert ask(old.ledger, "SELECT count(*) AS n FROM erasures WHERE detail_code = 'result'") == [{"n": 7}]


def test_killed_before_the_announcement_nothing_is_gone(old: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results(old)

    def die(*_: object, **__: object) -> int:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "commit", die)
        with pytest.raises(KilledError):
            run(old)
    assert results(old) == before


@pytest.mark.parametrize(
    ("hold", "kept"),
    [
        pytest.param("PHI", {"PHI"}, id="class"),
        pytest.param("CREDENTIALS", set(), id="class that no record has"),
        pytest.param("RECORD", {"NPI"}, id="record"),
        pytest.param("RUN", {"PHI", "NPI", "PRIVILEGED", "clean", "held"}, id="run"),
    ],
)
def test_what_is_held_stays_and_is_said_to(old: SimpleNamespace, cli: Callable[..., Any], hold: str, kept: set[str]) -> None:
    (npi,) = ask(old.ledger, "FROM record_states SELECT record_id, run_id WHERE list_contains(data_classes, 'NPI')")
    named = {"RECORD": npi["record_id"], "RUN": npi["run_id"]}.get(hold, hold)
    report = run(old, KEEP + f"legal_hold: [{named}]\n")
    assert roots(old) == kept
    assert {one.file for one in report.kept} == results(old)
    old.job.write_text(old.job.read_text().replace("results_days: 30", "results_days: 0"))
    said = cli("purge", "--job", old.job, "--out", old.out)
    assert said.out.count("kept under legal hold") == len(results(old))
    assert roots(old) == kept


def test_a_lower_bound_may_hide_the_held_class(old: SimpleNamespace) -> None:
    (clean, *_) = ask(old.ledger, "FROM record_states SELECT record_id, run_id WHERE data_classes = ['CLEAN'] ORDER BY record_id")
    entry = Entry(event=Event.DECIDED, at=datetime.now(UTC), data_classes=("PII",), partial=True, **clean)
    Ledger.open(old.ledger).commit([entry])
    run(old, KEEP + "legal_hold: [PRIVILEGED]\n")
    assert roots(old) == {"PRIVILEGED", "clean"}


@pytest.mark.parametrize("hold", ["PIH", "r" + "0" * 24, "other-2026-11-22"])
def test_a_hold_on_nothing_stops_everything(old: SimpleNamespace, hold: str) -> None:
    before = results(old)
    with pytest.raises(JobError, match=f"legal_hold: {hold}.*nothing was deleted"):
        run(old, KEEP + f"legal_hold: [{hold}]\n")
    assert results(old) == before


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        pytest.param("legal_hold: [privileged]\n", "legal_hold", id="no hold"),
        pytest.param("legal_hold: [CLEAN]\n", "legal_hold", id="clean"),
        pytest.param("retention: {results_days: -1}\n", "retention.results_days", id="negative"),
        pytest.param("retention: {result_days: 3}\n", "retention.result_days", id="unknown"),
        pytest.param("retention: {spool_days: 1.5}\n", "retention.spool_days", id="no whole day"),
    ],
)
def test_the_keys_are_strict(old: SimpleNamespace, extra: str, key: str) -> None:
    old.job.write_text(old.job.read_text() + extra)
    with pytest.raises(JobError, match=key):
        load_job(old.job, out=old.out)


def test_leftovers_of_the_spool_go(old: SimpleNamespace) -> None:
    spool = keeping(old).spool
    spool.mkdir(parents=True, exist_ok=True)
    (intent, *_) = ask(old.ledger, "FROM intents ORDER BY intent_id")
    ended, young, stray = spool / f"{intent['intent_id']}.jsonl", spool / "0123.jsonl", spool / "4567.jsonl"
    for path in (ended, young, stray):
        path.write_text("content")
    week_ago = (datetime.now(UTC) - timedelta(days=7)).timestamp()
    for path in (ended, stray):
        os.utime(path, (week_ago, week_ago))
    assert {one.path for one in run(old, now=datetime.now(UTC)).deleted} == {ended, stray}
    assert sorted(spool.glob("*.jsonl")) == [young]
    (entry,) = ask(old.ledger, "FROM erasures SELECT run_id, intent_id WHERE detail_code = 'spool' AND intent_id IS NOT NULL")
    assert entry == {"run_id": intent["run_id"], "intent_id": intent["intent_id"]}


def test_a_file_of_unknown_records_stays_while_anything_is_held(old: SimpleNamespace) -> None:
    spool = keeping(old, KEEP + "legal_hold: [PHI]\n").spool
    spool.mkdir(parents=True, exist_ok=True)
    stray = spool / "4567.jsonl"
    stray.write_text("content")
    assert [one.path for one in run(old, now=LATER).kept if one.kind == "spool"] == [stray]
    assert stray.exists()


class Provider:
    """What retention asks of a lane."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.discarded: list[str] = []

    def discard(self, job_id: str) -> tuple[str, ...]:
        if not self.answers:
            raise EndpointError("not reachable")
        self.discarded.append(job_id)
        return (job_id,)


@pytest.mark.parametrize("hold", [False, True], ids=["free", "held"])
@pytest.mark.parametrize("answers", [True, False], ids=["reachable", "unreachable"])
def test_remote_files_go_through_their_lane(old: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, *, answers: bool, hold: bool) -> None:
    (one,) = ask(old.ledger, "FROM record_states SELECT record_id, run_id WHERE list_contains(data_classes, 'NPI')")
    handed = {"run_id": one["run_id"], "endpoint": "emulator", "intent_id": "ab" * 16, "lane": "cloud", "attempt": 1}
    ledger = Ledger.open(old.ledger)
    at = datetime.now(UTC) - timedelta(days=8)
    ledger.commit(
        [
            Entry(event=Event.SUBMITTING, at=at, record_id=one["record_id"], clearance_id="c", **handed),
            Entry(event=Event.SUBMITTED, at=at, provider_job_id="batch-7", **handed),
            Entry(event=Event.COMPLETED, at=at, record_id=one["record_id"], **handed),
            Entry(event=Event.JOB_ENDED, at=at, provider_job_id="batch-7", **handed),
        ]
    )
    provider = Provider(answers=answers)
    monkeypatch.setattr(purging, "_lanes", lambda names, *_, **__: dict.fromkeys(names, provider))
    report = run(old, KEEP + ("legal_hold: [NPI]\n" if hold else ""), now=datetime.now(UTC))
    assert provider.discarded == (["batch-7"] if answers and not hold else [])
    assert (len(report.kept), report.unreachable) == (int(hold), int(not answers and not hold))
    deleted = ask(old.ledger, "FROM entries SELECT actor WHERE event = 'deleted_remote' AND intent_id = $id", id="ab" * 16)
    assert deleted == ([{"actor": "mara"}] if answers and not hold else [])


@pytest.mark.parametrize("file", ["../../inbox/empty.txt", "/etc/hostname", "link/x.parquet"])
def test_nothing_outside_the_results_is_ever_deleted(old: SimpleNamespace, file: str) -> None:
    (old.out / "results" / "link").symlink_to(old.job.parent / "inbox")
    (old.job.parent / "inbox" / "x.parquet").write_text("a document")
    before = snapshot(old.job.parent / "inbox")
    run_id = ask(old.ledger, "FROM record_states LIMIT 1")[0]["run_id"]
    at = datetime.now(UTC)
    Ledger.open(old.ledger).commit([Entry(event=Event.COMPLETED, at=at, run_id=run_id, record_id="r", result_file=file, result_row=0)])
    kept = results(old)
    with pytest.raises(ResultsError, match="outside this folder"):
        run(old)
    assert snapshot(old.job.parent / "inbox") == before
    assert results(old) == kept


def test_a_purge_waits_for_nobody(old: SimpleNamespace) -> None:
    keeping(old)
    with one_runner(old.ledger, "small"), pytest.raises(AlreadyRunningError):
        run(old)


def test_where_there_is_no_ledger_none_is_made(night: Any) -> None:
    night.job.write_text(night.job.read_text() + KEEP)
    with pytest.raises(LedgerError, match="no ledger here"):
        purge(load_job(night.job, out=night.out), now=LATER, actor="mara")
    assert not night.out.exists()


def test_the_purged_ledger_opens_for_auditors(old: SimpleNamespace) -> None:
    run(old)
    with duckdb.connect(old.ledger / views.DATABASE, read_only=True) as auditor:
        assert auditor.sql("SELECT count(*), count(purged_at), count(result_file) FROM outcomes").fetchall() == [(7, 7, 0)]
