"""A document that changes while an older run waits for its provider is sent once, whichever run goes on; a run left behind is ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from flows.night import Night, NightOptions
from flows.nightly import carry, run_night
from flows.sources import Batch
from policies.load import DEFAULT_REGISTRY
from sinks.ledger.queries import job_runs, open_intents, run_counts

FAULTS = [{"at": "openai.lifecycle.in_progress", "fault": "expire", "rows": 0}]


def test_an_older_run_does_not_send_again_what_a_later_one_has_done(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra="registry: registry.yaml\n")
    folder = night.job.parent
    (folder / "faults.json").write_text(json.dumps(FAULTS))
    bundled, emulator = DEFAULT_REGISTRY.read_text(), "settings: {emulator: true}"
    (folder / "registry.yaml").write_text(bundled.replace(emulator, "settings: {emulator: true, emulator_delay_s: 600}"))
    cli("run", night.job, "--out", night.out, "--date", "2026-11-21", "--no-wait", code=4)

    moss = next(folder.rglob("public/moss.html"))
    moss.write_text(moss.read_text().replace("</body>", "<p>Marsh ferns grow beside it.</p></body>"))
    assert "Marsh ferns" in moss.read_text()
    (folder / "registry.yaml").write_text(bundled.replace(emulator, "settings: {emulator: true, emulator_faults: faults.json}"))
    later = json.loads(cli("run", night.job, "--out", night.out, "--date", "2026-11-22", "--json").out.splitlines()[-1])
    assert (later["results"], later["unchanged"]) == (1, 6)

    (folder / "registry.yaml").write_text(bundled)
    (older,) = map(json.loads, cli("collect", night.job, "--out", night.out, "--json").out.splitlines())
    assert older["pending"] == 0
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        entries = connection.execute("SELECT run_id, reason FROM entries WHERE event = 'held' AND reason <> 'empty_text'").fetchall()
    assert [(run_id[-10:], reason) for run_id, reason in entries] == [("2026-11-21", "superseded")]
    assert "superseded" not in cli("held", "list", "--ledger", night.ledger).out
    cli("results", "export", night.job, folder / "current.jsonl", "--out", night.out)
    current = [json.loads(line) for line in (folder / "current.jsonl").read_text().splitlines()]
    assert [(row["run_id"][-10:], row["status"]) for row in current if row["source"].endswith("moss.html")] == [("2026-11-22", "completed")]
    received = [path.read_bytes() for path in night.out.rglob("emulator/**/received/*.bin")]
    assert sum(body.count(b"Marsh ferns") for body in received) == 1


class KilledError(Exception):
    """Stands for the end of the process: nothing catches it."""


def test_a_collection_ends_a_night_that_nobody_went_on_with(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night()
    folder = night.job.parent

    def carry_and_die(opened: Night, batch: Batch) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("flows.nightly.freeze_records", die)
            carry(opened, batch)

    def die(*_: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        run_night(NightOptions(job=str(night.job), out=str(night.out), date="2026-11-21"), each=carry_and_die)
    begun = job_runs(night.ledger)[0]
    unsent = run_counts(night.ledger, begun.run_id).pending
    assert unsent == 2, "a batch"
    assert cli("collect", night.job, "--out", night.out, "--json").out == "", "it may still be gone on with"
    next(folder.rglob("bank/letter.txt")).unlink()
    cli("run", night.job, "--out", night.out, "--date", "2026-11-22")

    (ended,) = map(json.loads, cli("collect", night.job, "--out", night.out, "--json").out.splitlines())
    assert (ended["run_id"], ended["pending"], ended["held_for"]["superseded"]) == (begun.run_id, 0, unsent)
    assert [run.finished for run in job_runs(night.ledger)] == [True, True]
    assert cli("collect", night.job, "--out", night.out, "--json").out == ""
    listed = cli("held", "list", "--ledger", night.ledger).out
    assert listed.count("superseded") == 1, "the one that was not in the source any more"


@pytest.fixture
def interrupted(make_night: Callable[..., Any], cli: Callable[..., Any]) -> Any:
    """A night whose provider lost every row; the collection that was to send them again was killed before it did."""
    night = make_night(extra="registry: registry.yaml\n")
    folder = night.job.parent
    night.job.write_text(night.job.read_text().replace("batch_size: 3", "batch_size: 30"))
    (folder / "faults.json").write_text(json.dumps(FAULTS))
    bundled, emulator = DEFAULT_REGISTRY.read_text(), "settings: {emulator: true}"
    (folder / "registry.yaml").write_text(bundled.replace(emulator, "settings: {emulator: true, emulator_delay_s: 600}"))
    cli("run", night.job, "--out", night.out, "--date", "2026-11-21", "--no-wait", code=4)
    (folder / "registry.yaml").write_text(bundled.replace(emulator, "settings: {emulator: true, emulator_faults: faults.json}"))
    run = job_runs(night.ledger)[0]
    assert run_counts(night.ledger, run.run_id).pending == 3

    collection_killed_at("flows.nightly.freeze_records", night)
    assert run_counts(night.ledger, run.run_id).pending == 3
    assert not open_intents(night.ledger)
    (folder / "registry.yaml").write_text(bundled)
    return night


def collection_killed_at(function: str, night: Any) -> None:
    """Collect the night's first run, up to where it calls this function."""

    def die(*_: object) -> None:
        raise KilledError

    run = job_runs(night.ledger)[0]
    options = NightOptions(job=str(night.job), out=str(night.out), date=run.logical_date, run_id=run.run_id, collect_only=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, die)
        with pytest.raises(KilledError):
            run_night(options)


