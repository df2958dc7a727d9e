"""What a strategy sees, and what it answers: arrays over records (n) and places (m), in the job's order of endpoints.

- A strategy only chooses among what `Records.permitted` leaves; `policies.assign` filters before and checks again after (invariant 1).
- No text, no record id, no clock: the same arrays always give the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.model import TIERS, Lane

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
Indices = NDArray[np.intp]

NOWHERE = -1
"""Instead of a place: the record is held."""

UNDECLARED = -1
"""The level of a place of which nobody said what it can do: below every tier."""


class Reason(IntEnum):
    """Why a strategy chose a place; `REASONS` has the codes that the ledger gets."""

    PREFERRED = 0
    FALLBACK = 1
    OVERFLOW = 2
    TIER_SMALL = 3
    TIER_MEDIUM = 4
    TIER_LARGE = 5
    TIER_FRONTIER = 6
    NEAREST_TIER = 7
    ESCALATED = 8
    CHEAPEST = 9
    CHEAPEST_IN_TIME = 10
    UNPRICED = 11
    SOONEST = 12


REASONS = tuple(reason.name.lower() for reason in Reason)
"""By the number of a `Reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An endpoint as a strategy sees it.

    tier: one of TIERS, "" where nobody declared one. tokens_per_s: in and out together, measured if it was, else declared; None: not
    known, then it is never too slow. queued_tokens: what waits there already.
    """

    name: str
    lane: Lane
    tier: str = ""
    tokens_per_s: float | None = None
    queued_tokens: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """n records. permitted[n, m]: it may go there, and that place is open to it. usd[n, m]: expected; nan: nobody has said.

    complexity: 0..1. escalated: an answer from inside had too little confidence; only cloud places are then left in `permitted`.
    """

    permitted: Flags = field(repr=False)
    tokens_in: Counts = field(repr=False)
    tokens_out: Counts = field(repr=False)
    complexity: Numbers = field(repr=False)
    usd: Numbers = field(repr=False)
    escalated: Flags = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What holds for the whole batch.

    seconds_left: to the deadline. reserved_tokens: work to come that can go nowhere but inside. medium_from, large_from: the complexity
    from which `tiered` wants that tier. quality_floor: the lowest tier that will do; "": any.
    """

    seconds_left: float = math.inf
    reserved_tokens: float = 0.0
    medium_from: float = 1 / 3
    large_from: float = 2 / 3
    quality_floor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """place[n]: an index of `places`, or NOWHERE. reason[n]: numbers of `Reason`. score[n]: what the choice went by; nan: nothing."""

    place: Indices = field(repr=False)
    reason: Indices = field(repr=False)
    score: Numbers | None = field(default=None, repr=False)


class Strategy(Protocol):
    """Orders what is permitted. Pure."""

    def __call__(self, records: Records, places: Sequence[Place], situation: Situation) -> Choice:
        """One place a record, or NOWHERE."""


def level(tier: str) -> int:
    """The rank of a tier, 0 is small; UNDECLARED for what is none."""
    return TIERS.index(tier) if tier in TIERS else UNDECLARED
