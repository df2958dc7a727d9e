"""One row of a batch input file → one row of its output or error file, by the extraction engine. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sinks.emulator.wire import CHAT_URL, Tree, error_body
from sinks.extraction import engine
from sinks.extraction.units import count_tokens

FINGERPRINT = f"emulator-{engine.VERSION}"
DEFAULT_MAX_TOKENS = 512
MAX_CUSTOM_ID = 64
EXPIRED = ("batch_expired", "This request could not be executed before the completion window expired.")
CANCELLED = ("batch_cancelled", "This request was not executed because the batch was cancelled.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRow:
    """A line for the output file (`ok`) or the error file, and the tokens that it is charged for."""

    custom_id: str
    ok: bool
    line: bytes = field(repr=False)
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """Why an input file cannot be run."""

    code: str
    line: int
    message: str


def read_rows(content: bytes, *, endpoint: str, max_rows: int) -> tuple[list[Tree], list[RowProblem]]:
    """The rows of an input file, and what is wrong with it. A file with any problem is not run at all."""
    rows: list[Tree] = []
    problems: list[RowProblem] = []
    seen: set[str] = set()
    for number, line in enumerate((line for line in content.split(b"\n") if line.strip()), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(RowProblem(code="invalid_json_line", line=number, message="This line is not parseable as valid JSON."))
            continue
        if (problem := _row_problem(row, number, endpoint, seen)) is not None:
            problems.append(problem)
        else:
            seen.add(row["custom_id"])
            rows.append(row)
    if not rows and not problems:
        problems.append(RowProblem(code="empty_file", line=0, message="The input file is empty."))
    if len(rows) > max_rows:
        problems.append(RowProblem(code="too_many_tasks", line=0, message="The batch contains too many tasks."))
    if len({row["body"].get("model") for row in rows}) > 1:
        problems.append(RowProblem(code="mismatched_model", line=0, message="All requests of a batch must use the same model."))
    return rows, problems


def _row_problem(row: object, number: int, endpoint: str, seen: set[str]) -> RowProblem | None:
    if not isinstance(row, dict) or not isinstance(row.get("body"), dict):
        return RowProblem(code="invalid_request", line=number, message="Each line must be an object with a `body` object.")
    custom_id = row.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID:
        return RowProblem(code="invalid_custom_id", line=number, message="`custom_id` must be a string of 1 to 64 characters.")
    if custom_id in seen:
        return RowProblem(code="duplicate_custom_id", line=number, message="The `custom_id` is used more than once.")
    if row.get("method") != "POST" or row.get("url") != endpoint:
        return RowProblem(code="mismatched_endpoint", line=number, message="`method` and `url` must match the batch's endpoint.")
    return None


def constants(rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Text parts that every row has: the template's. With one row nothing can be told apart."""
    if len(rows) < 2:  # noqa: PLR2004 - the smallest number that has something in common
        return frozenset()
    common = set(_parts(rows[0]["body"]))
    for row in rows[1:]:
        common.intersection_update(_parts(row["body"]))
    return frozenset(common)


def answer_row(row: Mapping[str, Any], template: frozenset[str] = frozenset()) -> AnsweredRow:
    """The answer to one row. The document is the longest part of the last user message that is not the template's."""
    body = row["body"]
    parts = _parts(body)
    document = max([part for part in parts if part not in template] or parts, key=len, default="")
    if row["url"] != CHAT_URL or not document.strip():
        return _refused(row["custom_id"], 400, "invalid_request", "There is no text in the last user message.")
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or DEFAULT_MAX_TOKENS
    try:
        answer = engine.answer(schema=_schema(body), max_tokens=int(limit), parts={"text": document})
    except Exception:  # noqa: BLE001 - a provider answers 500 for the row that broke it and goes on; the message could quote the text
        return _refused(row["custom_id"], 500, "server_error", "The server had an error while processing the request.")
    if answer.error_code is not None and answer.finish_reason != "length":
        return _refused(row["custom_id"], 400, answer.error_code, "The request could not be answered.")
    content = answer.output if answer.output is not None else "{"  # an answer that was cut at its limit
    tokens_in = sum(count_tokens(text) for text in _parts(body, last_user_only=False))
    completion = _completion(row["custom_id"], body, content, finish=answer.finish_reason, tokens=(tokens_in, answer.tokens_out))
    line = _line(row["custom_id"], {"status_code": 200, "request_id": _id("req", row["custom_id"]), "body": completion}, None)
    return AnsweredRow(custom_id=row["custom_id"], ok=True, line=line, tokens_in=tokens_in, tokens_out=answer.tokens_out)


def unexecuted_row(row: Mapping[str, Any], reason: tuple[str, str]) -> AnsweredRow:
    """The error row of a request that was never run: the batch expired or was cancelled."""
    code, message = reason
    return AnsweredRow(custom_id=row["custom_id"], ok=False, line=_line(row["custom_id"], None, {"code": code, "message": message}))


def shuffled(answered: Sequence[AnsweredRow]) -> list[AnsweredRow]:
    """The rows in an order that has nothing to do with the input's, and is the same each time: the API promises none."""
    return sorted(answered, key=lambda row: hashlib.sha256(row.custom_id.encode()).digest())


def _refused(custom_id: str, status: int, code: str, message: str) -> AnsweredRow:
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's own border
    response = {"status_code": status, "request_id": _id("req", custom_id), "body": error_body(message, code=code, kind=kind)}
    return AnsweredRow(custom_id=custom_id, ok=False, line=_line(custom_id, response, None))


def _completion(custom_id: str, body: Mapping[str, Any], content: str, *, finish: str | None, tokens: tuple[int, int]) -> Tree:
    tokens_in, tokens_out = tokens
    message: Tree = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    return {
        "id": _id("chatcmpl", custom_id),
        "object": "chat.completion",
        "created": 0,
        "model": str(body.get("model", "")),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish or "stop"}],
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
        "system_fingerprint": FINGERPRINT,
    }


def _line(custom_id: str, response: Tree | None, error: Tree | None) -> bytes:
    row = {"id": _id("batch_req", custom_id), "custom_id": custom_id, "response": response, "error": error}
    return json.dumps(row).encode() + b"\n"


def _parts(body: Mapping[str, Any], *, last_user_only: bool = True) -> list[str]:
    """The text parts of the last user message, or of all messages."""
    messages = [message for message in body.get("messages", ()) if isinstance(message, dict)]
    if last_user_only:
        messages = [message for message in messages if message.get("role") == "user"][-1:]
    texts: list[str] = []
    for message in messages:
        content = message.get("content")
        elements = content if isinstance(content, list) else [{"text": content}]
        texts.extend(element["text"] for element in elements if isinstance(element, dict) and isinstance(element.get("text"), str))
    return texts


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    response_format = body.get("response_format")
    if not isinstance(response_format, dict) or response_format.get("type") != "json_schema":
        return None
    schema: Mapping[str, Any] = response_format["json_schema"]["schema"]
    return schema


def _id(prefix: str, custom_id: str) -> str:
    return f"{prefix}_{hashlib.sha256(custom_id.encode()).hexdigest()[:24]}"
