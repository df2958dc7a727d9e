"""How well a score says which requests deserve the strong model: PGR, APGR and CPT, and their intervals over subjects.

    x          the share of requests that go to the strong model, those with the highest score first
    PGR(x)     performance gap recovered: (accuracy(x) - accuracy(0)) / (accuracy(1) - accuracy(0))
    APGR       its mean over x from 0 to 1; 1/2 for a score that says nothing
    CPT(p)     call-performance threshold: the smallest x with PGR(x) >= p

As in RouteLLM (I. Ong et al., ICLR 2025). Between requests of the same score the curve is straight, which is what a random order among them
gives on average; so nothing hangs on the order of a file, and the mean is an integral, not a grid.

Intervals are percentiles of a bootstrap that draws whole subjects, for rows of one subject resemble each other. A draw in which the strong
model is no better than the weak one has no PGR: it counts as the worst at both ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from policies.strategies.router import Measure

Floats = NDArray[np.float64]
DRAWS = 1_000
SEED = 7_000
MEASURED = ("apgr", "cpt50", "cpt80")
SHARES = {"cpt50": 0.5, "cpt80": 0.8}


@dataclass(frozen=True, slots=True)
class Curve:
    """PGR by share of strong calls, from (0, 0) to (1, 1), straight between the points."""

    share: Floats
    recovered: Floats

    @property
    def apgr(self) -> float:
        """The mean of PGR over all shares."""
        return float(np.sum(np.diff(self.share) * (self.recovered[1:] + self.recovered[:-1]) / 2))

    def calls_for(self, recovered: float) -> float:
        """CPT: the smallest share of strong calls with at least this PGR; 0 < recovered <= 1."""
        first = int(np.argmax(self.recovered >= recovered))
        before = self.recovered[first - 1]
        step = (recovered - before) / (self.recovered[first] - before)
        return float(self.share[first - 1] + step * (self.share[first] - self.share[first - 1]))


@dataclass(frozen=True, slots=True)
class Ordered:
    """A score's order of the requests, made once and used for every draw."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    gain: Floats

    @classmethod
    def by(cls, score: Floats, gain: Floats) -> Ordered:
        """Highest score first. gain: strong minus weak, each 1 where the answer was right."""
        order = np.argsort(-score, kind="stable")
        steps = np.diff(score[order], append=np.nan) != 0  # NaN differs from all: the last row ends the last group
        return cls(order, np.flatnonzero(steps), gain[order])

    def curve(self, weights: Floats | None = None) -> Curve | None:
        """The curve with these weights of the rows; None where the strong model is no better."""
        drawn = np.ones(len(self.order)) if weights is None else weights[self.order]
        calls, gained = np.cumsum(drawn)[self.ends], np.cumsum(drawn * self.gain)[self.ends]
        if gained[-1] <= 0:
            return None
        return Curve(np.concatenate(([0.0], calls / calls[-1])), np.concatenate(([0.0], gained / gained[-1])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What was measured of some scores on the same requests. draws: by score, then by measure, one value a draw."""

    curves: Mapping[str, Curve]
    draws: Mapping[str, Mapping[str, Floats]] = field(repr=False)
    confidence: float

    def measure(self, name: str, measured: str) -> Measure:
        """A measure of one score, with its interval."""
        return Measure(_of(self.curves[name])[measured], *_interval(self.draws[name][measured], self.confidence))

    def over(self, name: str, other: str) -> Measure:
        """By how much the APGR of one score is above that of another, draw by draw on the same subjects."""
        difference = self.draws[name]["apgr"] - self.draws[other]["apgr"]
        return Measure(self.curves[name].apgr - self.curves[other].apgr, *_interval(difference, self.confidence))


def score_all(
    scores: Mapping[str, Floats], gain: Floats, subjects: NDArray[np.intp], *, confidence: float, draws: int = DRAWS
) -> Scored | None:
    """Measure each score, all on the same draws of subjects. None where the strong model is no better than the weak one."""
    ordered = {name: Ordered.by(score, gain) for name, score in scores.items()}
    curves = {name: one.curve() for name, one in ordered.items()}
    generator = np.random.default_rng(SEED)
    count = int(subjects.max()) + 1
    drawn: dict[str, dict[str, Floats]] = {name: {one: np.full(draws, np.nan) for one in MEASURED} for name in scores}
    for draw in range(draws):
        weights = np.bincount(generator.integers(0, count, count), minlength=count).astype(np.float64)[subjects]
        for name, one in ordered.items():
            curve = one.curve(weights)
            for measured, value in _of(curve).items() if curve else ():
                drawn[name][measured][draw] = value
    found = {name: curve for name, curve in curves.items() if curve is not None}
    return Scored(curves=found, draws=drawn, confidence=confidence) if len(found) == len(curves) else None


def _of(curve: Curve) -> dict[str, float]:
    return {"apgr": curve.apgr} | {name: curve.calls_for(share) for name, share in SHARES.items()}


def _interval(values: Floats, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    worst = np.nan_to_num(values, nan=-1e9), np.nan_to_num(values, nan=1e9)
    low, high = np.quantile(worst[0], tail, method="lower"), np.quantile(worst[1], 1 - tail, method="higher")
    return float(low), float(high)


def oracle_apgr(better: float, worse: float) -> float:
    """The highest APGR there can be, where the strong model alone is right in a share `better`, and the weak one alone in `worse`."""
    gained = better**2 / 2 + better * (1 - better - worse) + better * worse - worse**2 / 2
    return gained / (better - worse)
