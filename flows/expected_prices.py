"""What a token is expected to cost at an endpoint, for the strategy that goes by price. What nobody has said is not free.

Inside, that is what the registry states; else what the host of the endpoint costs an hour (`hosts` in the price file), over the tokens that
it does in an hour. The embedded engine needs no machine of its own and costs nothing.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from policies.economics.hosts import host_on, name_of_host
from policies.model import Endpoint, Lane
from policies.prices import MILLION, STATED, Price, Prices, Rates

SECONDS_PER_HOUR = 3600


def expected_price(prices: Prices, endpoint: Endpoint, day: date, tokens_per_s: float | None) -> Price | None:
    """The price to compare by; None where nobody has said. tokens_per_s: measured, else the registry's counts."""
    if endpoint.lane is Lane.CLOUD or endpoint.engine == "extractive" or any(name in endpoint.settings for name in STATED):
        return prices.of(endpoint, day)
    name = name_of_host(prices.hosts, endpoint.name)
    host = None if name is None else host_on(prices.hosts, name, day)
    speed = tokens_per_s if tokens_per_s is not None else endpoint.tokens_per_s
    if host is None or not speed or speed < 0:
        return None
    rate = host.machine.usd_per_hour / SECONDS_PER_HOUR / Decimal(str(speed)) * MILLION
    return Price(provider=endpoint.provider, rates=Rates(input=rate, output=rate))
