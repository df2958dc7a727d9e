"""Room for restricted records to come: the average, and two deviations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.strategies.reserve import reserve


@pytest.mark.parametrize(
    ("batches", "left", "tokens"),
    [
        ([], 5, 0.0),
        ([100.0], 0, 0.0),
        ([100.0], -1, 0.0),
        ([100.0], 4, 400 + 2 * 50 * math.sqrt(4 + 16)),
        ([100.0, 100.0], 3, 300.0),
        ([80.0, 120.0], 2, 200 + 2 * math.sqrt(800) * math.sqrt(2 + 2)),
        ([0.0, 0.0], 9, 0.0),
    ],
    ids=["nothing seen", "nothing to come", "more than there was", "one batch", "always the same", "two batches", "none restricted"],
)
def test_reserve(batches: list[float], left: int, tokens: float) -> None:
    assert reserve(batches, left) == pytest.approx(tokens)


def test_it_is_enough_in_nearly_every_night() -> None:
    chance = np.random.default_rng(3)
    nights = chance.gamma(8.0, 1_000.0, size=(400, 12))
    enough = [reserve(night[:4].tolist(), 8) >= night[4:].sum() for night in nights]
    average = [night[:4].mean() * 8 >= night[4:].sum() for night in nights]
    assert sum(enough) > 360
    assert sum(average) < 240
