"""The cloud wherever it is permitted, else inside; the job's order within a lane.

It looks at no queue: who prefers the cloud has chosen its batch window, and what may only stay inside has nowhere else to go.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.model import Lane
from policies.strategies.batch import Choice, Place, Reason, Records, Situation
from policies.strategies.order import inside, ranked
from policies.strategies.queues import place_by_rank


def cloud_first(records: Records, places: Sequence[Place], situation: Situation) -> Choice:  # noqa: ARG001 - every strategy has it
    """The first permitted place of the cloud, else the first inside."""
    rank = ranked(places, len(records.permitted), lambda place: (place.lane is not Lane.CLOUD,))
    placed = place_by_rank(rank, records, places, Situation())
    local = np.append(inside(places), True)[placed.place]
    return Choice(place=placed.place, reason=np.where(local, Reason.FALLBACK, Reason.PREFERRED).astype(np.intp))
