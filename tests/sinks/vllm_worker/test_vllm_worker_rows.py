"""Rows through the worker: one line each, in order or resumed, long ones in pieces, and an error is a row that stops no other."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.sinks.vllm_worker.worker_run import Worker, reversed_prompt, row


def test_jobs_are_answered_one_line_a_row(worker: Worker) -> None:
    orders = worker.order("a", [row(f"r{number}", f"Text {number}.") for number in range(5)]) + worker.order("b", [row("r0", "Other.")])
    assert worker.run(orders)[0] == 0
    assert worker.answers("a") == {f"r{number}": reversed_prompt(f"Text {number}.") for number in range(5)}
    assert worker.answers("b") == {"r0": reversed_prompt("Other.")}
    assert worker.started("a") == [f"r{number}" for number in range(5)]
    line = worker.lines("b")[0]
    assert (line["model"], line["finish_reason"], line["tokens_in"], line["tokens_out"], line["confidence"]) == (
        "quill-7b",
        "stop",
        17,
        2,
        -1.5,
    )
    assert line["revision"].startswith("vllm-0.32.0+tokenizer-")
    assert len(line["weights_digest"]) == 64
    assert not {"lora_digest", "chunks", "error_code"} & set(line)
    ready = json.loads((worker.spool / "vllm.0.ready.json").read_bytes())
    assert (ready["engine"], ready["max_model_len"], ready["isolation"]) == ("vllm-0.32.0", 200, "none")


def test_the_window_is_kept_full_across_jobs_and_a_job_may_have_its_own(worker: Worker) -> None:
    def most(*windows: int | None) -> int:
        worker.spool.joinpath("most_in_flight").unlink(missing_ok=True)
        orders = [worker.order(f"{windows}-{number}", [row("r0", "a"), row("r1", "b")], window) for number, window in enumerate(windows)]
        assert worker.run(b"".join(orders))[0] == 0
        return int(worker.spool.joinpath("most_in_flight").read_text())

    assert most(None, None) == 3  # two of the first job's, one of the second's
    assert most(1, 1) == 1
    assert most(1, None) == 2  # they do not meet
    assert most(4) == 2


ERRORS = {
    "schema": (row("schema", "form", schema={"type": "nonsense"}), "invalid_schema"),
    "long extract": (row("long extract", "x" * 150, kind="extract", schema={"type": "object"}), "prompt_too_long"),
    "long for the engine": (row("long for the engine", "LONG"), "prompt_too_long"),
    "refused": (row("refused", "REFUSED"), "request_refused"),
    "cut": (row("cut", "much more than that", max_tokens=5), "max_tokens"),
    "empty": (row("empty", "EMPTY"), "empty_output"),
    "lost": (row("lost", "LOST"), "engine_error"),
    "no messages": (row("no messages", "", messages=[]), "request_refused"),
    "no text": (row("no text", "", messages=[{"role": "user", "content": [{"type": "text", "text": " "}]}]), "request_refused"),
    "role": (row("role", "", messages=[{"role": "tool", "content": [{"type": "text", "text": "x"}]}]), "request_refused"),
    "text is no text": (
        row("text is no text", "", messages=[{"role": "user", "content": [{"type": "text", "text": 7}]}]),
        "request_refused",
    ),
    "no body": ({"custom_id": "no body"}, "request_refused"),
}


def test_errors_are_rows_and_stop_no_other(worker: Worker) -> None:
    rows = [one for error, _ in ERRORS.values() for one in (error, row(f"beside {error['custom_id']}", "fine"))]
    code, log = worker.run(worker.order("a", rows))
    assert code == 0, log
    found = worker.answers("a")
    assert {name: found.pop(name) for name in ERRORS} == {name: code for name, (_, code) in ERRORS.items()}
    assert set(found.values()) == {reversed_prompt("fine")}
    assert len(worker.lines("a")) == len(rows)
    assert "REFUSED" not in log


def test_a_killed_worker_goes_on_where_it_was(worker: Worker) -> None:
    rows = [row(f"r{number}", text) for number, text in enumerate(["one", "two", "CRASH", "four", "five"])]
    orders = worker.order("a", rows)
    assert worker.run(orders)[0] == -signal.SIGKILL
    before = worker.path("a", "out").read_bytes() if worker.path("a", "out").exists() else b""
    in_flight = [row_id for row_id in worker.started("a") if row_id.encode() not in before]
    assert "r2" in in_flight
    assert len(in_flight) <= 3
    assert worker.run(orders)[0] == 0
    assert worker.path("a", "out").read_bytes().startswith(before)
    assert sorted(line["row_id"] for line in worker.lines("a")) == [f"r{number}" for number in range(5)]


@pytest.mark.parametrize(
    "torn", [b'{"row_id":"r1","outp', b'{"row_id":"r1"', b'{"row_id":7}\n{"row_id":"r1","output":"lost"}\n'], ids=["text", "end", "middle"]
)
def test_a_torn_line_is_cut_off(worker: Worker, torn: bytes) -> None:
    worker.path("a", "out").write_bytes(b'{"row_id":"r0","output":"kept"}\n' + torn)
    assert worker.run(worker.order("a", [row("r0", "one"), row("r1", "two")]))[0] == 0
    assert worker.answers("a") == {"r0": "kept", "r1": reversed_prompt("two")}
    assert worker.started("a") == ["r1"]


LONG = "One two three. " * 20


def long_row(row_id: str, text: str) -> dict[str, Any]:
    content = [{"type": "text", "text": "BRIEF "}, {"type": "text", "text": text, "slot": "text"}]
    return row(row_id, "", messages=[{"role": "user", "content": content}])


def test_a_long_document_is_summarized_in_chunks(worker: Worker) -> None:
    code, _ = worker.run(worker.order("a", [long_row("r0", LONG), row("r1", "short"), long_row("r2", LONG)]))
    assert code == 0
    first, second = (line for line in worker.lines("a") if line["row_id"] != "r1")
    assert first.get("output") == "One two thre", first
    chunks = first["chunks"]
    assert "".join(LONG[start:end] for start, end in chunks) == LONG
    assert len(chunks) > 2
    assert first["tokens_out"] >= 2 * (len(chunks) + 1)
    assert {**first, "row_id": ""} == {**second, "row_id": ""}
    assert int(worker.spool.joinpath("most_in_flight").read_text()) == 3


def test_long_documents_may_be_switched_off(worker: Worker) -> None:
    worker.settings["long_documents"] = False
    worker.run(worker.order("a", [long_row("r0", LONG)]))
    assert worker.answers("a") == {"r0": "prompt_too_long"}


def test_a_document_that_fails_in_one_chunk_fails_and_its_other_calls_are_forgotten(worker: Worker) -> None:
    assert worker.run(worker.order("a", [long_row("r0", LONG + "EMPTY." + LONG), row("r1", "short")]))[0] == 0
    assert worker.answers("a") == {"r0": "empty_output", "r1": reversed_prompt("short")}


def test_a_record_cannot_spell_control_tokens(worker: Worker) -> None:
    text = "before</s>after"
    worker.run(worker.order("a", [row("r0", text), row("r1", "before after.")]))
    found = {line["row_id"]: line for line in worker.lines("a")}
    assert found["r0"]["output"] == reversed_prompt(text)
    assert found["r0"]["tokens_in"] == len(f"user: Say: {text}")  # plain characters: the control token would have been one


def test_lone_surrogates_are_replaced(worker: Worker) -> None:
    worker.run(worker.order("a", [row("r0", "a\ud800b")]))
    assert worker.answers("a") == {"r0": reversed_prompt("a\ufffdb")}


def test_a_model_that_takes_no_system_message_gets_it_with_the_users(worker: Worker) -> None:
    (worker.spool / "model" / "chat_template.jinja").write_text("no system")
    messages = [{"role": role, "content": [{"type": "text", "text": role.upper()}]} for role in ("system", "user")]
    worker.run(worker.order("a", [row("r0", "", messages=messages)]))
    assert worker.answers("a") == {"r0": "user: SYSTEM\n\nUSER"[::-1]}
