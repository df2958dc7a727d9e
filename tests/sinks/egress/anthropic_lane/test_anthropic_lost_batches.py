"""Lost batches of the Anthropic lane: without tokens or metadata, a batch shows whose it is only once it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from sinks.errors import EndpointError
from sinks.lanes import Sought
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import open_intents
from sinks.reconcile import ReconcileReport
from sinks.retire import unretired
from tests.sinks.egress.anthropic_lane.anthropic_stage import FOREIGN, RECORDS, WAITS, Stage, line, lines
from tests.sinks.egress.kill import KilledError, killed


def lost(stage: Stage, drop: Callable[[], None]) -> str:
    """Hand over so that the provider takes it and the answer is lost; returns the intent."""
    stage.workspace.after_create = drop
    intent_id = stage.hand_over()
    stage.workspace.after_create = lambda: None
    assert stage.states() == {"ambiguous"}
    return intent_id


def test_a_lost_create_is_found_again_once_it_has_ended(stage: Stage, drop: Callable[[], None]) -> None:
    intent_id = lost(stage, drop)
    for _ in range(3):  # while it runs nobody can tell whose it is: it is neither sent again nor stopped, however often one looks
        stage.scene.now += WAITS
        assert stage.recover().unreachable == (intent_id,)
        assert stage.states() == {"ambiguous"}
    stage.workspace.end("msgbatch_1", lines(intent_id)[::-1])
    assert stage.recover().adopted == (intent_id,)
    report = stage.take_in()
    assert (report.completed, report.missing, report.quarantined, report.deleted) == (3, (), 0, True)
    assert stage.outputs == {record_id: f"Row {ordinal}." for ordinal, record_id in enumerate(RECORDS)}
    assert (len(stage.workspace.posted), stage.workspace.batches, stage.workspace.cancelled) == (1, {}, [])
    assert unretired(stage.scene.ledger) == []


def test_killed_after_the_create_the_batch_is_found_as_well(stage: Stage) -> None:
    stage.workspace.after_create = killed
    shard = stage.scene.frozen(endpoint=stage.endpoint)
    with pytest.raises(KilledError):
        stage.scene.hand_over(shard)
    assert stage.recover().unreachable == (shard.intent_id,)
    stage.workspace.end("msgbatch_1", lines(shard.intent_id))
    assert stage.recover().adopted == (shard.intent_id,)


def test_nothing_in_the_listing_is_nothing_at_the_provider(stage: Stage, drop: Callable[[], None]) -> None:
    stage.workspace.before_create = drop
    intent_id = stage.hand_over()
    assert stage.recover().waiting == (intent_id,)
    stage.scene.now += WAITS
    assert stage.recover().not_found == (intent_id,)
    assert stage.states() == {"rejected"}


def add_foreign(stage: Stage, **changes: Any) -> None:
    """A batch of somebody else's in the same workspace, ended and as large as ours unless `changes` say otherwise."""
    job_id = stage.workspace.add(**{"total": 3, "state": "ended", **changes})
    stage.workspace.results[job_id] = b"".join(lines(FOREIGN))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="ended with the ids of others"),
        pytest.param({"total": 4, "state": "in_progress"}, id="another number of rows"),
        pytest.param({"state": "in_progress", "at": datetime.fromisoformat("2026-11-22T01:30:00+00:00")}, id="made before"),
    ],
)
def test_what_cannot_be_ours_does_not_stand_in_the_way(stage: Stage, drop: Callable[[], None], changes: dict[str, Any]) -> None:
    stage.workspace.before_create = drop
    intent_id = stage.hand_over()
    add_foreign(stage, **changes)
    stage.recover()
    stage.scene.now += WAITS
    assert stage.recover().not_found == (intent_id,)
    assert stage.workspace.cancelled == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state": "in_progress"}, id="running"),
        pytest.param({"state": "canceling"}, id="being cancelled"),
        pytest.param({"state": "thawing"}, id="unknown state"),
        pytest.param({"state": "in_progress", "total": None}, id="unknown count"),
        pytest.param({"archived": True}, id="its results archived"),
        pytest.param({"state": "in_progress", "at": datetime.fromisoformat("2026-11-29T04:30:00+00:00")}, id="made days later"),
    ],
)
def test_what_may_be_ours_keeps_the_records_where_they_are(stage: Stage, drop: Callable[[], None], changes: dict[str, Any]) -> None:
    stage.workspace.before_create = drop
    intent_id = stage.hand_over()
    add_foreign(stage, **changes)
    for _ in range(2):
        stage.scene.now += WAITS
        assert stage.recover().unreachable == (intent_id,)
    assert stage.states() == {"ambiguous"}


