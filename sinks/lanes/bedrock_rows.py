"""Rows of Bedrock's batch files: bytes in, `LaneResult` out. Pure.

A line repeats the input, which is not looked at. `error` stands in the place of `modelOutput` where the model gave none. Accepted too: a
byte order mark, CRLF, a number as text, fields that nobody knows. What cannot be read becomes a code, and no message quotes a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sinks.lanes.anthropic_rows import read_message
from sinks.lanes.reported import TORN_LINE, mapping, result_lines, result_tree, says_something, token_count, unpacked
from sinks.shard import LaneResult

# The documentation calls a record id alphanumeric: our row ids, without their hyphen.
_RECORD_ID = re.compile(r"([0-9a-f]{12})([0-9]{6})")

# Why a model stopped, in the words of Converse. None: by itself, so that what it said is whole.
_STOPS: Mapping[str, str | None] = {
    "end_turn": None,
    "stop_sequence": None,
    "max_tokens": "max_tokens",  # half an answer is not an answer
    "model_context_window_exceeded": "prompt_too_long",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "refusal",
    "tool_use": "provider_error",  # there are no tools in a batch of Converse
    "malformed_model_output": "provider_error",
    "malformed_tool_use": "provider_error",
}
# What stands in a row's error: a status, or the name of an exception of the runtime.
_ERRORS: Mapping[str, str] = {
    "AccessDeniedException": "bad_request",
    "InternalServerException": "provider_unavailable",
    "ModelErrorException": "provider_error",
    "ModelNotReadyException": "provider_unavailable",
    "ModelTimeoutException": "provider_unavailable",
    "ServiceQuotaExceededException": "rate_limited",
    "ServiceUnavailableException": "provider_unavailable",
    "ThrottlingException": "rate_limited",
    "ValidationException": "bad_request",
}
_CLIENT_ERROR, _REQUEST_TIMEOUT, _TOO_MANY_REQUESTS, _SERVER_ERROR = 400, 408, 429, 500
_LENGTH = ("too long", "too many input tokens", "context length", "context window", "maximum number of tokens", "exceeds the maximum")


def record_id_of(row_id: str) -> str:
    """The record id that stands for a row in the file."""
    return row_id.replace("-", "")


def read_rows(lines: Iterable[bytes], *, model: str) -> Iterator[LaneResult]:
    """One result per line. A line without a readable id has an empty row id.

    model: the one that the job was made for; answers do not always name theirs, and it is all that ran.
    """
    for line in result_lines(lines):
        yield read_row(line, model=model)


def read_row(line: bytes, *, model: str) -> LaneResult:
    """The result of one line. model: as in `read_rows`."""
    found = result_tree(line, "recordId")
    if found is None:
        return LaneResult(row_id="", error_code=TORN_LINE)
    record_id, tree = found
    ours = _RECORD_ID.fullmatch(record_id)
    row_id = f"{ours[1]}-{ours[2]}" if ours else record_id
    output = unpacked(tree.get("modelOutput"))
    if says_something(tree.get("error")) or not output:
        return LaneResult(row_id=row_id, error_code=_error_code(mapping(tree.get("error"))), model=model)
    return _answered(row_id, output, model)


def read_manifest(content: bytes) -> tuple[int | None, int | None, int | None]:
    """How many records a job had, did and failed, from its manifest; None for what it does not say."""
    try:
        tree = mapping(json.loads(content))
    except (ValueError, RecursionError):
        tree = {}
    total, completed, failed = (token_count(tree.get(name)) for name in ("totalRecordCount", "successRecordCount", "errorRecordCount"))
    return total, completed, failed


def _answered(row_id: str, output: dict[str, Any], model: str) -> LaneResult:
    """An answer in either form: of Converse, or an Anthropic message."""
    if "output" not in output and "content" in output:
        return replace(read_message(row_id, output), model=model)
    reason = output.get("stopReason")
    known = isinstance(reason, str) and reason in _STOPS
    code = _STOPS[str(reason)] if known else None if reason is None else "provider_error"
    text = _text(mapping(mapping(output.get("output")).get("message")).get("content"))
    if code is None and not text.strip():
        code = "empty_output"
    usage = mapping(output.get("usage"))
    fresh, read, written, out = (
        token_count(usage.get(name)) for name in ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens")
    )
    return LaneResult(
        row_id=row_id,
        output=text if code is None else None,
        error_code=code,
        finish_reason=None if reason is None else str(reason) if known else "other",
        model=model,
        tokens_in=None if fresh is None else fresh + (read or 0) + (written or 0),  # which are counted apart from it
        tokens_out=out,
        tokens_cached=read,
        tokens_cache_written=written,
        tokens_cache_written_1h=_written_for_an_hour(usage),
    )


def _text(content: object) -> str:
    """The text blocks together; reasoning and tools are none."""
    blocks = content if isinstance(content, list) else []
    return "".join(text for block in blocks if isinstance(text := mapping(block).get("text"), str))


def _written_for_an_hour(usage: dict[str, Any]) -> int | None:
    details = usage.get("cacheDetails")
    for entry in details if isinstance(details, list) else ():
        if mapping(entry).get("ttl") == "1h":
            return token_count(mapping(entry).get("inputTokens"))
    return None


def _error_code(error: dict[str, Any]) -> str:
    """The provider's words are looked at and not kept: they may quote the record."""
    code, words = error.get("errorCode"), str(error.get("errorMessage", "")).lower()
    status = int(code) if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 4 else code  # noqa: PLR2004 - digits of a status
    known = _status_code(status) if isinstance(status, int) else _ERRORS.get(str(code), "provider_error")
    return "prompt_too_long" if known == "bad_request" and any(sign in words for sign in _LENGTH) else known


def _status_code(status: int) -> str:
    if status == _TOO_MANY_REQUESTS:
        return "rate_limited"
    if status >= _SERVER_ERROR or status == _REQUEST_TIMEOUT:
        return "provider_unavailable"
    return "bad_request" if status >= _CLIENT_ERROR else "provider_error"
