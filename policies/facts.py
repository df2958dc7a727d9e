"""Registry facts: which exist, and when an endpoint satisfies what a route requires.

- A fact that the registry does not state is not satisfied, whatever is required of it (invariant 1).
- A yes/no or text fact must be equal; a number (`retention_days`) is an upper bound.
- Facts belong to a provider's *feature*: the business associate agreement of a vendor is not that of its batch endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policies.model import Endpoint

Fact = bool | int | str

FACTS: Mapping[str, type] = MappingProxyType(
    {
        "baa": bool,  # a business associate agreement covers this feature: 45 CFR 164.504(e)
        "dpa": bool,  # a data processing agreement covers it: GDPR Art. 28(3), Cal. Civ. Code 1798.100(d)
        "training_use": bool,  # the provider may train on what it is sent
        "zero_data_retention": bool,  # nothing is kept after the answer
        "human_review": bool,  # the provider's staff may read what it is sent (abuse monitoring)
        "retention_days": int,  # how long inputs and outputs are kept
        "region": str,  # where it is processed: the endpoint's own region
    }
)
"""Every fact a route can require, with its type. `region` is an endpoint's own field, not one of its `facts`."""


def satisfies(value: Fact | None, required: Fact) -> bool:
    """Whether a stated fact meets a requirement. Types must agree: True is not 1."""
    if type(value) is not type(required):
        return False
    if isinstance(value, bool) or isinstance(required, bool):
        return value is required
    if isinstance(value, int) and isinstance(required, int):
        return value <= required
    return value == required


def unmet(endpoint: Endpoint, requires: Mapping[str, Fact]) -> tuple[str, ...]:
    """The required facts that the endpoint does not satisfy, in the policy's order."""
    return tuple(name for name, required in requires.items() if not satisfies(_stated(endpoint, name), required))


def _stated(endpoint: Endpoint, name: str) -> Fact | None:
    return (endpoint.region or None) if name == "region" else endpoint.facts.get(name)
