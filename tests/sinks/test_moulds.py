"""A mould gives, byte for byte, what its lane gives a record at a time, and reads nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.model import Endpoint, Lane
from sinks.freeze import canonical, payload
from sinks.lanes.anthropic_batch import AnthropicBatchLane, AnthropicBatchOptions
from sinks.lanes.chat_body import chat_body
from sinks.lanes.extractive import ExtractiveLane
from sinks.lanes.openai_batch import OpenAIBatchLane, OpenAIBatchOptions
from sinks.moulds import ROW_ID, Mould, Moulds
from sinks.request import Message, Part, Prompt, TaskKind

ROW = "0123456789ab-000007"
CLOUD = Endpoint(name="cloud", lane=Lane.CLOUD, engine="openai_batch", provider="openai", model="m-1", review_by=date(2027, 1, 1))
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
PROMPT = Prompt(
    kind=TaskKind.EXTRACT,
    messages=(
        Message(role="system", parts=(Part(text='Say "so".\n'),)),
        Message(role="user", parts=(Part(slot="metadata.subject"), Part(text="\n\n"), Part(slot="text"), Part(slot="text"))),
    ),
    schema=SCHEMA,
    salt_slot="metadata.tenant",
    repair="Once more.",
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
Tree = dict[str, Any]


class Chat:
    """The form that the local model lanes freeze."""

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> Tree:
        return chat_body(messages, prompt, endpoint)

    def row(self, row_id: str, body: Tree, endpoint: Endpoint) -> Tree:
        return {"custom_id": row_id, "body": body}


def _nobody() -> Any:
    return cast("Any", None)


LANES: dict[str, Any] = {
    "openai": OpenAIBatchLane(_nobody(), OpenAIBatchOptions(spool=Path())),
    "anthropic": AnthropicBatchLane(_nobody(), AnthropicBatchOptions(spool=Path())),
    "extractive": ExtractiveLane(Path()),
    "chat": Chat(),
}


@pytest.mark.parametrize("lane", LANES.values(), ids=LANES.keys())
@pytest.mark.parametrize("prompt", [PROMPT, PROMPT.as_repair()], ids=["plain", "repair"])
@settings(max_examples=25, deadline=None)
@given(parts=st.fixed_dictionaries({"text": TEXT, "metadata.subject": TEXT, "metadata.tenant": TEXT, "metadata.other": TEXT}))
def test_a_filling_is_what_the_lane_gives(lane: Any, prompt: Prompt, parts: dict[str, str]) -> None:
    moulds = Moulds(lane, prompt, CLOUD)
    row = canonical(lane.row(ROW, lane.body(prompt.fill(parts), prompt, CLOUD), CLOUD))
    assert moulds.payload(parts) == payload(lane, prompt, CLOUD, parts)
    assert moulds.row(ROW, parts) == row
    found = _mould(moulds, {slot for slot, text in parts.items() if text}).strings(row)
    assert found is not None
    assert found.pop(ROW_ID) == ROW
    assert found.items() <= parts.items()


def _mould(moulds: Moulds, slots: set[str]) -> Mould:
    mould = moulds.row_mould(slots)
    assert mould is not None
    return mould


ROWS = Moulds(LANES["openai"], PROMPT, CLOUD)
PARTS = {"text": "Ada Quill keeps bees.", "metadata.subject": "Bees"}
LINE = ROWS.row(ROW, PARTS)


def _changed(change: Any) -> bytes:
    tree = json.loads(LINE)
    change(tree)
    return canonical(tree)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(LINE.replace(b'"seed":0', b'"seed":0.0'), id="another number form"),
        pytest.param(LINE.replace(b'"seed":0', b'"seed": 0'), id="white space"),
        pytest.param(LINE.replace(b"Ada", b"\\u0041da", 1), id="an escape that needs not be"),
        pytest.param(LINE.replace(b"Ada Quill keeps bees.", b"Ada Quill keeps cats.", 1), id="a slot that differs from itself"),
        pytest.param(LINE.replace(b"Ada", b"\\ud83d"), id="half a pair"),
        pytest.param(LINE.replace(b"Ada", b"\xff"), id="no UTF-8"),
        pytest.param(LINE.replace(b'"Bees"', b'["Bees"]'), id="a list for a string"),
        pytest.param(LINE.replace(b'"Bees"', b"7"), id="a number for a string"),
        pytest.param(LINE + b" ", id="something behind"),
        pytest.param(LINE[:-1], id="cut off"),
        pytest.param(b"", id="nothing"),
        pytest.param(_changed(lambda tree: tree.update(extra=1)), id="a field more"),
        pytest.param(_changed(lambda tree: tree["body"].pop("seed")), id="a field less"),
        pytest.param(_changed(lambda tree: tree["body"].update(model="m-2")), id="another model"),
        pytest.param(_changed(lambda tree: tree["body"]["messages"][0]["content"].append({"type": "text", "text": "x"})), id="a part more"),
        pytest.param(ROWS.row(ROW, {"text": PARTS["text"]}), id="a slot less"),
    ],
)
def test_anything_else_is_not_read(line: bytes) -> None:
    mould = _mould(ROWS, set(PARTS))
    assert mould.strings(LINE) == {**PARTS, ROW_ID: ROW}
    assert mould.strings(line) is None


class Odd:
    """A lane that does something else with a string than to place it; in the body, or in the row."""

    def __init__(self, told: Any, *, row_id: Any = str) -> None:
        self._told, self._row_id = told, row_id

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> Tree:
        return {"parts": [self._told(part.text) if part.slot else part.text for message in messages for part in message.parts]}

    def row(self, row_id: str, body: Tree, endpoint: Endpoint) -> Tree:
        return {"id": self._row_id(row_id), "body": body}


@pytest.mark.parametrize(
    "lane",
    [
        pytest.param(Odd(str.upper), id="changes it"),
        pytest.param(Odd(lambda text: {"text": text, "length": len(text)}), id="tells its length"),
        pytest.param(Odd(lambda text: text[:9]), id="cuts it"),
        pytest.param(Odd(lambda text: f"<doc>{text}</doc>"), id="wraps it"),
        pytest.param(Odd(lambda text: {text: 1}), id="makes it a key"),
        pytest.param(Odd(lambda _: "lost"), id="loses it"),
        pytest.param(Odd(str, row_id=lambda row_id: row_id.replace("-", "")), id="writes row ids its own way"),
        pytest.param(Odd(str, row_id=lambda _: "row"), id="loses the row id"),
    ],
)
@pytest.mark.parametrize("parts", [PARTS, {"text": "a"}], ids=["two", "one"])
def test_an_odd_lane_has_no_mould_and_is_asked_each_time(lane: Odd, parts: Mapping[str, str]) -> None:
    moulds = Moulds(cast("Any", lane), PROMPT, CLOUD)
    body = lane.body(PROMPT.fill(parts), PROMPT, CLOUD)
    assert moulds.row_mould(parts.keys()) is None
    assert moulds.payload(parts) == canonical(body)
    assert moulds.row(ROW, parts) == canonical(lane.row(ROW, body, CLOUD))


def test_half_a_pair_cannot_be_filled_in() -> None:
    with pytest.raises(UnicodeEncodeError):
        ROWS.payload({"text": "half \ud83d"})
