"""The wire shapes of OpenAI's Files and Batches: plain dicts, checked in the tests against the official SDK's own types. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.emulator.calls import WireError
from sinks.emulator.jobs import Job, Tree

NAME = "openai"
COMPLETION_WINDOW_S = 24 * 3600
BATCH_FILE_EXPIRES_S = 30 * 24 * 3600
MAX_ROWS = 50_000
MAX_FILE_BYTES = 200_000_000
CHAT_URLS = frozenset({"/v1/chat/completions", "/chat/completions"})
"""What a batch may ask for; Azure leaves the version out."""

STATES = ("validating", "in_progress", "finalizing")
TERMINAL = frozenset({"completed", "failed", "expired", "cancelled"})
_MOMENTS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def refusal(status: int, message: str, *, code: str | None = None, param: str | None = None) -> WireError:
    """An error answer."""
    return WireError(status, error_body(message, code=code, param=param))


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


def batch_object(job: Job) -> Tree:
    """A batch as the API shows it. job.results: the fields that it has only at its end."""
    tree = {
        "id": job.job_id,
        "object": "batch",
        "endpoint": job.asked["endpoint"],
        "errors": None,
        "input_file_id": job.asked["input_file_id"],
        "completion_window": "24h",
        "status": job.state,
        "output_file_id": None,
        "error_file_id": None,
        "created_at": int(job.created_at),
        "expires_at": int(job.created_at) + COMPLETION_WINDOW_S if job.expires_at is not None else None,
        **{f"{state}_at": int(job.moments[state]) if state in job.moments else None for state in _MOMENTS},
        "request_counts": {
            "total": job.total,
            "completed": job.counts.get("succeeded", 0),
            "failed": job.counts.get("errored", 0),
        },
        "metadata": job.asked["metadata"],
    }
    return tree | job.results


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
