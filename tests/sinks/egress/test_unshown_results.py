"""Jobs that have ended and show no answers, or somebody else's: nothing paid is thrown away, nothing is sent twice, and it has an end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.errors import EndpointError
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import OpenIntent, open_intents
from sinks.reconcile import reconcile
from sinks.retire import unretired
from sinks.unshown import RESULTS_NOT_SHOWN, results_after

RUN = "nightly-2026-11-22"
TEXTS = {0: "Ada.", 1: "Bob.", 2: "Cyd."}


def write(rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
    return {row.record_id: ResultPlace(file=f"{row.intent_id}.parquet", row=n, digest="d") for n, row in enumerate(rows)}


def take_in(scene: Any, intent: OpenIntent, **changes: Any) -> IngestReport:
    about = {"endpoint": scene.registry[intent.endpoint], "prompt": scene.prompt, "write": write, "spool": scene.spool, "now": scene.now}
    return ingest(scene.ledger, scene.lane, intent, **{**about, **changes})


def submitted(scene: Any) -> OpenIntent:
    scene.hand_over(scene.frozen())
    (intent,) = open_intents(scene.ledger)
    return intent


def counts(scene: Any, *, completed: int, failed: int = 0, state: str = "completed") -> None:
    job = scene.provider.jobs["batch_1"]
    scene.provider.jobs["batch_1"] = replace(job, state=state, total=completed + failed, completed=completed, failed=failed)


def error_line(intent: OpenIntent, ordinal: int, code: str) -> bytes:
    tree = {"custom_id": f"{intent.intent_id[:12]}-{ordinal:06d}", "response": None, "error": {"code": code, "message": "m"}}
    return json.dumps(tree).encode() + b"\n"


@pytest.mark.parametrize(
    ("completed", "state", "errors"),
    [(3, "completed", {}), (1, "completed", {1: "content_filter", 2: "content_filter"}), (1, "expired", {1: "batch_expired"})],
    ids=["no file at all", "the error file alone", "what expired alone"],
)
def test_answers_that_are_counted_and_not_shown_yet_are_waited_for(scene: Any, completed: int, state: str, errors: dict[int, str]) -> None:
    intent = submitted(scene)
    if errors:
        scene.provider.finish("batch_1", [], errors=[error_line(intent, row, code) for row, code in errors.items()])
        shown = scene.provider.jobs["batch_1"]
        scene.provider.jobs["batch_1"] = replace(shown, file_ids=shown.file_ids[1:])
    counts(scene, completed=completed, failed=sum(code != "batch_expired" for code in errors.values()), state=state)
    for _ in range(2):
        assert not take_in(scene, intent).ended
        scene.later(minutes=14)
    assert (list(scene.states().values()), scene.provider.deleted, len(scene.events(Event.QUARANTINED))) == (["submitted"] * 3, [], 1)
    lines = scene.answer(intent.intent_id, {row: text for row, text in TEXTS.items() if row not in errors})
    scene.provider.finish("batch_1", lines, errors=[error_line(intent, row, code) for row, code in errors.items()], state=state)
    counts(scene, completed=completed, failed=len(errors), state=state)
    report = take_in(scene, intent)
    assert (report.ended, report.completed, report.deleted) == (True, 3 - len(errors), True)


@pytest.mark.parametrize("total", [None, 0], ids=["no counts", "counts of nothing"])
@pytest.mark.parametrize("content", [None, b"{"], ids=["no file", "torn"])
def test_a_job_that_is_done_and_counts_nothing_owes_an_answer(scene: Any, total: int | None, content: bytes | None) -> None:
    intent = submitted(scene)
    if content is not None:
        scene.provider.finish("batch_1", [content])
    shown = scene.provider.jobs["batch_1"]
    scene.provider.jobs["batch_1"] = replace(shown, state="Completed", total=total, completed=total, failed=total)
    assert not take_in(scene, intent).ended
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, TEXTS), state="Completed")
    report = take_in(scene, intent)
    assert (report.ended, report.completed, report.deleted) == (True, 3, True)


def test_an_error_in_place_of_results_is_not_read_as_lost_rows(scene: Any) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", [b'{\n "error": {"message": "the file is not ready"}\n}'])
    with pytest.raises(EndpointError, match="an error came in place of results"):
        take_in(scene, intent)
    assert set(scene.states().values()) == {"submitted"}


@pytest.mark.parametrize("held", [False, True], ids=["sent again", "held"])
def test_the_wait_has_an_end_by_the_ledger_and_nothing_unfetched_is_deleted(scene: Any, *, held: bool) -> None:
    intent = submitted(scene)
    counts(scene, completed=3)
    assert not take_in(scene, intent, hold_unshown=held).ended
    scene.later(minutes=29)
    assert not take_in(scene, intent, hold_unshown=held).ended
    scene.later(minutes=1)
    files = dict(scene.provider.files)
    report = take_in(scene, intent, hold_unshown=held)
    assert (report.ended, len(report.missing), report.held, report.deleted) == (True, 0 if held else 3, 3 if held else 0, False)
    assert list(scene.states().values()) == ["held" if held else "released"] * 3
    assert {entry["reason"] for entry in scene.events(Event.HELD)} == ({RESULTS_NOT_SHOWN} if held else set())
    assert (scene.provider.files, scene.provider.deleted, unretired(scene.ledger)) == (files, [], [])
    (ended,) = scene.events(Event.JOB_ENDED)
    assert ended["detail_code"] == RESULTS_NOT_SHOWN


def test_an_endpoint_says_how_long_and_the_emulator_not_at_all(scene: Any) -> None:
    intent, endpoint = submitted(scene), scene.registry["cloud-test"]
    counts(scene, completed=3)
    assert not take_in(scene, intent, endpoint=replace(endpoint, settings={"results_after_s": 1})).ended
    assert take_in(scene, intent, endpoint=replace(endpoint, provider="emulator")).ended


@pytest.mark.parametrize("value", [-1, "soon", True, 10**9])
def test_a_time_that_is_none_is_refused(cloud: Endpoint, value: Any) -> None:
    with pytest.raises(EndpointError, match=r"settings\.results_after_s: expected seconds"):
        results_after(replace(cloud, settings={"results_after_s": value}))


@pytest.mark.parametrize(
    "texts", [{0: "Ada."}, {0: " ", 1: " ", 2: " "}, {}], ids=["rows are missing", "no row is a result", "all are refused"]
)
def test_what_is_shown_is_taken_in_at_once(scene: Any, texts: dict[int, str]) -> None:
    intent = submitted(scene)
    errors = [] if texts else [error_line(intent, row, "content_filter") for row in range(3)]
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, texts), errors=errors)
    counts(scene, completed=3)
    report = take_in(scene, intent)
    assert (report.ended, report.completed + report.failed + len(report.missing), report.deleted) == (True, 3, True)


def test_what_is_late_is_held_in_the_commit_that_ends_its_job(scene: Any) -> None:
    """A kill between two commits would leave records that were lost, and are sent again."""
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada."}), state="cancelled")
    head = scene.ledger.head()
    report = take_in(scene, intent, held_as={"r-bob": "waiting_cloud_deadline"})
    assert (report.completed, report.held, report.missing) == (1, 1, ("r-cyd",))
    assert list(scene.states().values()) == ["completed", "held", "released"]
    assert scene.ledger.head() == head + 2  # all outcomes with the job's end; the deletion


def test_a_job_with_rows_of_others_alone_is_not_ours_and_ours_is_found_later(scene: Any) -> None:
    """A person said that it was this one. What is ours runs on, is found, and nothing was sent in its place."""
    intent = submitted(scene)
    theirs = scene.provider.create("file_9", url="u", metadata={"who": "theirs"})
    scene.provider.finish(theirs, [line.replace(b"-00000", b"-10000") for line in scene.answer("f" * 32, TEXTS)])
    about = {"run_id": RUN, "endpoint": intent.endpoint, "intent_id": intent.intent_id, "provider_job_id": theirs}
    scene.ledger.commit([Entry(event=Event.SUBMITTED, at=scene.now, state="adopted", detail_code="by_hand", **about)])
    files = dict(scene.provider.files)
    report = take_in(scene, replace(intent, provider_job_id=theirs))
    assert (report.held, report.missing, report.deleted) == (3, (), False)
    assert (list(scene.states().values()), open_intents(scene.ledger), unretired(scene.ledger)) == (["held"] * 3, [], [])
    assert (scene.provider.files, scene.provider.deleted) == (files, [])
    scene.later(hours=3)
    found = reconcile(scene.ledger, {intent.endpoint: scene.lane}, scene.registry, now=scene.now)
    assert (found.adopted, found.stopped, list(scene.states().values())) == ((intent.intent_id,), (), ["submitted"] * 3)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, TEXTS))
    (ours,) = open_intents(scene.ledger)
    assert (ours.provider_job_id, take_in(scene, ours).completed, scene.lane.handed) == ("batch_1", 3, 1)


@pytest.mark.parametrize("minutes", [-50, -5, 5, 50])
def test_a_job_is_found_though_the_clocks_differ(scene: Any, drop: Any, minutes: int) -> None:
    """Its provider's time of creation is off by some minutes, and many jobs of others are newer."""
    scene.provider.after_create = drop
    outcome = scene.hand_over(scene.frozen())
    (job_id, job), *_ = scene.provider.jobs.items()
    scene.provider.jobs[job_id] = replace(job, created_at=job.created_at + minutes * 60)
    for other in range(7):
        there = {"job_id": f"batch_9{other}", "metadata": {}, "input_file_id": "", "created_at": job.created_at + (other - 3) * 600}
        scene.provider.jobs[f"batch_9{other}"] = replace(job, **there)
    found = reconcile(scene.ledger, {"cloud-test": scene.lane}, scene.registry, now=scene.now)
    assert found.adopted == (outcome.intent_id,)
