"""What tokens cost at a provider: list, batch and cache prices, blended over input and output. Pure; Decimal throughout.

Batch halves input and output. A cache makes *input* cheaper, and only the part of it that is read again: no discount on input ever reaches
what a model writes, however the two are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from policies.prices import MILLION, Price, Rates

ALL = Decimal(1)
NONE = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How a workload's tokens divide, in whole parts: of `input + output` parts, so many are input and so many output."""

    input: int
    output: int

    @property
    def parts(self) -> int:
        """All of them."""
        return self.input + self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPrice:
    """List prices of a model, US dollars per million tokens, and the shares that batches and a cache take off them."""

    name: str
    input: Decimal
    output: Decimal
    batch_discount: Decimal = NONE
    cache_discount: Decimal = NONE

    def blended(self, mix: Mix, *, batch: bool = False, cached_share: Decimal = NONE) -> Decimal:
        """US dollars per million tokens of this mix. cached_share: of the input, what is read from a cache."""
        read = self.input * (ALL - cached_share * self.cache_discount)
        price = (mix.input * read + mix.output * self.output) / mix.parts
        return price * (ALL - self.batch_discount) if batch else price

    def monthly(self, tokens: int | Decimal, mix: Mix, *, batch: bool = False, cached_share: Decimal = NONE) -> Decimal:
        """US dollars for so many tokens."""
        return tokens * self.blended(mix, batch=batch, cached_share=cached_share) / MILLION


def usage_usd(price: Price, tokens_in: int, tokens_out: int, *, longer_than: int = 0) -> Decimal:
    """What the tokens of many requests cost by a price of the price file, without any cache. Not rounded.

    longer_than: every one of the requests has more input tokens than this; 0 where they are of any length. It decides on the rates of
    long requests.
    """
    rates = rates_of(price, longer_than)
    return (tokens_in * rates.input + tokens_out * rates.output) / MILLION


def rates_of(price: Price, longer_than: int) -> Rates:
    """The rates of requests with more input tokens than `longer_than`."""
    return price.long.rates if price.long is not None and longer_than >= price.long.over else price.rates
