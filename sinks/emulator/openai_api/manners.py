"""How OpenAI asks for a key and says no; Azure takes its key in `api-key`."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.emulator.calls import WireError
from sinks.emulator.openai_api.wire import error_body, refusal

_TOO_MANY, _SERVER = 429, 500


class OpenAIManners:
    """A `sinks.emulator.manners.Manners`."""

    def admit(self, headers: Mapping[str, str]) -> WireError | None:
        """A key."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if (scheme.lower() == "bearer" and key.strip()) or headers.get("api-key", "").strip():
            return None
        return refusal(401, "You didn't provide an API key.", code="invalid_api_key")

    def refuse(self, status: int, message: str) -> WireError:
        """A refusal with this status."""
        kind = "rate_limit_error" if status == _TOO_MANY else "server_error" if status >= _SERVER else "invalid_request_error"
        code = kind if status == _TOO_MANY or status >= _SERVER else None
        return WireError(status, error_body(message, code=code, kind=kind))

    def expired(self) -> WireError:
        """The refusal of a key that is no longer good."""
        return refusal(401, "Your authentication token has expired.", code="token_expired")
