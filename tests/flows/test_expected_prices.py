"""What `cheapest` compares: nobody's silence is a price of nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from flows.expected_prices import expected_price
from policies.economics.hosts import Host, Machine, Rented
from policies.load import DEFAULT_REGISTRY
from policies.model import Endpoint
from policies.prices import DEFAULT_PRICES, load_prices
from policies.registry import load_registry

REGISTRY = load_registry(DEFAULT_REGISTRY)
DAY = date(2026, 11, 23)
HOST = Host(
    name="rack-1",
    endpoints=("vllm",),
    machine=Machine(gpus=2, paid=Rented(usd_per_gpu_hour=Decimal("1.80"))),
    valid_from=date(2026, 1, 1),
    review_by=date(2027, 1, 1),
    source="invented",
)
PRICES = replace(load_prices(DEFAULT_PRICES), hosts=(HOST,))
STATED = replace(REGISTRY["vllm"], settings={"usd_per_million_input": 3, "usd_per_million_output": 4})


@pytest.mark.parametrize(
    ("endpoint", "measured", "usd"),
    [
        pytest.param(REGISTRY["extractive"], None, Decimal(0), id="the embedded engine is free"),
        pytest.param(REGISTRY["local-server"], 1000.0, None, id="no host, nothing stated"),
        pytest.param(REGISTRY["vllm"], None, None, id="a host, and no speed"),
        pytest.param(REGISTRY["vllm"], 1000.0, Decimal(1), id="3.60 an hour, 3.6 million tokens an hour"),
        pytest.param(replace(REGISTRY["vllm"], tokens_per_s=500.0), None, Decimal(2), id="half as fast, as declared"),
        pytest.param(replace(REGISTRY["vllm"], tokens_per_s=500.0), 1000.0, Decimal(1), id="measured goes before declared"),
        pytest.param(STATED, 1000.0, Decimal(3), id="what the registry states"),
        pytest.param(REGISTRY["emulator"], 1000.0, Decimal(0), id="a provider has its price"),
        pytest.param(replace(REGISTRY["emulator"], provider="nobody"), None, None, id="a provider without a price"),
    ],
)
def test_dollars_for_a_million_tokens_in(endpoint: Endpoint, measured: float | None, usd: Decimal | None) -> None:
    price = expected_price(PRICES, endpoint, DAY, measured)
    assert (None if price is None else price.bound(1_000_000, 0, caching=False)) == usd
