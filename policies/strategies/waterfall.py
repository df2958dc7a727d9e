"""Inside first, the smallest tier before larger ones; only what lacks confidence, or room before the deadline, goes to the cloud.

An escalated record goes to the best tier of the cloud: the next answer should be the last. One that only overflows goes by the job's order,
as nothing says that it is hard. (`Records.permitted` leaves an escalated record its cloud places alone.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.model import TIERS, Lane
from policies.strategies.batch import UNDECLARED, Choice, Place, Records, Situation, level
from policies.strategies.local_first import why
from policies.strategies.order import inside, ranked
from policies.strategies.queues import place_by_rank


def waterfall(records: Records, places: Sequence[Place], situation: Situation) -> Choice:
    """The smallest place inside that ends the record in time; outside the first, for an escalated record the best."""
    count = len(records.permitted)
    escalated = records.escalated[:, None]
    rank = np.where(escalated, ranked(places, count, lambda place: (-level(place.tier),)), ranked(places, count, _step))
    placed = place_by_rank(rank, records, places, situation)
    return Choice(place=placed.place, reason=why(placed, records.permitted, inside(places)))


def _step(place: Place) -> tuple[int, ...]:
    """Inside by tier, an undeclared one last; outside in the job's order."""
    if place.lane is Lane.CLOUD:
        return (1,)
    return (0, len(TIERS) if level(place.tier) == UNDECLARED else level(place.tier))
