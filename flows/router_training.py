"""Fit a router to labelled outcomes, and measure it on subjects that it has not seen.

- Every score is made by a model that saw no row of that subject: folds are whole subjects, one each where there are at most MOST_FOLDS.
- It is compared with chance, with the length of the text, and with the best single feature, which is chosen, with its direction, on the
  training subjects of each fold, as the router's weights are.
- `usable` is true only where the interval of each paired difference in APGR lies above zero. The model is fitted to all rows afterwards.

scikit-learn is needed to train, not to use a router: `pip install scikit-learn`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.errors import RouterError
from flows.router_metrics import MEASURED, SHARES, Ordered, Scored, oracle_apgr, score_all
from flows.router_outcomes import Floats, Outcomes, check_enough
from policies.strategies.router import BEATEN, FARTHEST, Measure, Router, Training, beats, logistic

MOST_FOLDS = 40
PENALTY = 0.1
"""scikit-learn's C: how far weights may go from zero. Set before anything was measured, and not tuned since."""
ITERATIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A router and how it did. scores: the lines of the table in order, by name; oracle: the highest APGR there can be.

    limits: by measure (`cpt50`, `cpt80`), from which score on the training requests would go to the strong model to recover that much.
    """

    router: Router
    scored: Scored
    scores: tuple[str, ...]
    folds: int
    singles: tuple[str, ...]
    oracle: float
    limits: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Fitted:
    weights: Floats
    means: Floats
    scales: Floats
    intercept: float

    def score(self, values: Floats) -> Floats:
        """As `Router.score`, before the logistic function."""
        shifted = np.clip((values - self.means) / self.scales, -FARTHEST, FARTHEST)
        scored: Floats = self.intercept + shifted @ self.weights
        return scored


def train(outcomes: Outcomes, *, where: object, confidence: float, today: date, subject: str = "subjects") -> Report:
    """Fit, measure, and decide whether the router may be used. Raises RouterError where there is too little to learn from."""
    check_enough(outcomes, where, subject=subject)
    kept = [index for index in range(len(outcomes.names)) if np.ptp(outcomes.values[:, index]) > 0]
    if not kept:
        raise RouterError(f"{where}: every feature has the same value in all requests; there is nothing to tell them apart by")
    names, values = tuple(outcomes.names[index] for index in kept), outcomes.values[:, kept]
    fit = _fitter()
    scores, singles, folds = _unseen(outcomes, names, values, fit)
    scored = score_all(scores, outcomes.gain, outcomes.subjects, confidence=confidence)
    if scored is None:  # check_enough has refused that
        raise RouterError(f"{where}: the strong model is no better than the weak one")
    metrics = {name: scored.measure("router", name) for name in MEASURED} | {f"over_{name}": scored.over("router", name) for name in BEATEN}
    fitted = fit(values, outcomes.gain > 0)
    router = _router(fitted, names, outcomes, metrics, today)
    given = fitted.score(values)
    limits = {name: logistic(float(np.quantile(given, 1 - metrics[name].value))) for name in SHARES}
    gain = outcomes.gain
    oracle = oracle_apgr(float(np.mean(gain > 0)), float(np.mean(gain < 0)))
    return Report(router=router, scored=scored, scores=tuple(scores), folds=folds, singles=singles, oracle=oracle, limits=limits)


def _fitter() -> Any:
    try:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy, and optional
    except ImportError:
        raise RouterError("training needs scikit-learn, which is not installed: pip install 'waybill[router]'") from None

    def fit(values: Floats, wanted: NDArray[np.bool_]) -> _Fitted:
        means, spread = values.mean(axis=0), values.std(axis=0)
        scales = np.where(spread > 0, spread, 1.0)
        shifted = np.clip((values - means) / scales, -FARTHEST, FARTHEST)
        model = LogisticRegression(C=PENALTY, max_iter=ITERATIONS, solver="newton-cholesky").fit(shifted, wanted)
        return _Fitted(model.coef_[0], means, scales, float(model.intercept_[0]))

    return fit


def _unseen(outcomes: Outcomes, names: tuple[str, ...], values: Floats, fit: Any) -> tuple[dict[str, Floats], tuple[str, ...], int]:
    """The scores of every request by models that did not see its subject; the single features that were chosen; how many folds."""
    gain = outcomes.gain
    router, single = np.full(len(gain), 0.5), np.full(len(gain), 0.5)
    chosen: list[str] = []
    folds = 0
    for seen, unseen in _folds(outcomes.subjects):
        folds += 1
        wanted = gain[seen] > 0
        if wanted.any() and not wanted.all():  # else all gains lie in the unseen subjects, and nothing can be said of them
            fitted = fit(values[seen], wanted)
            router[unseen] = _ranked(fitted.score(values[unseen]), fitted.score(values[seen]))
        index, sign = _best_single(values[seen], gain[seen])
        single[unseen] = _ranked(sign * values[unseen, index], sign * values[seen, index])
        chosen.append(names[index] if sign > 0 else f"-{names[index]}")
    scores = {"random": np.zeros(len(gain)), "length": outcomes.values[:, outcomes.names.index(outcomes.length)], "single": single}
    if outcomes.rules is not None:
        scores["rules"] = outcomes.rules
    scores["router"] = router
    return scores, tuple(sorted(set(chosen), key=chosen.count, reverse=True)), folds


def _ranked(scores: Floats, among: Floats) -> Floats:
    """Scores as ranks among those of the training rows, so that folds can be compared.

    A fold's model has learned the mean gain without the unseen subjects: the higher theirs, the lower it. As they are, its scores would so
    be lowest where the strong model is needed most.
    """
    ordered = np.sort(among)
    ranks: Floats = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2.0 * len(ordered))
    return ranks


def _folds(subjects: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Whole subjects together: the largest first into the emptiest fold."""
    sizes = np.bincount(subjects)
    count = min(MOST_FOLDS, len(sizes))
    filled = np.zeros(count, dtype=np.int64)
    fold_of = np.zeros(len(sizes), dtype=np.intp)
    for subject in np.argsort(-sizes, kind="stable"):
        fold_of[subject] = np.argmin(filled)
        filled[fold_of[subject]] += sizes[subject]
    for fold in range(count):
        unseen = fold_of[subjects] == fold
        yield ~unseen, unseen


def _best_single(values: Floats, gain: Floats) -> tuple[int, float]:
    """The feature with the highest APGR, and its direction: turned round, a score has 1 - APGR."""
    found = []
    for index in range(values.shape[1]):
        curve = Ordered.by(values[:, index], gain).curve()
        apgr = curve.apgr if curve else 0.5
        found.append((max(apgr, 1 - apgr), index, 1.0 if apgr >= 1 - apgr else -1.0))
    _, index, sign = max(found, key=lambda one: one[0])
    return index, sign


def _router(fitted: _Fitted, names: tuple[str, ...], outcomes: Outcomes, metrics: dict[str, Measure], today: date) -> Router:
    trained = Training(
        rows=len(outcomes.gain), subjects=outcomes.subject_count, source=outcomes.source, digest=outcomes.digest, made_on=today
    )
    return Router(
        features=names,
        weights=tuple(map(float, fitted.weights)),
        means=tuple(map(float, fitted.means)),
        scales=tuple(map(float, fitted.scales)),
        intercept=fitted.intercept,
        trained=trained,
        metrics=metrics,
        usable=beats(metrics),
    )
