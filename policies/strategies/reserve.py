"""How much room to keep inside for records that may go nowhere else and are not there yet, from the batches that were carried so far.

The average alone is too little in half of all nights: whoever overflows up to it finds the restricted records of the last batches late. So
two standard deviations are kept on top: of what is to come, and of the average itself, which few batches say little about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

DEVIATIONS = 2.0
FIRST_BATCH = 0.5
"""The deviation that one batch alone is taken to have, as a share of what was in it."""


def reserve(batches: Sequence[float], left: int) -> float:
    """Tokens to keep room for. batches: the restricted tokens of each batch so far; left: batches to come."""
    if not batches or left <= 0:
        return 0.0
    count = len(batches)
    mean = math.fsum(batches) / count
    spread = FIRST_BATCH * mean if count == 1 else math.sqrt(math.fsum((one - mean) ** 2 for one in batches) / (count - 1))
    return left * mean + DEVIATIONS * spread * math.sqrt(left + left * left / count)
