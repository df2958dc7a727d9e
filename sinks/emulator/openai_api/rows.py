"""Rows of a batch input file, and of its output and error file. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sinks.emulator.jobs import Tree
from sinks.emulator.openai_api.wire import error_body
from sinks.emulator.provider import Problem
from sinks.emulator.work import Ask, Kind, Reply, ResultRow, identity, json_line, positive

MAX_CUSTOM_ID = 64
_UNEXECUTED: dict[Kind, tuple[str, str]] = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}


def read_rows(content: bytes, *, endpoint: str, max_rows: int) -> tuple[list[Tree], list[Problem]]:
    """The rows of an input file, and what is wrong with it. A file with any problem is not run at all."""
    rows: list[Tree] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, line in enumerate((line for line in content.split(b"\n") if line.strip()), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(Problem(code="invalid_json_line", line=number, message="This line is not parseable as valid JSON."))
            continue
        if (problem := _row_problem(row, number, endpoint, seen)) is not None:
            problems.append(problem)
        else:
            seen.add(row["custom_id"])
            rows.append(row)
    if not rows and not problems:
        problems.append(Problem(code="empty_file", message="The input file is empty."))
    if len(rows) > max_rows:
        problems.append(Problem(code="too_many_tasks", message="The batch contains too many tasks."))
    if len({str(row["body"].get("model")) for row in rows}) > 1:
        problems.append(Problem(code="mismatched_model", message="All requests of a batch must use the same model."))
    return rows, problems


def _row_problem(row: object, number: int, endpoint: str, seen: set[str]) -> Problem | None:
    if not isinstance(row, dict) or not isinstance(row.get("body"), dict):
        return Problem(code="invalid_request", line=number, message="Each line must be an object with a `body` object.")
    custom_id = row.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID:
        return Problem(code="invalid_custom_id", line=number, message="`custom_id` must be a string of 1 to 64 characters.")
    if custom_id in seen:
        return Problem(code="duplicate_custom_id", line=number, message="The `custom_id` is used more than once.")
    if row.get("method") != "POST" or row.get("url") != endpoint:
        return Problem(code="mismatched_endpoint", line=number, message="`method` and `url` must match the batch's endpoint.")
    return None


def ask(body: Mapping[str, Any]) -> Ask:
    """What a chat completion asks for."""
    return Ask(
        spoken=tuple(_parts(body)),
        texts=tuple(_parts(body, last_user_only=False)),
        schema=_schema(body),
        max_tokens=positive(body.get("max_completion_tokens") or body.get("max_tokens")),
    )


def answered(row: Mapping[str, Any], found: Reply) -> ResultRow:
    """The line of a row that was run."""
    custom_id = row["custom_id"]
    if found.code is not None:
        kind = "server_error" if found.status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's own border
        body = error_body("The request could not be answered.", code=found.code, kind=kind)
        line = _line(custom_id, {"status_code": found.status, "request_id": identity("req_", custom_id), "body": body}, None)
        return ResultRow(row_id=custom_id, kind="errored", line=line)
    response = {"status_code": 200, "request_id": identity("req_", custom_id), "body": _completion(custom_id, row["body"], found)}
    return ResultRow(
        row_id=custom_id, kind="succeeded", line=_line(custom_id, response, None), tokens_in=found.tokens_in, tokens_out=found.tokens_out
    )


def unexecuted(row_id: str, kind: Kind) -> ResultRow:
    """The error row of a request that was never run: the batch expired or was cancelled."""
    code, message = _UNEXECUTED[kind]
    return ResultRow(row_id=row_id, kind=kind, line=_line(row_id, None, {"code": code, "message": message}))


def errored(row_id: str) -> ResultRow:
    """The error row of a request that broke."""
    return answered({"custom_id": row_id}, Reply(code="server_error", status=500))


def _completion(custom_id: str, body: Mapping[str, Any], found: Reply) -> Tree:
    from sinks.extraction.engine import VERSION  # noqa: PLC0415 - as in `work`

    message: Tree = {"role": "assistant", "content": found.content, "refusal": None, "annotations": []}
    return {
        "id": identity("chatcmpl-", custom_id),
        "object": "chat.completion",
        "created": 0,
        "model": str(body.get("model", "")),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "length" if found.cut else "stop"}],
        "usage": {
            "prompt_tokens": found.tokens_in,
            "completion_tokens": found.tokens_out,
            "total_tokens": found.tokens_in + found.tokens_out,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        },
        "system_fingerprint": f"emulator-{VERSION}",
    }


def _line(custom_id: str, response: Tree | None, error: Tree | None) -> bytes:
    return json_line({"id": identity("batch_req_", custom_id), "custom_id": custom_id, "response": response, "error": error})


def _parts(body: Mapping[str, Any], *, last_user_only: bool = True) -> list[str]:
    """The text parts of the last user message, or of all messages."""
    given = body.get("messages")
    messages = [message for message in given if isinstance(message, dict)] if isinstance(given, list) else []
    if last_user_only:
        messages = [message for message in messages if message.get("role") == "user"][-1:]
    texts: list[str] = []
    for message in messages:
        content = message.get("content")
        elements = content if isinstance(content, list) else [{"text": content}]
        texts.extend(element["text"] for element in elements if isinstance(element, dict) and isinstance(element.get("text"), str))
    return texts


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = body.get("response_format")
    if not isinstance(form, dict) or form.get("type") != "json_schema" or not isinstance(form.get("json_schema"), dict):
        return None
    schema = form["json_schema"].get("schema")
    return schema if isinstance(schema, dict) else None
