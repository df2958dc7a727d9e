"""`waybill router train` and `eval`: worlds whose answer is known, the refusals, and what the ledger says of its own answers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.errors import RouterError
from flows.router_ledger import ledger_outcomes
from flows.router_outcomes import Floats, Outcomes, read_outcomes
from flows.router_training import MOST_FOLDS, _unseen, train
from policies.strategies.complexity import Features
from policies.strategies.router import load_router
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.segments import Ledger

DAY = date(2026, 11, 23)
CANARY = "quetzalcoatl-7719"
SUBJECTS, ROWS = 20, 50
World = Callable[[np.random.Generator, float, float, float], float]
"""Digits, questions and length of a prompt, each about -1..1, to how much harder it is for the weak model."""

WORLDS: dict[str, tuple[World, bool]] = {
    "three features": (lambda _, digits, questions, length: 3 * digits + 3 * questions + 2 * length, True),
    "noise": (lambda *_: 0.0, False),
    "length alone": (lambda _, _digits, _questions, length: 5 * length, False),
    "questions alone": (lambda _, _digits, questions, _length: 5 * questions, False),
}


def prompts(world: World, *, seed: int = 1) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    rows = []
    for subject in range(SUBJECTS):
        for _ in range(ROWS):
            digits, questions, length = (float(one) for one in generator.uniform(-1, 1, 3))
            words = int(40 + 30 * length)
            text = " ".join(["boat"] * words) + " 7" * int(words * 0.3 * (1 + digits)) + " ?" * int(4 * (1 + questions))
            hard = 1 / (1 + np.exp(2 - world(generator, digits, questions, length)))
            weak = bool(generator.random() > hard)
            rows.append({"prompt": f"{CANARY} {text}", "domain": f"s{subject}", "weak_correct": weak, "strong_correct": True})
    return rows


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", WORLDS)
def test_a_router_may_be_used_only_where_it_beats_chance_length_and_the_best_single_feature(name: str, tmp_path: Path) -> None:
    world, usable = WORLDS[name]
    outcomes = read_outcomes(written(tmp_path / "it.jsonl", prompts(world)))
    report = train(outcomes, where="it.jsonl", confidence=0.95, today=DAY)
    metrics = report.router.metrics
    assert report.router.usable is usable
    assert report.folds == SUBJECTS
    assert report.scored.measure("random", "apgr").value == 0.5
    if usable:
        assert all(metrics[f"over_{other}"].low > 0 for other in ("random", "length", "single"))
        assert metrics["cpt50"].value < 0.4
    if name == "noise":
        assert metrics["over_random"].low < 0 < metrics["over_random"].high
    if name == "questions alone":
        assert report.singles == ("questions",)
        assert metrics["over_random"].low > 0.1  # it is worth something, and nothing more than that feature
    assert metrics["apgr"].value <= report.oracle


@pytest.mark.parametrize("subjects", [9, 57], ids=["one each", "several each"])
def test_no_model_sees_a_row_of_the_subjects_that_it_scores(subjects: int) -> None:
    names = np.repeat(np.arange(subjects), 3)
    values = np.column_stack((names, np.arange(len(names)))).astype(np.float64)
    weak = np.arange(len(names)) % 2 == 0
    outcomes = Outcomes(
        names=("characters", "digits"), values=values, weak=weak, strong=np.ones(len(names), dtype=np.bool_), subjects=names.astype(np.intp)
    )
    scored: list[float] = []

    class Spy:
        """A model that says which rows it was made from and asked about."""

        def __init__(self, rows: Floats) -> None:
            self.seen = set(rows[:, 0])

        def score(self, rows: Floats) -> Floats:
            asked = set(rows[:, 0])
            assert asked == self.seen or not asked & self.seen
            scored.extend(rows[:, 1] if not asked & self.seen else [])
            return rows[:, 1]

    _, _, folds = _unseen(outcomes, outcomes.names, values, lambda rows, _wanted: Spy(rows))
    assert sorted(scored) == list(range(len(names)))
    assert folds == min(subjects, MOST_FOLDS)


def test_the_file_scores_as_the_model_did_and_the_same_data_give_the_same_file(tmp_path: Path) -> None:
    path = written(tmp_path / "it.jsonl", prompts(WORLDS["three features"][0]))
    first, again = (train(read_outcomes(path), where=path, confidence=0.95, today=DAY).router for _ in range(2))
    assert first.text == again.text
    hard, easy = ("boat " * 60 + "7 " * 40 + "? " * 7, "boat " * 15)
    scores = [first.score(Features.of({"text": text}, task="", schema=None, constants_chars=0)) for text in (hard, easy)]
    assert scores[0] > 0.6
    assert scores[1] < 0.1


REFUSALS: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "few rows": (lambda rows: rows[::10], r"100 requests \(expected at least 200\)"),
    "few subjects": (lambda rows: rows[: 7 * ROWS], r"7 subjects \(expected at least 8\)"),
    "no gains": (lambda rows: [row | {"weak_correct": True} for row in rows], r"0 requests that only the strong model got right"),
    "never right": (lambda rows: [row | {"weak_correct": False} for row in rows], r"0 requests that the weak model got right"),
    "no gap": (
        lambda rows: [row | {"weak_correct": index % 2 == 0, "strong_correct": index % 2 == 1} for index, row in enumerate(rows)],
        r"strong model was right 500 times and the weak one 500",
    ),
    "all alike": (
        lambda rows: [row | {"prompt": "boat", "weak_correct": index % 3 > 0} for index, row in enumerate(rows)],
        r"every feature has the same value",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_too_little_is_refused_with_numbers(name: str, tmp_path: Path) -> None:
    change, expected = REFUSALS[name]
    outcomes = read_outcomes(written(tmp_path / "it.jsonl", change(prompts(WORLDS["noise"][0]))))
    with pytest.raises(RouterError, match=expected):
        train(outcomes, where="it.jsonl", confidence=0.95, today=DAY)


GOOD = '{"prompt": "a", "domain": "b", "weak_correct": true, "strong_correct": false}\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"it\.jsonl: expected one JSON object a line .* found no line"),
        (GOOD + "{", r"it\.jsonl:2: expected one JSON object"),
        (GOOD + "\n[1]", r"it\.jsonl:3: expected one JSON object"),
        (GOOD.replace("true", "1"), r"it\.jsonl:1: weak_correct: expected true or false, found something else"),
        (GOOD.replace('"domain": "b", ', ""), r"it\.jsonl:1: domain: expected a text, found nothing"),
        (GOOD.replace('"a"', "null"), r"it\.jsonl:1: prompt: expected a text"),
        (GOOD + "[" * 100_000, r"it\.jsonl:2: expected one JSON object"),
    ],
    ids=["empty", "cut", "list", "number", "no-domain", "no-prompt", "nested"],
)
def test_a_line_that_cannot_be_used_is_named_and_not_quoted(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "it.jsonl"
    path.write_text(text)
    with pytest.raises(RouterError, match=expected):
        read_outcomes(path)


@pytest.mark.parametrize("data", [None, b"\xff\xfe\x00"], ids=["absent", "latin"])
def test_a_file_that_cannot_be_read_is_said_so(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "it.jsonl"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(RouterError, match=r"it\.jsonl: expected (a readable file|UTF-8)"):
        read_outcomes(path)


def test_the_command_trains_and_evaluates_and_holds_no_text(tmp_path: Path, cli: Callable[..., Any]) -> None:
    file, model = written(tmp_path / "it.jsonl", prompts(WORLDS["three features"][0])), tmp_path / "r.json"
    done = cli("router", "train", file, "--output", model)
    assert "usable: true" in done.out
    limit = re.search(r"50% of the gap: scores from (0\.\d+) on, (\d+)% of the requests", done.out)
    assert limit is not None
    outcomes, loaded = read_outcomes(file), load_router(model)
    columns = outcomes.values[:, [outcomes.names.index(name) for name in loaded.features]].tolist()
    above = np.mean([loaded.score_values(row) >= float(limit[1]) for row in columns])
    assert 100 * above == pytest.approx(int(limit[2]), abs=1.5)
    assert load_router(model).usable
    assert model.stat().st_mode & 0o777 == 0o600
    assert CANARY not in model.read_text() + done.out + done.err

    fresh = written(tmp_path / "fresh.jsonl", prompts(WORLDS["three features"][0], seed=2))
    judged = cli("router", "eval", model, fresh, "--format", "json")
    rows = {row["score"]: row for row in map(json.loads, judged.out.splitlines())}
    assert list(rows) == ["chance", "length", "rules", "router"]
    assert float(rows["router"]["apgr"].split()[0]) > 0.6
    assert "trained on exactly these outcomes" in cli("router", "eval", model, file, code=1).err


def test_one_that_does_not_beat_the_rest_is_written_and_drawn_and_says_so(tmp_path: Path, cli: Callable[..., Any]) -> None:
    file, model, picture = written(tmp_path / "it.jsonl", prompts(WORLDS["noise"][0])), tmp_path / "r.json", tmp_path / "r.png"
    done = cli("router", "train", file, "--output", model, "--plot", picture)
    assert load_router(model).usable is False
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_mode & 0o777 == 0o600
    assert "usable: false. It does not beat chance" in done.out


def test_without_scikit_learn_the_reader_is_told_what_to_install(
    tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    file = written(tmp_path / "it.jsonl", prompts(WORLDS["noise"][0]))
    done = cli("router", "train", file, "--output", tmp_path / "r.json", code=1)
    assert done.err == "waybill: training needs scikit-learn, which is not installed: pip install 'waybill[router]'\n"
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("more", [[], ["--ledger", "somewhere", "it.jsonl"]], ids=["neither", "both"])
def test_outcomes_come_from_a_file_or_from_a_ledger(more: list[str], tmp_path: Path, cli: Callable[..., Any]) -> None:
    done = cli("router", "train", *more, "--output", tmp_path / "r.json", code=2)
    assert "either a FILE of labelled outcomes or --ledger" in done.err


def night(number: int, entries: list[Entry], *, of: int = 0) -> list[Entry]:
    at = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=number)
    return [Entry(event=Event.RUN_STARTED, at=at, run_id=f"job{of}-{number}", job=f"job{of}", logical_date=f"{at:%Y-%m-%d}"), *entries]


def asked(run: str, number: int, size: int, findings: int, after: list[dict[str, Any]]) -> list[Entry]:
    """A record that a local endpoint was given, and what came of it."""
    about: dict[str, Any] = {"at": datetime(2026, 10, 1, 3, tzinfo=UTC), "run_id": run, "record_id": f"r{number:024x}"}
    names = [*(("EMAIL_ADDRESS", "US_SSN") if findings else ()), "topic:health", "marker:board_material"]
    found = tuple(EvidenceCount(entity=name, count=findings or 1, max_score=1.0, detector="d") for name in names)
    return [
        Entry(event=Event.DECIDED, evidence=found, data_classes=("PII",), lanes=("local",), **about),
        Entry(event=Event.SUBMITTING, lane="local", endpoint="inside", payload_bytes=size, intent_id=f"i{run}{number}", **about),
        *(Entry(**about, **one) for one in after),
    ]


COMPLETED = {"event": Event.COMPLETED, "lane": "local", "endpoint": "inside", "confidence": -0.1}
ESCALATED = {"event": Event.RELEASED, "lane": "local", "endpoint": "inside", "reason": "escalated", "confidence": -1.5}
BROKEN = {"event": Event.FAILED, "lane": "local", "endpoint": "inside", "error_code": "schema_violation"}
AWAY = {"event": Event.FAILED, "lane": "local", "endpoint": "inside", "error_code": "engine_unavailable"}
CLOUD = {"event": Event.COMPLETED, "lane": "cloud", "endpoint": "emulator"}


def said(right: str, actor: str = "Noor") -> dict[str, Any]:
    return {"event": Event.REVIEWED, "reason": right, "actor": actor, "detail_code": "answers:a:1:inside:9"}


FATES: dict[str, tuple[list[dict[str, Any]], bool | None]] = {
    "completed": ([COMPLETED], True),
    "escalated": ([ESCALATED, CLOUD], False),
    "escalated, kept inside after all": ([ESCALATED, COMPLETED], False),
    "low confidence": ([COMPLETED | {"detail_code": "low_confidence"}], False),
    "schema": ([BROKEN], False),
    "schema, then repaired": ([BROKEN, COMPLETED], False),
    "engine away": ([AWAY], None),
    "engine away, then completed": ([AWAY, COMPLETED], True),
    "found wrong": ([COMPLETED, said("answer_wrong")], False),
    "found right for all doubts": ([COMPLETED | {"detail_code": "low_confidence"}, said("answer_right")], True),
    "two reviewers": ([COMPLETED, said("answer_right"), said("answer_wrong", "Hana")], False),
    "reviewed for classes": ([COMPLETED, {"event": Event.REVIEWED, "reason": "leak", "detail_code": "sample:x"}], True),
    "nothing yet": ([], None),
}


def test_what_the_ledger_says_of_an_answer(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger")
    fates = list(FATES.values())
    ledger.commit(
        [
            *night(0, []),
            *(entry for number, (after, _) in enumerate(fates) for entry in asked("job0-0", number, 100 + number, number % 3, after)),
        ]
    )
    outcomes, subject = ledger_outcomes(ledger.path)
    expected = [(100 + number, number % 3, right) for number, (_, right) in enumerate(fates) if right is not None]
    assert subject == "nights"
    assert outcomes.weak.tolist() == [right for _, _, right in expected]
    assert np.expm1(outcomes.values[:, 0]) == pytest.approx([size for size, _, _ in expected])
    assert np.expm1(outcomes.values[:, 1]) == pytest.approx([2 * count for _, count, _ in expected])
    assert np.expm1(outcomes.values[:, 2]) == pytest.approx([2 if count else 0 for _, count, _ in expected])
    assert outcomes.strong.all()


def test_a_router_is_trained_from_a_ledger_over_nights_or_jobs(tmp_path: Path, cli: Callable[..., Any]) -> None:
    ledger, generator = Ledger.open(tmp_path / "ledger"), np.random.default_rng(3)
    entries: list[Entry] = []
    for run in range(10):
        entries += night(run, [], of=run)
        for number in range(60):
            size, findings = int(generator.integers(200, 20_000)), int(generator.integers(0, 40))
            hard = size / 20_000 + findings / 40 + generator.normal(0, 0.15) > 1
            entries += asked(f"job{run}-{run}", number, size, findings, [ESCALATED if hard else COMPLETED])
    ledger.commit(entries)
    model = tmp_path / "r.json"
    done = cli("router", "train", "--ledger", ledger.path, "--output", model)
    assert "600 requests of 10 jobs" in done.out
    assert "nobody knows what the strong model would have said" in done.out
    loaded = load_router(model)
    assert (loaded.usable, loaded.trained.source) == (True, "ledger")
    assert set(loaded.features) == {"payload_bytes", "findings", "finding_kinds"}
    assert loaded.score(Features(payload_bytes=19_000, findings=38, finding_kinds=2)) > 0.8
    assert loaded.score(Features(payload_bytes=400, findings=1, finding_kinds=2)) < 0.1


def test_a_young_ledger_is_refused_with_numbers(tmp_path: Path, cli: Callable[..., Any]) -> None:
    ledger = Ledger.open(tmp_path / "ledger")
    ledger.commit([*night(0, []), *asked("job0-0", 1, 100, 0, [COMPLETED])])
    done = cli("router", "train", "--ledger", ledger.path, "--output", tmp_path / "r.json", code=1)
    assert "1 requests (expected at least 200); 1 nights (expected at least 8)" in done.err
    assert not (tmp_path / "r.json").exists()


def test_features_that_a_set_does_not_have_are_named(tmp_path: Path, cli: Callable[..., Any]) -> None:
    file, model = written(tmp_path / "it.jsonl", prompts(WORLDS["noise"][0])), tmp_path / "r.json"
    cli("router", "train", file, "--output", model)
    tree = json.loads(model.read_text())
    tree["features"][0] = "findings"
    model.write_text(json.dumps(tree))
    done = cli("router", "eval", model, written(tmp_path / "fresh.jsonl", prompts(WORLDS["noise"][0], seed=5)), code=1)
    assert "expected outcomes with findings" in done.err


def test_the_digest_is_of_numbers_and_labels(tmp_path: Path) -> None:
    rows = prompts(WORLDS["noise"][0])
    first = read_outcomes(written(tmp_path / "a.jsonl", rows))
    turned = [row | {"weak_correct": not row["weak_correct"]} if index == 0 else row for index, row in enumerate(rows)]
    other: Outcomes = read_outcomes(written(tmp_path / "b.jsonl", turned))
    assert first.digest == read_outcomes(tmp_path / "a.jsonl").digest != other.digest
