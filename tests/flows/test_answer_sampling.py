"""`waybill router sample`, `review` and `calibrate`: drawn at random, entered in full or not at all, and the threshold that follows."""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policies.strategies.calibration import load_calibration
from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

AT = datetime(2026, 10, 1, 3, tzinfo=UTC)
ANSWERS = 240


def record(number: int) -> str:
    return f"r{number:024x}"


def answer(number: int, *, endpoint: str = "inside", lane: str = "local", confidence: float | None = -0.02, run: str = "n-1") -> Entry:
    return Entry(
        event=Event.COMPLETED,
        at=AT,
        run_id=run,
        record_id=record(number),
        lane=lane,
        endpoint=endpoint,
        confidence=confidence,
        result_file=f"{run}/open/i{number % 7}.parquet",
        result_row=number,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 answers of `inside`, one of them twice, one purged, one without a confidence; two of the cloud."""
    opened = Ledger.open(tmp_path_factory.mktemp("template") / "ledger")
    purged = answer(239)
    opened.commit(
        [
            *(answer(number) for number in range(ANSWERS - 2)),
            answer(5, confidence=-0.5),
            answer(238, confidence=None),
            purged,
            Entry(event=Event.PURGED, at=AT, run_id="n-1", record_id=purged.record_id, result_file=purged.result_file, reason="retention"),
            answer(900, lane="cloud", endpoint="emulator"),
            answer(901, lane="cloud", endpoint="emulator"),
        ]
    )
    return opened.path.parent


@pytest.fixture
def ledger(template: Path, tmp_path: Path) -> Path:
    """A copy of the template, with its keys."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path / "ledger"


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


def filled(path: Path, rows: list[dict[str, str]], verdict: Callable[[int], str], *, delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(row | {"verdict": verdict(number)} for number, row in enumerate(rows))
    return path


def test_a_sample_is_random_can_be_drawn_again_and_holds_ids_alone(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    first, again, other = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"
    said = cli("router", "sample", "--ledger", ledger, "--n", 40, "--seed", "one", "--output", first)
    cli("router", "sample", "--ledger", ledger, "--n", 40, "--seed", "one", "--output", again)
    cli("router", "sample", "--ledger", ledger, "--n", 40, "--seed", "two", "--output", other)
    assert "40 of 239 local answers of inside" in said.out
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o600
    rows = rows_of(first)
    assert len({row["record_id"] for row in rows}) == 40
    assert {row["verdict"] for row in rows} == {""}
    assert set(rows[0]) == {"record_id", "run_id", "result_file", "result_row", "endpoint", "confidence", "verdict", "sample"}


def test_the_whole_is_drawn_where_more_is_asked_for(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    cli("router", "sample", "--ledger", ledger, "--n", 9999, "--output", tmp_path / "all.csv")
    rows = {row["record_id"]: row for row in rows_of(tmp_path / "all.csv")}
    assert len(rows) == 239
    assert record(239) not in rows  # nobody can read it any more
    assert float(rows[record(5)]["confidence"]) == pytest.approx(math.exp(-0.5))  # its last answer
    assert rows[record(238)]["confidence"] == ""


def reviewed(ledger: Path, tmp_path: Path, cli: Callable[..., Any], verdict: Callable[[int], str], **options: Any) -> Path:
    cli("router", "sample", "--ledger", ledger, "--n", 200, "--seed", "one", "--output", tmp_path / "drawn.csv")
    return filled(tmp_path / "filled.csv", rows_of(tmp_path / "drawn.csv"), verdict, **options)


def test_verdicts_are_entered_once_and_calibrate_from_the_ledger_as_from_the_file(
    ledger: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    file = reviewed(ledger, tmp_path, cli, lambda number: "unsure" if number == 7 else "RIGHT", delimiter=";")
    done = cli("router", "review", file, "--ledger", ledger, "--reviewer", "Noor Abara")
    assert "200 verdicts entered; of 200 answers, 1 wrong or in doubt" in done.out
    assert "0 verdicts entered" in cli("router", "review", file, "--ledger", ledger, "--reviewer", "Noor Abara").out
    with reading(ledger) as reader:
        found = reader.table("SELECT reason, count(*) AS n FROM entries WHERE event = 'reviewed' GROUP BY reason").to_pylist()
    assert {row["reason"]: row["n"] for row in found} == {"answer_right": 199, "answer_wrong": 1}

    by_ledger, by_file, by_both = (tmp_path / f"{name}.json" for name in ("ledger", "file", "both"))
    said = cli("router", "calibrate", "--ledger", ledger, "--output", by_ledger)
    cli("router", "calibrate", file, "--output", by_file)
    cli("router", "calibrate", file, "--ledger", ledger, "--output", by_both)
    found = load_calibration(by_ledger)
    assert (found.reviewed, found.endpoint, found.target, found.confidence) == (200, "inside", 0.95, 0.95)
    assert found.wrong == 1
    assert f"threshold {found.threshold:g}" in said.out
    assert "learn-then-test with exact binomial tails" in said.out
    for path in (by_file, by_both):
        loaded = load_calibration(path)
        assert (loaded.threshold, loaded.accepted, loaded.wrong) == (found.threshold, found.accepted, found.wrong)


def test_the_more_severe_of_two_reviewers_counts_and_a_later_word_replaces_an_earlier(
    ledger: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    reviewed(ledger, tmp_path, cli, lambda _: "right")
    drawn = rows_of(tmp_path / "drawn.csv")
    for reviewer, verdict in (("Noor", "wrong"), ("Hana", "right"), ("Noor", "right")):
        file = filled(tmp_path / "again.csv", drawn, lambda number, said=verdict: said if number < 9 else "right")  # type: ignore[misc]
        cli("router", "review", file, "--ledger", ledger, "--reviewer", reviewer)
        if reviewer == "Hana":
            assert "at least 94 must be accepted" in cli("router", "calibrate", "--ledger", ledger, "--output", tmp_path / "c", code=1).err
    cli("router", "calibrate", "--ledger", ledger, "--output", tmp_path / "c")
    assert load_calibration(tmp_path / "c").wrong == 0


def test_the_newest_sample_counts_and_no_mixture(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    cli("router", "review", reviewed(ledger, tmp_path, cli, lambda _: "wrong"), "--ledger", ledger, "--reviewer", "Noor")
    (tmp_path / "drawn.csv").unlink()
    cli("router", "review", reviewed(ledger, tmp_path, cli, lambda _: "right"), "--ledger", ledger, "--reviewer", "Hana")
    cli("router", "calibrate", "--ledger", ledger, "--output", tmp_path / "c")
    assert (load_calibration(tmp_path / "c").reviewed, load_calibration(tmp_path / "c").wrong) == (200, 0)


def test_answers_of_two_models_or_templates_are_two_samples(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    later = datetime(2026, 11, 1, 3, tzinfo=UTC)
    started = Entry(event=Event.RUN_STARTED, at=later, run_id="m-1", job="mails", logical_date="2026-11-01", template_hash="f" * 64)
    Ledger.open(ledger).commit([started, *(replace(answer(number, run="m-1"), at=later) for number in range(3))])
    done = cli("router", "sample", "--ledger", ledger, "--output", tmp_path / "a.csv", code=1)
    assert "expected answers of one model and one template, found 2 combinations" in done.err
    for name, option in (("by-day", ("--since", "2026-11-01")), ("by-job", ("--job", "mails"))):
        said = cli("router", "sample", "--ledger", ledger, *option, "--seed", "one", "--output", tmp_path / name)
        assert "3 of 3 local answers of inside" in said.out
        assert f":inside:{'mails:' if name == 'by-job' else ':2026-11-01'}" in rows_of(tmp_path / name)[0]["sample"]
        file = filled(tmp_path / f"{name}.csv", rows_of(tmp_path / name), lambda _: "right")
        assert "3 verdicts entered" in cli("router", "review", file, "--ledger", ledger, "--reviewer", "Noor").out
    mixed = written(tmp_path / "it.csv", f"record_id,run_id,verdict\n{record(1)},m-1,right\n{record(1)},n-1,right\n")
    assert "found 2 combinations" in cli("router", "calibrate", mixed, "--ledger", ledger, "--output", tmp_path / "c", code=1).err


def test_no_threshold_reaches_down_to_answers_that_were_escalated(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    about: dict[str, Any] = {"event": Event.RELEASED, "at": AT, "run_id": "n-1", "lane": "local", "reason": "escalated"}
    silent = Entry(record_id=record(700), endpoint="inside", **about)
    doubted = Entry(record_id=record(701), endpoint="inside", confidence=math.log(0.7), **about)
    elsewhere = Entry(record_id=record(702), endpoint="other", confidence=-0.01, **about)
    for draw, expected in (("before", 0), ("after", 0.71)):
        cli("router", "review", reviewed(ledger, tmp_path, cli, lambda _: "right"), "--ledger", ledger, "--reviewer", "Noor")
        for _ in range(2):  # what is escalated after the draw leaves no gap in it
            cli("router", "calibrate", "--ledger", ledger, "--output", tmp_path / draw)
            assert load_calibration(tmp_path / draw).threshold == expected
            Ledger.open(ledger).commit([silent, doubted, elsewhere])
        (tmp_path / "drawn.csv").unlink()


BAD_LINES: dict[str, tuple[Callable[[list[dict[str, str]]], Any], str]] = {
    "no verdict": (lambda rows: rows[3].update(verdict=""), "filled.csv:5: verdict: expected right, wrong or unsure on every line"),
    "another word": (lambda rows: rows[3].update(verdict="maybe"), "filled.csv:5: verdict: expected right, wrong or unsure"),
    "line missing": (lambda rows: rows.pop(), "1 answers of the sample have no line"),
    "line twice": (lambda rows: rows.append(rows[0]), "not in the sample, or stands in the file twice"),
    "another record": (lambda rows: rows[3].update(record_id=record(5000)), "filled.csv:5: this answer is not in the sample"),
    "another run": (lambda rows: rows[3].update(run_id="n-2"), "filled.csv:5: this answer is not in the sample"),
    "another sample": (lambda rows: rows[3].update(sample=rows[3]["sample"].replace("one", "two")), "another sample than the first line's"),
    "no sample": (lambda rows: [row.update(sample="x") for row in rows], "filled.csv:2: sample: expected the line that"),
    "of the future": (
        lambda rows: [row.update(sample=row["sample"].rpartition(":")[0] + ":99999") for row in rows],
        "of another ledger, or of an older copy",
    ),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_file_with_one_bad_line_enters_nothing(name: str, ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    change, expected = BAD_LINES[name]
    file = reviewed(ledger, tmp_path, cli, lambda _: "right")
    rows = rows_of(file)
    change(rows)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = cli("router", "review", file, "--ledger", ledger, "--reviewer", "Noor", code=1)
    assert expected in done.err
    assert done.err.count("\n") == 1
    with reading(ledger) as reader:
        assert reader.table("SELECT 1 FROM entries WHERE event = 'reviewed'").num_rows == 0


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("it.csv", "", "it.csv: expected one reviewed answer a line"),
        ("it.csv", "confidence\n0.9\n", "it.csv: expected a heading with verdict"),
        ("it.csv", "confidence,verdict\n0.9,right\n-0.1,right\n", "it.csv:3: confidence: expected a number, 0..1 with a decimal point"),
        ("it.csv", "confidence,verdict\n-0.1,right\n", "give exp of it"),
        ("it.csv", "confidence;verdict\n0,9;right\n", "it.csv:2: confidence: expected a number"),
        ("it.csv", "confidence,verdict\nnan,right\n", "it.csv:2: confidence: expected a number"),
        ("it.csv", 'confidence,verdict\n"0.9,right\n', "expected a line of CSV, found a quote that does not end"),
        ("it.csv", "verdict\nright\n", "it.csv:2: expected confidence, or record_id"),
        ("it.csv", "record_id,verdict\nr1,right\n", "expected a column confidence, or --ledger"),
        ("it.jsonl", '{"confidence": 0.9}\n', "it.jsonl:1: verdict: expected right, wrong or unsure on every line, found nothing"),
        ("it.jsonl", '{"confidence": 1.2, "verdict": true}\n', "it.jsonl:1: confidence: expected a number"),
        ("it.csv", "confidence,verdict,endpoint\n0.9,right,a\n0.9,right,b\n", "expected answers of one endpoint, found those of a, b"),
        ("it.csv", "confidence,verdict\n" + "0.99,right\n" * 30, "at least 94 must be accepted without an error"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_a_file_that_gives_no_threshold_is_refused_in_one_line(
    name: str, text: str, expected: str, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    done = cli("router", "calibrate", written(tmp_path / name, text), "--output", tmp_path / "out.json", code=1)
    assert expected in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


def test_json_lines_calibrate_too_and_a_missing_confidence_is_one_that_is_never_kept(tmp_path: Path, cli: Callable[..., Any]) -> None:
    lines = '{"confidence": 0.98, "verdict": true}\n' * 150 + '{"confidence": null, "verdict": "right"}\n' * 10
    cli("router", "calibrate", written(tmp_path / "it.jsonl", lines), "--output", tmp_path / "out.json", "--target", "0.9")
    found = load_calibration(tmp_path / "out.json")
    assert (found.accepted, found.reviewed, found.target) == (150, 160, 0.9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("record_id,verdict\n{0},right\n{0},right\n", "expected each answer once, found 1 of them again"),
        ("record_id,verdict\nr0,right\n", "it.csv:2: expected one local answer, but the record has none in this ledger"),
        ("record_id,run_id,verdict\n{0},n-9,right\n", "it.csv:2: expected one local answer, but the record has none"),
        ("record_id,verdict\n{1},right\n", "the record has several: give run_id too"),
    ],
    ids=["twice", "unknown", "other run", "several"],
)
def test_an_answer_that_the_ledger_does_not_have_is_named(
    text: str, expected: str, ledger: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    Ledger.open(ledger).commit([answer(9, run="n-2")])
    file = written(tmp_path / "it.csv", text.format(record(1), record(9)))
    done = cli("router", "calibrate", file, "--ledger", ledger, "--output", tmp_path / "out.json", code=1)
    assert expected in done.err


def test_answers_of_two_endpoints_are_two_samples(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    Ledger.open(ledger).commit([answer(300, endpoint="second")])
    done = cli("router", "sample", "--ledger", ledger, "--output", tmp_path / "a.csv", code=1)
    assert "expected answers of one endpoint, found those of inside, second; name one with --endpoint" in done.err
    assert (
        "1 of 1 local answers of second"
        in cli("router", "sample", "--ledger", ledger, "--endpoint", "second", "--output", tmp_path / "a.csv").out
    )
    assert "is there already" in cli("router", "sample", "--ledger", ledger, "--output", tmp_path / "a.csv", code=2).err
    assert (
        "expected local answers of nobody in that range, found none"
        in cli("router", "sample", "--ledger", ledger, "--endpoint", "nobody", "--output", tmp_path / "b.csv", code=1).err
    )


def test_without_reviews_the_ledger_calibrates_nothing(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    done = cli("router", "calibrate", "--ledger", ledger, "--output", tmp_path / "c", code=1)
    assert "found none; draw some with `waybill router sample`" in done.err
    assert "name a FILE of reviewed answers, or --ledger" in cli("router", "calibrate", "--output", tmp_path / "c", code=2).err
