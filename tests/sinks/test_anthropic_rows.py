"""Requests and results of Message Batches: what is sent is what the SDK's own types describe, and whatever comes back is judged."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types import TextBlockParam, ToolParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.messages import MessageBatchIndividualResponse
from pydantic import ConfigDict, TypeAdapter, with_config

from policies.model import Endpoint, Lane
from sinks.answers import sort_out
from sinks.errors import EndpointError
from sinks.lanes.anthropic_body import check_settings, message_body
from sinks.lanes.anthropic_rows import read_row, read_rows
from sinks.lanes.anthropic_schema import taken
from sinks.lanes.reported import refuse_markup
from sinks.request import SALT_ROLE, Message, Part, Prompt, TaskKind
from sinks.shard import LaneResult

ENDPOINT = Endpoint(
    name="claude", lane=Lane.CLOUD, engine="anthropic_batch", provider="anthropic", model="claude-test", base_url="https://api.invalid"
)
PROMPT = Prompt(
    kind=TaskKind.SUMMARIZE,
    messages=(
        Message(role="system", parts=(Part(text="Summarize in two sentences."),)),
        Message(role="user", parts=(Part(text="Subject: "), Part(slot="metadata.subject"), Part(text="\n\n"), Part(slot="text"))),
    ),
    max_tokens=100,
)
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["kind"],
    "properties": {
        "kind": {"enum": ["letter", "memo"], "description": "What it is."},
        "title": {"type": "string", "maxLength": 200, "format": "idn-email"},
        "date": {"type": ["string", "null"], "format": "date", "description": "The day."},
        "sums": {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2},
        "who": {"oneOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
    },
    "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
EXTRACT = replace(PROMPT, kind=TaskKind.EXTRACT, schema=SCHEMA)
PARTS = {"text": "Ada Quill keeps bees.", "metadata.subject": "Bees"}


def body(prompt: Prompt = PROMPT, parts: Mapping[str, str] = PARTS, **settings: Any) -> dict[str, Any]:
    return message_body(prompt.fill(parts), prompt, replace(ENDPOINT, settings=settings))


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def as_the_sdk_describes(params: dict[str, Any]) -> None:
    """Every field is one that the SDK has, and each value has its type; what its types leave unread in lists is looked at too."""
    blocks = [*params.get("system", ()), *(block for message in params["messages"] for block in message["content"])]
    described = [(MessageCreateParamsNonStreaming, params), *((TextBlockParam, block) for block in blocks)]
    described += [(ToolParam, tool) for tool in params.get("tools", ())]
    for kind, value in described:
        TypeAdapter(with_config(ConfigDict(extra="forbid"))(kind)).validate_python(value)


def test_every_part_is_a_block_of_its_own_and_white_space_alone_is_none() -> None:
    assert body() == {
        "model": "claude-test",
        "max_tokens": 100,
        "system": [text("Summarize in two sentences.")],
        "messages": [{"role": "user", "content": [text("Subject: "), text("Bees"), text("Ada Quill keeps bees.")]}],
    }


@pytest.mark.parametrize(
    ("settings", "added"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"api_version": "2023-06-01"}, {"temperature": 0.0}, id="a version with temperature"),
        pytest.param({"thinking": "disabled"}, {"thinking": {"type": "disabled"}}, id="thinking"),
        pytest.param({"effort": "low"}, {"output_config": {"effort": "low"}}, id="effort"),
    ],
)
def test_settings_add_what_they_say_and_nothing_else(settings: dict[str, Any], added: dict[str, Any]) -> None:
    assert body(**settings) == {**body(), **added}


@pytest.mark.parametrize(
    ("prompt", "settings"),
    [
        pytest.param(PROMPT, {}, id="plain"),
        pytest.param(PROMPT, {"prompt_cache": True, "thinking": "adaptive", "effort": "max"}, id="everything"),
        pytest.param(EXTRACT, {}, id="schema"),
        pytest.param(EXTRACT, {"structured_output": "tool"}, id="tool"),
        pytest.param(replace(PROMPT, messages=PROMPT.messages[1:]), {"prompt_cache": True}, id="without system"),
    ],
)
def test_a_request_is_one_of_the_sdk(prompt: Prompt, settings: dict[str, Any]) -> None:
    as_the_sdk_describes(body(prompt, **settings))


def test_a_misspelt_parameter_would_not_pass_for_one_of_the_sdk() -> None:
    with pytest.raises(ValueError, match="temperatur"):
        as_the_sdk_describes({**body(), "temperatur": 0})


MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


@pytest.mark.parametrize("parts", [PARTS, {"text": "No subject here."}], ids=["all slots", "a slot absent"])
def test_the_cached_prefix_ends_before_the_first_word_of_a_record(parts: dict[str, str]) -> None:
    cached = body(parts=parts, prompt_cache=True)
    assert cached["system"] == [text("Summarize in two sentences.")]
    assert cached["messages"][0]["content"][0] == text("Subject: ", **MARK)
    assert json.dumps(cached).count("cache_control") == 1


def test_without_a_constant_before_the_record_nothing_is_cached() -> None:
    bare = replace(
        PROMPT,
        messages=(
            Message(
                role="user",
                parts=(Part(slot="text"), Part(text="Summarize.")),
            ),
        ),
    )
    assert "cache_control" not in json.dumps(body(bare, prompt_cache=True))


def test_the_prefix_is_the_one_that_the_provider_reads_first() -> None:
    turned = replace(PROMPT, messages=PROMPT.messages[::-1])  # the system message goes first whatever the template's order
    cached = body(turned, prompt_cache=True)
    assert cached["messages"][0]["content"][0] == text("Subject: ", **MARK)


def test_a_salt_is_no_part_of_a_request() -> None:
    salted = replace(PROMPT, salt_slot="metadata.matter")
    messages = salted.fill({**PARTS, "metadata.matter": "M-7"})
    assert messages[-1].role == SALT_ROLE
    assert "M-7" not in json.dumps(message_body(messages, salted, ENDPOINT))


def test_a_schema_is_said_in_the_keywords_that_the_api_takes() -> None:
    assert taken(SCHEMA) == {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind"],
        "properties": {
            "kind": {"enum": ["letter", "memo"], "description": "What it is."},
            "title": {"type": "string", "description": '(maxLength: 200, format: "idn-email")'},
            "date": {"description": "The day.", "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "sums": {"type": "array", "items": {"type": "number", "description": "(minimum: 0)"}, "description": "(minItems: 2)"},
            "who": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
        },
        "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False}},
    }
    assert body(EXTRACT)["output_config"] == {"format": {"type": "json_schema", "schema": taken(SCHEMA)}}


def test_an_older_model_is_given_the_whole_schema_as_a_tool() -> None:
    asked = body(EXTRACT, structured_output="tool")
    assert asked["tool_choice"] == {"type": "tool", "name": asked["tools"][0]["name"]}
    assert asked["tools"][0]["input_schema"] == {key: value for key, value in SCHEMA.items() if key != "$schema"}
    assert "output_config" not in asked


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"structured_output": "yaml"}},
        {"settings": {"thinking": "enabled"}},
        {"settings": {"effort": 3}},
        {"settings": {"api_version": "latest"}},
        {"settings": {"prompt_cache": "1h"}},
        {"base_url": "https://api.invalid/v1/"},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_said(changes: dict[str, Any]) -> None:
    with pytest.raises(EndpointError, match="registry"):
        check_settings(replace(ENDPOINT, **changes))
    check_settings(ENDPOINT)


USAGE = {"input_tokens": 11, "output_tokens": 7}


def message(*content: dict[str, Any], stop: Any = "end_turn", usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    plain = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "stop_sequence": None}
    return {**plain, "content": list(content), "stop_reason": stop, "usage": usage, **more}


def line(result: Any, row_id: Any = "abc-000000") -> bytes:
    return json.dumps({"custom_id": row_id, "result": result}).encode()


def succeeded(*content: dict[str, Any], **more: Any) -> bytes:
    """A line of the SDK's own form."""
    made = line({"type": "succeeded", "message": message(*content, **more)})
    MessageBatchIndividualResponse.model_validate_json(made)
    return made


