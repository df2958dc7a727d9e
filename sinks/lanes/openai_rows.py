"""Reading batch result lines of the OpenAI API and its relatives: bytes in, `LaneResult` out. Pure.

Servers with the same API differ in small ways, all accepted here: a byte order mark, CRLF, a body that is a JSON string,
absent usage, an error row without a response, a status code of 0 or as text, an error that is there and says nothing. What cannot be read
becomes a code, never a result, and no message quotes a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sinks.lanes.reported import TORN_LINE, mapping, model_name, result_lines, result_tree, says_something, token_count, unpacked
from sinks.shard import LaneResult

# The provider's words for rows it never ran, and our code for them. Any other error code of the provider's is not repeated: it
# may be free text.
_KNOWN_ERRORS = {
    "batch_expired": "batch_expired",
    "batch_cancelled": "batch_cancelled",
    "rate_limit_exceeded": "rate_limited",
    "server_error": "provider_unavailable",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "context_length_exceeded": "prompt_too_long",
}
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_STATUS = re.compile(r"[0-9]{1,3}")


# Reasons of the API itself, and those that servers with the same API add.
_FINISHES = frozenset({"stop", "length", "content_filter", "tool_calls", "function_call", "eos", "eos_token", "end_turn", "stop_sequence"})

# As in `reported`: a fingerprint is a number, hexadecimal, llama.cpp's build, or an engine's version, and no words.
_FINGERPRINT = re.compile(
    r"fp_[0-9a-f]{4,64}|fp_ollama|b\d{1,6}-[0-9a-f]{4,40}|(?:emulator|llamacpp|ollama|sglang|tgi|vllm)[-.]?v?\d{1,4}(?:\.\d{1,4}){0,3}"
)


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
    response = unpacked(tree.get("response"))
    body = unpacked(response.get("body", response if "choices" in response else None))
    told = {**_counts(body), "model": model_name(body.get("model"), asked)}
    if says_something(tree.get("error")):
        return LaneResult(row_id=row_id, error_code=_error_code(mapping(tree["error"])), **told)
    return LaneResult(row_id=row_id, **_outcome(response.get("status_code"), body), **told)


def read_response(row_id: str, status: object, tree: object) -> LaneResult:
    """The result of one chat completion: its HTTP status, where there was one, and its body. It has no model: who asks knows it."""
    body = unpacked(tree)
    return LaneResult(row_id=row_id, **_outcome(status, body), **_counts(body))


def _outcome(status: object, body: dict[str, Any]) -> dict[str, Any]:
    """The output or the error code, and what goes with it. A failed row has used tokens all the same."""
    if isinstance(status, str) and _STATUS.fullmatch(status):
        status = int(status)
    if isinstance(status, int | float) and status >= _CLIENT_ERROR:
        return {"error_code": _status_code(status, mapping(body.get("error")))}
    if says_something(body.get("error")):  # a 200 row with an error inside
        return {"error_code": _error_code(mapping(body["error"]))}
    return _answered(body)


def _answered(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        return {"error_code": "no_choices"}
    choice = mapping(choices[0])
    message = mapping(choice.get("message"))
    reason = choice.get("finish_reason")
    finish = None if reason is None else reason if isinstance(reason, str) and reason in _FINISHES else "other"
    if message.get("refusal"):
        return {"error_code": "refusal", "finish_reason": finish}
    if finish == "content_filter":
        return {"error_code": "content_filter", "finish_reason": finish}
    if finish == "length":  # cut off in the middle: half an answer is not an answer
        return {"error_code": "max_tokens", "finish_reason": finish}
    output = _text(message.get("content"))
    if not output.strip():
        return {"error_code": "empty_output", "finish_reason": finish}
    return {"output": output, "finish_reason": finish, "revision": _fingerprint(body.get("system_fingerprint"))}


def _error_code(error: dict[str, Any]) -> str:
    return _KNOWN_ERRORS.get(str(error.get("code") or error.get("type")), "provider_error")


def _status_code(status: float, error: dict[str, Any]) -> str:
    if status == _TOO_MANY_REQUESTS:
        return "rate_limited"
    if status >= _SERVER_ERROR:
        return "provider_unavailable"
    known = _error_code(error)
    if known == "provider_error" and _speaks_of_length(error):
        return "prompt_too_long"
    return "bad_request" if known == "provider_error" else known


def _speaks_of_length(error: dict[str, Any]) -> bool:
    """Servers inside have no code for it: vLLM says it in the message, llama.cpp in the type. The words are looked at and not kept."""
    words = f"{error.get('type')} {error.get('message')}".lower()
    return any(sign in words for sign in ("context length", "context size", "context_size", "maximum context", "context window"))


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [mapping(element).get("text") for element in content]
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _counts(body: dict[str, Any]) -> dict[str, Any]:
    """The token counts of a result. What was read from a cache, or written to it, is in `prompt_tokens` already."""
    usage = mapping(body.get("usage"))
    details = mapping(usage.get("prompt_tokens_details"))
    return {
        "tokens_in": token_count(usage.get("prompt_tokens")),
        "tokens_out": token_count(usage.get("completion_tokens")),
        "tokens_cached": token_count(details.get("cached_tokens")),
        "tokens_cache_written": token_count(details.get("cache_write_tokens")),
    }


def _fingerprint(value: object) -> str | None:
    return value if isinstance(value, str) and _FINGERPRINT.fullmatch(value) else None
