"""Records of a Bedrock batch: Anthropic's messages (InvokeModel) and Converse requests, and the lines of the output. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sinks.emulator.anthropic_api import messages
from sinks.emulator.jobs import Tree
from sinks.emulator.work import Ask, Reply, ResultRow, identity, json_line, positive
from sinks.extraction.units import count_tokens


def read_records(content: bytes) -> Iterator[Tree | None]:
    """The records of an input file; None for a line that is none. One without an id gets one, as from the service."""
    for number, line in enumerate((line for line in content.split(b"\n") if line.strip()), start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("modelInput"), dict):
            yield None
            continue
        if not isinstance(record.get("recordId"), str):
            record["recordId"] = identity("CALL", str(number), 7)
        yield record


def ask(record: Mapping[str, Any]) -> Ask:
    """What a record asks for."""
    body = record["modelInput"]
    if _is_message(body):
        return messages.ask(body)
    users = [one for one in _turns(body) if one.get("role") == "user"][-1:]
    config = body.get("inferenceConfig")
    return Ask(
        spoken=tuple(_texts([block for one in users for block in _content(one)])),
        texts=tuple(_texts(_blocks(body))),
        schema=_schema(body),
        max_tokens=positive(config.get("maxTokens")) if isinstance(config, dict) else positive(None),
    )


def answered(record: Mapping[str, Any], found: Reply, *, model: str, cached: set[str]) -> ResultRow:
    """The line of a record that was run."""
    body, row_id = record["modelInput"], record["recordId"]
    wrong = messages.problem(body, model_needed=False) if _is_message(body) else None
    if wrong is not None or found.code is not None:
        return errored(record, code=found.status if wrong is None and found.code is not None else 400)
    if _is_message(body):
        output = messages.answer(row_id, body, found, model=model, cached=cached, tier=None)
    else:
        output = _converse(body, found, cached)
    line = json_line({"modelInput": body, "modelOutput": output, "recordId": row_id})
    return ResultRow(row_id=row_id, kind="succeeded", line=line, tokens_in=found.tokens_in, tokens_out=found.tokens_out)


def errored(record: Mapping[str, Any], *, code: int = 500) -> ResultRow:
    """The line of a record that failed: `error` stands where the output would."""
    error = {"errorCode": code, "errorMessage": "bad request" if code < 500 else "Internal server error"}  # noqa: PLR2004 - HTTP's own border
    line = json_line({"modelInput": record.get("modelInput"), "error": error, "recordId": record["recordId"]})
    return ResultRow(row_id=record["recordId"], kind="errored", line=line)


def _is_message(body: Mapping[str, Any]) -> bool:
    return "anthropic_version" in body


def _converse(body: Mapping[str, Any], found: Reply, cached: set[str]) -> Tree:
    tool = _forced_tool(body) if _schema(body) is not None else None
    content: Tree = {"text": found.content}
    reason = "max_tokens" if found.cut else "end_turn"
    if tool is not None and not found.cut:
        content, reason = {"toolUse": {"toolUseId": "tooluse_1", "name": tool, "input": json.loads(found.content)}}, "tool_use"
    prefix = _cached_prefix(body)
    tokens = sum(count_tokens(text) for text in prefix)
    key = "\x00".join(prefix)
    read, written = (tokens, 0) if key in cached else (0, tokens)
    if prefix:
        cached.add(key)
    usage = {"inputTokens": found.tokens_in - tokens, "outputTokens": found.tokens_out, "totalTokens": found.tokens_in + found.tokens_out}
    if prefix:
        usage |= {"cacheReadInputTokens": read, "cacheWriteInputTokens": written}
    message = {"role": "assistant", "content": [content]}
    return {"output": {"message": message}, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 1}}


def _turns(body: Mapping[str, Any]) -> list[Tree]:
    given = body.get("messages")
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _content(turn: Mapping[str, Any]) -> list[Tree]:
    content = turn.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _blocks(body: Mapping[str, Any]) -> list[Tree]:
    return [*_content({"content": body.get("system")}), *(block for turn in _turns(body) for block in _content(turn))]


def _texts(blocks: list[Tree]) -> list[str]:
    return [block["text"] for block in blocks if isinstance(block.get("text"), str)]


def _cached_prefix(body: Mapping[str, Any]) -> list[str]:
    """The texts before the last cache point."""
    blocks = _blocks(body)
    last = max((index for index, block in enumerate(blocks) if "cachePoint" in block), default=0)
    return _texts(blocks[:last])


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of a structured output, which is a JSON text, or of the tool that must be used."""
    try:
        text = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
        schema = json.loads(text)
    except (KeyError, TypeError, ValueError):
        tools = body.get("toolConfig", {}).get("tools", ()) if _forced_tool(body) is not None else ()
        specs = [tool["toolSpec"] for tool in tools if isinstance(tool, dict) and isinstance(tool.get("toolSpec"), dict)]
        schema = next((spec.get("inputSchema", {}).get("json") for spec in specs if spec.get("name") == _forced_tool(body)), None)
    return schema if isinstance(schema, dict) else None


def _forced_tool(body: Mapping[str, Any]) -> str | None:
    try:
        return str(body["toolConfig"]["toolChoice"]["tool"]["name"])
    except (KeyError, TypeError):
        return None
