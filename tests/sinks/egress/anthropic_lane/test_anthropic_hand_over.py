"""The Anthropic lane hands over once, takes every row in once, and deletes no batch but its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import IO

import pytest

from sinks.errors import AmbiguousError, EndpointError, GateError, RejectedError
from sinks.handover import HandOverState
from sinks.ledger.entry import Event
from sinks.reconcile import ReconcileReport
from tests.sinks.egress.anthropic_lane.anthropic_stage import FOREIGN, RECORDS, Stage, line, lines


def test_a_hand_over_is_one_create_of_the_frozen_bytes(stage: Stage) -> None:
    shard = stage.scene.frozen(endpoint=stage.endpoint)
    content = shard.path.read_bytes()
    assert stage.scene.hand_over(shard).state is HandOverState.SUBMITTED
    assert stage.workspace.posted == [content]
    rows = [json.loads(row) for row in content.split(b"\n") if row]  # text may hold U+2028
    assert [row["custom_id"] for row in rows] == [f"{shard.intent_id[:12]}-{ordinal:06d}" for ordinal in range(3)]
    assert {frozenset(row) for row in rows} == {frozenset({"custom_id", "params"})}
    assert stage.recover() == ReconcileReport()


def test_the_same_bytes_cannot_be_handed_over_twice(stage: Stage) -> None:
    cleared = stage.scene.gate(stage.scene.frozen(endpoint=stage.endpoint))
    stage.scene.lane.hand_over(cleared)
    with pytest.raises(GateError, match="not_issued"):
        stage.scene.lane.hand_over(cleared)
    assert len(stage.workspace.posted) == 1


def test_the_gate_knows_the_marks_of_a_cached_prefix_and_no_others(stage: Stage) -> None:
    endpoint = stage.scene.registry[stage.endpoint.name] = replace(stage.endpoint, settings={"prompt_cache": True})
    shard = stage.scene.frozen(endpoint=endpoint)
    content = shard.path.read_bytes()
    assert content.count(b'"cache_control":{"ttl":"1h","type":"ephemeral"}') == 3
    shard.path.write_bytes(content.replace(b'"ttl":"1h"', b'"ttl":"5m"', 1))
    with pytest.raises(GateError, match="row_constant"):
        stage.scene.gate(shard)
    shard.path.write_bytes(content)
    assert stage.scene.gate(shard).content == content


@pytest.mark.parametrize(
    ("error", "state"),
    [(RejectedError("http_400"), HandOverState.REJECTED), (AmbiguousError("http_529"), HandOverState.AMBIGUOUS)],
    ids=["refused", "unclear"],
)
def test_what_the_client_says_is_what_the_ledger_holds(stage: Stage, error: Exception, state: HandOverState) -> None:
    def fail() -> None:
        raise error

    stage.workspace.before_create = fail
    stage.hand_over()
    assert stage.states() == {state.value}
    assert len(stage.workspace.posted) == 1


@pytest.mark.parametrize("state", ["in_progress", "canceling", "thawing", "unknown"])
def test_a_batch_that_has_not_ended_changes_nothing(stage: Stage, state: str) -> None:
    intent_id = stage.hand_over()
    stage.workspace.end("msgbatch_1", lines(intent_id), state=state)
    head = stage.scene.ledger.head()
    report = stage.take_in()
    assert (report.ended, report.status.state, stage.scene.ledger.head()) == (False, state, head)
    assert (report.status.total, report.status.completed, report.status.failed) == (3, 0, 0)


def test_every_row_ends_in_one_place(stage: Stage) -> None:
    intent_id = stage.hand_over()
    refused = {"type": "errored", "error": {"type": "error", "request_id": "r", "error": {"type": "invalid_request_error", "message": "m"}}}
    content = [line(intent_id, 2, {"type": "canceled"}), line(FOREIGN, 1), line(intent_id, 1, refused), line(intent_id, 0), b'{"custom_id"']
    stage.workspace.end("msgbatch_1", content)
    report = stage.take_in()
    assert (report.completed, report.failed, report.missing, report.quarantined) == (1, 1, ("r-cyd",), 2)
    (done,) = stage.scene.events(Event.COMPLETED)
    assert (done["record_id"], done["model"], done["tokens_in"], done["tokens_out"]) == ("r-ada", "claude-test-20260101", 10, 5)
    (failed,) = stage.scene.events(Event.FAILED)
    assert (failed["record_id"], failed["error_code"], failed["tokens_in"]) == ("r-bob", "bad_request", 0)
    (released,) = stage.scene.events(Event.RELEASED)
    assert (released["record_id"], released["reason"]) == ("r-cyd", "batch_cancelled")
    assert sorted(entry["detail_code"] for entry in stage.scene.events(Event.QUARANTINED)) == ["torn_line", "unknown_row"]
    (deleted,) = stage.scene.events(Event.DELETED_REMOTE)
    assert (deleted["provider_job_id"], deleted["state"]) == ("msgbatch_1", "deleted_1")


@pytest.mark.parametrize("fault", ["a page", "no results"])
def test_results_that_cannot_be_had_now_are_asked_for_again(stage: Stage, fault: str) -> None:
    intent_id = stage.hand_over()
    stage.workspace.end("msgbatch_1", [b"<html>log in</html>"])
    if fault == "no results":
        stage.workspace.results.clear()
    head = stage.scene.ledger.head()
    with pytest.raises(EndpointError):
        stage.take_in()
    assert stage.scene.ledger.head() == head
    stage.workspace.end("msgbatch_1", lines(intent_id))
    assert stage.take_in().completed == 3


def test_archived_results_are_lost_and_their_records_released(stage: Stage) -> None:
    intent_id = stage.hand_over()
    stage.workspace.end("msgbatch_1", lines(intent_id))
    stage.workspace.results.clear()
    stage.workspace.batches["msgbatch_1"] = replace(stage.workspace.batches["msgbatch_1"], archived=True)
    report = stage.take_in()
    assert (report.completed, report.missing) == (0, RECORDS)
    assert stage.states() == {"released"}


def test_text_is_never_left_in_the_spool(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    intent_id = stage.hand_over()
    stage.workspace.end("msgbatch_1", lines(intent_id))
    left: list[int] = []
    download = stage.workspace.download

    def watched(job_id: str, target: IO[bytes]) -> int:
        length = download(job_id, target)
        left.append(len(list(stage.scene.spool.iterdir())))
        return length

    monkeypatch.setattr(stage.workspace, "download", watched)
    next(iter(stage.scene.lane.collect("msgbatch_1")))
    assert left == [1]  # the frozen shard alone


def test_a_batch_that_shows_itself_as_somebody_elses_is_not_deleted(stage: Stage) -> None:
    theirs = stage.workspace.add(total=1, state="ended")
    stage.workspace.results[theirs] = b'{"custom_id": "customer-7", "result": {"type": "expired"}}\n'
    ours = stage.workspace.add(total=3, state="ended")
    stage.workspace.results[ours] = b"".join(lines(FOREIGN))
    assert stage.scene.lane.discard(theirs) == []
    assert theirs in stage.workspace.results
    assert stage.scene.lane.discard(ours) == [ours]
