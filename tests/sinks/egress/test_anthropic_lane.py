"""The Anthropic lane in the hand-over protocol: without tokens or metadata, a batch shows whose it is only once it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import IO, Any

import pytest
from anthropic.types.messages import MessageBatchIndividualResponse

from policies.model import Endpoint
from sinks.clients.anthropic_client import MessageBatch
from sinks.errors import AmbiguousError, EndpointError, GateError, RejectedError
from sinks.handover import HandOverState
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.lanes import Sought
from sinks.lanes.anthropic_batch import AnthropicBatchLane, AnthropicBatchOptions
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import open_intents, run_state
from sinks.reconcile import ReconcileReport, reconcile
from sinks.retire import unretired

RUN = "nightly-2026-11-22"
RECORDS = ("r-ada", "r-bob", "r-cyd")
WAITS = timedelta(minutes=3)
"""A little longer than two listings are apart."""


@dataclass
class Workspace:
    """Message batches in memory, behind the interface of `AnthropicBatches`. Faults are functions that run around `create`."""

    now: Callable[[], datetime]
    name: str = "claude"
    batches: dict[str, MessageBatch] = field(default_factory=dict)
    posted: list[bytes] = field(default_factory=list)
    results: dict[str, bytes] = field(default_factory=dict)
    looked_into: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    before_create: Callable[[], None] = lambda: None
    after_create: Callable[[], None] = lambda: None
    listing: Callable[[list[MessageBatch]], list[MessageBatch]] = lambda batches: batches

    def create(self, rows: bytes) -> str:
        self.posted.append(rows)
        self.before_create()
        job_id = self.add(rows.count(b"\n"))
        self.after_create()
        return job_id

    def add(self, total: int | None, *, at: datetime | None = None, **changes: Any) -> str:
        job_id = f"msgbatch_{len(self.batches) + 1}"
        plain: dict[str, Any] = {"state": "in_progress", "succeeded": 0, "unsuccessful": 0, "archived": False}
        seconds = int((at or self.now()).timestamp()) + len(self.batches)
        self.batches[job_id] = MessageBatch(job_id=job_id, created_at=seconds, total=total, **{**plain, **changes})
        return job_id

    def end(self, job_id: str, lines: Sequence[bytes], *, state: str = "ended") -> None:
        self.results[job_id] = b"".join(lines)
        self.batches[job_id] = replace(self.batches[job_id], state=state)

    def batch(self, job_id: str) -> MessageBatch:
        return self.batches[job_id]

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    def batch_page(self, after: str | None) -> tuple[list[MessageBatch], bool]:
        newest_first = self.listing(sorted(self.batches.values(), key=lambda batch: -batch.created_at))
        start = next((index + 1 for index, batch in enumerate(newest_first) if batch.job_id == after), 0)
        return newest_first[start : start + 2], len(newest_first) > start + 2

    def download(self, job_id: str, target: IO[bytes], *, most: int | None = None) -> int:
        self.looked_into.append(job_id)
        if job_id not in self.results:
            raise EndpointError("no results there")
        return target.write(self.results[job_id][:most])

    def delete(self, job_id: str) -> bool:
        self.results.pop(job_id, None)
        return self.batches.pop(job_id, None) is not None


@dataclass
class Stage:
    """A scene whose provider is a workspace."""

    scene: Any
    workspace: Workspace
    endpoint: Endpoint
    outputs: dict[str, str] = field(default_factory=dict)

    def hand_over(self, *record_ids: str) -> str:
        """Hand the records over; returns the intent."""
        shard = self.scene.frozen(*record_ids, endpoint=self.endpoint)
        self.scene.hand_over(shard)
        return str(shard.intent_id)

    def recover(self) -> ReconcileReport:
        return reconcile(self.scene.ledger, {self.endpoint.name: self.scene.lane}, self.scene.registry, now=self.scene.now)

    def take_in(self) -> IngestReport:
        (intent,) = open_intents(self.scene.ledger)
        options = {"endpoint": self.endpoint, "prompt": self.scene.prompt, "spool": self.scene.spool, "now": self.scene.now}
        return ingest(self.scene.ledger, self.scene.lane, intent, write=self.write, **options)

    def write(self, rows: Sequence[CompletedRow]) -> Mapping[str, ResultPlace]:
        self.outputs |= {row.record_id: row.result.output or "" for row in rows}
        return {row.record_id: ResultPlace(file="f.parquet", row=n, digest="d") for n, row in enumerate(rows)}

    def states(self) -> set[str]:
        table = run_state(self.scene.ledger, RUN)
        return {found.state for record_id in RECORDS if (found := table.get(record_id)) is not None}


@pytest.fixture
def stage(scene: Any, cloud: Endpoint) -> Stage:
    endpoint = replace(cloud, name="claude", engine="anthropic_batch", provider="anthropic", model="claude-test")
    workspace = Workspace(now=lambda: scene.now)
    scene.lane = AnthropicBatchLane(workspace, AnthropicBatchOptions(spool=scene.spool, model="claude-test"))  # type: ignore[arg-type]
    scene.registry[endpoint.name] = endpoint
    return Stage(scene=scene, workspace=workspace, endpoint=endpoint)


def line(intent_id: str, ordinal: int, result: dict[str, Any] | None = None, *, text: str = "Said.") -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-20260101",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    tree = {"custom_id": f"{intent_id[:12]}-{ordinal:06d}", "result": result or {"type": "succeeded", "message": message}}
    MessageBatchIndividualResponse.model_validate(tree)
    return json.dumps(tree).encode() + b"\n"


def lines(intent_id: str, count: int = 3) -> list[bytes]:
    return [line(intent_id, ordinal, text=f"Row {ordinal}.") for ordinal in range(count)]


FOREIGN = "f" * 32


def lost(stage: Stage, drop: Callable[[], None]) -> str:
    """Hand over so that the provider takes it and the answer is lost; returns the intent."""
    stage.workspace.after_create = drop
    intent_id = stage.hand_over()
    stage.workspace.after_create = lambda: None
    assert stage.states() == {"ambiguous"}
    return intent_id


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
    class KilledError(BaseException):
        pass

    def killed() -> None:
        raise KilledError

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


def test_find_needs_no_digest_and_says_what_it_waits_for(stage: Stage) -> None:
    stage.workspace.add(3)
    sought = Sought(intent_id=FOREIGN, digest="", since=stage.scene.now, rows=3)
    with pytest.raises(EndpointError, match=r"msgbatch_1 may be that of intent ffff.*when it has ended"):
        stage.scene.lane.find(sought)
    assert stage.scene.lane.find(replace(sought, known=frozenset({"msgbatch_1"}))) == []
    assert stage.scene.lane.sweep(FOREIGN) == []


def test_a_batch_that_shows_itself_as_somebody_elses_is_not_deleted(stage: Stage) -> None:
    theirs = stage.workspace.add(total=1, state="ended")
    stage.workspace.results[theirs] = b'{"custom_id": "customer-7", "result": {"type": "expired"}}\n'
    ours = stage.workspace.add(total=3, state="ended")
    stage.workspace.results[ours] = b"".join(lines(FOREIGN))
    assert stage.scene.lane.discard(theirs) == []
    assert theirs in stage.workspace.results
    assert stage.scene.lane.discard(ours) == [ours]
