"""The provider's clock, from the Date header of its latest answer: signatures and listings by time go wrong where two clocks disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


class ProviderClock:
    """What the latest answer said the time was. RFC 9110, section 6.6.1: whole seconds, GMT."""

    def __init__(self) -> None:
        self.ahead: timedelta | None = None
        """How far our clock was ahead of the provider's."""

    def note(self, date: str | None) -> None:
        """Take in a Date header; one that is absent or none is passed over."""
        try:
            said = parsedate_to_datetime(date or "")
        except (TypeError, ValueError):
            return
        if said.tzinfo is not None:
            self.ahead = datetime.now(UTC) - said
