"""What a strategy may know of records and endpoints, by name, and the same as arrays. No text, no record id reaches a strategy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from policies.errors import RuleError
from policies.model import Endpoint
from policies.strategies.batch import Flags, Numbers, Place, Records, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """What a strategy may know of a record.

    tokens_in, tokens_out: expected. complexity: 0..1. usd: expected, by endpoint name; None or absent: nobody has said. avoid: names of
    endpoints that are closed or exhausted for it. escalated: an answer from inside had too little confidence; only the cloud is of use.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    complexity: float = 0.0
    usd: Mapping[str, Decimal | None] = field(default_factory=dict)
    avoid: frozenset[str] = frozenset()
    escalated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the endpoints can do before the deadline, and what `tiered` and `cheapest` go by.

    tokens_per_s: measured, in and out together, by endpoint name; else what the registry declares. queued_tokens: what waits there already.
    reserved_tokens: work beside this batch that can go nowhere but inside. The rest as in `Situation`.
    """

    seconds_left: float = math.inf
    tokens_per_s: Mapping[str, float] = field(default_factory=dict)
    queued_tokens: Mapping[str, float] = field(default_factory=dict)
    reserved_tokens: float = 0.0
    medium_from: float = 1 / 3
    large_from: float = 2 / 3
    quality_floor: str = ""


def records_of(permitted: Flags, facts: Sequence[RecordFacts], endpoints: Sequence[Endpoint]) -> Records:
    """As arrays, with what is permitted. Raises RuleError for facts that are no numbers."""
    count = len(facts)
    try:
        return Records(
            permitted=permitted,
            tokens_in=np.fromiter((one.tokens_in for one in facts), np.int64, count),
            tokens_out=np.fromiter((one.tokens_out for one in facts), np.int64, count),
            complexity=np.fromiter((one.complexity for one in facts), np.float64, count),
            usd=_usd(facts, endpoints),
            escalated=np.fromiter((one.escalated for one in facts), np.bool_, count),
        )
    except (OverflowError, TypeError, ValueError):
        raise RuleError("facts: expected whole tokens, a complexity from 0 to 1 and amounts of US dollars, found something else") from None


def _usd(facts: Sequence[RecordFacts], endpoints: Sequence[Endpoint]) -> Numbers:
    usd: Numbers = np.full((len(facts), len(endpoints)), np.nan)
    if any(one.usd for one in facts):
        for index, endpoint in enumerate(endpoints):
            name = endpoint.name
            usd[:, index] = np.array([one.usd.get(name) for one in facts], dtype=np.float64)  # None becomes nan
    return usd


def place_of(endpoint: Endpoint, capacity: Capacity) -> Place:
    """An endpoint with its queue; what was measured goes before what the registry declares."""
    return Place(
        name=endpoint.name,
        lane=endpoint.lane,
        tier=endpoint.tier,
        tokens_per_s=capacity.tokens_per_s.get(endpoint.name, endpoint.tokens_per_s),
        queued_tokens=capacity.queued_tokens.get(endpoint.name, 0.0),
    )


def situation_of(capacity: Capacity) -> Situation:
    """What holds for the whole batch."""
    return Situation(
        seconds_left=capacity.seconds_left,
        reserved_tokens=capacity.reserved_tokens,
        medium_from=capacity.medium_from,
        large_from=capacity.large_from,
        quality_floor=capacity.quality_floor,
    )
