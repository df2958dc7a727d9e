"""Inside as long as its queues end before the deadline; the rest overflows to the cloud where permitted; within a lane the job's order.

Records that may only stay inside, and work reserved for inside, come before those that have a choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.model import Lane
from policies.strategies.batch import Choice, Flags, Indices, Place, Reason, Records, Situation
from policies.strategies.order import inside, ranked
from policies.strategies.queues import Placed, place_by_rank


def local_first(records: Records, places: Sequence[Place], situation: Situation) -> Choice:
    """The first place inside that ends the record in time, else the first such place of the cloud, else where it ends soonest."""
    rank = ranked(places, len(records.permitted), lambda place: (place.lane is not Lane.LOCAL,))
    placed = place_by_rank(rank, records, places, situation)
    return Choice(place=placed.place, reason=why(placed, records.permitted, inside(places)))


def why(placed: Placed, permitted: Flags, local: Flags) -> Indices:
    """`preferred` inside; outside `overflow` when a place inside was permitted, else `fallback`; `soonest` when late."""
    outside = ~np.append(local, True)[placed.place]
    had_choice = (permitted & local).any(axis=1)
    reason = np.where(outside, np.where(had_choice, Reason.OVERFLOW, Reason.FALLBACK), Reason.PREFERRED)
    result: Indices = np.where(placed.late, Reason.SOONEST, reason).astype(np.intp)
    return result
