"""The lane over a server inside, against a real HTTP server on loopback that can be told to misbehave."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.clients.chat_client import ChatServer
from sinks.clients.connection import OpenAIOptions
from sinks.errors import EndpointError, RejectedError
from sinks.lanes import Sought, chat_job
from sinks.lanes.openai_compatible import OpenAICompatibleLane
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard, JobStatus, LaneResult
from tests.sinks.inside_server import Inside, Running, serving

INTENT = "d1b2c3d4e5f60718293a4b5c6d7e8f90"
WHEN = datetime(2026, 11, 22, tzinfo=UTC)
MESSAGES = (Message(role="system", parts=(Part(text="Be brief."),)), Message(role="user", parts=(Part(text="Say: "), Part(slot="text"))))
SUMMARIZE = Prompt(kind=TaskKind.SUMMARIZE, messages=MESSAGES, max_tokens=20)
SCHEMA = {"type": "object", "properties": {"kind": {"enum": ["letter", "memo"]}}, "required": ["kind"], "additionalProperties": False}
EXTRACT = Prompt(kind=TaskKind.EXTRACT, messages=MESSAGES, max_tokens=20, schema=SCHEMA)
SALTED = replace(SUMMARIZE, salt_slot="metadata.matter")


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
def running(inside: Inside) -> Iterator[Running]:
    with serving(inside) as server:
        yield server


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_job, "PAUSES_S", (0.01, 0.01, 0.01))


def endpoint(inside: Inside, **settings: Any) -> Endpoint:
    facts = {"max_model_len": 4096, "concurrency": 3, **settings}
    return Endpoint(
        name="inside", lane=Lane.LOCAL, engine="openai_compatible", provider="vllm", model="quill-7b", base_url=inside.url, settings=facts
    )


Build = Callable[..., OpenAICompatibleLane]


@pytest.fixture
def build(tmp_path: Path, inside: Inside, running: Running) -> Iterator[Build]:
    lanes: list[OpenAICompatibleLane] = []

    def make(**settings: Any) -> OpenAICompatibleLane:
        target = endpoint(inside, **settings)
        lanes.append(OpenAICompatibleLane(ChatServer(OpenAIOptions.of(target, "")), tmp_path / "spool", target, salt="of the job"))
        return lanes[-1]

    yield make
    for lane in lanes:
        lane.close()


def cleared(lane: OpenAICompatibleLane, target: Endpoint, *rows: tuple[Prompt, dict[str, str]]) -> ClearedShard:
    """A shard as the gate issues it."""
    trees = [lane.row(f"row-{n}", lane.body(prompt.fill(parts), prompt, target), target) for n, (prompt, parts) in enumerate(rows)]
    content = b"".join(json.dumps(tree).encode() + b"\n" for tree in trees)
    ids = tuple(tree["custom_id"] for tree in trees)
    shard = ClearedShard(intent_id=INTENT, run_id="r", endpoint=target, attempt=1, content=content, row_ids=ids, digest="d")
    egress._issued[INTENT] = shard
    return shard


def ended(lane: OpenAICompatibleLane) -> JobStatus:
    deadline = time.monotonic() + 30
    while not (status := lane.poll(INTENT)).ended:
        assert time.monotonic() < deadline, status
        time.sleep(0.01)
    return status


def answers(lane: OpenAICompatibleLane) -> list[LaneResult]:
    ended(lane)
    return list(lane.collect(INTENT))


def ask(lane: OpenAICompatibleLane, inside: Inside, *texts: str, prompt: Prompt = SUMMARIZE, **settings: Any) -> list[LaneResult]:
    lane.hand_over(cleared(lane, endpoint(inside, **settings), *((prompt, {"text": text}) for text in texts)))
    return answers(lane)


def test_answers_come_with_all_that_the_ledger_wants_to_know(build: Build, inside: Inside) -> None:
    found = ask(build(), inside, "one", "two", "three", "four", "five")
    assert [result.output for result in found] == ["<one>", "<two>", "<three>", "<four>", "<five>"]
    first = found[0]
    assert (first.row_id, first.model, first.revision, first.tokens_in, first.tokens_out) == ("row-0", "quill-7b", "fp_1a2b", 11, 2)
    assert (first.finish_reason, first.confidence, first.chunks) == ("stop", -1.0, None)
    sent = inside.asked[0]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["messages"][1]["content"].startswith("Say: ")  # joined as the template has it, nothing in between
    assert set(sent) == {"model", "messages", "max_tokens", "temperature", "seed", "logprobs", "cache_salt"}
    assert inside.most_open <= 3


@pytest.mark.parametrize(
    ("text", "code", "tries"),
    [
        pytest.param("REFUSED", "bad_request", 1, id="refused by the server"),
        pytest.param("CUT", "max_tokens", 1, id="cut"),
        pytest.param("BROKEN", "engine_error", 4, id="the server fails on this record alone"),
        pytest.param("DROP", "engine_died", 4, id="the server dies of this record and lives again"),
    ],
)
def test_what_is_one_records_fault_stays_with_it(build: Build, inside: Inside, text: str, code: str, tries: int) -> None:
    found = ask(build(), inside, "good", text, "fine")
    assert [result.error_code for result in found] == [None, code, None]
    assert inside.tries[text] == tries


def test_a_server_that_is_busy_is_asked_again(build: Build, inside: Inside) -> None:
    found = ask(build(), inside, "BUSY")
    assert [result.error_code for result in found] == [None]
    assert inside.tries["BUSY"] == 3


def test_the_schema_goes_along(build: Build, inside: Inside) -> None:
    (found,) = ask(build(), inside, "form", prompt=EXTRACT)
    assert json.loads(found.output or "") == {"kind": "memo"}
    assert inside.asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_records_of_different_matters_have_different_salts(build: Build, inside: Inside) -> None:
    lane, target = build(), endpoint(inside)
    rows = [(SALTED, {"text": str(number), "metadata.matter": matter}) for number, matter in enumerate(["A-1", "B-2", "A-1", ""])]
    lane.hand_over(cleared(lane, target, *rows))
    answers(lane)
    salts = {sent["messages"][-1]["content"].removeprefix("Say: "): sent["cache_salt"] for sent in inside.asked}
    assert salts["0"] == salts["2"]
    assert len({salts["0"], salts["1"], salts["3"]}) == 3
    assert "A-1" not in json.dumps(inside.asked)  # the model need not read it


def test_a_long_document_is_read_in_pieces_that_cover_it(build: Build, inside: Inside) -> None:
    text = " ".join(f"Sentence number {number} speaks of the harbour." for number in range(120))
    inside.context_characters = 3 * 400
    (found,) = ask(build(max_model_len=400), inside, text, max_model_len=400)
    assert found.error_code is None
    assert found.chunks is not None
    assert len(found.chunks) > 1
    assert "".join(text[start:end] for start, end in found.chunks) == text
    assert found.tokens_in == 11 * len(inside.asked)


def test_a_server_with_less_context_than_declared_gets_smaller_pieces(build: Build, inside: Inside) -> None:
    text = " ".join(f"Sentence number {number} speaks of the harbour." for number in range(60))
    inside.context_characters = 1100
    (found,) = ask(build(), inside, text)
    assert found.error_code is None
    assert found.chunks is not None
    assert len(found.chunks) > 2


def test_an_extraction_that_does_not_fit_is_an_error_row_and_is_not_sent(build: Build, inside: Inside) -> None:
    found = ask(build(max_model_len=400), inside, "word " * 500, "short", prompt=EXTRACT, max_model_len=400)
    assert [result.error_code for result in found] == ["prompt_too_long", None]
    assert len(inside.asked) == 1


def test_a_server_that_goes_away_gives_its_rows_back(build: Build, inside: Inside, running: Running) -> None:
    lane = build(concurrency=1)
    inside.delay_s = 0.05
    lane.hand_over(cleared(lane, endpoint(inside), *((SUMMARIZE, {"text": str(number)}) for number in range(40))))
    while not inside.asked:
        time.sleep(0.005)
    running.stop()
    assert ended(lane).state == "failed"
    found = list(lane.collect(INTENT))
    assert len(found) == 40
    assert {result.error_code for result in found} == {None, "engine_unavailable"}
    with pytest.raises(RejectedError, match="engine_unavailable"):  # not asked again and again in one night
        lane.hand_over(cleared(lane, endpoint(inside), (SUMMARIZE, {"text": "next"})))


def test_an_interrupted_job_goes_on_with_the_rows_that_are_left(build: Build, inside: Inside, tmp_path: Path) -> None:
    lane = build(concurrency=1)
    inside.delay_s = 0.03
    lane.hand_over(cleared(lane, endpoint(inside), *((SUMMARIZE, {"text": str(number)}) for number in range(12))))
    while len(inside.asked) < 4:
        time.sleep(0.005)
    lane.close()
    answered = (tmp_path / "spool" / f"{INTENT}.out.jsonl").read_bytes().count(b"\n")
    assert 1 <= answered < 12
    with (tmp_path / "spool" / f"{INTENT}.out.jsonl").open("ab") as file:
        file.write(b'{"row_id": "row-11", "outp')  # torn by a crash
    other = build()
    assert list(other.find(Sought(intent_id=INTENT, digest="d", since=WHEN, rows=1))) == [INTENT]
    assert [result.output for result in answers(other)] == [f"<{number}>" for number in range(12)]
    assert len(inside.asked) <= 12 + 1  # at most the one that was under way was asked twice


def test_nobody_there_is_a_rejection_before_anything_is_sent(build: Build, inside: Inside, running: Running) -> None:
    running.stop()
    lane = build()
    with pytest.raises(RejectedError, match="unreachable"):
        lane.hand_over(cleared(lane, endpoint(inside), (SUMMARIZE, {"text": "one"})))
    assert inside.asked == []


def test_a_spool_that_cannot_be_written_is_a_rejection_and_leaves_no_job(build: Build, inside: Inside, tmp_path: Path) -> None:
    lane = build()
    (tmp_path / "spool" / f"{INTENT}.out.jsonl").mkdir(parents=True)
    with pytest.raises(RejectedError, match="spool_unwritable"):
        lane.hand_over(cleared(lane, endpoint(inside), (SUMMARIZE, {"text": "one"})))
    assert list(lane.find(Sought(intent_id=INTENT, digest="d", since=WHEN, rows=1))) == []
    assert inside.asked == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_server_that_sends_us_elsewhere_is_refused(build: Build, inside: Inside, status: int) -> None:
    inside.models_status = status
    lane = build()
    with pytest.raises(EndpointError, match="follows nobody"):
        lane.hand_over(cleared(lane, endpoint(inside), (SUMMARIZE, {"text": "one"})))
    assert inside.asked == []


def test_a_name_that_changes_its_address_is_refused(inside: Inside, running: Running, tmp_path: Path) -> None:
    """DNS rebinding: local when the lane begins, another host's address at the next connection."""
    target = endpoint(inside)
    addresses = iter([["127.0.0.1"], *[["203.0.113.9"]] * 10])
    server = ChatServer(OpenAIOptions.of(target, ""), lookup=lambda host, port: next(addresses))
    lane = OpenAICompatibleLane(server, tmp_path / "spool", target, salt="s")
    lane.hand_over(cleared(lane, target, (SUMMARIZE, {"text": "one"}), (SUMMARIZE, {"text": "two"})))
    assert ended(lane).state == "failed"
    assert {result.error_code for result in lane.collect(INTENT)} == {"engine_unavailable"}
    assert inside.asked == []
    lane.close()


@pytest.mark.parametrize("settings", [{"max_model_len": None}, {"max_model_len": 0}, {"concurrency": 0}, {"bytes_per_token": "x"}], ids=str)
def test_settings_that_cannot_be_used_are_named(inside: Inside, running: Running, tmp_path: Path, settings: dict[str, Any]) -> None:
    target = endpoint(inside, **settings)
    with pytest.raises(EndpointError, match=f"inside: settings.{next(iter(settings))}"):
        OpenAICompatibleLane(ChatServer(OpenAIOptions.of(target, "")), tmp_path, target, salt="s")


def test_discard_leaves_nothing(build: Build, inside: Inside, tmp_path: Path) -> None:
    lane = build()
    ask(lane, inside, "one")
    assert sorted(lane.discard(INTENT)) == [f"{INTENT}.in.jsonl", f"{INTENT}.out.jsonl"]
    assert list((tmp_path / "spool").iterdir()) == []
    with pytest.raises(EndpointError, match="not in the spool"):
        list(lane.collect(INTENT))
