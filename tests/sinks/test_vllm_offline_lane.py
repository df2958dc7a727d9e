from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.errors import EndpointError, GateError, RejectedError
from sinks.lanes.vllm_offline import MAX_STARTS, VllmOfflineLane, worker_environment
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard, JobStatus, LaneResult

INTENT = "b1b2c3d4e5f60718293a4b5c6d7e8f90"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
MESSAGES = (Message(role="user", parts=(Part(text="Say: "), Part(slot="text"))),)
SUMMARIZE = Prompt(kind=TaskKind.SUMMARIZE, messages=MESSAGES, max_tokens=100)
EXTRACT = Prompt(kind=TaskKind.EXTRACT, messages=MESSAGES, max_tokens=100, schema={"type": "object"})


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter whose `vllm` is the stand-in."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{Path(__file__).parent / "fake_vllm"}" exec "{sys.executable}" "$@"\n')
    script.chmod(0o700)
    return script


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def lane(tmp_path: Path, python: Path) -> Iterator[VllmOfflineLane]:
    made = VllmOfflineLane(tmp_path / "spool", python)
    yield made
    made.discard(INTENT)


def endpoint(model: Path, **settings: Any) -> Endpoint:
    facts = {"model_path": str(model), "window": 3, **settings}
    return Endpoint(name="vllm", lane=Lane.LOCAL, engine="vllm_offline", provider="vllm", model="quill-7b", settings=facts)


def cleared(lane: VllmOfflineLane, target: Endpoint, *rows: tuple[Prompt, str]) -> ClearedShard:
    """A shard as the gate issues it."""
    trees = [
        lane.row(f"row-{number}", lane.body(prompt.fill({"text": text}), prompt, target), target)
        for number, (prompt, text) in enumerate(rows)
    ]
    content = b"".join(json.dumps(tree).encode() + b"\n" for tree in trees)
    ids = tuple(tree["custom_id"] for tree in trees)
    shard = ClearedShard(intent_id=INTENT, run_id="r", endpoint=target, attempt=1, content=content, row_ids=ids, digest="d")
    egress._issued[INTENT] = shard
    return shard


def wait_for(lane: VllmOfflineLane, reached: Callable[[JobStatus], bool]) -> JobStatus:
    deadline = time.monotonic() + 60
    while not reached(status := lane.poll(INTENT)):
        assert time.monotonic() < deadline, status
        time.sleep(0.02)
    return status


def answers(lane: VllmOfflineLane) -> dict[str, LaneResult]:
    wait_for(lane, lambda status: status.ended)
    return {result.row_id: result for result in lane.collect(INTENT)}


def test_rows_are_answered_with_all_that_the_ledger_wants_to_know(lane: VllmOfflineLane, model: Path) -> None:
    rows = [(SUMMARIZE, f"Text {number}.") for number in range(7)]
    assert lane.hand_over(cleared(lane, endpoint(model), *rows)) == INTENT
    found = answers(lane)
    assert list(found) == [f"row-{number}" for number in range(7)]
    assert found["row-2"].output == "user: Say: Text 2."[::-1]  # the parts are joined as the template has them
    first = found["row-0"]
    assert (first.model, first.revision is not None and first.revision.startswith("vllm-0.32.0+tokenizer-")) == ("quill-7b", True)
    assert (first.finish_reason, first.tokens_in, first.tokens_out, first.confidence) == ("stop", 18, 2, -1.5)
    assert first.weights_digest is not None
    assert len(first.weights_digest) == 64
    assert first.lora_digest is None


def test_errors_are_rows(lane: VllmOfflineLane, model: Path) -> None:
    short = Prompt(kind=TaskKind.SUMMARIZE, messages=MESSAGES, max_tokens=5)
    lane.hand_over(cleared(lane, endpoint(model), (SUMMARIZE, "LONG"), (short, "cut"), (EXTRACT, "form"), (SUMMARIZE, "fine")))
    found = answers(lane)
    assert [result.error_code for result in found.values()] == ["prompt_too_long", "max_tokens", None, None]
    assert json.loads(found["row-2"].output or "") == {"name": "Ines"}
    assert found["row-1"].output is None
    assert lane.poll(INTENT).failed == 2


def test_a_worker_that_was_killed_goes_on_where_it_stopped(lane: VllmOfflineLane, model: Path, tmp_path: Path) -> None:
    rows = [(SUMMARIZE, "one"), (SUMMARIZE, "CRASH"), (SUMMARIZE, "three"), (SUMMARIZE, "four"), (SUMMARIZE, "five")]
    lane.hand_over(cleared(lane, endpoint(model), *rows))
    found = answers(lane)
    assert [result.error_code for result in found.values()] == [None] * 5
    spool = tmp_path / "spool"
    assert (spool / f"{INTENT}.starts").stat().st_size == 2
    lines = (spool / f"{INTENT}.out.jsonl").read_bytes().splitlines()
    assert sorted(json.loads(line)["row_id"] for line in lines) == [f"row-{number}" for number in range(5)]  # each exactly once


