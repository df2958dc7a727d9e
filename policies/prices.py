"""The price file: what a batch token costs at each provider, dated, in US dollars per million tokens. Pure; Decimal throughout.

    version: 2026-11-22
    currency: USD
    prices:
      - provider: …, models: [exact names]
        feature: batch
        input: "0.075"        as text, so that nobody's float comes between
        output: "0.30"
        valid_from: 2026-10-14
        review_by: 2027-02-28
        source: https://…

- Names match exactly. A price is never guessed, halved or taken from another feature: what is missing is None, and an error at job start.
- `hosts`, which may be absent, says what the machines inside cost (`policies/economics/hosts.py`).
- Strict like the policy, and hashed with it byte for byte, so that a cost names the prices it was computed with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path

from policies.economics.hosts import Host, parse_hosts
from policies.errors import PolicyFileError
from policies.load import read_source
from policies.model import Endpoint, Lane
from policies.yaml_value import Source, YamlValue, parse

DEFAULT_PRICES = Path(__file__).with_name("prices.yaml")

BATCH = "batch"
MILLION = 1_000_000
SMALLEST_USD = Decimal("0.000000001")
"""The ledger's unit of money: costs are rounded to it, half to even; bounds upwards."""

BATCH_ENGINES = frozenset({"openai_batch", "bedrock_batch", "anthropic_batch"})
NAME = r"[a-z0-9][a-z0-9_.-]{0,62}"
AMOUNT = r"(?:0|[1-9]\d{0,5})(?:\.\d{1,9})?"

CACHE_OPT_IN = frozenset({"anthropic_batch", "bedrock_batch"})
"""Engines whose requests write to a prompt cache only where the endpoint's setting `prompt_cache` says so."""

CHARGED_AS = "charged_as"
"""The endpoint's setting that names the model whose price it has, where its own name is only a deployment's."""

STATED = ("usd_per_million_input", "usd_per_million_output")
"""The settings by which the registry states what a local endpoint costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """US dollars per million tokens. None: there is no such rate in batches. Tokens read from a cache then cost what input costs."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None

    @property
    def dearest_input(self) -> Decimal:
        """The most that an input token can cost, whatever a cache does with it."""
        return max(rate for rate in (self.input, self.cache_read, self.cache_write, self.cache_write_1h) if rate is not None)

    @property
    def free(self) -> bool:
        """Whether none of them is above zero."""
        return not (self.input or self.output or self.cache_read or self.cache_write or self.cache_write_1h)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongContext:
    """The rates of a whole request whose input is more than `over` tokens."""

    over: int
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one request used. tokens_in is all of the input; cached and written are parts of it, and written_1h is part of written."""

    tokens_in: int
    tokens_out: int
    cached: int = 0
    written: int = 0
    written_1h: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a token costs at one place from one day on. models, regions: empty means every one."""

    provider: str
    rates: Rates
    models: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    long: LongContext | None = None
    valid_from: date = date.min
    review_by: date = date.max
    source: str = ""
    where: str = field(default="", compare=False)

    @property
    def free(self) -> bool:
        """Whether nothing that is done here costs anything."""
        return self.rates.free and (self.long is None or self.long.rates.free)

    def cost(self, usage: Usage) -> Decimal | None:
        """What a request cost, to the ledger's unit; None when it wrote to a cache and there is no rate for that."""
        rates = self._rates(usage.tokens_in)
        brief = usage.written - usage.written_1h
        if (brief and rates.cache_write is None) or (usage.written_1h and rates.cache_write_1h is None):
            return None
        total = (usage.tokens_in - usage.cached - usage.written) * rates.input + usage.tokens_out * rates.output
        total += usage.cached * (rates.input if rates.cache_read is None else rates.cache_read)
        total += brief * (rates.cache_write or 0) + usage.written_1h * (rates.cache_write_1h or 0)
        return (total / MILLION).quantize(SMALLEST_USD, rounding=ROUND_HALF_EVEN)

    def bound(self, tokens_in: int, tokens_out: int, *, caching: bool = True) -> Decimal:
        """The most that a request of at most so many tokens can cost; no `cost` within them is above it.

        caching: whether input may be written to a cache, which is dearer than to read it.
        """
        some = [self.rates] if self.long is None or tokens_in <= self.long.over else [self.rates, self.long.rates]
        most = max(tokens_in * (rates.dearest_input if caching else rates.input) + tokens_out * rates.output for rates in some)
        return (most / MILLION).quantize(SMALLEST_USD, rounding=ROUND_CEILING)

    def _rates(self, tokens_in: int) -> Rates:
        return self.long.rates if self.long is not None and tokens_in > self.long.over else self.rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A loaded price file. hosts: the machines inside. digest: SHA-256 of its bytes, hex."""

    version: str
    prices: tuple[Price, ...]
    hosts: tuple[Host, ...] = ()
    digest: str = ""
    file: str = field(default="", compare=False)

    def of(self, endpoint: Endpoint, day: date) -> Price | None:
        """What the endpoint costs on a day (UTC); None: nobody has said. One inside costs what the registry states, else nothing."""
        if endpoint.lane is Lane.LOCAL:
            return stated(endpoint)
        if endpoint.engine not in BATCH_ENGINES:
            return None
        model = charged_as(endpoint)
        fitting = [
            price
            for price in self.prices
            if price.provider == endpoint.provider
            and price.valid_from <= day
            and (not price.models or model in price.models)
            and (not price.regions or endpoint.region in price.regions)
        ]
        return max(fitting, key=lambda price: (bool(price.models), bool(price.regions), price.valid_from), default=None)

    def incomplete(self, endpoint: Endpoint, day: date) -> str:
        """What the price of an endpoint lacks for how the endpoint is used; empty when nothing."""
        price = self.of(endpoint, day)
        if price is None:
            return self.missing(endpoint, day)
        if endpoint.engine in CACHE_OPT_IN and caches(endpoint) and not price.free and price.rates.cache_write is None:
            return (
                f"has no batch price for a prompt cache: {price.where} states no cache_write; add it with cache_read there, or take "
                "settings.prompt_cache out"
            )
        return ""

    def missing(self, endpoint: Endpoint, day: date) -> str:
        """What to do about an endpoint without a price, in one line."""
        region = f", region {endpoint.region}" if endpoint.region else ""
        return (
            f"has no batch price: {self.file or 'the price file'} has none for provider {endpoint.provider}, model {charged_as(endpoint)}"
            f"{region} on {day}; add an entry with provider, models, input and output there, or name the model that it is charged as in "
            f"settings.{CHARGED_AS}"
        )


def charged_as(endpoint: Endpoint) -> str:
    """The model whose price an endpoint has."""
    return str(endpoint.settings.get(CHARGED_AS, endpoint.model))


def caches(endpoint: Endpoint) -> bool:
    """Whether an endpoint's requests may be written to a prompt cache."""
    return endpoint.engine not in CACHE_OPT_IN or endpoint.settings.get("prompt_cache", False) is not False


