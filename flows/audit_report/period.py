"""The days that a report is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `since` up to, not including, `until`, in UTC; None is without an end. `name`: what people and file names call it."""

    since: date | None
    until: date | None
    name: str

    @property
    def told(self) -> str:
        """The period in words."""
        if self.since is None and self.until is None:
            return "the whole ledger"
        last = self.until - timedelta(days=1) if self.until else "the last entry"
        return f"{self.since or 'the first entry'} to {last} (UTC)"


def month_of(first: date) -> Period:
    """The month that begins with this day."""
    last_of_all = (first.year, first.month) == (date.max.year, date.max.month)
    following = date.max if last_of_all else date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return Period(since=first, until=following, name=f"{first:%Y-%m}")


def days_between(since: date | None, until: date | None) -> Period:
    """The days from one to the other, either of which may be left open."""
    if since is None and until is None:
        return Period(since=None, until=None, name="all")
    return Period(since=since, until=until, name=f"{since or 'start'}-to-{until or 'end'}")
