"""The bounds against published values, and against the definition."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from flows.confidence_bounds import upper_bound

PUBLISHED = [
    # k, n, one-sided 95% upper bound: zero hits have the closed form 1 - 0.05 ** (1 / n), the rest are beta quantiles
    (0, 1, 0.95),
    (0, 10, 0.2588655509),
    (0, 832, 0.0035941652),
    (1, 10, 0.3941633024),
    (1, 20, 0.2161061642),
    (3, 100, 0.0757107938),
    (99, 100, 0.9994871986),
]


@pytest.mark.parametrize(("k", "n", "bound"), PUBLISHED)
def test_published_values(k: int, n: int, bound: float) -> None:
    assert upper_bound(k, n) == pytest.approx(bound, abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 3), (1, 7), (4, 9), (12, 60), (59, 60), (30, 400)])
def test_the_tail_at_the_bound_is_what_was_asked_for(k: int, n: int) -> None:
    rate = Fraction(upper_bound(k, n))
    tail = sum(comb(n, count) * rate**count * (1 - rate) ** (n - count) for count in range(k + 1))
    assert float(tail) == pytest.approx(0.05, abs=1e-9)


def test_nothing_counted_and_everything_hit_say_nothing() -> None:
    assert upper_bound(0, 0) == upper_bound(5, 5) == 1.0


def test_large_counts_are_quick_and_close_to_the_normal_bound() -> None:
    assert upper_bound(500_000, 1_000_000) == pytest.approx(0.5 + 1.6449 * 0.0005, abs=1e-5)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= k <= n"):
        upper_bound(k, n)
