"""How a job chooses among the places that a decision leaves: one small file each, pure, over arrays (docs/routing.md)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policies.strategies.batch import Strategy
from policies.strategies.cheapest import cheapest
from policies.strategies.cloud_first import cloud_first
from policies.strategies.local_first import local_first
from policies.strategies.tiered import tiered
from policies.strategies.waterfall import waterfall

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "cloud_first": cloud_first,
        "local_first": local_first,
        "tiered": tiered,
        "waterfall": waterfall,
        "cheapest": cheapest,
    }
)
"""Every strategy by the name that a job gives it."""
