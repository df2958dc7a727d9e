"""The threshold of escalation: the guarantee in many simulated draws, where the naive choice breaks it; refusals with numbers."""

from __future__ import annotations

import math
import re
from datetime import date

import numpy as np
import pytest

from flows.confidence_bounds import upper_bound
from flows.errors import RouterError
from flows.router_calibration import STARTS, THRESHOLDS, Reviewed, calibrate, enough, passes, try_thresholds
from policies.strategies.calibration import Calibration, parse_calibration
from policies.yaml_value import Source

DAY = date(2026, 11, 23)
DRAWS = 400


def right_at(threshold: float, power: float) -> float:
    """The share of right answers from this confidence on, where confidence is uniform and c**power of those at c are right."""
    return float((1 - threshold ** (power + 1)) / ((power + 1) * (1 - threshold)))


def drawn(generator: np.random.Generator, size: int, power: float) -> Reviewed:
    confidence = generator.random(size)
    return Reviewed(confidence=confidence, right=generator.random(size) < confidence**power)


def picked(sample: Reviewed, *, target: float = 0.95, confidence: float = 0.95) -> Calibration | None:
    try:
        return calibrate(sample, where="it.csv", target=target, confidence=confidence, today=DAY)
    except RouterError:
        return None


def naive(sample: Reviewed, target: float) -> float:
    """The lowest threshold of the same list whose accepted answers in the sample were right often enough."""
    kept = [sample.confidence >= threshold for threshold in THRESHOLDS]
    return float(min(one for one, mask in zip(THRESHOLDS, kept, strict=True) if mask.any() and sample.right[mask].mean() >= target))


@pytest.mark.parametrize(("power", "target"), [(0.12, 0.95), (0.5, 0.9)], ids=["good model", "weaker model"])
def test_the_guarantee_holds_in_many_draws_and_the_naive_choice_breaks_it(power: float, target: float) -> None:
    generator = np.random.default_rng(20261123)
    broken = chosen = naively = 0
    for _ in range(DRAWS):
        sample = drawn(generator, 1_000, power)
        found = picked(sample, target=target)
        chosen += found is not None
        broken += found is not None and right_at(found.threshold, power) < target
        naively += right_at(naive(sample, target), power) < target
    # Of binomial(400, 0.05), 95 in 100 lie at or below 27; a rate of 0.3 lies above it for certain.
    assert broken <= 27
    assert naively > 0.3 * DRAWS
    assert chosen > 0.5 * DRAWS  # and it does not hold by refusing


def test_the_guarantee_asks_nothing_of_how_errors_and_confidence_go_together() -> None:
    """The surest answers are the worst ones, and no threshold is good enough: each choice is an error."""
    generator = np.random.default_rng(7)
    broken = 0
    for _ in range(DRAWS):
        confidence = generator.random(600)
        right = generator.random(600) < np.where(confidence > 0.9, 0.90, 0.945)
        broken += picked(Reviewed(confidence=confidence, right=right)) is not None
    assert broken <= 27


def test_what_is_written_is_what_was_found_and_can_be_read_back() -> None:
    sample = drawn(np.random.default_rng(1), 5_000, 0.2)
    found = picked(sample)
    assert found is not None
    kept = sample.confidence >= found.threshold
    assert (found.reviewed, found.accepted, found.wrong) == (5_000, int(kept.sum()), int((kept & ~sample.right).sum()))
    assert found.right_at_least >= 0.95
    assert found.right_at_least >= 1 - upper_bound(found.wrong, found.accepted, 1 - 0.05 / len(STARTS))
    assert parse_calibration(Source(name="it", data=found.text.encode())) == found
    assert found.digest == sample.digest != drawn(np.random.default_rng(2), 5_000, 0.2).digest


def test_levels_never_add_up_to_more_than_the_guarantee_leaves() -> None:
    perfect = Reviewed(confidence=np.full(5_000, 0.9999), right=np.ones(5_000, dtype=np.bool_))
    levels = [step.level for step in try_thresholds(perfect, target=0.95, confidence=0.9)]
    assert max(levels) == pytest.approx(0.1)
    assert levels == sorted(levels)  # all passed: each hands its level on
    hopeless = Reviewed(confidence=perfect.confidence, right=~perfect.right)
    given = [step.level for step in try_thresholds(hopeless, target=0.95, confidence=0.9)]
    assert sum(given) == pytest.approx(0.1)
    assert {threshold for threshold, level in zip(THRESHOLDS, given, strict=True) if level} == set(STARTS)


