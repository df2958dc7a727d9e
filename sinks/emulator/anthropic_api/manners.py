"""How Anthropic asks for a key and says no."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.emulator.anthropic_api.wire import refusal
from sinks.emulator.calls import WireError


class AnthropicManners:
    """A `sinks.emulator.manners.Manners`."""

    def admit(self, headers: Mapping[str, str]) -> WireError | None:
        """A key and a version of the API."""
        if not headers.get("x-api-key", "").strip() and not headers.get("authorization", "").removeprefix("Bearer").strip():
            return refusal(401, "x-api-key header is required")
        if "anthropic-version" not in headers:
            return refusal(400, "anthropic-version: header is required")
        return None

    def refuse(self, status: int, message: str) -> WireError:
        """A refusal with this status."""
        return refusal(status, message)

    def expired(self) -> WireError:
        """The refusal of a key that is no longer good."""
        return refusal(401, "invalid x-api-key")
