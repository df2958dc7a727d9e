"""The reference tables follow from the figures in `examples/economics/`, each number of them; what does not follow is said."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.economics.cloud_cost import ApiPrice, Mix, usage_usd
from policies.economics.crossover import Crossing, Fleet, Winner, crossing, volume_row, winner
from policies.economics.hosts import Machine, Rented
from policies.economics.inputs import parse_break_even
from policies.errors import PolicyFileError
from policies.load import read_source
from policies.prices import LongContext, Price, Rates
from policies.yaml_value import Source

FILE = Path(__file__).parents[2] / "examples" / "economics" / "crossover.yaml"
INPUTS = parse_break_even(read_source(FILE))
APIS = {api.name: api for api in INPUTS.apis}
MILLION = 1_000_000
TINY = Decimal(10) ** -20


def whole(usd: Decimal, step: int = 1) -> int:
    """To the nearest dollar, or thousand."""
    return int((usd / step).quantize(Decimal(1), rounding=ROUND_HALF_UP)) * step


@pytest.mark.parametrize(
    ("millions", "api", "self_host", "hosts", "cheaper"),
    [
        (10, 75, 4_000, 1, Winner.API),
        (100, 750, 4_000, 1, Winner.API),
        (500, 3_750, 4_000, 1, Winner.EQUAL),
        (1_000, 7_500, 4_000, 1, Winner.SELF_HOST),
        (5_000, 37_500, 8_000, 2, Winner.SELF_HOST),
        (10_000, 75_000, 16_000, 4, Winner.SELF_HOST),
    ],
    ids=str,
)
def test_the_crossover_table(millions: int, api: int, self_host: int, hosts: int, cheaper: Winner) -> None:
    row = volume_row(INPUTS.fleet, INPUTS.against, INPUTS.mix, millions * MILLION)
    assert (whole(row.api_list), whole(row.self_host), row.hosts, row.winner_list) == (api, self_host, hosts, cheaper)
    assert row.api_batch * 2 == row.api_list
    assert row.utilisation <= INPUTS.fleet.busy_at_most
    assert row.tokens in INPUTS.volumes


def test_at_batch_price_the_crossover_doubles() -> None:
    at_list = crossing(INPUTS.fleet, INPUTS.against.blended(INPUTS.mix))
    at_batch = crossing(INPUTS.fleet, INPUTS.against.blended(INPUTS.mix, batch=True))
    assert at_list.first is not None
    assert at_list.first == at_list.for_good
    assert whole(at_list.first, MILLION) == 533 * MILLION
    assert at_batch.first == 2 * at_list.first
    assert abs(at_batch.utilisation / at_list.utilisation - 2) < TINY
    # Every model: the price halves, so the least volume doubles, as far as it is reached at all.
    for api in INPUTS.apis:
        found = [crossing(INPUTS.fleet, api.blended(INPUTS.mix, batch=batch)) for batch in (False, True)]
        assert abs(found[1].utilisation / found[0].utilisation - 2) < TINY
        assert found[1].first is None or abs(found[1].first / (found[0].first or 1) - 2) < TINY
    assert crossing(INPUTS.fleet, APIS["GPT-4o-mini"].blended(INPUTS.mix)).first is None


@pytest.mark.parametrize(
    ("name", "hardware", "power", "people", "total"),
    [
        ("one A100 80 GB, owned", 2_000, 200, 500, 2_700),
        ("four A100, owned", 8_000, 800, 2_000, 10_800),
        ("cloud A100, reserved", 3_500, 0, 500, 4_000),
        ("cloud H100, reserved", 5_500, 0, 500, 6_000),
        ("cloud H100 at 2.00 an hour", 1_460, 0, 500, 1_960),  # the guides' hourly rent does not come to their 5,500 a month
        ("cloud H100 at 3.90 an hour", 2_847, 0, 500, 3_347),
    ],
)
def test_the_self_hosting_table(name: str, hardware: int, power: int, people: int, total: int) -> None:
    (found,) = (one.machine.monthly for one in INPUTS.set_ups if one.name == name)
    assert tuple(map(whole, (found.hardware, found.power, found.people, found.total))) == (hardware, power, people, total)


def test_a_year_before_the_first_token() -> None:
    (found,) = INPUTS.yearly
    assert {what: (whole(low, 1000), whole(high, 1000)) for what, low, high in found.range.lines()} == {
        "hardware": (28_000, 40_000),
        "power": (10_000, 25_000),
        "people": (30_000, 50_000),
        "total": (68_000, 115_000),
    }


def test_blended_prices() -> None:
    assert APIS["GPT-4o"].blended(INPUTS.mix) == Decimal("7.50")
    assert APIS["GPT-4o"].blended(Mix(input=1, output=0), cached_share=Decimal(1)) == Decimal("1.25")
    assert APIS["Claude Sonnet"].blended(Mix(input=1, output=0), batch=True, cached_share=Decimal(1)) == Decimal("0.15")
    assert APIS["Gemini 1.5 Pro"].blended(INPUTS.mix) == Decimal("3.75")
    assert APIS["GPT-4o-mini"].monthly(10 * MILLION, Mix(input=1, output=1)) == Decimal("3.75")


def test_a_cache_makes_input_cheaper_and_never_output() -> None:
    """The claim of "5.00 to 0.25 a million for a cacheable Haiku batch": 5.00 is the price of output, which no cache reaches."""
    follow = {(claim.api.name, claim.mix.output, claim.stated): (claim.computed, claim.follows) for claim in INPUTS.claims}
    assert follow["Claude Haiku", 1, Decimal("5.00")] == (Decimal(5), True)
    assert follow["Claude Haiku", 1, Decimal("0.25")] == (Decimal("2.50"), False)
    assert follow["Claude Haiku", 0, Decimal("0.05")] == (Decimal("0.05"), True)
    assert follow["GPT-4o", 2, Decimal("7.50")] == (Decimal("7.50"), True)
    output = Mix(input=0, output=1)
    assert APIS["Claude Haiku"].blended(output, cached_share=Decimal(1)) == APIS["Claude Haiku"].blended(output)


@pytest.mark.parametrize(
    ("api", "own", "expected"),
    [(100, 109, Winner.EQUAL), (100, 112, Winner.API), (112, 100, Winner.SELF_HOST), (0, 0, Winner.SELF_HOST), (90, 100, Winner.API)],
)
def test_about_equal_is_within_a_tenth_of_the_greater(api: int, own: int, expected: Winner) -> None:
    assert winner(Decimal(api), Decimal(own)) is expected


def fleet(rent: int, tokens_per_s: int) -> Fleet:
    machine = Machine(gpus=1, paid=Rented(usd_per_gpu_hour=Decimal(rent)))
    return Fleet(name="f", machine=machine, tokens_per_s=Decimal(tokens_per_s), busy_at_most=Decimal("0.5"))


@given(rent=st.integers(1, 40), tokens_per_s=st.integers(1, 5000), price=st.integers(1, 40))
def test_crossings_are_where_a_search_finds_them(rent: int, tokens_per_s: int, price: int) -> None:
    """Along the first steps of the stair: cheaper from `first` on somewhere, and above `for_good` always."""
    hosts, usd = fleet(rent, tokens_per_s), Decimal(price)
    found = crossing(hosts, usd)
    tiny = hosts.capacity / 10**9
    for step in range(1, 40):
        start, end = hosts.capacity * (step - 1) + tiny, hosts.capacity * step
        for tokens in (start, (start + end) / 2, end):
            cheaper = tokens * usd / MILLION >= hosts.cost(tokens)
            if found.first is None or tokens < found.first:
                assert not cheaper
            if found.for_good is not None and tokens >= found.for_good + tiny:
                assert cheaper
    if found.for_good is not None and found.first is not None and found.for_good > found.first:
        before = found.for_good * (1 - Decimal(10) ** -9)  # just below, it is not for good yet
        assert before * usd / MILLION < hosts.cost(before)


def test_what_costs_nothing_is_never_overtaken() -> None:
    assert crossing(fleet(1, 1), Decimal(0)) == Crossing(first=None, for_good=None, utilisation=Decimal("Infinity"))
    level = fleet(1, 1000)
    touching = level.monthly / level.capacity * MILLION
    assert crossing(level, touching).for_good is None


def test_long_requests_cost_what_long_requests_cost() -> None:
    rates = Rates(input=Decimal(1), output=Decimal(2))
    price = Price(provider="p", rates=rates, long=LongContext(over=1000, rates=Rates(input=Decimal(2), output=Decimal(4))))
    assert usage_usd(price, MILLION, MILLION) == Decimal(3)
    assert usage_usd(price, MILLION, MILLION, longer_than=999) == Decimal(3)
    assert usage_usd(price, MILLION, MILLION, longer_than=1000) == Decimal(6)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("against: GPT-4o", "against: GPT-5", r"crossover.yaml:\d+: against: expected one of GPT-4o, "),
        ("mix: {input: 1, output: 2}       #", "mix: {input: 0, output: 0}       #", r"mix: expected at least one part"),
        ('busy_at_most: "0.80"', 'busy_at_most: "0"', "busy_at_most: expected a share above 0"),
        ("volumes: [10000000,", "volumes: [0,", r"volumes\[0\]: expected tokens a month"),
        ("- {name: GPT-4o-mini,", "- {name: GPT-4o,", r"apis\[1\]: expected each model once"),
        ('input: "2.50"', "input: 2.50", r"apis\[0\].input: expected US dollars per million tokens in quotes"),
        ('hardware_usd: "84000"', 'hardware_usd: "840000"', "low: expected the lower figures here"),
        ("currency: USD", "currency: EUR", "currency: expected one of USD"),
        ("  tokens_per_s: 1200\n", "", "self_host.tokens_per_s: expected this key"),
    ],
    ids=["model", "mix", "never busy", "volume", "twice", "float", "range", "currency", "missing"],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(old: str, new: str, expected: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(PolicyFileError, match=expected) as caught:
        parse_break_even(Source(name="crossover.yaml", data=text.replace(old, new, 1).encode()))
    assert str(caught.value).startswith("crossover.yaml:")


def test_an_api_without_discounts_has_none() -> None:
    plain: Any = ApiPrice(name="m", input=Decimal(1), output=Decimal(1))
    assert plain.blended(Mix(input=1, output=1), batch=True, cached_share=Decimal(1)) == 1
