"""Records to places by rank, with the queue of each place in sight: what a place cannot end before the deadline goes to the next one.

- Records that may only stay inside are placed first, and work reserved for inside keeps its room: nobody who has a choice takes it from
  those who have none.
- Within a batch, records are taken in their order. One that is too large for what is left does not stop the smaller ones behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from policies.model import Lane
from policies.strategies.batch import NOWHERE, Flags, Indices, Numbers, Place, Records, Situation

PASSES = 16
"""Times that a queue is gone through for records that fit behind one that does not. What is left after that counts as too late."""

ENDLESS = 1e300
"""Seconds to the end of a queue that never ends: less than infinite, which is what a place that may not be taken counts as."""

TURNS = 64
"""Turns in which records that are too late everywhere are spread over the queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """place[n]: an index of the places or NOWHERE. late[n]: no permitted place ends the record before the deadline."""

    place: Indices = field(repr=False)
    late: Flags = field(repr=False)


def place_by_rank(rank: Numbers, records: Records, places: Sequence[Place], situation: Situation) -> Placed:
    """Each record to the permitted place of the lowest rank that ends it in time; ties by the order of the places.

    rank[n, m]: finite, or inf where the strategy does not want the place at all. A record that is too late everywhere goes where it ends
    soonest.
    """
    wanted = np.isfinite(rank) & records.permitted
    tokens = tokens_of(records)
    queues = _Queues(places, situation)
    place = np.full(len(tokens), NOWHERE, dtype=np.intp)
    inside = np.array([one.lane is Lane.LOCAL for one in places], dtype=np.bool_)
    free: Flags = np.asarray((wanted & ~inside).any(axis=1))
    captive: Flags = np.asarray(wanted.any(axis=1) & ~free)
    late = queues.admit(place, captive, rank, wanted, tokens)
    queues.reserve(situation.reserved_tokens, inside)
    late |= queues.admit(place, free, rank, wanted, tokens)
    return Placed(place=place, late=late)


def tokens_of(records: Records) -> Numbers:
    """What each record takes of a queue, in and out; nobody's is negative."""
    total: Numbers = np.maximum(records.tokens_in, 0).astype(np.float64) + np.maximum(records.tokens_out, 0)
    return total


class _Queues:
    """The work that lies before each place, in tokens, and how much still ends in time."""

    def __init__(self, places: Sequence[Place], situation: Situation) -> None:
        self._speed = [_speed(place) for place in places]
        self._load = [_amount(place.queued_tokens) for place in places]
        seconds = math.inf if math.isnan(situation.seconds_left) else max(situation.seconds_left, 0.0)
        self._room = [_room(speed, seconds, load) for speed, load in zip(self._speed, self._load, strict=True)]

    def reserve(self, tokens: float, inside: Flags) -> None:
        """Keep room for work to come, in the places inside, in their order."""
        left = _amount(tokens)
        for index in np.flatnonzero(inside):
            if self._room[index] == math.inf:
                return
            taken = min(left, max(self._room[index], 0.0))
            self._room[index] -= taken
            left -= taken

    def admit(self, place: Indices, who: Flags, rank: Numbers, wanted: Flags, tokens: Numbers) -> Flags:
        """Give each of these records its place; returns which of them are late."""
        self._fill(place, np.flatnonzero(who), rank, wanted, tokens)
        late: Flags = who & (place == NOWHERE)
        self._spread(place, np.flatnonzero(late), wanted, tokens)
        return late

    def _fill(self, place: Indices, which: Indices, rank: Numbers, wanted: Flags, tokens: Numbers) -> None:
        """Every record to its best place with room; one that finds none there tries its next."""
        if not len(which):
            return
        ranks = np.where(wanted[which], rank[which], np.inf)
        for _ in self._room:
            best = ranks.argmin(axis=1)
            rows = np.arange(len(which))
            live = np.isfinite(ranks[rows, best])
            fits = np.zeros(len(which), dtype=np.bool_)
            for index in range(len(self._room)):
                mine = np.flatnonzero(live & (best == index))
                fits[mine[self._fit(index, tokens[which[mine]])]] = True
            place[which[fits]] = best[fits]
            rest = live & ~fits
            if not rest.any():
                return
            ranks = ranks[rest]
            ranks[np.arange(len(ranks)), best[rest]] = np.inf
            which = which[rest]

    def _fit(self, index: int, tokens: Numbers) -> Flags:
        """Which of these records, in their order, end in time behind what is there; they join the queue."""
        fits = np.zeros(len(tokens), dtype=np.bool_)
        if self._room[index] == math.inf:
            fits[:] = True
            self._take(index, float(tokens.sum()))
            return fits
        left: Indices = np.arange(len(tokens))
        for _ in range(PASSES):
            left = left[tokens[left] <= self._room[index]]
            if not len(left):
                break
            sums = np.cumsum(tokens[left])
            count = int(np.searchsorted(sums, self._room[index], side="right"))
            fits[left[:count]] = True
            self._take(index, float(sums[count - 1]))
            left = left[count + 1 :]
        return fits

    def _take(self, index: int, tokens: float) -> None:
        self._room[index] -= tokens
        self._load[index] += tokens

    def _spread(self, place: Indices, which: Indices, wanted: Flags, tokens: Numbers) -> None:
        """Records that are too late everywhere, each to the queue that ends soonest, a turn at a time."""
        speed = np.array(self._speed)
        for turn in np.array_split(which, min(TURNS, len(which))) if len(which) else ():
            work = np.array(self._load) + tokens[turn, None]
            with np.errstate(over="ignore"):  # endless, as it should be
                ends = np.divide(work, speed, out=np.full(work.shape, ENDLESS), where=(speed > 0) & np.isfinite(work))
            place[turn] = np.where(wanted[turn], np.minimum(ends, ENDLESS), np.inf).argmin(axis=1)
            for index in range(len(speed)):
                self._take(index, float(tokens[turn[place[turn] == index]].sum()))


def _speed(place: Place) -> float:
    """Tokens a second. Not known is never too slow; nothing, or less, never ends."""
    if place.tokens_per_s is None or math.isnan(place.tokens_per_s):
        return math.inf
    return max(place.tokens_per_s, 0.0)


def _room(speed: float, seconds: float, load: float) -> float:
    """Tokens that still end in time."""
    if speed == math.inf:
        return math.inf
    able = 0.0 if speed == 0 else speed * seconds
    return math.inf if able == math.inf else able - load


def _amount(tokens: float) -> float:
    """A number of tokens; what is no number is none, what has no end stays so."""
    return 0.0 if math.isnan(tokens) else max(tokens, 0.0)