def collected(cli: Callable[..., Any], night: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("collect", night.job, "--out", night.out, "--json").out.splitlines()]


def test_a_killed_collection_is_gone_on_with_by_the_next(interrupted: Any, cli: Callable[..., Any]) -> None:
    (report,) = collected(cli, interrupted)
    assert (report["results"], report["pending"]) == (7, 0)
    assert job_runs(interrupted.ledger)[0].ended_as == "done"
    assert collected(cli, interrupted) == []


def test_what_it_cannot_read_any_more_has_an_explicit_row(interrupted: Any, cli: Callable[..., Any]) -> None:
    next(interrupted.job.parent.rglob("public/moss.html")).unlink()
    (report,) = collected(cli, interrupted)
    assert (report["results"], report["pending"], report["held_for"]["vanished"]) == (6, 0, 1)
    assert collected(cli, interrupted) == []


def test_and_where_a_later_night_has_taken_it_up_that_night_sends_it(interrupted: Any, cli: Callable[..., Any]) -> None:
    cli("run", interrupted.job, "--out", interrupted.out, "--date", "2026-11-22")
    (report,) = collected(cli, interrupted)
    assert (report["results"], report["pending"], report["held_for"]["superseded"]) == (4, 0, 3)
    assert all(run.finished for run in job_runs(interrupted.ledger))
    assert collected(cli, interrupted) == []


def test_rows_follow_what_a_killed_collection_took_in(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra="registry: registry.yaml\n")
    registry = night.job.parent / "registry.yaml"
    bundled, emulator = DEFAULT_REGISTRY.read_text(), "settings: {emulator: true}"
    registry.write_text(bundled.replace(emulator, "settings: {emulator: true, emulator_delay_s: 600}"))
    cli("run", night.job, "--out", night.out, "--no-wait", code=4)
    registry.write_text(bundled)
    collection_killed_at("flows.closing.write_explicit_rows", night)
    assert job_runs(night.ledger)[0].ended_as == "pending"
    (report,) = collected(cli, night)
    assert report["pending"] == 0
    assert job_runs(night.ledger)[0].ended_as == "done"


def test_what_a_killed_night_left_inside_is_not_answered_once_a_later_one_has(
    make_night: Callable[..., Any], cli: Callable[..., Any]
) -> None:
    night = make_night(extra="lanes: {cloud: null}\n")

    def die(*_: object) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.nightly.collect_if_local", die)
        with pytest.raises(KilledError):
            run_night(NightOptions(job=str(night.job), out=str(night.out), date="2026-11-21"))
    (left,) = open_intents(night.ledger)
    cli("run", night.job, "--out", night.out, "--date", "2026-11-22")

    (ended,) = collected(cli, night)
    assert (ended["run_id"], ended["pending"], ended["results"]) == (left.run_id, 0, 0)
    assert ended["held_for"]["superseded"] == len(left.record_ids) > 0
    assert not list((night.out / "spool").rglob("*.jsonl"))
    assert collected(cli, night) == []
