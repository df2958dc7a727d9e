"""Requests of Message Batches: what is sent is what the SDK's own types describe, and a schema is said in the words that the API takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types import TextBlockParam, ToolParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import ConfigDict, TypeAdapter, with_config

from policies.model import Endpoint, Lane
from sinks.errors import EndpointError
from sinks.lanes.anthropic_body import check_settings, message_body
from sinks.lanes.anthropic_schema import taken
from sinks.request import SALT_ROLE, Message, Part, Prompt, TaskKind

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
