"""How the records of a night find their places: a strategy with all that it goes by, and the budget that stops it.

Drawn by generators of their own, for the nights from `ROUTED_FROM` on: what smaller seeds have lived through stays as it was.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ROUTED_FROM = 8000
ROUTED = 1 / 3
"""The share of nights with a strategy of their own."""

STRATEGIES = ("tiered", "waterfall", "waterfall", "cheapest", "local_first")
TIERS = (None, "small", "medium", "large")
ENDPOINTS = ("inside", "chaos-cloud", "chaos-other")

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What stands under `lanes`, and what the registry says of the endpoints there.

    local, cloud: endpoints by name. keys: beside them. failing: how often an answer of the server inside fails, for a night that has none
    yet. doubt: how many of its answers have little confidence, or none. facts: by endpoint.
    """

    strategy: str
    local: tuple[str, ...]
    cloud: tuple[str, ...]
    keys: Mapping[str, object]
    failing: float
    doubt: float
    facts: Mapping[str, Facts] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """As the job file has it."""
        return f"lanes: {json.dumps({'local': self.local, 'cloud': self.cloud, 'strategy': self.strategy, **self.keys})}"


def draw_routing(seed: int, provider: str) -> Routing | None:
    """The night's own, or none: then it is as the job's other lines have it."""
    chance = random.Random(f"{seed}|{provider}|routing")
    if seed < ROUTED_FROM or chance.random() >= ROUTED:
        return None
    strategy = chance.choice(STRATEGIES)
    return Routing(
        strategy=strategy,
        local=("inside",) if strategy == "waterfall" else chance.choice((("inside",), ("inside", "extractive"), ("extractive", "inside"))),
        cloud=chance.choice((("chaos-cloud",), ("chaos-cloud",), ("chaos-cloud", "chaos-other"), ("chaos-other", "chaos-cloud"))),
        keys=_keys(chance, strategy),
        failing=chance.choice((0.0, 0.1, 0.3)),
        doubt=chance.choice((0.2, 0.5, 1.0)),
        facts={name: _facts(chance, inside=name == "inside") for name in ENDPOINTS},
    )


def _keys(chance: random.Random, strategy: str) -> dict[str, object]:
    """What the strategy goes by. The documents are all simple, so the limits of `tiered` are low."""
    floor = chance.choice(TIERS)
    found: dict[str, object] = {} if floor is None or strategy not in {"tiered", "cheapest"} else {"quality_floor": floor}
    if strategy == "waterfall":
        found["escalate_below"] = 0.5
    if strategy == "tiered":
        medium, large = sorted(chance.choice((0.0, 0.05, 0.3)) for _ in range(2))
        found["complexity"] = {"medium_from": medium, "large_from": large}
    return found


def _facts(chance: random.Random, *, inside: bool) -> Facts:
    """Inside: how fast it is, now and then too slow for all of its night, or for any; and what it costs, which may be more than outside."""
    tier = chance.choice(TIERS)
    found: dict[str, object] = {} if tier is None else {"tier": tier}
    speed = chance.choice((None, 2500, 0.05, 0.02, 0.0001))
    rates = chance.choice((None, (0, 0), (50, 500), (200, 2000)))
    if inside and speed is not None:
        found["tokens_per_s"] = speed
    if inside and rates is not None:
        found["settings"] = {"usd_per_million_input": rates[0], "usd_per_million_output": rates[1]}
    return found


def budgeted(seed: int, provider: str, job: Sequence[str], routing: Routing | None) -> tuple[str, ...]:
    """The lines of the job, where some nights stop at their budget, and some that are routed have one: of the job, or of an endpoint."""
    chance = random.Random(f"{seed}|{provider}|stop")
    stops, has_one = chance.random() < 1 / 3, any(line.startswith("budget_usd") for line in job)
    amount, way = chance.choice((0.4, 1, 2.5)), chance.choice(("stop", "stop", "hold", "local"))
    of_one, given_one = chance.random() < 0.4, chance.random() < (0.7 if routing and routing.strategy == "waterfall" else 0.4)
    if seed < ROUTED_FROM:
        return tuple(job)
    if has_one:
        return tuple("on_budget: stop" if stops and line.startswith("on_budget") else line for line in job)
    if routing is None or not given_one:
        return tuple(job)
    limit = f"endpoints: {{{routing.cloud[0]}: {{night: {amount}}}}}" if of_one else f"night: {amount}"
    return (*job, f"budget_usd: {{{limit}}}", f"on_budget: {way}")
