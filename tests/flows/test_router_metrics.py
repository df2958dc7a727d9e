"""PGR, APGR and CPT where the answer is known: chance, an oracle, its reverse, ties; and intervals that hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.router_metrics import Curve, Floats, Ordered, oracle_apgr, score_all

GAINS = st.lists(st.sampled_from([-1.0, 0.0, 0.0, 1.0, 1.0]), min_size=1, max_size=12).filter(lambda gains: sum(gains) > 0)


def curve_of(score: Floats, gain: Floats, weights: Floats | None = None) -> Curve:
    curve = Ordered.by(score, gain).curve(weights)
    assert curve is not None
    return curve


@given(GAINS)
def test_a_score_that_says_nothing_recovers_half(gains: list[float]) -> None:
    gain = np.array(gains)
    curve = curve_of(np.zeros(len(gain)), gain)
    assert curve.apgr == pytest.approx(0.5)
    assert curve.calls_for(0.5) == pytest.approx(0.5)
    assert curve.calls_for(0.8) == pytest.approx(0.8)


@given(GAINS)
def test_the_oracle_has_the_closed_form_and_nothing_is_better(gains: list[float]) -> None:
    gain = np.array(gains)
    oracle = curve_of(gain, gain)
    expected = oracle_apgr(float(np.mean(gain > 0)), float(np.mean(gain < 0)))
    assert oracle.apgr == pytest.approx(expected)
    shuffled = np.random.default_rng(1).random(len(gain))
    assert curve_of(shuffled, gain).apgr <= expected + 1e-9


def test_without_losses_the_oracle_needs_half_of_the_gains_for_half_of_the_gap() -> None:
    gain = np.repeat([1.0, 0.0], [20, 80])
    curve = curve_of(gain, gain)
    assert curve.apgr == pytest.approx(1 - 0.2 / 2)
    assert (curve.calls_for(0.5), curve.calls_for(0.8), curve.calls_for(1.0)) == pytest.approx((0.10, 0.16, 0.20))


@given(GAINS, st.integers(0, 1000))
def test_a_score_turned_round_has_the_rest(gains: list[float], seed: int) -> None:
    gain = np.array(gains)
    score = np.random.default_rng(seed).integers(0, 4, len(gain)).astype(np.float64)
    assert curve_of(score, gain).apgr + curve_of(-score, gain).apgr == pytest.approx(1)


@given(GAINS, st.integers(0, 1000))
def test_neither_the_order_of_the_rows_nor_the_units_of_the_score_matter(gains: list[float], seed: int) -> None:
    generator = np.random.default_rng(seed)
    gain, score = np.array(gains), generator.integers(0, 3, len(gains)).astype(np.float64)
    shuffle = generator.permutation(len(gain))
    same = curve_of(np.exp(score[shuffle]) * 7, gain[shuffle])
    assert curve_of(score, gain).apgr == pytest.approx(same.apgr)
    assert curve_of(score, gain).calls_for(0.5) == pytest.approx(same.calls_for(0.5))


def test_ties_are_what_a_random_order_among_them_gives_on_average() -> None:
    score, gain = np.array([2.0, 1.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, -1.0])
    orders = [curve_of(score + np.array([0, *order]) / 10, gain).apgr for order in itertools.permutations((1, 2, 3))]
    assert curve_of(score, gain).apgr == pytest.approx(np.mean(orders))


@given(GAINS, st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_a_weight_of_two_is_two_rows(gains: list[float], times: list[int]) -> None:
    gain, weights = np.array(gains), np.array(times[: len(gains)], dtype=np.float64)
    score = np.arange(len(gain), dtype=np.float64) % 5
    repeated = np.repeat(np.arange(len(gain)), weights.astype(int))
    if np.sum(weights * gain) > 0:
        assert curve_of(score, gain, weights).apgr == pytest.approx(curve_of(score[repeated], gain[repeated]).apgr)


@given(GAINS)
def test_the_smallest_share_with_that_recovery_is_on_the_curve_and_none_before_reaches_it(gains: list[float]) -> None:
    gain = np.array(gains)
    curve = curve_of(np.arange(len(gain), dtype=np.float64), gain)
    for recovered in (0.1, 0.5, 0.8, 1.0):
        share = curve.calls_for(recovered)
        assert np.interp(share, curve.share, curve.recovered) == pytest.approx(recovered)
        assert all(np.interp(x, curve.share, curve.recovered) <= recovered + 1e-9 for x in np.linspace(0, share, 20))


@pytest.mark.parametrize("gains", [[0.0, 0.0], [-1.0, 1.0], [-1.0, 0.0]], ids=["same", "even", "worse"])
def test_without_a_gap_there_is_no_curve(gains: list[float]) -> None:
    assert Ordered.by(np.zeros(2), np.array(gains)).curve() is None
    assert score_all({"random": np.zeros(2)}, np.array(gains), np.array([0, 1]), confidence=0.95, draws=5) is None


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Sixty worlds of 30 subjects each, whose score is worth something in each subject to another degree; the truth is a large one."""
    generator = np.random.default_rng(11)

    def world(subjects: int, rows: int) -> tuple[Floats, Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
        names = np.repeat(np.arange(subjects), rows)
        signal = np.repeat(generator.normal(1, 0.7, subjects), rows)
        score = generator.normal(size=len(names))
        wanted = generator.random(len(names)) < 1 / (1 + np.exp(2 - signal * score))
        return score, wanted.astype(np.float64), names

    score, gain, _ = world(4_000, 20)
    truth = curve_of(score, gain).apgr
    inside = 0
    for _ in range(60):
        score, gain, names = world(30, 20)
        scored = score_all({"it": score, "random": np.zeros(len(score))}, gain, names, confidence=0.9, draws=120)
        assert scored is not None
        apgr = scored.measure("it", "apgr")
        inside += apgr.low <= truth <= apgr.high
        assert scored.over("it", "random").value == pytest.approx(apgr.value - 0.5)
    # Percentile intervals over 30 subjects are a little narrow; binomial(60, 0.85) is above 43 with probability 0.995.
    assert inside > 43


def test_a_draw_without_a_gap_widens_the_interval_to_both_sides() -> None:
    gain = np.array([1.0, 1.0, -1.0, 0.0])
    scored = score_all({"it": np.arange(4.0)}, gain, np.array([0, 1, 2, 3]), confidence=0.9, draws=200)
    assert scored is not None
    apgr = scored.measure("it", "apgr")
    assert apgr.low < -1e6
    assert apgr.high > 1e6
