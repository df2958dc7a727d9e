"""Pick the confidence from which local answers are kept, with a guarantee that holds for finitely many reviewed answers.

The guarantee: with probability `confidence` over the draw of the sample, at least the share `target` of all answers that are accepted at
the threshold are right. It assumes that the sample was drawn at random from the answers that the threshold will be used on, and nothing
else: not that errors fall as confidence rises, nor any distribution.

The bound is learn-then-test (A. Angelopoulos, S. Bates, E. Candès, M. Jordan, L. Lei, 2021). For each of a list of thresholds that is fixed
beforehand, "fewer than `target` of the accepted are right" is tested: of n accepted answers the number of wrong ones is binomial, so its
exact tail is a p-value (C. Clopper and E. Pearson, 1934). The thresholds are tested from the strictest down by the fallback procedure
(B. Wiens and A. Dmitrienko, 2005): each of STARTS has an equal part of 1 - confidence, and a test that succeeds hands its level on to the
next threshold. A fixed sequence with one start would end at the strictest threshold, which accepts too few of any sample. The lowest
threshold that passed is taken.

To take the lowest threshold whose accepted answers in the sample were right often enough guarantees nothing: it errs about half the time.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from flows.confidence_bounds import lower_tail, upper_bound
from flows.errors import RouterError
from policies.strategies.calibration import Calibration

STARTS = (0.99, 0.97, 0.94, 0.88, 0.75, 0.5)
THRESHOLDS = tuple(step / 1000 for step in (*range(999, 990, -1), *range(990, 950, -5), *range(950, 500, -10), *range(500, -1, -50)))
"""Finer where models mostly are. Fixed for everybody: a list that is made from the sample would void the guarantee."""
MOST_NEEDED = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A random sample of answers: the confidence of each (0..1; NaN where there is none), and whether people found it right.

    above: the sample can hold no answer of this confidence or less, since those were escalated; no threshold up to it can be stated.
    """

    confidence: NDArray[np.float64] = field(repr=False)
    right: NDArray[np.bool_] = field(repr=False)
    endpoint: str = ""
    above: float = -1.0

    @property
    def digest(self) -> str:
        """SHA-256 over the confidences and verdicts, in order."""
        digest = hashlib.sha256(b"waybill reviewed answers v1")
        digest.update(self.confidence.astype("<f8").tobytes() + self.right.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Step:
    """One threshold: how many of the sample it accepts, how many of these were wrong, and the level it was tested at (0: not tested)."""

    threshold: float
    accepted: int
    wrong: int
    level: float
    passed: bool


def calibrate(sample: Reviewed, *, where: object, target: float, confidence: float, today: date) -> Calibration:
    """The lowest threshold that passes. Raises RouterError where none does, with how many answers would be enough."""
    steps = list(try_thresholds(sample, target=target, confidence=confidence))
    passed = [step for step in steps if step.passed]
    if not passed:
        raise RouterError(f"{where}: no threshold can be stated: {_why(sample, steps, target, confidence)}")
    last = passed[-1]
    return Calibration(
        threshold=last.threshold,
        target=target,
        confidence=confidence,
        reviewed=len(sample.right),
        accepted=last.accepted,
        wrong=last.wrong,
        # The search for the bound ends a rounding error away from the test, which has decided.
        right_at_least=max(target, 1 - upper_bound(last.wrong, last.accepted, 1 - last.level)),
        endpoint=sample.endpoint,
        digest=sample.digest,
        made_on=today,
    )


def try_thresholds(sample: Reviewed, *, target: float, confidence: float) -> Iterator[Step]:
    """The fallback procedure, the strictest threshold first."""
    share = (1 - confidence) / len(STARTS)
    handed_on = 0.0
    for threshold in THRESHOLDS:
        kept = sample.confidence >= threshold  # NaN is not
        accepted = int(np.count_nonzero(kept))
        wrong = int(np.count_nonzero(kept & ~sample.right))
        level = handed_on + (share if threshold in STARTS else 0.0)
        passed = level > 0 and threshold > sample.above and passes(accepted, wrong, target=target, level=level)
        handed_on = level if passed else 0.0
        yield Step(threshold, accepted, wrong, level, passed)


def passes(accepted: int, wrong: int, *, target: float, level: float) -> bool:
    """Whether so few wrong ones of so many would be seen with at most probability `level`, if fewer than `target` were right."""
    rate = 1 - target
    # Above the rate the tail is a half or more, and no level is.
    return accepted > 0 and wrong <= rate * accepted and lower_tail(wrong, accepted, rate) <= level


def _why(sample: Reviewed, steps: list[Step], target: float, confidence: float) -> str:
    """What is missing, in numbers."""
    reviewed = len(sample.right)
    if np.isnan(sample.confidence).all():
        return f"none of the {reviewed:,} reviewed answers has a confidence; the endpoint reports no log-probabilities, or is told not to"
    share = (1 - confidence) / len(STARTS)
    fewest = enough(0.0, target=target, level=share)
    needed = [
        (math.ceil(found * reviewed / step.accepted), step)
        for step in steps
        if step.threshold in STARTS
        and step.accepted
        and (found := enough(step.wrong / step.accepted, target=target, level=share)) is not None
    ]
    right = int(np.count_nonzero(sample.right))
    said = (
        f"of {reviewed:,} reviewed answers {right:,} were right; of the accepted ones {target:.4g} are to be, "
        f"with confidence {confidence:.4g}"
    )
    if not needed:
        return f"{said}. At no threshold were as many right, so a larger sample of this model will not help: it needs a lower target"
    most, step = min(needed, key=lambda one: one[0])
    return (
        f"{said}, for which at least {fewest:,} must be accepted without an error, or more with some. About {most:,} reviewed answers "
        f"like these would be enough ({step.accepted:,} have a confidence of {step.threshold:g} or more, {step.wrong:,} of them wrong)"
    )


def enough(wrong_share: float, *, target: float, level: float) -> int | None:
    """How many accepted answers pass with this share of wrong ones; None where no number does."""
    if wrong_share >= 1 - target:
        return None
    low, high = 0, 1
    while not passes(high, math.ceil(wrong_share * high), target=target, level=level):
        low, high = high, high * 2
        if high > MOST_NEEDED:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle, math.ceil(wrong_share * middle), target=target, level=level):
            high = middle
        else:
            low = middle
    return high
