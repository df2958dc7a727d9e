"""From which volume, and from which utilisation, own machines are cheaper than a provider. Pure; Decimal throughout.

A fleet grows in whole hosts: its cost is a stair, the provider's a straight line through zero. So there may be more than one crossing: own
machines win for the first time, lose again just after each step while that costs more than it brings, and at last win for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from policies.economics.cloud_cost import ApiPrice, Mix
from policies.economics.hosts import HOURS_PER_MONTH, Machine
from policies.economics.local_cost import SECONDS_PER_HOUR
from policies.prices import MILLION

ABOUT_EQUAL = Decimal("0.10")
"""Two costs that differ by less than this share of the greater are about equal: prices and throughput are not known better."""


class Winner(StrEnum):
    """What is cheaper."""

    API = "API"
    SELF_HOST = "self-host"
    EQUAL = "about equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """As many hosts of one kind as a volume needs. tokens_per_s: of one host, in and out. busy_at_most: the most of its time."""

    name: str
    machine: Machine
    tokens_per_s: Decimal
    busy_at_most: Decimal

    @property
    def monthly(self) -> Decimal:
        """US dollars a month for one host."""
        return self.machine.monthly.total

    @property
    def full(self) -> Decimal:
        """Tokens a month of one host that never rests."""
        return self.tokens_per_s * SECONDS_PER_HOUR * HOURS_PER_MONTH

    @property
    def capacity(self) -> Decimal:
        """Tokens a month that one host can be given."""
        return self.full * self.busy_at_most

    def hosts(self, tokens: int | Decimal) -> int:
        """How many hosts a month's tokens need; one at the least."""
        return max(1, int((tokens / self.capacity).to_integral_value(rounding=ROUND_CEILING)))

    def cost(self, tokens: int | Decimal) -> Decimal:
        """US dollars a month for so many tokens."""
        return self.hosts(tokens) * self.monthly

    def utilisation(self, tokens: int | Decimal) -> Decimal:
        """The share of the time that its hosts are busy with so many tokens."""
        return tokens / (self.full * self.hosts(tokens))

    def usd_per_million(self, utilisation: Decimal) -> Decimal:
        """What a million tokens cost when the hosts are busy this share of the time."""
        return self.monthly / (self.full * utilisation) * MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Tokens a month. first: from here on own machines can be cheaper. for_good: above here they always are. None: never."""

    first: Decimal | None
    for_good: Decimal | None
    utilisation: Decimal
    """At which a host costs as much a token as the provider; above 1 it never does."""


def crossing(fleet: Fleet, usd_per_million: Decimal) -> Crossing:
    """Where the stair and the line meet. In the stair's step of n hosts, the line is above it from n x cost / price on, if at all."""
    if not usd_per_million:
        return Crossing(first=None, for_good=None, utilisation=Decimal("Infinity"))
    step = fleet.monthly / usd_per_million * MILLION  # tokens that cost at the provider what one host costs
    utilisation = step / fleet.full
    if step > fleet.capacity:
        return Crossing(first=None, for_good=None, utilisation=utilisation)
    if step == fleet.capacity:  # they only ever touch, at the end of each step
        return Crossing(first=step, for_good=None, utilisation=utilisation)
    # After a step of n hosts the line is above the next one already when n x capacity >= (n + 1) x step.
    steps = max(1, int((step / (fleet.capacity - step)).to_integral_value(rounding=ROUND_CEILING)))
    return Crossing(first=step, for_good=steps * step, utilisation=utilisation)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRow:
    """A month of so many tokens, at list and at batch price, and on own machines."""

    tokens: int
    api_list: Decimal
    api_batch: Decimal
    hosts: int
    self_host: Decimal
    utilisation: Decimal
    winner_list: Winner
    winner_batch: Winner


def volume_row(fleet: Fleet, api: ApiPrice, mix: Mix, tokens: int) -> VolumeRow:
    """One line of the table by volume."""
    at_list, at_batch, own = api.monthly(tokens, mix), api.monthly(tokens, mix, batch=True), fleet.cost(tokens)
    return VolumeRow(
        tokens=tokens,
        api_list=at_list,
        api_batch=at_batch,
        hosts=fleet.hosts(tokens),
        self_host=own,
        utilisation=fleet.utilisation(tokens),
        winner_list=winner(at_list, own),
        winner_batch=winner(at_batch, own),
    )


def winner(api: Decimal, own: Decimal) -> Winner:
    """Which of two costs is the smaller."""
    if abs(api - own) < ABOUT_EQUAL * max(api, own):
        return Winner.EQUAL
    return Winner.API if api < own else Winner.SELF_HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class YearlyRange:
    """What a set-up costs a year, from its lowest to its highest figures."""

    low: Machine
    high: Machine

    def lines(self) -> Sequence[tuple[str, Decimal, Decimal]]:
        """What for, from, to; the last line is the sum."""
        low, high = self.low.monthly, self.high.monthly
        each = [(name, getattr(low, name) * 12, getattr(high, name) * 12) for name in ("hardware", "power", "people")]
        return [*each, ("total", low.total * 12, high.total * 12)]
