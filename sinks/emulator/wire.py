"""The wire shapes of OpenAI's Files and Batches: plain dicts, checked in the tests against the official SDK's own types. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COMPLETION_WINDOW_S = 24 * 3600
BATCH_FILE_EXPIRES_S = 30 * 24 * 3600
MAX_ROWS = 50_000
MAX_FILE_BYTES = 200_000_000
CHAT_URL = "/v1/chat/completions"
TERMINAL = frozenset({"completed", "failed", "expired", "cancelled"})

Tree = dict[str, Any]


class WireError(Exception):
    """An HTTP answer with OpenAI's error body. The message never quotes what was sent."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(message, code=code, param=param)


def error_body(message: str, *, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error") -> Tree:
    """The body of an error answer."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def file_object(file_id: str, *, size: int, created_at: int, name: str, purpose: str, expires_at: int | None) -> Tree:
    """A file as the API shows it."""
    return {
        "id": file_id,
        "object": "file",
        "bytes": size,
        "created_at": created_at,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
        "expires_at": expires_at,
    }


def batch_object(batch_id: str, *, created_at: int, endpoint: str, input_file_id: str, metadata: Mapping[str, str] | None) -> Tree:
    """A batch as it is when it was just created."""
    moments = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at")
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": endpoint,
        "errors": None,
        "input_file_id": input_file_id,
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": created_at,
        "expires_at": created_at + COMPLETION_WINDOW_S,
        **dict.fromkeys(moments),
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": dict(metadata) if metadata is not None else None,
    }


def batch_usage(tokens_in: int, tokens_out: int) -> Tree:
    """The tokens of a batch."""
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }


def list_object(data: Sequence[Tree], *, has_more: bool) -> Tree:
    """A page of a listing."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


def page(objects: Sequence[Tree], *, after: str | None, limit: int) -> Tree:
    """The page that follows the object `after`; `objects` are in listing order."""
    start = next((index + 1 for index, item in enumerate(objects) if item["id"] == after), 0) if after else 0
    return list_object(objects[start : start + limit], has_more=len(objects) > start + limit)