def test_a_torn_last_line_is_written_again(lane: VllmOfflineLane, model: Path, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / f"{INTENT}.out.jsonl").write_bytes(b'{"row_id":"row-0","output":"kept"}\n{"row_id":"row-1","outp')
    lane.hand_over(cleared(lane, endpoint(model), (SUMMARIZE, "one"), (SUMMARIZE, "two")))
    assert [result.output for result in answers(lane).values()] == ["kept", "user: Say: two"[::-1]]


def test_a_shard_that_cannot_be_finished_fails_its_rows_only(lane: VllmOfflineLane, model: Path, tmp_path: Path) -> None:
    lane.hand_over(cleared(lane, endpoint(model, window=1), (SUMMARIZE, "good"), (SUMMARIZE, "POISON")))
    assert wait_for(lane, lambda status: status.ended).state == "failed"
    assert [result.error_code for result in lane.collect(INTENT)] == [None, "worker_crashed"]
    assert (tmp_path / "spool" / f"{INTENT}.starts").stat().st_size == MAX_STARTS


def test_another_process_finds_the_job_and_takes_it_over(lane: VllmOfflineLane, model: Path, tmp_path: Path, python: Path) -> None:
    assert list(lane.find(INTENT, "d", NOW)) == []
    lane.hand_over(cleared(lane, endpoint(model), (SUMMARIZE, "one"), (SUMMARIZE, "CRASH")))
    other = VllmOfflineLane(tmp_path / "spool", python)
    assert list(other.find(INTENT, "d", NOW)) == [INTENT]
    assert [result.error_code for result in answers(other).values()] == [None, None]


def test_no_text_is_left_where_it_does_not_belong(lane: VllmOfflineLane, model: Path, tmp_path: Path) -> None:
    lane.hand_over(cleared(lane, endpoint(model), (SUMMARIZE, "zephyr"), (SUMMARIZE, "zephyr LONG"), (SUMMARIZE, "zephyr POISON")))
    wait_for(lane, lambda status: status.ended)
    spool = tmp_path / "spool"
    with_text = {path.name.partition(".")[2] for path in spool.iterdir() if b"zephyr" in path.read_bytes()}
    assert with_text == {"in.jsonl"}
    assert b"RuntimeError" in (spool / f"{INTENT}.log").read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.glob(f"{INTENT}.*")} == {0o600}
    lane.discard(INTENT)
    assert list(spool.glob(f"{INTENT}.*")) == []


def test_a_start_that_is_impossible_is_a_refusal_and_leaves_nothing(tmp_path: Path, model: Path) -> None:
    lane = VllmOfflineLane(tmp_path / "spool", tmp_path / "no-such-python")
    with pytest.raises(RejectedError) as caught:
        lane.hand_over(cleared(lane, endpoint(model), (SUMMARIZE, "one")))
    assert caught.value.code == "worker_unstartable"
    assert list(lane.find(INTENT, "d", NOW)) == []


def test_a_missing_model_is_told_in_the_log(lane: VllmOfflineLane, tmp_path: Path) -> None:
    lane.hand_over(cleared(lane, endpoint(tmp_path / "no-model"), (SUMMARIZE, "one")))
    assert wait_for(lane, lambda status: status.ended).state == "failed"
    assert b"no-model" in (tmp_path / "spool" / f"{INTENT}.log").read_bytes()


def test_only_what_the_gate_issued(lane: VllmOfflineLane, model: Path) -> None:
    shard = cleared(lane, endpoint(model), (SUMMARIZE, "one"))
    del egress._issued[INTENT]
    with pytest.raises(GateError):
        lane.hand_over(shard)
    with pytest.raises(EndpointError, match="not in the spool"):
        list(lane.collect(INTENT))


def test_the_worker_has_no_secrets_no_proxies_and_asks_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "OPENAI_API_KEY", "HF_TOKEN", "VLLM_LOGGING_LEVEL", "PYTHONPATH"):
        monkeypatch.setenv(name, "DEBUG")
    environment = worker_environment("cpu")
    assert "DEBUG" not in environment.values()
    assert {"VLLM_NO_USAGE_STATS", "HF_HUB_OFFLINE", "VLLM_HOST_IP", "TORCHDYNAMO_DISABLE"} <= set(environment)
    assert environment["PATH"] == os.environ["PATH"]
    assert "TORCHDYNAMO_DISABLE" not in worker_environment("")