def errored(kind: str, words: str = "m") -> bytes:
    made = line({"type": "errored", "error": {"type": "error", "request_id": "r", "error": {"type": kind, "message": words}}})
    MessageBatchIndividualResponse.model_validate_json(made)
    return made


def test_a_plain_answer_is_read_in_full() -> None:
    result = read_row(succeeded(text("A summary.")), asked="claude-test")
    assert (result.row_id, result.output, result.error_code, result.finish_reason) == ("abc-000000", "A summary.", None, "end_turn")
    assert (result.model, result.tokens_in, result.tokens_out) == ("claude-test", 11, 7)
    assert (result.tokens_cached, result.tokens_cache_written, result.tokens_cache_written_1h) == (None, None, None)


@pytest.mark.parametrize(
    ("breakdown", "hour"),
    [({"cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600}}, 600), ({}, 1000)],
    ids=["broken down", "as asked for"],
)
def test_tokens_in_are_all_that_is_billed(breakdown: dict[str, Any], hour: int) -> None:
    usage = {**USAGE, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 1000, **breakdown}
    result = read_row(succeeded(text("ok"), usage=usage))
    counts = (result.tokens_in, result.tokens_cached, result.tokens_cache_written, result.tokens_cache_written_1h)
    assert counts == (1111, 100, 1000, hour)


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": -1, "output_tokens": True}, {"input_tokens": "7"}, [1]], ids=str)
def test_absent_or_absurd_usage_is_unknown(usage: Any) -> None:
    result = read_row(line({"type": "succeeded", "message": message(text("ok"), usage=usage)}))
    assert (result.output, result.tokens_in, result.tokens_out) == ("ok", None, None)


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ("end_turn", None),
        ("stop_sequence", None),
        ("max_tokens", "max_tokens"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "prompt_too_long"),
        ("pause_turn", "provider_error"),
    ],
)
def test_only_a_whole_answer_is_a_result(stop: str, code: str | None) -> None:
    result = read_row(succeeded(text("Half of"), stop=stop))
    assert (result.error_code, result.finish_reason) == (code, stop)
    assert result.output == (None if code else "Half of")
    assert (result.tokens_in, result.tokens_out) == (11, 7)  # paid for all the same


@pytest.mark.parametrize(
    ("stop", "finish", "code"), [("bored", "other", "provider_error"), (7, "other", "provider_error"), (None, None, None)]
)
def test_a_reason_nobody_knows_is_no_reason_to_believe_it_whole(stop: Any, finish: str | None, code: str | None) -> None:
    result = read_row(line({"type": "succeeded", "message": message(text("Said."), stop=stop)}))
    assert (result.finish_reason, result.error_code) == (finish, code)


@pytest.mark.parametrize(
    ("blocks", "output"),
    [
        pytest.param([text("One, "), text("two.")], "One, two.", id="two texts"),
        pytest.param([{"type": "thinking", "thinking": "Hm.", "signature": "s"}, text("Said.")], "Said.", id="thinking is not said"),
        pytest.param(
            [text("Here:"), {"type": "tool_use", "id": "t", "name": "extraction", "input": {"kind": "é"}}], '{"kind": "é"}', id="tool"
        ),
        pytest.param([], None, id="nothing"),
        pytest.param([text(" \n")], None, id="white space"),
    ],
)
def test_what_the_model_said(blocks: list[dict[str, Any]], output: str | None) -> None:
    result = read_row(succeeded(*blocks, stop="tool_use" if len(blocks) > 1 and "input" in blocks[1] else "end_turn"))
    assert (result.output, result.error_code) == (output, None if output else "empty_output")


@pytest.mark.parametrize("content", [None, "text", [None, 3, {"type": "text", "text": 5}, {"type": "new_kind"}]], ids=str)
def test_content_in_another_form_is_empty(content: Any) -> None:
    assert read_row(line({"type": "succeeded", "message": {**message(), "content": content}})).error_code == "empty_output"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("invalid_request_error", "bad_request"),
        ("authentication_error", "bad_request"),
        ("permission_error", "bad_request"),
        ("not_found_error", "bad_request"),
        ("rate_limit_error", "rate_limited"),
        ("billing_error", "provider_unavailable"),
        ("timeout_error", "provider_unavailable"),
        ("api_error", "provider_unavailable"),
        ("overloaded_error", "provider_unavailable"),
    ],
)
def test_a_row_that_failed_has_our_code(kind: str, code: str) -> None:
    result = read_row(errored(kind, "quoted document"))
    assert (result.error_code, result.output, result.tokens_in, result.tokens_out) == (code, None, 0, 0)  # it is not billed
    assert "quoted" not in repr(result)


