from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.errors import EndpointError, GateError, RejectedError
from sinks.extraction import engine
from sinks.lanes import Sought
from sinks.lanes.extractive import ExtractiveLane, answer_row
from sinks.lanes.spool_results import decode_results, encode_result
from sinks.request import Message as PromptMessage
from sinks.request import Part, Prompt, TaskKind
from sinks.shard import ClearedShard, LaneResult

INTENT = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SUMMARIZE = Prompt(
    kind=TaskKind.SUMMARIZE,
    messages=(
        PromptMessage(role="system", parts=(Part(text="Summarize."),)),
        PromptMessage(role="user", parts=(Part(slot="metadata.subject"), Part(text=": "), Part(slot="text"))),
    ),
)
EXTRACT = Prompt(kind=TaskKind.EXTRACT, messages=(PromptMessage(role="user", parts=(Part(slot="text"),)),), schema=SCHEMA)


def endpoint(**settings: int) -> Endpoint:
    return Endpoint(name="embedded", lane=Lane.LOCAL, engine="extractive", provider="waybill", model="lexrank", settings=settings)


def cleared(lane: ExtractiveLane, prompt: Prompt, texts: list[str], **settings: int) -> ClearedShard:
    """A shard as the gate issues it."""
    target = endpoint(**settings)
    rows = [
        lane.row(f"{INTENT[:12]}-{number:06d}", lane.body(prompt.fill({"text": text}), prompt, target), target)
        for number, text in enumerate(texts)
    ]
    content = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    shard = ClearedShard(
        intent_id=INTENT,
        run_id="r",
        endpoint=target,
        attempt=1,
        content=content,
        row_ids=tuple(row["custom_id"] for row in rows),
        digest="d",
    )
    egress._issued[INTENT] = shard
    return shard


@pytest.fixture
def lane(tmp_path: Path) -> ExtractiveLane:
    return ExtractiveLane(tmp_path / "spool")


def test_the_body_has_each_part_as_a_string_of_its_own_and_no_template_text(lane: ExtractiveLane) -> None:
    filled = SUMMARIZE.fill({"text": "Ines came.", "metadata.subject": "Visit"})
    body = lane.body(filled, SUMMARIZE, endpoint())
    assert body == {
        "task": "summarize",
        "model": "lexrank",
        "schema": None,
        "max_tokens": 512,
        "parts": {"metadata.subject": "Visit", "text": "Ines came."},
    }


def test_summaries_from_hand_over_to_discard(lane: ExtractiveLane, tmp_path: Path) -> None:
    texts = ["The bridge is closed. The bridge is being repaired.", "Line\u2028separator and é."]
    shard = cleared(lane, SUMMARIZE, texts)
    assert list(lane.find(Sought(intent_id=INTENT, digest="d", since=NOW, rows=1))) == []
    assert not lane.poll(INTENT).ended
    job_id = lane.hand_over(shard)
    status = lane.poll(job_id)
    assert (job_id, status.ended, status.total, status.completed, status.failed) == (INTENT, True, 2, 2, 0)
    assert list(lane.find(Sought(intent_id=INTENT, digest="d", since=NOW, rows=1))) == [INTENT]
    results = list(lane.collect(job_id))
    assert [result.row_id for result in results] == list(shard.row_ids)
    assert all(result.output and result.finish_reason == "stop" and result.tokens_in and result.tokens_out for result in results)
    assert {(result.model, result.revision) for result in results} == {("lexrank", engine.REVISION)}
    out = tmp_path / "spool" / f"{INTENT}.out.jsonl"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert list(lane.discard(job_id)) == [out.name]
    assert list((tmp_path / "spool").iterdir()) == []
    assert list(lane.discard(job_id)) == []


def test_extraction_gives_json_or_an_error_row(lane: ExtractiveLane) -> None:
    lane.hand_over(cleared(lane, EXTRACT, ["Name: Ines Calder", "Nothing of the kind"]))
    found, missing = lane.collect(INTENT)
    assert json.loads(found.output or "") == {"name": "Ines Calder"}
    assert (missing.output, missing.error_code) == (None, "schema_unsatisfied")
    assert lane.poll(INTENT).failed == 1


def test_one_record_that_breaks_the_engine_is_one_error_row(lane: ExtractiveLane, monkeypatch: pytest.MonkeyPatch) -> None:
    real = engine.answer

    def breaks(**asked: Any) -> engine.Answer:
        if "bad" in asked["parts"]["text"]:
            raise RuntimeError(asked["parts"]["text"])
        return real(**asked)

    monkeypatch.setattr(engine, "answer", breaks)
    lane.hand_over(cleared(lane, SUMMARIZE, ["A good one.", "A bad one.", "Another good one."]))
    assert [result.error_code for result in lane.collect(INTENT)] == [None, "engine_error", None]


def test_a_shard_is_taken_once_and_only_from_the_gate(lane: ExtractiveLane) -> None:
    shard = cleared(lane, SUMMARIZE, ["Once."])
    lane.hand_over(shard)
    with pytest.raises(GateError):
        lane.hand_over(shard)


def test_a_spool_that_cannot_be_written_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    lane = ExtractiveLane(tmp_path / "file" / "spool")
    with pytest.raises(RejectedError) as caught:
        lane.hand_over(cleared(lane, SUMMARIZE, ["Any."]))
    assert caught.value.code == "spool_unwritable"


def test_collecting_what_is_not_there_says_so(lane: ExtractiveLane) -> None:
    with pytest.raises(EndpointError, match="no answers"):
        list(lane.collect(INTENT))


def test_two_processes_give_the_same_rows_as_one(lane: ExtractiveLane) -> None:
    texts = [f"The ferry number {number} crosses the river. It is late. The river is high." for number in range(20)]
    lane.hand_over(cleared(lane, SUMMARIZE, texts))
    alone = list(lane.collect(INTENT))
    lane.hand_over(cleared(lane, SUMMARIZE, texts, workers=2))
    assert list(lane.collect(INTENT)) == alone


@pytest.mark.parametrize(
    ("parts", "schema", "max_tokens", "expected"),
    [
        pytest.param({"text": " \n"}, None, 9, "no_text", id="nothing to summarize"),
        pytest.param({"text": "Name: Ines Calder"}, SCHEMA, 3, "max_tokens", id="JSON longer than the limit"),
        pytest.param({"text": "-", "metadata.name": "Ines"}, SCHEMA, 30, None, id="fields come from metadata too"),
    ],
)
def test_engine(parts: dict[str, str], schema: dict[str, Any] | None, max_tokens: int, expected: str | None) -> None:
    row = {"custom_id": "x", "body": {"task": "t", "schema": schema, "max_tokens": max_tokens, "parts": parts}}
    assert answer_row(json.dumps(row).encode()).error_code == expected


def test_a_torn_last_line_is_no_result(tmp_path: Path) -> None:
    whole = LaneResult(row_id="1", output="two\nlines and \ud800", confidence=-0.5)
    path = tmp_path / "out.jsonl"
    path.write_bytes(encode_result(whole) + b'{"row_id":"2","outp')
    assert list(decode_results(path)) == [whole]
