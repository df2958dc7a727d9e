"""How Bedrock asks for a signature and says no."""

from __future__ import annotations

from collections.abc import Mapping

from sinks.emulator.bedrock_api.wire import refusal
from sinks.emulator.calls import WireError

_PARTS = ("AWS4-HMAC-SHA256 ", "Credential=", "SignedHeaders=", "Signature=")


class BedrockManners:
    """A `sinks.emulator.manners.Manners`."""

    def admit(self, headers: Mapping[str, str]) -> WireError | None:
        """A SigV4 signature and its date; it is not verified, since any key is accepted."""
        given = headers.get("authorization", "")
        if all(part in given for part in _PARTS) and "x-amz-date" in headers:
            return None
        return refusal(403, "Missing Authentication Token", code="MissingAuthenticationTokenException")

    def refuse(self, status: int, message: str) -> WireError:
        """A refusal with this status."""
        return refusal(status, message)

    def expired(self) -> WireError:
        """The refusal of credentials that are no longer good."""
        return refusal(403, "The security token included in the request is expired", code="ExpiredTokenException")
