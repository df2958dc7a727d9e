"""The smallest tier that is good enough for how complex a record is; inside before the cloud at the same tier, then the job's order.

- Simple records want `small`, from `medium_from` on `medium`, from `large_from` on `large`; `frontier` where nothing else is large enough.
- What nobody could judge (nan) counts as complex. A tier is never traded for time: one that is too small is taken only where nothing
  permitted is large enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.model import TIERS
from policies.strategies.batch import Choice, Indices, Place, Reason, Records, Situation, level
from policies.strategies.order import good_enough, inside, levels
from policies.strategies.queues import place_by_rank

SMALL, MEDIUM, LARGE = TIERS.index("small"), TIERS.index("medium"), TIERS.index("large")


def tiered(records: Records, places: Sequence[Place], situation: Situation) -> Choice:
    """The nearest sufficient tier that ends the record in time, else the largest there is. score: the complexity."""
    need = needed(records, situation)
    able = good_enough(places, records.permitted, need)
    rank = np.where(able, levels(places) * 2.0 + ~inside(places), np.inf)
    placed = place_by_rank(rank, records, places, situation)
    got = np.append(levels(places), SMALL)[placed.place]
    first = rank.argmin(axis=1) if len(places) else placed.place
    reason = np.where(got == need, Reason.TIER_SMALL + got, Reason.NEAREST_TIER)
    reason = np.where(placed.place != first, Reason.OVERFLOW, reason)
    reason = np.where(placed.late, Reason.SOONEST, reason)
    return Choice(place=placed.place, reason=reason.astype(np.intp), score=records.complexity)


def needed(records: Records, situation: Situation) -> Indices:
    """The level that each record wants, not below the floor."""
    hard = records.complexity
    need = np.where(hard >= situation.medium_from, MEDIUM, SMALL)
    need = np.where((hard >= situation.large_from) | np.isnan(hard), LARGE, need)
    result: Indices = np.maximum(need, level(situation.quality_floor)).astype(np.intp)
    return result
