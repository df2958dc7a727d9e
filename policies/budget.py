"""What a job may spend at providers, and whether one more record still fits. Pure; Decimal throughout.

What is *committed* is what is settled, by reported usage, and the most that everything else which was handed over can still cost. As long
as no record is handed over that does not fit beside what is committed, no order of events brings the bill above any limit: that of the
night or of the month, of the whole job or of one endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

BUDGET_NIGHT = "budget_night"
BUDGET_MONTH = "budget_month"
ENDPOINT_NIGHT = "budget_endpoint_night"
ENDPOINT_MONTH = "budget_endpoint_month"
BUDGET_STOPPED = "budget_stopped"
NO_PRICE = "no_price"

SPENT = frozenset({BUDGET_NIGHT, BUDGET_MONTH, ENDPOINT_NIGHT, ENDPOINT_MONTH})
"""Codes of a record that did not fit beside what is committed."""

ALERT_AT = (50, 80, 100)
"""Shares of a limit, in percent, that somebody is told of."""

NIGHT, MONTH = "night", "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """US dollars, for a night and for a month. None: no limit."""

    night: Decimal | None = None
    month: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """US dollars that are committed, for the night and for the month."""

    night: Decimal = Decimal(0)
    month: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Limits):
    """The limits of a job, and of single endpoints by name. Each holds by itself."""

    endpoints: Mapping[str, Limits] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep."""
        return any(True for _ in self.of_all())

    def of_all(self) -> Iterator[tuple[str, str, Decimal]]:
        """Every limit: the endpoint or "" for all, `night` or `month`, US dollars."""
        for name, limits in (("", self), *self.endpoints.items()):
            for period, amount in ((NIGHT, limits.night), (MONTH, limits.month)):
                if amount is not None:
                    yield name, period, amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed(Spent):
    """What a job is committed to, and of this what at each endpoint."""

    endpoints: Mapping[str, Spent] = field(default_factory=lambda: MappingProxyType({}))

    def plus(self, amount: Decimal, endpoint: str = "") -> Committed:
        """With one more record handed over."""
        there = self.endpoints.get(endpoint, Spent())
        more = Spent(night=there.night + amount, month=there.month + amount)
        endpoints = {**self.endpoints, endpoint: more} if endpoint else self.endpoints
        return Committed(night=self.night + amount, month=self.month + amount, endpoints=endpoints)

    def at(self, endpoint: str) -> Spent:
        """What is committed at one endpoint; "": at all."""
        return self.endpoints.get(endpoint, Spent()) if endpoint else self


def refusal(budget: Budget, committed: Committed, bound: Decimal | None, endpoint: str = "") -> str | None:
    """None when a record that costs at most `bound` at the endpoint fits; else why not.

    A month's limit is named before a night's, which passes sooner, and the job's before an endpoint's.
    """
    if bound == 0:
        return None
    own = budget.endpoints.get(endpoint, Limits()) if endpoint else Limits()
    limits = (
        (budget.month, committed.month, BUDGET_MONTH),
        (budget.night, committed.night, BUDGET_NIGHT),
        (own.month, committed.at(endpoint).month, ENDPOINT_MONTH),
        (own.night, committed.at(endpoint).night, ENDPOINT_NIGHT),
    )
    set_ones = [(limit, spent, code) for limit, spent, code in limits if limit is not None]
    if not set_ones:
        return None
    if bound is None:
        return NO_PRICE
    return next((code for limit, spent, code in set_ones if spent + bound > limit), None)


def reached(limit: Decimal, committed: Decimal, *, full: bool = False) -> tuple[int, ...]:
    """The shares of `ALERT_AT` that are reached, in percent. full: a record did not fit any more, so it is all used, whatever is left."""
    return tuple(share for share in ALERT_AT if full or (limit > 0 and committed * 100 >= limit * share))
