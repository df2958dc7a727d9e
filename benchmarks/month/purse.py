"""What a month costs: budget and cloud prices as `policies/budget.py` and `policies/prices.py` have them, machines by their hours."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from policies.budget import Budget, Committed, refusal
from policies.economics.hosts import host_on, name_of_host
from policies.model import Endpoint, Lane
from policies.prices import Price, Prices, Usage

SECONDS_PER_HOUR = 3_600


@dataclass(slots=True, kw_only=True)
class Purse:
    """The budget over the month. most_night: the dearest night as it was settled. refused: records that did not fit, by code."""

    budget: Budget
    prices: Prices
    committed: Committed = field(default_factory=Committed)
    settled: Decimal = Decimal(0)
    local: Decimal = Decimal(0)
    most_night: Decimal = Decimal(0)
    most_committed: Decimal = Decimal(0)
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _tonight: Decimal = Decimal(0)

    def reserve(self, endpoint: Endpoint, price: Price | None, tokens_in: int, tokens_out: int) -> bool:
        """Whether a record that uses at most so much still fits; if so, that is committed."""
        bound = None if price is None else price.bound(tokens_in, tokens_out)
        code = refusal(self.budget, self.committed, bound, endpoint.name)
        if code is not None or bound is None:
            self.refused[code or "no_price"] += 1
            return False
        self.committed = self.committed.plus(bound, endpoint.name)
        self.most_committed = max(self.most_committed, self.committed.night)
        return True

    def settle(self, price: Price, usage: Usage) -> None:
        """A result has come: what it cost, by reported usage."""
        cost = price.cost(usage)
        assert cost is not None, "no request of the month writes to a cache"  # noqa: S101
        self._tonight += cost

    def worked(self, endpoint: Endpoint, day: date, seconds: float) -> None:
        """A place inside was busy for so long."""
        self.local += usd_of_seconds(self.prices, endpoint, day, seconds)

    def end_night(self) -> None:
        """All results are in: what was committed is replaced by what it cost."""
        self.settled += self._tonight
        self.most_night = max(self.most_night, self._tonight)
        self._tonight = Decimal(0)
        self.committed = replace(Committed(), month=self.settled)

    @property
    def kept(self) -> bool:
        """Whether neither the month nor any night went above its limit, in reservations or in results."""
        month, night = self.budget.month, self.budget.night
        in_month = month is None or self.settled <= month
        return in_month and (night is None or max(self.most_night, self.most_committed) <= night)


def usd_of_seconds(prices: Prices, endpoint: Endpoint, day: date, seconds: float) -> Decimal:
    """What a machine costs for so long, by the hour of its host. Raises LookupError where nobody has said."""
    name = name_of_host(prices.hosts, endpoint.name)
    host = host_on(prices.hosts, name, day) if name is not None else None
    if host is None:
        raise LookupError(f"prices.yaml: hosts: expected one for {endpoint.name} on {day}, found none")
    return host.machine.usd_per_hour * Decimal(seconds) / SECONDS_PER_HOUR


def expected_usd(prices: Prices, endpoint: Endpoint, day: date, *, tokens_in: int, tokens_out: int, tokens_per_s: float) -> Decimal | None:
    """What one record will probably cost: tokens at the provider's price, or the time that a machine inside is busy with it."""
    if endpoint.lane is Lane.LOCAL:
        return usd_of_seconds(prices, endpoint, day, (tokens_in + tokens_out) / tokens_per_s)
    price = prices.of(endpoint, day)
    return None if price is None else price.cost(Usage(tokens_in=tokens_in, tokens_out=tokens_out))
