"""Attacks by one answer on all the others: what a model, or a server, can say that would stop the collection of a paid batch for good."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from sinks.answers import sort_out
from sinks.clients.openai_client import _batch_job
from sinks.lanes.openai_rows import read_row
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import LaneResult

PROMPT = Prompt(
    kind=TaskKind.EXTRACT,
    messages=(Message(role="user", parts=(Part(slot="text"),)),),
    schema={"type": "object", "properties": {"inner": {"$ref": "#"}, "amount": {"type": "number", "multipleOf": 0.01}}},
)


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ('{"inner":' * 400 + "{}" + "}" * 400, "schema_violation"),
        ('{"inner":' * 100_000 + "{}" + "}" * 100_000, "invalid_json"),
        ('{"amount": 1e400}', "schema_violation"),
        ('{"amount": -1e400}', "schema_violation"),
        (f'{{"amount": {"9" * 4000}}}', "schema_violation"),
        (f'{{"amount": {"9" * 5000}}}', "invalid_json"),
    ],
    ids=["nested", "nested deeper", "infinite", "minus infinite", "large", "larger"],
)
def test_one_hostile_answer_fails_alone(output: str, code: str) -> None:
    results = [LaneResult(row_id="a", output=output, finish_reason="stop"), LaneResult(row_id="b", output="{}", finish_reason="stop")]
    answers = sort_out(results, ["a", "b"], PROMPT)
    assert (answers.failed["a"].error_code, list(answers.answered)) == (code, ["b"])


@pytest.mark.parametrize("count", [10**30, -1, True, "7", None, [7]], ids=str)
def test_a_count_that_is_none_is_left_out(count: Any) -> None:
    body = {"choices": [{"finish_reason": "stop", "message": {"content": "A summary."}}], "usage": {"prompt_tokens": count}}
    row = json.dumps({"custom_id": "a", "response": {"status_code": 200, "body": body}}).encode()
    assert (read_row(row).output, read_row(row).tokens_in) == ("A summary.", None)


@pytest.mark.parametrize("created", ["yesterday", 10**30, -5, None, [1]], ids=str)
def test_a_time_that_is_none_is_zero(created: Any) -> None:
    assert _batch_job(SimpleNamespace(id="batch_1", status="completed", created_at=created), "cloud-test").created_at == 0
