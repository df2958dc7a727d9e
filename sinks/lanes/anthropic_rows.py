"""Reading result lines of Message Batches: bytes in, `LaneResult` out. Pure.

An answer that is known to be whole is a result; one that was cut, paused or refused, or stopped for a reason nobody knows, is not: half an
answer is not an answer. What cannot be read becomes a code, and no message quotes a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sinks.lanes.reported import TORN_LINE, mapping, model_name, result_lines, result_tree, token_count
from sinks.shard import LaneResult

PROVIDER_ERROR = "provider_error"

# Why a model stopped. None: by itself, so that what it said is whole.
_STOPS: dict[str, str | None] = {
    "end_turn": None,
    "stop_sequence": None,
    "tool_use": None,  # the tool that it was told to use
    "max_tokens": "max_tokens",
    "refusal": "refusal",
    "model_context_window_exceeded": "prompt_too_long",
    "pause_turn": PROVIDER_ERROR,
}
_OTHER = "other"

# The provider's words for what went wrong with a row. Any other is not repeated: it may be free text. A row that failed for reasons of
# the account or the server was not run, and may be sent again.
_ERRORS = {
    "invalid_request_error": "bad_request",
    "authentication_error": "bad_request",
    "permission_error": "bad_request",
    "not_found_error": "bad_request",
    "request_too_large": "prompt_too_long",
    "rate_limit_error": "rate_limited",
    "billing_error": "provider_unavailable",
    "timeout_error": "provider_unavailable",
    "api_error": "provider_unavailable",
    "overloaded_error": "provider_unavailable",
}
_UNPROCESSED = {"canceled": "batch_cancelled", "expired": "batch_expired"}
_TOO_LONG = ("prompt is too long", "context window", "context limit", "maximum context")


def read_rows(lines: Iterable[bytes], *, asked: str = "") -> Iterator[LaneResult]:
    """One result per line. A line without a readable id has an empty row id.

    asked: the model that the rows ask for. A server's own word for it is kept if it begins with this one; without it, none is.
    """
    for line in result_lines(lines):
        yield read_row(line, asked=asked)


def read_row(line: bytes, *, asked: str = "") -> LaneResult:
    """The result of one line. asked: as in `read_rows`."""
    found = result_tree(line, "custom_id")
    if found is None:
        return LaneResult(row_id="", error_code=TORN_LINE)
    row_id, tree = found
    result = mapping(tree.get("result"))
    kind = result.get("type")
    if kind == "succeeded":
        return read_message(row_id, mapping(result.get("message")), asked=asked)
    if kind == "errored":
        return LaneResult(row_id=row_id, error_code=_error_code(mapping(result.get("error"))), tokens_in=0, tokens_out=0)  # not billed
    return LaneResult(row_id=row_id, error_code=_UNPROCESSED.get(kind, PROVIDER_ERROR) if isinstance(kind, str) else PROVIDER_ERROR)


def read_message(row_id: str, message: dict[str, Any], *, asked: str = "") -> LaneResult:
    """The result of one message; a failed one has used tokens all the same."""
    reason = message.get("stop_reason")
    known = isinstance(reason, str) and reason in _STOPS
    code = _STOPS[str(reason)] if known else None if reason is None else PROVIDER_ERROR
    output = None if code else _output(message.get("content"))
    if code is None and not (output or "").strip():
        output, code = None, "empty_output"
    result = LaneResult(
        row_id=row_id,
        output=output,
        error_code=code,
        finish_reason=None if reason is None else str(reason) if known else _OTHER,
        model=model_name(message.get("model"), asked),
    )
    return _counted(result, mapping(message.get("usage")))


def _output(content: object) -> str | None:
    """What the model said: the input of the tool that it was told to use, else its text. Thinking is not part of it."""
    blocks = [mapping(block) for block in content] if isinstance(content, list) else []
    for block in blocks:
        if block.get("type") == "tool_use" and "input" in block:
            return json.dumps(block["input"], ensure_ascii=False)
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _counted(result: LaneResult, usage: dict[str, Any]) -> LaneResult:
    """The result with its token counts. What was read from the cache or written to it is not in the API's `input_tokens`."""
    fresh, read, written = (
        token_count(usage.get(name)) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    hour = token_count(mapping(usage.get("cache_creation")).get("ephemeral_1h_input_tokens"))
    return replace(
        result,
        tokens_in=None if fresh is None else fresh + (read or 0) + (written or 0),
        tokens_out=token_count(usage.get("output_tokens")),
        tokens_cached=read,
        tokens_cache_written=written,
        tokens_cache_written_1h=written if hour is None else hour,  # an hour is all that is ever asked for
    )


def _error_code(answer: dict[str, Any]) -> str:
    """`{"type": "error", "error": {"type": …, "message": …}}`, or the inner one alone. The words are looked at and not kept."""
    error = mapping(answer.get("error")) or answer
    kind = error.get("type")
    code = _ERRORS.get(kind, PROVIDER_ERROR) if isinstance(kind, str) else PROVIDER_ERROR
    words = str(error.get("message")).lower()
    return "prompt_too_long" if code == "bad_request" and any(sign in words for sign in _TOO_LONG) else code
