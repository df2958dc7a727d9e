"""The price file: strict, exact, and in agreement with a second source; what has no price is an error, and arithmetic loses nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from policies.budget import (
    ALERT_AT,
    BUDGET_MONTH,
    BUDGET_NIGHT,
    ENDPOINT_MONTH,
    ENDPOINT_NIGHT,
    NO_PRICE,
    Budget,
    Committed,
    Limits,
    reached,
    refusal,
)
from policies.check import Severity, check
from policies.errors import PolicyFileError
from policies.load import DEFAULT_POLICY
from policies.model import Endpoint, Lane
from policies.prices import DEFAULT_PRICES, SMALLEST_USD, LongContext, Price, Rates, Usage, load_prices, parse_prices, stated
from policies.registry import load_rulebook
from policies.yaml_value import Source

TODAY = date(2026, 11, 22)
BUNDLED = load_prices(DEFAULT_PRICES)
GOOD = """version: 2026-11-22
currency: USD
prices:
  - provider: openai
    models: [small, small-2026-01-01]
    feature: batch
    input: "0.075"
    output: "0.30"
    cache_read: "0.0375"
    valid_from: 2026-01-01
    review_by: 2027-02-28
    source: https://prices.test
"""
CLOUD = Endpoint(name="way-out", lane=Lane.CLOUD, engine="openai_batch", provider="openai", model="small", region="us")


def prices(text: str) -> Any:
    return parse_prices(Source(name="prices.yaml", data=text.encode()))


def entry(**changes: str) -> str:
    """The entry of GOOD again, with other values."""
    lines = GOOD.partition("prices:\n")[2].splitlines()
    return "".join(
        f"{line.partition(':')[0]}: {changes[key]}\n" if (key := line.partition(":")[0].strip(" -")) in changes else f"{line}\n"
        for line in lines
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            GOOD.replace("    output", "    outptu"),
            "prices.yaml:8: prices[0].outptu: unknown key; expected one of provider, feature, input",
        ),
        (GOOD.replace('    output: "0.30"\n', ""), "prices.yaml:4: prices[0].output: expected this key, found nothing; it is mandatory"),
        (GOOD.replace('"0.075"', "0.075"), "prices.yaml:7: prices[0].input: expected US dollars per million tokens in quotes"),
        (GOOD.replace('"0.075"', '"-1"'), "prices.yaml:7: prices[0].input: expected US dollars per million tokens in quotes"),
        (GOOD.replace('"0.075"', '"NaN"'), "prices.yaml:7: prices[0].input: expected US dollars per million tokens in quotes"),
        (GOOD.replace("USD", "EUR"), "prices.yaml:2: currency: expected one of USD, found 'EUR'"),
        (GOOD.replace("feature: batch", "feature: online"), "prices.yaml:6: prices[0].feature: expected one of batch, found 'online'"),
        (GOOD.replace("2027-02-28", "spring"), "prices.yaml:11: prices[0].review_by: expected a day, YYYY-MM-DD"),
        (GOOD.replace("    models: [small, small-2026-01-01]\n", ""), "prices.yaml:4: prices[0]: expected models, the exact names"),
        (
            GOOD + entry(models="[other, small]"),
            "prices.yaml:13: prices[1]: a second price for small from 2026-01-01 on; the first is at pric",
        ),
        (
            GOOD + "    long_context: {over: 0, input: '1', output: '1'}\n",
            "prices.yaml:13: prices[0].long_context.over: expected a number of",
        ),
    ],
    ids=["unknown key", "missing", "float", "negative", "NaN", "currency", "feature", "day", "no models", "double", "long context"],
)
def test_a_price_file_is_strict(text: str, expected: str) -> None:
    with pytest.raises(PolicyFileError) as refused:
        prices(text)
    assert str(refused.value).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "day", "expected"),
    [
        ({}, TODAY, "0.075"),
        ({"model": "small-2026-01-01"}, TODAY, "0.075"),
        ({"model": "small-2"}, TODAY, None),
        ({"model": "smal"}, TODAY, None),
        ({"provider": "azure"}, TODAY, None),
        ({"model": "our-deployment", "settings": {"charged_as": "small"}}, TODAY, "0.075"),
        ({}, date(2025, 12, 31), None),
        ({}, date(2026, 12, 1), "0.05"),
        ({"region": "eu"}, date(2026, 12, 1), "0.09"),
        ({"engine": "openai_compatible"}, TODAY, None),
        ({"provider": "emulator", "model": "whatever"}, TODAY, "0"),
        ({"lane": Lane.LOCAL, "engine": "extractive", "provider": "nobody"}, TODAY, "0"),
        ({"lane": Lane.LOCAL, "settings": {"usd_per_million_input": 0.02}}, TODAY, "0.02"),
    ],
    ids=[
        "exact", "second name", "longer name", "shorter name", "provider", "charged as", "too early", "newer", "region", "no batch", "free",
        "local", "local, stated",
    ],
)  # fmt: skip
def test_the_price_of_an_endpoint(changes: dict[str, Any], day: date, expected: str | None) -> None:
    newer = entry(models="[small]", input='"0.05"', valid_from="2026-12-01")
    regional = entry(models="[small]", input='"0.09"').replace("    feature", "    regions: [eu, ap]\n    feature")
    free = '  - {provider: emulator, feature: batch, input: "0", output: "0", valid_from: 2026-01-01, review_by: 2099-01-01, source: s}\n'
    price = prices(GOOD + newer + regional + free).of(replace(CLOUD, **changes), day)
    assert (str(price.rates.input) if price else None) == expected


@pytest.mark.parametrize("value", ["much", -1, True, "NaN"], ids=str)
def test_a_local_cost_must_be_an_amount(value: Any) -> None:
    with pytest.raises(PolicyFileError, match=r"endpoint way-out: settings.usd_per_million_output: expected US dollars"):
        stated(replace(CLOUD, lane=Lane.LOCAL, settings={"usd_per_million_output": value}))


def test_a_missing_price_is_one_clear_error() -> None:
    rules = load_rulebook(DEFAULT_POLICY)
    (problem,) = [
        one
        for one in check(rules.policy, {"x": replace(rules.registry["openai-batch"], name="x", model="gpt-9")}, today=TODAY, prices=BUNDLED)
        if one.severity is Severity.ERROR
    ]
    assert problem.where == "endpoint x"
    assert "has no batch price" in problem.message
    assert "model gpt-9, region us on 2026-11-22; add an entry" in problem.message
    assert "\n" not in problem.message


@pytest.mark.parametrize(
    ("name", "cached", "expected"),
    [("bedrock-batch", True, "states no cache_write; add it"), ("bedrock-batch", False, ""), ("anthropic-batch", True, "")],
    ids=["no rate", "no cache", "rate"],
)
def test_a_prompt_cache_needs_its_rates(name: str, cached: object, expected: str) -> None:
    endpoint = load_rulebook(DEFAULT_POLICY).registry[name]
    found = BUNDLED.incomplete(replace(endpoint, settings={"prompt_cache": bool(cached)}), TODAY)
    assert (expected in found) if expected else not found


def test_prices_past_their_review_are_asked_about() -> None:
    rules = load_rulebook(DEFAULT_POLICY)
    found = check(rules.policy, {"x": replace(rules.registry["openai-batch"], review_by=None)}, today=date(2027, 3, 1), prices=BUNDLED)
    assert [one.severity for one in found if "the price of openai-batch was to be reviewed by 2027-02-28" in one.message] == ["warning"]


CASES = [(price, model) for price in BUNDLED.prices if price.provider != "emulator" for model in price.models]


@pytest.mark.parametrize(("price", "model"), CASES, ids=[f"{price.provider} {model}" for price, model in CASES])
def test_the_second_source_agrees(price: Price, model: str) -> None:
    """genai-prices asked for batches; where it has none it gives the full price without a word, so half of that is what we expect."""
    known = "openai" if price.provider == "azure" else price.provider
    found = next(one for provider in providers if provider.id == known for one in provider.models if one.is_match(model))
    variant = next((one.prices for one in found.price_variants or () if one.when == {"processing": "batch"}), None)
    halved = variant is None or price.provider == "azure"
    at = datetime(2026, 11, 22, tzinfo=UTC)
    full = found.get_prices(at)
    for tokens in (1000, price.long.over + 1 if price.long else 2000):
        rates = price.long.rates if price.long and tokens > price.long.over else price.rates
        for name, ours in (("input", rates.input), ("output", rates.output)):
            usage = genai_prices.Usage(input_tokens=tokens, output_tokens=1_000_000 if name == "output" else 0)
            told = genai_prices.calc_price(
                usage, model, provider_id=known, genai_request_timestamp=at, price_context={} if halved else {"processing": "batch"}
            )
            theirs = told.output_price if name == "output" else told.input_price * 1_000_000 / tokens
            assert ours == (theirs / 2 if halved else theirs), name
        assert rates.input <= base(full.input_mtok) / 2 or (price.long and tokens > price.long.over)
    for name in ("cache_read", "cache_write", "cache_write_1h"):
        theirs = getattr(full if halved else variant, f"{name}_mtok")
        ours = getattr(price.rates, name)
        if ours is not None:
            assert ours == (base(theirs) / 2 if halved else base(theirs)), name
        elif not halved:
            assert theirs is None, f"{name}: the second source has a batch rate for it"


def base(amount: Any) -> Decimal:
    return Decimal(getattr(amount, "base", amount))


def test_a_misspelt_context_would_have_gone_unnoticed() -> None:
    """Why the test above looks at the variants itself: the package ignores what it does not know."""
    usage = genai_prices.Usage(input_tokens=1_000_000, output_tokens=0)
    full = genai_prices.calc_price(usage, "gpt-4o-mini", provider_id="openai", price_context={"procesing": "batch"})
    assert (
        full.total_price
        == 2 * genai_prices.calc_price(usage, "gpt-4o-mini", provider_id="openai", price_context={"processing": "batch"}).total_price
    )


AMOUNTS = st.decimals(min_value=0, max_value=500, places=3)
RATES = st.builds(Rates, input=AMOUNTS, output=AMOUNTS, cache_read=st.none() | AMOUNTS, cache_write=AMOUNTS, cache_write_1h=AMOUNTS)
LONG = st.none() | st.builds(LongContext, over=st.integers(1, 5000), rates=RATES)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    tokens = draw(st.integers(0, 10_000))
    cached = draw(st.integers(0, tokens))
    written = draw(st.integers(0, tokens - cached))
    return Usage(
        tokens_in=tokens, tokens_out=draw(st.integers(0, 10_000)), cached=cached, written=written, written_1h=draw(st.integers(0, written))
    )


@given(RATES, st.lists(usages(), max_size=30))
def test_the_costs_of_the_records_are_the_cost_of_the_batch(rates: Rates, rows: list[Usage]) -> None:
    price = Price(provider="p", rates=rates)
    names = ("tokens_in", "tokens_out", "cached", "written", "written_1h")
    whole = Usage(**{name: sum(getattr(row, name) for row in rows) for name in names})
    assert sum((price.cost(row) or Decimal(0) for row in rows), Decimal(0)) == price.cost(whole)


@given(RATES, LONG, usages(), st.integers(0, 3000), st.integers(0, 3000))
def test_no_cost_is_above_its_bound(rates: Rates, long: LongContext | None, used: Usage, spare_in: int, spare_out: int) -> None:
    price = Price(provider="p", rates=rates, long=long)
    cost, caching = price.cost(used), bool(used.written or (used.cached and rates.cache_read is not None))
    assert cost is not None
    assert 0 <= cost <= price.bound(used.tokens_in + spare_in, used.tokens_out + spare_out, caching=caching)
    assert cost == cost.quantize(SMALLEST_USD)


def test_a_cost_by_hand() -> None:
    rates = Rates(input=Decimal("0.50"), output=Decimal("2.50"), cache_read=Decimal("0.05"), cache_write_1h=Decimal("1.00"))
    price = Price(provider="p", rates=rates, long=LongContext(over=2000, rates=replace(rates, input=Decimal(10), output=Decimal(20))))
    # 400 plain, 500 read from the cache, 100 written for an hour, 40 out
    assert price.cost(Usage(tokens_in=1000, tokens_out=40, cached=500, written=100, written_1h=100)) == Decimal("0.000425")
    assert price.cost(Usage(tokens_in=100, tokens_out=0, written=100)) is None  # a write that is not for an hour has no rate here
    assert price.cost(Usage(tokens_in=2001, tokens_out=1)) == Decimal("0.02003")
    assert price.bound(1000, 40) == Decimal("0.0011")  # all of the input written for an hour
    assert price.bound(1000, 40, caching=False) == Decimal("0.0006")


@pytest.mark.parametrize(
    ("budget", "committed", "bound", "expected"),
    [
        (Budget(), "999", None, None),
        (Budget(night=Decimal(10)), "9", "1", None),
        (Budget(night=Decimal(10)), "9", "1.000000001", BUDGET_NIGHT),
        (Budget(month=Decimal(10)), "9.5", "1", BUDGET_MONTH),
        (Budget(night=Decimal(10), month=Decimal(10)), "9.5", "1", BUDGET_MONTH),
        (Budget(night=Decimal(0)), "0", "0", None),
        (Budget(night=Decimal(0)), "0", "0.000000001", BUDGET_NIGHT),
        (Budget(night=Decimal(10)), "0", None, NO_PRICE),
    ],
    ids=["no limit", "fits", "night", "month", "month first", "free at nothing", "nothing", "no price"],
)
def test_whether_a_record_fits(budget: Budget, committed: str, bound: str | None, expected: str | None) -> None:
    amounts = Committed(night=Decimal(committed), month=Decimal(committed))
    assert refusal(budget, amounts, None if bound is None else Decimal(bound)) == expected


FAR = {"far": Limits(night=Decimal(3), month=Decimal(5))}


@pytest.mark.parametrize(
    ("budget", "endpoint", "bound", "expected"),
    [
        (Budget(endpoints=FAR), "far", "1", None),
        (Budget(endpoints=FAR), "far", "1.01", ENDPOINT_NIGHT),
        (Budget(endpoints=FAR), "far", "3.01", ENDPOINT_MONTH),
        (Budget(endpoints=FAR), "near", "999", None),
        (Budget(endpoints=FAR), "near", None, None),
        (Budget(endpoints=FAR), "far", None, NO_PRICE),
        (Budget(endpoints=FAR, night=Decimal(10)), "far", "2", ENDPOINT_NIGHT),
        (Budget(endpoints=FAR, night=Decimal(6)), "far", "1.5", BUDGET_NIGHT),
        (Budget(endpoints=FAR, night=Decimal(6)), "near", "1.5", BUDGET_NIGHT),
    ],
    ids=["fits", "its night", "its month", "another", "another, no price", "no price", "its own first", "the job's first", "the job's"],
)
def test_whether_a_record_fits_at_an_endpoint(budget: Budget, endpoint: str, bound: str | None, expected: str | None) -> None:
    amounts = Committed().plus(Decimal(2), "far").plus(Decimal(3), "near")
    assert [amounts.at("far").month, amounts.at("").night, amounts.plus(Decimal(1)).at("far").night] == [Decimal(2), Decimal(5), Decimal(2)]
    assert refusal(budget, amounts, None if bound is None else Decimal(bound), endpoint) == expected


@pytest.mark.parametrize(
    ("limit", "committed", "full", "expected"),
    [("10", "4.99", False, ()), ("10", "5", False, (50,)), ("10", "9.999", False, (50, 80)), ("10", "10", False, ALERT_AT),
     ("10", "1", True, ALERT_AT), ("0", "0", False, ()), ("0", "0", True, ALERT_AT)],
    ids=["below", "half", "nearly", "all", "nothing more fits", "nothing allowed", "and something wanted"],
)  # fmt: skip
def test_the_shares_of_a_limit(limit: str, committed: str, *, full: bool, expected: tuple[int, ...]) -> None:
    assert reached(Decimal(limit), Decimal(committed), full=full) == expected