@pytest.mark.parametrize("words", ["prompt is too long: 250000 tokens > 200000 maximum", "input exceeds the context window"])
def test_a_prompt_that_is_too_long_is_told_apart(words: str) -> None:
    assert read_row(errored("invalid_request_error", words)).error_code == "prompt_too_long"
    assert read_row(errored("overloaded_error", words)).error_code == "provider_unavailable"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"type": "canceled"}, "batch_cancelled"),
        ({"type": "expired"}, "batch_expired"),
        ({"type": "deferred"}, "provider_error"),
        ({"type": ["canceled"]}, "provider_error"),
        ({}, "provider_error"),
        (None, "provider_error"),
        ({"type": "errored", "error": {"type": "overloaded_error"}}, "provider_unavailable"),
        ({"type": "errored", "error": "words"}, "provider_error"),
        ({"type": "succeeded"}, "empty_output"),
    ],
    ids=str,
)
def test_rows_that_were_never_run_and_kinds_nobody_knows(result: Any, code: str) -> None:
    assert read_row(line(result)).error_code == code


@pytest.mark.parametrize(
    "torn", [b'{"custom_id": "abc-0', b"[]", b"null", b"{}", b'{"custom_id": 7}', b"\xff\xfe", b"[" * 100_000], ids=len
)
def test_a_line_that_cannot_be_read_has_no_row(torn: bytes) -> None:
    assert read_row(torn) == LaneResult(row_id="", error_code="torn_line")


