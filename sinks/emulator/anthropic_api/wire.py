"""The wire shapes of Anthropic's Message Batches: plain dicts, checked in the tests against the official SDK's own types. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sinks.emulator.calls import WireError
from sinks.emulator.jobs import Job, Tree

NAME = "anthropic"
MAX_REQUESTS = 100_000
MAX_BYTES = 256_000_000
EXPIRES_S = 24 * 3600
RESULTS_KEPT_S = 29 * 24 * 3600
IN_PROGRESS, CANCELING, ENDED = "in_progress", "canceling", "ended"
COUNTS = ("succeeded", "errored", "canceled", "expired")

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def refusal(status: int, message: str) -> WireError:
    """An error answer."""
    return WireError(status, error_body(_TYPES.get(status, "api_error"), message), {"request-id": "req_emulated"})


def error_body(kind: str, message: str) -> Tree:
    """The body of an error answer, and of an errored row."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_emulated"}


def batch_object(job: Job, base: str = "", *, now: float | None = None) -> Tree:
    """A batch as the API shows it. The counts stay at zero, and everything is `processing`, until it has ended."""
    archived = bool(job.notes.get("archived")) or (now is not None and now >= job.created_at + RESULTS_KEPT_S)
    counts = {name: job.counts.get(name, 0) for name in COUNTS} if job.ended else dict.fromkeys(COUNTS, 0)
    url = f"{base}/anthropic/v1/messages/batches/{job.job_id}/results"
    return {
        "id": job.job_id,
        "type": "message_batch",
        "processing_status": job.state,
        "request_counts": {"processing": 0 if job.ended else job.total, **counts},
        "created_at": moment(job.created_at),
        "expires_at": moment(job.expires_at or job.created_at + EXPIRES_S),
        "ended_at": moment(job.moments[ENDED]) if ENDED in job.moments else None,
        "cancel_initiated_at": moment(job.moments[CANCELING]) if CANCELING in job.moments else None,
        "archived_at": moment(job.created_at + RESULTS_KEPT_S) if archived else None,
        "results_url": url if job.ended and not archived and not job.results.get("no_file") else None,
    }


def list_object(data: Sequence[Tree], *, has_more: bool) -> Tree:
    """A page of a listing."""
    return {
        "data": list(data),
        "has_more": has_more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def moment(seconds: float) -> str:
    """A time as RFC 3339 has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def message(
    message_id: str, *, model: str, content: Sequence[Tree], stop_reason: str, tokens: Mapping[str, int], tier: str | None = "batch"
) -> Tree:
    """A finished message. tokens: input, output, cache_read, cache_write."""
    written = tokens.get("cache_write", 0)
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": tokens["input"],
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": tokens.get("cache_read", 0),
            "cache_creation": {"ephemeral_1h_input_tokens": written, "ephemeral_5m_input_tokens": 0},
            "output_tokens": tokens["output"],
            "service_tier": tier,
        },
    }
