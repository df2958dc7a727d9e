"""The cheapest that the month could have been for one who knew it all: a linear programme for every night, exact as a lower bound.

x[i, j] is the share of record i that place j answers. Minimise what it really costs, so that every record is answered once, every place
inside ends before the deadline and before it stops, and the night's budget is kept. A record cannot really be divided, nor its tokens be
known beforehand, so nothing that a strategy could have done was cheaper. The month's budget is left out, which can only lower the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from benchmarks.month.purse import expected_usd
from benchmarks.month.simulate import needed_levels
from benchmarks.month.world import DEADLINE_S, Night, World
from policies.assign import permits
from policies.budget import Budget
from policies.model import Lane
from policies.strategies.batch import Place
from policies.strategies.order import good_enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """US dollars."""

    cloud: Decimal
    local: Decimal

    @property
    def total(self) -> Decimal:
        """Both."""
        return self.cloud + self.local


def hindsight(world: World, budget: Budget, *, large_enough: bool) -> Optimum:
    """The least that the month could cost. large_enough: with the tier that each record asks for, where one is permitted to it."""
    cloud = local = Decimal(0)
    for night in world.nights:
        outside, inside = _night(world, night, budget, large_enough=large_enough)
        cloud, local = cloud + outside, local + inside
    return Optimum(cloud=cloud, local=local)


def _night(world: World, night: Night, budget: Budget, *, large_enough: bool) -> tuple[Decimal, Decimal]:
    endpoints = world.endpoints
    allowed = np.array(
        [
            [permits(one, place, today=night.day) is None and not (night.cloud_down and place.lane is Lane.CLOUD) for place in endpoints]
            for one in night.decisions
        ]
    )
    if large_enough:
        allowed = good_enough([Place(name=one.name, lane=one.lane, tier=one.tier) for one in endpoints], allowed, needed_levels(night))
    usd = _usd(world, night)
    record, place = np.nonzero(allowed)
    outside = np.array([one.lane is Lane.CLOUD for one in endpoints])
    cost = usd[record, place]
    tokens = (night.tokens_in + night.tokens_out)[record]
    rows = [np.where(outside[place], cost, 0.0)]
    limits = [float(budget.night) if budget.night is not None else np.inf]
    for index, one in enumerate(endpoints):
        if one.lane is Lane.LOCAL:
            rows.append(np.where(place == index, tokens / (world.tokens_per_s(one) * night.speed), 0.0))
            limits.append(min(DEADLINE_S, night.down_from_s(one.name)))
    count = len(record)
    once = coo_array((np.ones(count), (record, np.arange(count))), shape=(len(allowed), count))
    found = linprog(cost, A_ub=np.array(rows), b_ub=limits, A_eq=once.tocsr(), b_eq=np.ones(len(allowed)), bounds=(0, 1), method="highs")
    if not found.success:
        raise ArithmeticError(f"{night.day}: no assignment keeps deadline and budget, whatever one knows: {found.message}")
    paid = cost * found.x
    return Decimal(float(paid[outside[place]].sum())), Decimal(float(paid[~outside[place]].sum()))


def _usd(world: World, night: Night) -> NDArray[np.float64]:
    """What every record really cost, or would have, everywhere: [n, m]."""
    columns = []
    for endpoint in world.endpoints:
        # A cost is linear in the tokens, so that of a million of each is enough.
        about = {
            "prices": world.rules.prices,
            "endpoint": endpoint,
            "day": night.day,
            "tokens_per_s": world.declared(endpoint) * night.speed,
        }
        per_in, per_out = (expected_usd(**about, tokens_in=one, tokens_out=other) for one, other in ((10**9, 0), (0, 10**9)))  # type: ignore[arg-type]
        if per_in is None or per_out is None:
            raise LookupError(f"{night.day}: expected a price of {endpoint.name}, found none")
        columns.append((night.tokens_in * float(per_in) + night.tokens_out * float(per_out)) / 10**9)
    return np.stack(columns, axis=1)
