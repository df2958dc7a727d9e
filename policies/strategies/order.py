"""The order of places: by lane, by tier; and which of them are good enough. A place without a declared tier is below every tier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from policies.model import Lane
from policies.strategies.batch import Flags, Indices, Numbers, Place, level


def ranked(places: Sequence[Place], records: int, key: Callable[[Place], tuple[int, ...]]) -> Numbers:
    """The rank of every place by a key, the same for all records: [records, m]. Ties have the order of the places."""
    order = sorted(range(len(places)), key=lambda index: key(places[index]))
    rank = np.empty(len(places), dtype=np.float64)
    rank[order] = np.arange(len(places))
    return np.broadcast_to(rank, (records, len(places)))


def levels(places: Sequence[Place]) -> Indices:
    """The level of every place: [m]."""
    return np.array([level(place.tier) for place in places], dtype=np.intp)


def inside(places: Sequence[Place]) -> Flags:
    """Which places are local: [m]."""
    return np.array([place.lane is Lane.LOCAL for place in places], dtype=np.bool_)


def good_enough(places: Sequence[Place], permitted: Flags, need: Indices) -> Flags:
    """The permitted places of the level a record needs or above; where none is, those of the highest level that it may have: [n, m]."""
    able: Flags = permitted & (levels(places) >= need[:, None])
    best = np.where(permitted, levels(places), np.iinfo(np.intp).min).max(axis=1, initial=np.iinfo(np.intp).min)
    highest = permitted & (levels(places) == best[:, None])
    result: Flags = np.where(able.any(axis=1, keepdims=True), able, highest)
    return result