def test_thresholds_fall_and_the_starts_are_among_them() -> None:
    assert list(THRESHOLDS) == sorted(set(THRESHOLDS), reverse=True)
    assert set(STARTS) <= set(THRESHOLDS)
    assert THRESHOLDS[-1] == 0


@pytest.mark.parametrize(("accepted", "wrong", "level"), [(59, 0, 0.05), (94, 0, 0.05 / 6), (93, 1, 0.05), (181, 4, 0.05)])
def test_a_test_passes_from_the_number_of_the_exact_tail_on(accepted: int, wrong: int, level: float) -> None:
    def tail(n: int) -> float:
        return math.fsum(math.comb(n, k) * 0.05**k * 0.95 ** (n - k) for k in range(wrong + 1))

    assert tail(accepted) <= level < tail(accepted - 1)
    assert passes(accepted, wrong, target=0.95, level=level)
    assert not passes(accepted - 1, wrong, target=0.95, level=level)


def test_nothing_accepted_passes_nothing() -> None:
    assert not passes(0, 0, target=0.95, level=0.5)
    assert enough(0.05, target=0.95, level=0.05) is None


def test_what_is_said_to_be_enough_is() -> None:
    confidence, right = np.full(60, 0.995), np.ones(60, dtype=np.bool_)
    with pytest.raises(RouterError, match=r"at least 94 must be accepted") as caught:
        calibrate(Reviewed(confidence=confidence, right=right), where="it.csv", target=0.95, confidence=0.95, today=DAY)
    found = re.search(r"About ([\d,]+) reviewed answers", str(caught.value))
    assert found is not None
    size = int(found[1].replace(",", ""))
    assert size == 94
    assert picked(Reviewed(confidence=np.full(size, 0.995), right=np.ones(size, dtype=np.bool_))) is not None
    assert picked(Reviewed(confidence=np.full(size - 1, 0.995), right=np.ones(size - 1, dtype=np.bool_))) is None


def test_where_a_larger_sample_would_not_help_that_is_said() -> None:
    right = np.arange(1_000) % 10 > 0
    with pytest.raises(RouterError, match=r"900 were right.*larger sample of this model will not help"):
        calibrate(Reviewed(confidence=np.full(1_000, 0.97), right=right), where="it.csv", target=0.95, confidence=0.95, today=DAY)


def test_answers_without_a_confidence_are_never_kept_and_count_as_reviewed() -> None:
    confidence = np.concatenate((np.full(200, 0.98), np.full(100, np.nan)))
    found = picked(Reviewed(confidence=confidence, right=np.ones(300, dtype=np.bool_)))
    assert found is not None
    assert (found.threshold, found.accepted, found.reviewed) == (0.0, 200, 300)


def test_an_endpoint_that_reports_no_confidence_is_named_as_the_reason() -> None:
    with pytest.raises(RouterError, match=r"none of the 300 reviewed answers has a confidence"):
        calibrate(
            Reviewed(confidence=np.full(300, np.nan), right=np.ones(300, dtype=np.bool_)),
            where="it.csv",
            target=0.95,
            confidence=0.95,
            today=DAY,
        )


def test_an_answer_exactly_at_a_threshold_is_accepted_by_it() -> None:
    sample = Reviewed(confidence=np.full(300, 0.9), right=np.ones(300, dtype=np.bool_))
    accepted = {step.threshold: step.accepted for step in try_thresholds(sample, target=0.95, confidence=0.95)}
    assert (accepted[0.91], accepted[0.9]) == (0, 300)


def test_no_threshold_is_stated_where_the_sample_could_hold_no_answers() -> None:
    sample = Reviewed(confidence=np.full(300, 0.98), right=np.ones(300, dtype=np.bool_), above=0.9)
    found = picked(sample)
    assert found is not None
    assert found.threshold == min(one for one in THRESHOLDS if one > 0.9)
    assert picked(Reviewed(confidence=sample.confidence, right=sample.right, above=1.0)) is None
