"""A request to Anthropic's Messages API, and the answer to it: in batches of Anthropic's and, with InvokeModel, of Bedrock's. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sinks.emulator.anthropic_api.wire import message
from sinks.emulator.jobs import Tree
from sinks.emulator.work import Ask, Reply, identity, positive
from sinks.extraction.units import count_tokens

_NO_SAMPLING = "2026-10-21"
"""The version of the API from which on a request must not say how to sample."""

_SAMPLING = ("temperature", "top_p", "top_k")


def problem(params: Mapping[str, Any], *, version: str = "", model_needed: bool = True) -> str | None:
    """What the API, in this version, would say about a request that it cannot run."""
    sampling = [name for name in _SAMPLING if name in params]
    if version >= _NO_SAMPLING and sampling:
        return f"{sampling[0]}: Extra inputs are not permitted"
    if model_needed and not isinstance(params.get("model"), str):
        return "model: Field required"
    if positive(params.get("max_tokens"), 0) == 0:
        return "max_tokens: Input should be a positive integer"
    messages = params.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        return "messages: Input should be a non-empty list of messages"
    if any(one.get("role") not in {"user", "assistant"} for one in messages):
        return "messages: the role should be 'user' or 'assistant'"
    return None


def ask(params: Mapping[str, Any]) -> Ask:
    """What a request asks for."""
    messages = [one for one in params.get("messages") or () if isinstance(one, dict)]
    users = [one for one in messages if one.get("role") == "user"][-1:]
    return Ask(
        spoken=tuple(text for one in users for text, _ in _blocks(one.get("content"))),
        texts=(
            *(text for text, _ in _blocks(params.get("system"))),
            *(text for one in messages for text, _ in _blocks(one.get("content"))),
        ),
        schema=_schema(params),
        max_tokens=positive(params.get("max_tokens")),
    )


def answer(row_id: str, params: Mapping[str, Any], found: Reply, *, model: str, cached: set[str], tier: str | None = "batch") -> Tree:
    """The finished message. cached: the prompt prefixes that earlier rows wrote; this one's is added."""
    tool = _forced_tool(params) if _schema(params) is not None else None
    content: list[Tree] = [{"type": "text", "text": found.content, "citations": None}]
    reason = "max_tokens" if found.cut else "end_turn"
    if tool is not None and not found.cut:
        content = [{"type": "tool_use", "id": identity("toolu_", row_id), "name": tool, "input": json.loads(found.content)}]
        reason = "tool_use"
    prefix = _cached_prefix(params)
    tokens = sum(count_tokens(text) for text in prefix)
    key = "\x00".join(prefix)
    read, written = (tokens, 0) if key in cached else (0, tokens)
    if prefix:
        cached.add(key)
    counts = {"input": found.tokens_in - tokens, "output": found.tokens_out, "cache_read": read, "cache_write": written}
    return message(identity("msg_", row_id), model=model, content=content, stop_reason=reason, tokens=counts, tier=tier)


def _blocks(content: object) -> Iterator[tuple[str, bool]]:
    """The texts of a content, and whether a prompt cache ends at each."""
    if isinstance(content, str):
        yield content, False
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, dict) and isinstance(block.get("text"), str):
                yield block["text"], bool(block.get("cache_control"))


def _cached_prefix(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts up to the last one that is marked for the cache."""
    messages = [one for one in params.get("messages") or () if isinstance(one, dict)]
    blocks = [*_blocks(params.get("system")), *(block for one in messages for block in _blocks(one.get("content")))]
    last = max((index for index, (_, marked) in enumerate(blocks) if marked), default=-1)
    return tuple(text for text, _ in blocks[: last + 1])


def _schema(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of a structured output, or of the tool that must be used."""
    config = params.get("output_config")
    form = config.get("format") if isinstance(config, dict) else params.get("output_format")
    if isinstance(form, dict) and form.get("type") == "json_schema" and isinstance(form.get("schema"), dict):
        schema: Mapping[str, Any] = form["schema"]
        return schema
    tool = _forced_tool(params)
    found = next((one.get("input_schema") for one in params.get("tools") or () if isinstance(one, dict) and one.get("name") == tool), None)
    return found if tool is not None and isinstance(found, dict) else None


def _forced_tool(params: Mapping[str, Any]) -> str | None:
    choice = params.get("tool_choice")
    return str(choice.get("name")) if isinstance(choice, dict) and choice.get("type") == "tool" else None
