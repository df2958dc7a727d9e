"""The two small JSON files of routing: read back as they were written, and refused in one line where they are anything else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policies.errors import PolicyFileError
from policies.strategies.calibration import is_below, load_calibration, parse_calibration, probability_of
from policies.strategies.complexity import Features
from policies.strategies.router import load_router, logistic, parse_router
from policies.yaml_value import Source
from tests.policies.routing_files import CALIBRATION, ROUTER


def source(text: str) -> Source:
    return Source(name="it.json", data=text.encode())


def test_a_router_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "router.json"
    path.write_text(ROUTER.text)
    assert load_router(path) == ROUTER
    assert load_router(path).text == ROUTER.text


def test_a_calibration_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(CALIBRATION.text)
    assert load_calibration(path) == CALIBRATION
    assert CALIBRATION.accepted_share == 0.75


def test_a_score_is_the_logistic_function_of_the_weighted_values() -> None:
    features = Features(characters=99, digits=0.15)
    expected = -1 + 0.5 * (math.log(100) - 5) / 2 - 2 * (0.15 - 0.1) / 0.05
    assert ROUTER.score(features) == pytest.approx(1 / (1 + math.exp(-expected)))


def test_a_value_far_from_all_that_training_saw_does_not_decide_alone() -> None:
    far, farther = Features(characters=10**7, digits=0.1), Features(characters=10**9, digits=0.1)
    assert ROUTER.score(far) == ROUTER.score(farther) == pytest.approx(logistic(-1 + 0.5 * 4))


@pytest.mark.parametrize("value", [-1e308, -800.0, 0.0, 800.0, 1e308])
def test_the_logistic_function_never_overflows(value: float) -> None:
    assert 0 <= logistic(value) <= 1


def changed(text: str, change: Callable[[dict[str, Any]], Any]) -> str:
    tree = json.loads(text)
    change(tree)
    return json.dumps(tree)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    *above, last = path.split(".")

    def change(tree: dict[str, Any]) -> None:
        for key in above:
            tree = tree[key]
        tree[last] = value

    return change


ROUTER_MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another kind": (put("kind", "waybill calibration"), "expected the JSON of a waybill router"),
    "another version": (put("version", 2), "version: expected 1"),
    "version true": (put("version", value=True), "version: expected 1"),
    "key missing": (lambda tree: tree.pop("weights"), "weights: expected this key"),
    "key too many": (put("note", "x"), "expected no other keys"),
    "unknown feature": (put("features", ["characters", "smell"]), "features: expected a list of some of characters"),
    "feature twice": (put("features", ["digits", "digits"]), "features: expected"),
    "no feature": (put("features", []), "features: expected"),
    "weights short": (put("weights", [1.0]), "weights: expected a list of 2 numbers"),
    "weight text": (put("weights", [1.0, "2"]), "weights: expected"),
    "weight true": (put("weights", [1.0, True]), "weights: expected"),
    "weights beyond all sums": (put("weights", [1e308, -1e308]), "weights: expected"),
    "scale zero": (put("scales", [1.0, 0.0]), "scales: expected numbers above 0"),
    "intercept huge": (put("intercept", 1e9), "intercept: expected a number"),
    "usable text": (put("usable", "true"), "usable: expected true or false"),
    "not better than length": (put("metrics.over_length.low", -0.01), "usable: expected false"),
    "as good as chance": (put("metrics.over_random.low", 0.0), "usable: expected false"),
    "metric missing": (lambda tree: tree["metrics"].pop("apgr"), "metrics.apgr: expected this key"),
    "metric reversed": (put("metrics.apgr.low", 0.9), "metrics.apgr: expected low <= high"),
    "metric no table": (put("metrics.apgr", 0.6), "metrics.apgr: expected an object"),
    "no rows": (put("trained.rows", 0), "trained.rows: expected a count"),
    "rows broken": (put("trained.rows", 1.5), "trained.rows: expected a count"),
    "digest short": (put("trained.digest", "ab"), "trained.digest: expected a SHA-256"),
    "source else": (put("trained.source", "hearsay"), "trained.source: expected outcomes or ledger"),
    "no such day": (put("trained.made_on", "2026-02-30"), "trained.made_on: expected a day"),
}


@pytest.mark.parametrize("name", ROUTER_MISTAKES)
def test_a_router_that_is_not_right_is_refused_in_one_line(name: str) -> None:
    change, expected = ROUTER_MISTAKES[name]
    with pytest.raises(PolicyFileError) as caught:
        parse_router(source(changed(ROUTER.text, change)))
    assert str(caught.value).startswith("it.json")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_that_may_not_be_used_is_read_all_the_same() -> None:
    metrics = put("metrics.over_length.low", -0.01)
    text = changed(changed(ROUTER.text, metrics), put("usable", value=False))
    assert parse_router(source(text)).usable is False


CALIBRATION_MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "log-probability": (put("threshold", -0.1), "threshold: expected a probability, 0..1"),
    "percent": (put("threshold", 90), "threshold: expected a probability, 0..1"),
    "more accepted than reviewed": (put("accepted", 401), "numbers that contradict each other"),
    "more wrong than accepted": (put("wrong", 301), "numbers that contradict each other"),
    "less than the target": (put("right_at_least", 0.9), "numbers that contradict each other"),
    "another bound": (put("bound", "trust me"), "bound: expected"),
    "endpoint with a path": (put("endpoint", "../x"), "endpoint: expected the name of an endpoint"),
    "wrong negative": (put("wrong", -1), "wrong: expected a count"),
}


@pytest.mark.parametrize("name", CALIBRATION_MISTAKES)
def test_a_calibration_that_is_not_right_is_refused_in_one_line(name: str) -> None:
    change, expected = CALIBRATION_MISTAKES[name]
    with pytest.raises(PolicyFileError) as caught:
        parse_calibration(source(changed(CALIBRATION.text, change)))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"kind": "waybill calibration"}',
        '{"kind": "waybill calibration", "kind": "waybill calibration", "version": 1}',
        CALIBRATION.text.replace("0.9,", "NaN,", 1),
        CALIBRATION.text.replace("0.9,", "1e999,", 1),
        CALIBRATION.text.replace("400", "9" * 400),
        "[" * 100_000,
    ],
    ids=["empty", "list", "cut", "no-version", "key-twice", "nan", "infinite", "huge", "nested"],
)
def test_what_is_no_such_json_is_refused(text: str) -> None:
    with pytest.raises(PolicyFileError, match=r"^it\.json: "):
        parse_calibration(source(text))


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(PolicyFileError, match=r"expected the JSON of a waybill router"):
        parse_router(Source(name="it.json", data=b"\xff\xfe{}"))


@pytest.mark.parametrize(
    ("mean", "probability"),
    [(None, None), (math.nan, None), (-math.inf, None), (0.0, 1.0), (math.log(0.9), 0.9), (0.5, 1.0)],
    ids=["none", "nan", "infinite", "certain", "nine tenths", "above zero"],
)
def test_confidence_is_the_geometric_mean_token_probability(mean: float | None, probability: float | None) -> None:
    assert probability_of(mean) == (None if probability is None else pytest.approx(probability))


def test_an_answer_stays_from_the_threshold_on_and_never_without_a_confidence() -> None:
    assert CALIBRATION.keeps(math.log(0.91))
    assert not CALIBRATION.keeps(math.log(0.89))
    assert not CALIBRATION.keeps(None)
    assert is_below(None, 0.0)
    assert not is_below(-5.0, 0.0)