def stated(endpoint: Endpoint) -> Price:
    """The price of an endpoint inside: what its settings say, else nothing. Raises PolicyFileError for what is no amount."""
    amounts = {name: _stated(endpoint, name) for name in STATED}
    return Price(provider=endpoint.provider, rates=Rates(input=amounts[STATED[0]], output=amounts[STATED[1]]))


def _stated(endpoint: Endpoint, name: str) -> Decimal:
    value = endpoint.settings.get(name, 0)
    try:
        amount = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise PolicyFileError(f"endpoint {endpoint.name}: settings.{name}: expected US dollars per million tokens, found {value!r}")
    return amount


def load_prices(path: Path) -> Prices:
    """Read a price file. Raises PolicyFileError with FILE:LINE."""
    return parse_prices(read_source(path))


def parse_prices(source: Source) -> Prices:
    """Bytes → prices. Pure."""
    keys = parse(source).table(required=("version", "currency", "prices"), optional=("hosts",))
    keys["currency"].choice(("USD",))
    prices = tuple(_price(item) for item in keys["prices"].items("a list of at least one price"))
    _refuse_doubles(prices)
    return Prices(
        version=keys["version"].written("a version, such as a date"),
        prices=prices,
        hosts=parse_hosts(keys["hosts"]) if "hosts" in keys else (),
        digest=hashlib.sha256(source.data).hexdigest(),
        file=source.name,
    )


RATES = ("input", "output")
CACHE_RATES = ("cache_read", "cache_write", "cache_write_1h")


def _price(value: YamlValue) -> Price:
    keys = value.table(
        required=("provider", "feature", *RATES, "valid_from", "review_by", "source"),
        optional=("models", "regions", *CACHE_RATES, "long_context"),
    )
    keys["feature"].choice((BATCH,))
    price = Price(
        provider=keys["provider"].text("a provider", pattern=NAME),
        models=keys["models"].names("model", pattern=r"\S+") if "models" in keys else (),
        regions=keys["regions"].names("region", pattern=NAME) if "regions" in keys else (),
        rates=_rates(keys),
        long=_long(keys["long_context"]) if "long_context" in keys else None,
        valid_from=keys["valid_from"].day("a day, YYYY-MM-DD"),
        review_by=keys["review_by"].day("a day, YYYY-MM-DD"),
        source=keys["source"].text("where the price is published"),
        where=f"{value.file}:{value.line}: {value.path}",
    )
    if not price.models and not price.free:
        raise PolicyFileError(
            f"{price.where}: expected models, the exact names this price is for; only a price of 0 can be for all of them"
        )
    return price


def _long(value: YamlValue) -> LongContext:
    keys = value.table(required=("over", *RATES), optional=CACHE_RATES)
    return LongContext(over=keys["over"].whole("a number of input tokens", at_least=1), rates=_rates(keys))


def _rates(keys: Mapping[str, YamlValue]) -> Rates:
    amounts = {name: _amount(keys[name]) for name in CACHE_RATES if name in keys}
    return Rates(input=_amount(keys["input"]), output=_amount(keys["output"]), **amounts)


def _amount(value: YamlValue) -> Decimal:
    return Decimal(value.text('US dollars per million tokens in quotes, such as "0.075"', pattern=AMOUNT))


def _refuse_doubles(prices: tuple[Price, ...]) -> None:
    """Two prices for one model on one day would make a cost depend on the file's order."""
    seen: dict[tuple[str, str, str, date], Price] = {}
    for price in prices:
        for model in price.models or ("",):
            for region in price.regions or ("",):
                key = (price.provider, model, region, price.valid_from)
                if key in seen:
                    raise PolicyFileError(
                        f"{price.where}: a second price for {model or 'every model'} from {price.valid_from} on; "
                        f"the first is at {seen[key].where}"
                    )
                seen[key] = price
