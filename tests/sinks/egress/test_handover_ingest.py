"""Taking results in: every way a job can end, every way lines can be odd, killed at every step."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sinks.answers import sort_out
from sinks.errors import EndpointError
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.ledger.entry import Event
from sinks.ledger.queries import OpenIntent, open_intents
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.retire import retire, unretired
from sinks.shard import LaneResult
from tests.sinks.egress.kill import KilledError

RUN = "nightly-2026-11-22"


@dataclass
class Shelf:
    """Stands for Parquet: remembers what was written."""

    rows: dict[str, CompletedRow] = field(default_factory=dict)
    writes: int = 0

    def write(self, rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        self.writes += 1
        self.rows |= {row.record_id: row for row in rows}
        return {row.record_id: ResultPlace(file=f"{row.intent_id}.parquet", row=n, digest=f"d{n}") for n, row in enumerate(rows)}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def submitted(scene: Any) -> OpenIntent:
    scene.hand_over(scene.frozen())
    (intent,) = open_intents(scene.ledger)
    return intent


def take_in(scene: Any, intent: OpenIntent, shelf: Shelf, **changes: Any) -> IngestReport:
    options = {
        "endpoint": scene.registry[intent.endpoint],
        "prompt": scene.prompt,
        "write": shelf.write,
        "spool": scene.spool,
        "now": scene.now,
    }
    return ingest(scene.ledger, scene.lane, intent, **{**options, **changes})


def error_line(intent: OpenIntent, ordinal: int, code: str) -> bytes:
    row_id = f"{intent.intent_id[:12]}-{ordinal:06d}"
    return json.dumps({"custom_id": row_id, "response": None, "error": {"code": code, "message": "m"}}).encode() + b"\n"


def test_a_finished_job_ends_in_one_commit_and_leaves_nothing_behind(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {2: "Cyd.", 0: "Ada.", 1: "Bob."}))  # shuffled
    head = scene.ledger.head()
    report = take_in(scene, intent, shelf)
    assert (report.ended, report.completed, report.failed, report.missing, report.quarantined, report.deleted) == (True, 3, 0, (), 0, True)
    assert {record_id: row.result.output for record_id, row in shelf.rows.items()} == {"r-ada": "Ada.", "r-bob": "Bob.", "r-cyd": "Cyd."}
    assert scene.ledger.head() == head + 2  # the outcomes with the job's end; the deletion
    completed = scene.events(Event.COMPLETED)
    assert [(entry["record_id"], entry["result_file"], entry["result_row"]) for entry in completed] == [
        (record_id, f"{intent.intent_id}.parquet", n) for n, record_id in enumerate(("r-ada", "r-bob", "r-cyd"))
    ]
    assert {(entry["model"], entry["tokens_in"], entry["tokens_out"], entry["endpoint"], entry["lane"]) for entry in completed} == {
        ("gpt-test-2026", 10, 5, "cloud-test", "cloud")
    }
    (ended,) = scene.events(Event.JOB_ENDED)
    assert (ended["state"], ended["provider_job_id"]) == ("completed", "batch_1")
    assert scene.provider.files == {}
    assert list(scene.spool.iterdir()) == []
    assert open_intents(scene.ledger) == unretired(scene.ledger) == []
    assert list(scene.states().values()) == ["completed"] * 3


@pytest.mark.parametrize("state", ["validating", "in_progress", "finalizing", "cancelling", "scheduling", "a state nobody knows"])
def test_a_job_that_has_not_ended_changes_nothing(scene: Any, shelf: Shelf, state: str) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Too early."}), state=state)
    head = scene.ledger.head()
    report = take_in(scene, intent, shelf)
    assert (report.ended, report.status.state) == (False, state)
    assert (shelf.writes, scene.ledger.head(), scene.provider.deleted) == (0, head, [])


@pytest.mark.parametrize("state", ["failed", "expired", "cancelled"])
def test_a_job_without_any_row_frees_all_records(scene: Any, shelf: Shelf, state: str) -> None:
    intent = submitted(scene)
    scene.provider.jobs["batch_1"] = replace(scene.provider.jobs["batch_1"], state=state)
    report = take_in(scene, intent, shelf)
    assert report.missing == ("r-ada", "r-bob", "r-cyd")
    assert shelf.writes == 0
    assert list(scene.states().values()) == ["released"] * 3
    assert {entry["reason"] for entry in scene.events(Event.RELEASED)} == {"missing_row"}


def test_expired_rows_are_sent_again_and_finished_ones_kept(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    expired = [error_line(intent, 1, "batch_expired"), error_line(intent, 2, "batch_expired")]
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada."}), errors=expired, state="expired")
    report = take_in(scene, intent, shelf)
    assert (report.completed, report.missing) == (1, ("r-bob", "r-cyd"))
    assert list(scene.states().values()) == ["completed", "released", "released"]
    (again,) = scene.freeze_all([scene.clear(record_id, attempt=2) for record_id in report.missing]).shards
    assert scene.hand_over(again).provider_job_id == "batch_2"


def test_error_rows_fail_with_their_code(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", [], errors=[error_line(intent, n, "content_filter") for n in range(3)])
    report = take_in(scene, intent, shelf)
    assert (report.completed, report.failed) == (0, 3)
    assert {entry["error_code"] for entry in scene.events(Event.FAILED)} == {"content_filter"}


@pytest.mark.parametrize(
    ("odd", "outcome", "codes"),
    [
        pytest.param(lambda lines: [*lines, lines[0]], ["completed"] * 3, [], id="a row twice, the same"),
        pytest.param(
            lambda lines: [*lines, lines[1].replace(b"Bob.", b"Rob.")],
            ["completed", "released", "completed"],
            ["conflicting_rows"],
            id="a row twice, differently",
        ),
        pytest.param(lambda lines: lines[:2], ["completed", "completed", "released"], [], id="a row missing"),
        pytest.param(
            lambda lines: [*lines, lines[0].replace(b"-000000", b"-000077")], ["completed"] * 3, ["unknown_row"], id="a foreign row"
        ),
        pytest.param(
            lambda lines: [*lines[:2], lines[2][:-40]], ["completed", "completed", "released"], ["torn_line"], id="the last line torn"
        ),
        pytest.param(lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]], ["completed"] * 3, [], id="byte order mark"),
        pytest.param(lambda lines: [line.replace(b"\n", b"\r\n") for line in lines], ["completed"] * 3, [], id="CRLF"),
        pytest.param(
            lambda lines: [lines[0], b"\n", *lines[1:-1], lines[-1][:-1]], ["completed"] * 3, [], id="blank line, no last newline"
        ),
    ],
)
def test_odd_files(scene: Any, shelf: Shelf, odd: Callable[[list[bytes]], list[bytes]], outcome: list[str], codes: list[str]) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", odd(scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."})))
    report = take_in(scene, intent, shelf)
    assert list(scene.states().values()) == outcome
    assert [entry["detail_code"] for entry in scene.events(Event.QUARANTINED)] == codes
    assert (report.quarantined > 0) is bool(codes)
    assert len(shelf.rows) == outcome.count("completed")


@pytest.mark.parametrize(("lines", "codes"), [([], []), ([b"504\n"] * 9, ["torn_line"])], ids=["zero bytes", "no rows at all"])
def test_a_job_that_was_stopped_owes_no_answer(scene: Any, shelf: Shelf, lines: list[bytes], codes: list[str]) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", lines, state="expired")
    assert len(take_in(scene, intent, shelf).missing) == 3
    assert list(scene.states().values()) == ["released"] * 3
    assert [entry["detail_code"] for entry in scene.events(Event.QUARANTINED)] == codes


def test_a_page_in_place_of_results_is_asked_for_again(scene: Any, shelf: Shelf) -> None:
    """Taken for results it would make every row a lost one, and the true results would be deleted unread."""
    intent = submitted(scene)
    scene.provider.finish("batch_1", [b"\n<!DOCTYPE html><html>log in</html>\n"])
    head = scene.ledger.head()
    with pytest.raises(EndpointError, match="a page came in place of results"):
        take_in(scene, intent, shelf)
    assert (scene.ledger.head(), scene.provider.deleted) == (head, [])
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."}))
    assert take_in(scene, intent, shelf).completed == 3


def test_one_id_in_both_files_is_believed_in_neither(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    lines = scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."})
    scene.provider.finish("batch_1", lines, errors=[error_line(intent, 0, "server_error")])
    assert take_in(scene, intent, shelf).missing == ("r-ada",)
    assert "r-ada" not in shelf.rows


def test_killed_before_the_commit_the_same_results_are_taken_in_again(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."}))

    def die(rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        shelf.write(rows)
        raise KilledError

    with pytest.raises(KilledError):
        take_in(scene, intent, shelf, write=die)
    written = dict(shelf.rows)
    assert list(scene.states().values()) == ["submitted"] * 3
    assert scene.provider.deleted == []
    (same,) = open_intents(scene.ledger)
    take_in(scene, same, shelf)
    assert shelf.rows == written
    assert len(scene.events(Event.COMPLETED)) == 3


def test_killed_before_the_deletion_the_remains_are_deleted_later(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."}))

    def die() -> None:
        raise KilledError

    scene.provider.on_delete = die
    with pytest.raises(KilledError):
        take_in(scene, intent, shelf)
    assert list(scene.states().values()) == ["completed"] * 3
    assert open_intents(scene.ledger) == []
    scene.provider.on_delete = lambda: None
    (left,) = unretired(scene.ledger)
    retire(scene.ledger, scene.lane, left, spool=scene.spool, now=scene.now)
    assert (scene.provider.files, list(scene.spool.iterdir()), unretired(scene.ledger)) == ({}, [], [])


def test_a_provider_that_does_not_delete_now_is_asked_again(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."}))

    def down() -> None:
        raise EndpointError("no usable answer")

    scene.provider.on_delete = down
    report = take_in(scene, intent, shelf)
    assert (report.completed, report.deleted) == (3, False)
    assert [left.intent_id for left in unretired(scene.ledger, RUN)] == [intent.intent_id]


def test_files_that_are_gone_already_are_no_trouble(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."}))
    del scene.provider.files["file_1"]
    assert take_in(scene, intent, shelf).deleted


def test_two_collectors_give_one_outcome(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."}))
    output = dict(scene.provider.files)

    def overtaken(rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        take_in(scene, intent, Shelf())
        scene.provider.files.update(output)
        return shelf.write(rows)

    take_in(scene, intent, shelf, write=overtaken)
    assert len(scene.events(Event.COMPLETED)) == 3
    assert len(scene.events(Event.JOB_ENDED)) == 1


def test_a_broken_download_changes_nothing(scene: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    intent = submitted(scene)
    scene.provider.finish("batch_1", scene.answer(intent.intent_id, {0: "Ada.", 1: "Bob.", 2: "Cyd."}))
    head = scene.ledger.head()

    def broken(file_id: str, target: Any) -> int:
        target.write(scene.provider.files[file_id][1][:50])
        raise EndpointError("no usable answer")

    monkeypatch.setattr(scene.provider, "download", broken)
    with pytest.raises(EndpointError):
        take_in(scene, intent, shelf)
    assert (shelf.writes, scene.ledger.head(), scene.provider.deleted) == (0, head, [])
    assert [path.name for path in scene.spool.iterdir()] == [f"{intent.intent_id}.jsonl"]


def test_an_intent_without_a_job_is_not_ingested(scene: Any, shelf: Shelf) -> None:
    intent = replace(submitted(scene), provider_job_id=None)
    with pytest.raises(EndpointError, match="reconcile"):
        take_in(scene, intent, shelf)


def test_no_text_reaches_the_ledger_or_a_repr(scene: Any, shelf: Shelf) -> None:
    intent = submitted(scene)
    lines = scene.answer(intent.intent_id, {0: "Canary Zebulon answers.", 1: "Bob.", 2: "Canary"})
    scene.provider.finish("batch_1", [*lines[:2], lines[2][:-30]], errors=[error_line(intent, 1, "Canary Zebulon")])
    report = take_in(scene, intent, shelf)
    assert "Canary" not in repr(report) + repr(shelf) + repr(scene.events(*Event))
    for name in ("beekeeping", "bicycle", "Zebulon", "Canary"):
        assert name not in repr(scene.events(*Event))


SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"], "additionalProperties": False}
EXTRACT = Prompt(kind=TaskKind.EXTRACT, messages=(Message(role="user", parts=(Part(slot="text"),)),), schema=SCHEMA)
SUMMARIZE = replace(EXTRACT, kind=TaskKind.SUMMARIZE, schema=None)


@pytest.mark.parametrize(
    ("prompt", "result", "code"),
    [
        pytest.param(SUMMARIZE, LaneResult(row_id="a", output="Fine."), None, id="a summary"),
        pytest.param(SUMMARIZE, LaneResult(row_id="a", output=" \n"), "empty_output", id="a blank summary"),
        pytest.param(SUMMARIZE, LaneResult(row_id="a"), "empty_output", id="nothing"),
        pytest.param(SUMMARIZE, LaneResult(row_id="a", output="Fi", finish_reason="length"), "max_tokens", id="cut off"),
        pytest.param(SUMMARIZE, LaneResult(row_id="a", output="F", finish_reason="content_filter"), "content_filter", id="filtered"),
        pytest.param(SUMMARIZE, LaneResult(row_id="a", output="F", error_code="refusal"), "refusal", id="an error keeps no output"),
        pytest.param(EXTRACT, LaneResult(row_id="a", output='{"total": 4.5}'), None, id="a valid object"),
        pytest.param(EXTRACT, LaneResult(row_id="a", output='```json\n{"total": 4.5}\n```'), "invalid_json", id="JSON in a fence"),
        pytest.param(EXTRACT, LaneResult(row_id="a", output='{"total": NaN}'), "invalid_json", id="NaN"),
        pytest.param(EXTRACT, LaneResult(row_id="a", output='{"total": 4.5'), "invalid_json", id="torn"),
        pytest.param(EXTRACT, LaneResult(row_id="a", output="[" * 99_999), "invalid_json", id="nested too deep"),
        pytest.param(EXTRACT, LaneResult(row_id="a", output='{"total": "4.5"}'), "schema_violation", id="wrong type"),
        pytest.param(EXTRACT, LaneResult(row_id="a", output='{"total": 1, "x": 2}'), "schema_violation", id="a property more"),
        pytest.param(
            replace(EXTRACT, schema={"$ref": "http://schema.invalid/x"}),
            LaneResult(row_id="a", output="{}"),
            "schema_unusable",
            id="a schema that would be downloaded",
        ),
    ],
)
def test_only_a_real_result_is_one(prompt: Prompt, result: LaneResult, code: str | None) -> None:
    answers = sort_out([result], ["a"], prompt)
    assert (set(answers.answered), set(answers.failed), answers.missing) == (({"a"}, set(), {}) if code is None else (set(), {"a"}, {}))
    if code is not None:
        assert (answers.failed["a"].error_code, answers.failed["a"].output) == (code, None)
