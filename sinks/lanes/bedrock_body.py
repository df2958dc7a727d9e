"""What Bedrock is asked: a Converse request, or an Anthropic message for InvokeModel. Pure and deterministic.

Every part becomes a content block of its own, so that the gate can compare it with what was scanned (invariant 2). Only what all
requests begin with is ever cached: template constants, never a record's part.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from policies.model import Endpoint
from sinks.lanes.anthropic_body import EXTRACTION
from sinks.lanes.anthropic_schema import taken
from sinks.lanes.bedrock_settings import INVOKE, JSON_SCHEMA, NONE, TOOL, cache_of, invocation_of, sends_temperature, structure_of
from sinks.request import Message, Part, Prompt, TaskKind, spoken

ANTHROPIC_VERSION = "bedrock-2023-05-31"
SYSTEM = "system"

BLANK = "\n---\n"
"""What stands for a constant of white space alone, which both forms refuse as a block: it keeps two parts of a record apart."""

_MOST_TEMPERATURE = 1.0  # of both forms; the local engines know more

Turn = tuple[str, list[Part]]


def bedrock_body(messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    """The `modelInput` of one row, in the form that the endpoint's `invocation` asks for."""
    turns = _turns(messages)
    system = [part for role, parts in turns if role == SYSTEM for part in parts]
    said = [(role, parts) for role, parts in turns if role != SYSTEM]
    cached = _common(system, said) if cache_of(endpoint) is not None else None
    write = _invoke if invocation_of(endpoint) == INVOKE else _converse
    return write(system, said, cached, prompt, endpoint)


def _converse(system: Sequence[Part], said: Sequence[Turn], cached: Part | None, prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    def blocks(parts: Sequence[Part]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for part in parts:
            found.append({"text": _visible(part)})
            if part is cached:
                found.append({"cachePoint": {"type": "default", **(cache_of(endpoint) or {})}})
        return found

    body: dict[str, Any] = {
        "messages": [{"role": role, "content": blocks(parts)} for role, parts in said],
        "inferenceConfig": {"maxTokens": prompt.max_tokens, **_temperature(prompt, endpoint)},
    }
    if system:
        body["system"] = blocks(system)
    if prompt.schema is not None and _structure(prompt, endpoint) == JSON_SCHEMA:
        schema = {"name": EXTRACTION, "schema": json.dumps(taken(prompt.schema), ensure_ascii=False, sort_keys=True)}
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    return body


def _invoke(system: Sequence[Part], said: Sequence[Turn], cached: Part | None, prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    def blocks(parts: Sequence[Part]) -> list[dict[str, Any]]:
        kept = {"cache_control": {"type": "ephemeral", **(cache_of(endpoint) or {})}}
        return [{"type": "text", "text": _visible(part), **(kept if part is cached else {})} for part in parts]

    body: dict[str, Any] = {
        "anthropic_version": ANTHROPIC_VERSION,
        "max_tokens": prompt.max_tokens,
        **_temperature(prompt, endpoint),
        "messages": [{"role": role, "content": blocks(parts)} for role, parts in said],
    }
    if system:
        body["system"] = blocks(system)
    structure = _structure(prompt, endpoint)
    if prompt.schema is not None and structure == JSON_SCHEMA:
        body["output_config"] = {"format": {"type": "json_schema", "schema": taken(prompt.schema)}}
    if prompt.schema is not None and structure == TOOL:
        body["tools"] = [
            {
                "name": EXTRACTION,
                "description": "Records what was extracted.",
                "input_schema": {key: value for key, value in prompt.schema.items() if key != "$schema"},
            }
        ]
        body["tool_choice"] = {"type": "tool", "name": EXTRACTION}
    return body


def _turns(messages: Sequence[Message]) -> list[Turn]:
    """Messages with neighbours of one role put together: both forms want roles to take turns."""
    turns: list[Turn] = []
    for message in spoken(messages):
        if turns and turns[-1][0] == message.role:
            turns[-1][1].extend(message.parts)
        else:
            turns.append((message.role, list(message.parts)))
    return turns


def _common(system: Sequence[Part], said: Sequence[Turn]) -> Part | None:
    """The last of the constants that every request begins with."""
    last = None
    for part in [*system, *(said[0][1] if said else ())]:
        if part.slot is not None:
            return last
        last = part
    return last


def _visible(part: Part) -> str:
    return BLANK if part.slot is None and not part.text.strip() else part.text


def _structure(prompt: Prompt, endpoint: Endpoint) -> str:
    return structure_of(endpoint) if prompt.kind is TaskKind.EXTRACT else NONE


def _temperature(prompt: Prompt, endpoint: Endpoint) -> dict[str, float]:
    return {"temperature": min(prompt.temperature, _MOST_TEMPERATURE)} if sends_temperature(endpoint) else {}
