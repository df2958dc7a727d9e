"""The lowest expected price among the places that are good enough and end before the deadline; ties have the job's order.

- A price that nobody has said (nan, negative, endless) never counts as free: such a place comes after every priced one.
- The floor is never traded for price or time: below it only where nothing permitted reaches it, and then the highest tier there is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.strategies.batch import Choice, Place, Reason, Records, Situation, level
from policies.strategies.order import good_enough, levels
from policies.strategies.queues import place_by_rank


def cheapest(records: Records, places: Sequence[Place], situation: Situation) -> Choice:
    """The cheapest permitted place at or above the floor that ends the record in time. score: the expected US dollars."""
    floor = level(situation.quality_floor)
    able = good_enough(places, records.permitted, np.full(len(records.permitted), floor, dtype=np.intp))
    known = np.isfinite(records.usd) & (records.usd >= 0)
    usd = np.where(known, records.usd, np.inf)
    # Between 0 and 1 in the same order, so that what has no price ranks behind whatever has one.
    rank = np.where(able, np.where(known, usd / (1 + np.where(known, usd, 0)), 2.0), np.inf)
    placed = place_by_rank(rank, records, places, situation)
    if not len(places):
        return Choice(place=placed.place, reason=np.zeros_like(placed.place))
    rows, first = np.arange(len(rank)), rank.argmin(axis=1)
    paid = usd[rows, placed.place]
    reason = np.where(paid > usd[rows, first], Reason.CHEAPEST_IN_TIME, Reason.CHEAPEST)
    reason = np.where(levels(places)[placed.place] < floor, Reason.NEAREST_TIER, reason)
    reason = np.where(np.isfinite(paid), reason, Reason.UNPRICED)
    reason = np.where(placed.late, Reason.SOONEST, reason)
    return Choice(place=placed.place, reason=reason.astype(np.intp), score=np.where(np.isfinite(paid), paid, np.nan))
