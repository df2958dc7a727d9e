"""How each provider asks for a key and says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sinks.emulator.calls import WireError


class Manners(Protocol):
    """One provider's."""

    def admit(self, headers: Mapping[str, str]) -> WireError | None:
        """The refusal of a request without a key; header names are in lower case. Any key that is not empty is accepted."""

    def refuse(self, status: int, message: str) -> WireError:
        """A refusal with this status."""

    def expired(self) -> WireError:
        """The refusal of a key that is no longer good."""
