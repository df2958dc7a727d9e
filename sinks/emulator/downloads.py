"""Handing out a results file; what is planned for one download changes that download only."""

from __future__ import annotations

from starlette.responses import Response

from sinks.emulator.calls import Call
from sinks.emulator.tampering import tamper_bytes


def download(call: Call, content: bytes, *, media_type: str) -> Response:
    """The answer with the file's bytes."""
    return Response(tamper_bytes(call.fault, content), media_type=media_type)
