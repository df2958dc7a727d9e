"""How high a rate may be, given what was counted: the one-sided Clopper-Pearson bound.

C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26
(1934). Exact: found by bisection over the binomial tail, with no normal approximation, which would be worthless at zero or one in a few.
"""

from __future__ import annotations

import math

BISECTIONS = 200
"""More than the digits a float has: the search ends when the interval no longer shrinks."""
NEGLIGIBLE = 1e-18
"""A term this small beside the sum no longer changes it."""


def upper_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """The largest rate at which `k` or fewer of `n` would still be seen with probability `1 - confidence`. With n = 0 nothing is known: 1.

    Raises:
        ValueError: k is not between 0 and n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, found k={k}, n={n}")
    if k == n:
        return 1.0
    low, high = k / n, 1.0  # at k/n the tail is about one half, so the bound lies above
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if lower_tail(k, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower_tail(k: int, n: int, rate: float) -> float:
    """P(X <= k) for X binomial(n, rate), with k/n <= rate < 1: there the terms fall from k downwards, so the sum stops early."""
    if rate == 0.0:
        return 1.0
    log_term = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(rate) + (n - k) * math.log1p(-rate)
    term = total = math.exp(log_term)
    for count in range(k, 0, -1):
        term *= count * (1 - rate) / ((n - count + 1) * rate)
        total += term
        if term < total * NEGLIGIBLE:
            break
    return total
