"""The file with the figures for `waybill costs breakeven`: models, machines, volumes. Strict like the price file; it has no defaults.

version: 2026-11-22
currency: USD
title: …
mix: {input: 1, output: 2}            of the tokens, in whole parts
apis:
  - {name: gpt-4o, input: "2.50", output: "10.00", batch_discount: "0.50", cache_discount: "0.50"}
against: gpt-4o                       whose table by volume is shown
self_host: {name: …, gpus: 1, rented: {usd_per_gpu_hour: "…"}, people: {…}, tokens_per_s: 1200, busy_at_most: "0.80"}
volumes: [10000000, 100000000]        tokens a month
utilisations: ["0.05", "0.20"]
set_ups: […]                          optional: machines whose months are to be compared
yearly: […]                           optional: machines of which the lowest and the highest figures are known
claims: […]                           optional: prices that somebody states, to be computed anew
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from policies.economics.cloud_cost import ApiPrice, Mix
from policies.economics.crossover import Fleet, YearlyRange
from policies.economics.hosts import MACHINE_KEYS, Machine, amount, machine_of, share
from policies.yaml_value import Source, YamlValue, parse

SPOKEN_NAME = r"[^\x00-\x1f\x7f]{1,80}"
_MACHINE_OPTIONAL = tuple(key for key in MACHINE_KEYS if key != "gpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """A named machine."""

    name: str
    machine: Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRange:
    """A set-up with its lowest and its highest figures."""

    name: str
    range: YearlyRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A price that somebody states for a model: US dollars per million tokens of this mix, batch or not, this much of its input cached."""

    api: ApiPrice
    mix: Mix
    batch: bool
    cached_share: Decimal
    stated: Decimal

    @property
    def computed(self) -> Decimal:
        """What it comes to by the formulas."""
        return self.api.blended(self.mix, batch=self.batch, cached_share=self.cached_share)

    @property
    def follows(self) -> bool:
        """Whether it comes to what is stated, to the cent."""
        return abs(self.computed - self.stated) < Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvenInputs:
    """A whole file. against: one of `apis`."""

    version: str
    title: str
    mix: Mix
    apis: tuple[ApiPrice, ...]
    against: ApiPrice
    fleet: Fleet
    volumes: tuple[int, ...]
    utilisations: tuple[Decimal, ...]
    set_ups: tuple[SetUp, ...] = ()
    yearly: tuple[NamedRange, ...] = ()
    claims: tuple[Claim, ...] = ()


def parse_break_even(source: Source) -> BreakEvenInputs:
    """Bytes → figures. Raises PolicyFileError with FILE:LINE."""
    keys = parse(source).table(
        required=("version", "currency", "title", "mix", "apis", "against", "self_host", "volumes", "utilisations"),
        optional=("set_ups", "yearly", "claims"),
    )
    keys["currency"].choice(("USD",))
    apis = _apis(keys["apis"])
    return BreakEvenInputs(
        version=keys["version"].written("a version, such as a date"),
        title=keys["title"].text("a title", pattern=SPOKEN_NAME),
        mix=mix_of(keys["mix"]),
        apis=tuple(apis.values()),
        against=apis[keys["against"].choice(tuple(apis))],
        fleet=fleet_of(keys["self_host"]),
        volumes=tuple(sorted(item.whole("tokens a month", at_least=1) for item in keys["volumes"].items("a list of volumes"))),
        utilisations=tuple(sorted(_above_zero(item) for item in keys["utilisations"].items("a list of utilisations"))),
        set_ups=tuple(map(_set_up, keys["set_ups"].items("a list of set-ups"))) if "set_ups" in keys else (),
        yearly=tuple(map(_range, keys["yearly"].items("a list of set-ups"))) if "yearly" in keys else (),
        claims=tuple(_claim(item, apis) for item in keys["claims"].items("a list of claims")) if "claims" in keys else (),
    )


def api_of(value: YamlValue) -> ApiPrice:
    """A model and its list prices."""
    keys = value.table(required=("name", "input", "output"), optional=("batch_discount", "cache_discount"))
    return ApiPrice(
        name=keys["name"].text("the model's name", pattern=SPOKEN_NAME),
        input=amount(keys["input"], "US dollars per million tokens"),
        output=amount(keys["output"], "US dollars per million tokens"),
        **{name: share(keys[name]) for name in ("batch_discount", "cache_discount") if name in keys},
    )


def mix_of(value: YamlValue) -> Mix:
    """How tokens divide into input and output."""
    keys = value.table(required=("input", "output"))
    found = Mix(**{name: keys[name].whole("a number of parts", at_least=0) for name in ("input", "output")})
    if not found.parts:
        value.refuse("expected at least one part of input or output, found none")
    return found


def fleet_of(value: YamlValue) -> Fleet:
    """A kind of host, and what it can do."""
    keys = value.table(required=("name", "gpus", "tokens_per_s", "busy_at_most"), optional=_MACHINE_OPTIONAL)
    return Fleet(
        name=keys["name"].text("a name", pattern=SPOKEN_NAME),
        machine=machine_of(value, keys),
        tokens_per_s=Decimal(keys["tokens_per_s"].whole("tokens a second of one host, in and out", at_least=1)),
        busy_at_most=_above_zero(keys["busy_at_most"]),
    )


def _apis(value: YamlValue) -> dict[str, ApiPrice]:
    found: dict[str, ApiPrice] = {}
    for item in value.items("a list of at least one model"):
        api = api_of(item)
        if api.name in found:
            item.refuse(f"expected each model once, found a second {api.name}")
        found[api.name] = api
    return found


def _above_zero(value: YamlValue) -> Decimal:
    found = share(value)
    if not found:
        value.refuse("expected a share above 0: a machine that is never busy does nothing at any price")
    return found


def _set_up(value: YamlValue) -> SetUp:
    keys = value.table(required=("name", "gpus"), optional=_MACHINE_OPTIONAL)
    return SetUp(name=keys["name"].text("a name", pattern=SPOKEN_NAME), machine=machine_of(value, keys))


def _range(value: YamlValue) -> NamedRange:
    keys = value.table(required=("name", "low", "high"))
    low, high = (_machine(keys[name]) for name in ("low", "high"))
    if low.monthly.total > high.monthly.total:
        keys["low"].refuse("expected the lower figures here; these come to more than those under `high`")
    return NamedRange(name=keys["name"].text("a name", pattern=SPOKEN_NAME), range=YearlyRange(low=low, high=high))


def _machine(value: YamlValue) -> Machine:
    return machine_of(value, value.table(required=("gpus",), optional=_MACHINE_OPTIONAL))


def _claim(value: YamlValue, apis: Mapping[str, ApiPrice]) -> Claim:
    keys = value.table(required=("model", "mix", "batch", "cached_share", "usd_per_million"))
    return Claim(
        api=apis[keys["model"].choice(tuple(apis))],
        mix=mix_of(keys["mix"]),
        batch=keys["batch"].flag(),
        cached_share=share(keys["cached_share"]),
        stated=amount(keys["usd_per_million"], "US dollars per million tokens"),
    )