def test_a_file_with_everything_in_it_is_sorted_out() -> None:
    one = succeeded(text("First\u2028line."))
    two = line({"type": "succeeded", "message": message(text("Second."))}, "abc-000001")
    changed = line({"type": "succeeded", "message": message(text("Another."))}, "abc-000001")
    stranger = line({"type": "expired"}, "zzz-000000")
    three = line({"type": "canceled"}, "abc-000002")
    file = io.BytesIO(b"\xef\xbb\xbf" + b"\r\n".join([three, stranger, two, changed, one, one, b"", one[:40]]))
    answers = sort_out(read_rows(file), ["abc-000000", "abc-000001", "abc-000002", "abc-000003"], PROMPT)
    assert {row_id: result.output for row_id, result in answers.answered.items()} == {"abc-000000": "First\u2028line."}
    assert answers.missing == {"abc-000001": "conflicting_rows", "abc-000002": "batch_cancelled", "abc-000003": "missing_row"}
    assert answers.strays == {"unknown_row": 1, "torn_line": 1}


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"\xef\xbb\xbf\r\n <!DOCTYPE html>"])
def test_a_page_is_no_file_of_results(page: bytes) -> None:
    with pytest.raises(EndpointError, match="a page came"):
        refuse_markup(io.BytesIO(page), "claude")


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\n"])
def test_anything_else_is_read_from_its_beginning(content: bytes) -> None:
    file = io.BytesIO(content)
    refuse_markup(file, "claude")
    assert file.read() == content