@pytest.mark.parametrize(
    "content",
    [b"", b'{"custom_id": "torn', b"<html>log in</html>", b"[1]\n{}\n"],
    ids=["empty", "torn", "a page", "without ids"],
)
def test_results_without_a_readable_id_decide_nothing(stage: Stage, drop: Callable[[], None], content: bytes) -> None:
    intent_id = lost(stage, drop)
    stage.workspace.end("msgbatch_1", [content])
    stage.scene.now += WAITS
    assert stage.recover().unreachable == (intent_id,)
    stage.workspace.end("msgbatch_1", [b'{"torn\n', line(FOREIGN, 0), *lines(intent_id)])  # ours, with a torn and a foreign line
    assert stage.recover().adopted == (intent_id,)


def test_an_ended_batch_is_ours_by_its_ids_whatever_its_counts_say(stage: Stage, drop: Callable[[], None]) -> None:
    intent_id = lost(stage, drop)
    stage.workspace.batches["msgbatch_1"] = replace(stage.workspace.batches["msgbatch_1"], total=4)
    stage.workspace.end("msgbatch_1", lines(intent_id))
    assert stage.recover().adopted == (intent_id,)


def test_batches_that_the_ledger_knows_are_not_looked_into(stage: Stage, drop: Callable[[], None]) -> None:
    intent_id = lost(stage, drop)
    others = [stage.workspace.add(3) for _ in range(5)]  # as large, and running: of last night, and of another endpoint
    submitted = {"event": Event.SUBMITTED, "at": stage.scene.now, "run_id": "last-night", "attempt": 1, "state": "submitted"}
    stage.scene.ledger.commit(
        [Entry(**submitted, endpoint=f"e{n}", intent_id=f"{n:032d}", provider_job_id=job_id) for n, job_id in enumerate(others)]
    )
    stage.workspace.end("msgbatch_1", lines(intent_id))
    assert stage.recover().adopted == (intent_id,)
    assert stage.workspace.looked_into == ["msgbatch_1"]


def test_of_two_batches_the_earliest_is_adopted_and_the_other_counted(stage: Stage, drop: Callable[[], None]) -> None:
    intent_id = lost(stage, drop)
    twin = stage.workspace.add(3)
    stage.workspace.end("msgbatch_1", lines(intent_id))
    assert stage.recover().unreachable == (intent_id,)  # the twin may be ours too
    stage.workspace.end(twin, lines(intent_id))
    report = stage.recover()
    assert (report.adopted, report.stopped) == ((intent_id,), (twin,))
    (entry,) = stage.scene.events(Event.CANCELLED)
    assert (entry["provider_job_id"], entry["detail_code"]) == (twin, "extra_job")
    assert stage.take_in().completed == 3
    assert len(stage.workspace.posted) == 1


def test_a_late_orphan_is_counted_once_it_shows_whose_it_is(stage: Stage, drop: Callable[[], None]) -> None:
    stage.workspace.listing = lambda _: []  # the listing lags behind
    intent_id = lost(stage, drop)
    stage.recover()
    stage.scene.now += WAITS
    assert stage.recover().not_found == (intent_id,)
    again = stage.scene.freeze_all([stage.scene.clear(one, stage.endpoint, attempt=2) for one in RECORDS], endpoint=stage.endpoint).shards[
        0
    ]
    stage.scene.hand_over(again)
    stage.workspace.listing = lambda batches: batches
    assert stage.recover() == ReconcileReport()  # it runs: nobody can tell
    stage.workspace.end("msgbatch_1", lines(intent_id))
    assert stage.recover().stopped == ("msgbatch_1",)
    assert [entry["detail_code"] for entry in stage.scene.events(Event.CANCELLED)] == ["late_orphan"]
    (intent,) = open_intents(stage.scene.ledger)
    assert intent.provider_job_id == "msgbatch_2"


def test_find_needs_no_digest_and_says_what_it_waits_for(stage: Stage) -> None:
    stage.workspace.add(3)
    sought = Sought(intent_id=FOREIGN, digest="", since=stage.scene.now, rows=3)
    with pytest.raises(EndpointError, match=r"msgbatch_1 may be that of intent ffff.*when it has ended"):
        stage.scene.lane.find(sought)
    assert stage.scene.lane.find(replace(sought, known=frozenset({"msgbatch_1"}))) == []
    assert stage.scene.lane.sweep(FOREIGN) == []
