"""What review samples bound in a statement: the class that was asked about, in the range of the draw, by chance and no other choice."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.proving import StatementOptions, state
from flows.reviewing import enter_review
from flows.sampling import draw, new_spec, rows_of
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger

AT = datetime(2026, 10, 1, 2, tzinfo=UTC)
POLICY = """version: 1
classes: {PHI: {basis: house rule, any_entity: [US_SSN]}, PII: {basis: house rule, any_entity: [EMAIL_ADDRESS]}}
routes: [{when: [PHI, UNSCANNABLE], lanes: [local]}, {when: [PII, CLEAN], lanes: [cloud, local]}]
default: held
"""
TEXTS = 40


def sent(number: int, at: datetime) -> list[Entry]:
    """Every fourth text is PII; the first was known to be PHI, and left nevertheless."""
    classes = ("PHI",) if not number else ("PII",) if number % 4 == 0 else ("CLEAN",)
    about: dict[str, Any] = {"at": at, "run_id": f"night-{at:%d}", "record_id": f"r{number:024x}"}
    judged: dict[str, Any] = {"data_classes": classes, "partial": False, "lanes": ("cloud",), "policy_hash": "f" * 64}
    payload: dict[str, Any] = {"lane": "cloud", "endpoint": "vendor", "clearance_id": f"c{number}", "attempt": 1}
    return [
        Entry(event=Event.DECIDED, document_hmac=f"{number:032x}", **about, **judged),
        Entry(event=Event.CLEARED, **about, **payload),
        Entry(event=Event.SUBMITTING, intent_id=f"i-{at:%d}", **about, **payload),
    ]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    opened = Ledger.open(tmp_path / "ledger")
    opened.commit([Entry(event=Event.POLICY_REGISTERED, at=AT, policy_hash="f" * 64, policy_text=POLICY)])
    opened.commit([entry for number in range(TEXTS) for entry in sent(number, AT)])
    return opened.path


def review(ledger: Path, size: int, verdicts: dict[int, str], **wanted: Any) -> None:
    """Draw a sample, and have somebody find these of its lines to be what they are; CLEAN is the word for the others."""
    values: dict[str, Any] = {"since": None, "until": None, "data_class": None}
    rows = rows_of(draw(ledger, new_spec(ledger, seed="autumn", size=size, **values | wanted)))
    file = ledger.parent / "sample.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, rows[0])
        writer.writeheader()
        writer.writerows({**row, "verdict": verdicts.get(number, "CLEAN")} for number, row in enumerate(rows))
    enter_review(ledger, file, reviewer="Ana Birk")


def bounds(ledger: Path, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stated(ledger, **options).answer["review_samples"]
    return found


def stated(ledger: Path, **options: Any) -> Any:
    wanted = {"data_class": "PHI", "lane": "cloud"} | options
    return state(StatementOptions(ledger=ledger, **wanted), now=AT + timedelta(days=30)).statement


def test_without_a_sample_nothing_bounds_what_was_never_recognised(ledger: Path) -> None:
    assert bounds(ledger) == []
    assert any(line.startswith("No review sample: nothing bounds") for line in stated(ledger).text)


def test_a_sample_bounds_the_texts_that_were_not_decided_to_be_of_the_class(ledger: Path) -> None:
    review(ledger, 20, {3: "PHI", 5: "UNSURE"})
    (found,) = bounds(ledger)
    assert (found["usable"], found["covers"], found["texts"], found["reviewed"]) == (True, "whole", TEXTS, 20)
    undecided = found["of_class_undecided"]
    assert (undecided["texts"], undecided["found"], undecided["unsure"]) == (TEXTS - 1, 1, 1)
    # Clopper and Pearson, one-sided, 95%, for 2 of 19: the one that was known to be PHI is among the 20.
    assert (undecided["reviewed"], undecided["rate_at_most"], undecided["texts_at_most"]) == (19, "0.295803", 11)
    assert found["should_not_have_left"]["unsure"] == 1
    answer = stated(ledger).answer
    assert answer["as_known_now"]["records_by_word"]["reviewed"] == 1
    assert answer["as_known_now"]["reviews_in_doubt"] == 1


def test_where_all_was_read_it_is_a_count(ledger: Path) -> None:
    review(ledger, TEXTS, {7: "PHI"})
    undecided = bounds(ledger)[0]["of_class_undecided"]
    assert (undecided["reviewed"], undecided["texts_at_most"]) == (TEXTS - 1, 1)


@pytest.mark.parametrize(
    ("drawn", "asked", "covers"),
    [
        ({"since": date(2026, 9, 1), "until": date(2026, 11, 1)}, {"since": date(2026, 10, 1), "until": date(2026, 10, 9)}, "whole"),
        ({"since": date(2026, 10, 1)}, {}, "part"),
        ({"data_class": "PII"}, {}, "part"),
        ({"until": date(2026, 10, 2)}, {"since": date(2026, 10, 2)}, None),
    ],
    ids=["a wider range", "a later beginning", "one class only", "other days"],
)
def test_a_bound_says_whether_it_is_for_the_period(ledger: Path, drawn: dict[str, Any], asked: dict[str, Any], covers: str | None) -> None:
    review(ledger, 5, {}, **drawn)
    assert [one["covers"] for one in bounds(ledger, **asked)] == ([covers] if covers else [])


def test_what_was_sent_after_the_draw_is_not_bounded_by_it(ledger: Path) -> None:
    review(ledger, 5, {})
    assert bounds(ledger)[0]["covers"] == "whole"
    Ledger.open(ledger).commit(sent(TEXTS, AT + timedelta(days=2)))
    assert bounds(ledger)[0]["covers"] == "part"


def test_a_review_of_chosen_texts_bounds_nothing(ledger: Path) -> None:
    """Entered past the command that checks it: some texts of a draw, or under the name of none."""
    spec = new_spec(ledger, seed="autumn", size=10, since=None, until=None, data_class=None)
    chosen = draw(ledger, spec).items[:9]
    values: dict[str, Any] = {"event": Event.REVIEWED, "at": AT, "actor": "Ana Birk", "reason": "confirmed", "after": "CLEAN"}
    Ledger.open(ledger).commit(
        [
            *(Entry(record_id=one.record_id, document_hmac=one.document_hmac, detail_code=spec.text, **values) for one in chosen),
            Entry(record_id=chosen[0].record_id, document_hmac=chosen[0].document_hmac, detail_code="sample:mine", **values),
        ]
    )
    found = bounds(ledger)
    assert [(one["usable"], one["why"]) for one in found] == [(False, "not_reviewed_in_full"), (False, "not_a_sample")]
    assert sum("it bounds nothing" in line for line in stated(ledger).text) == 2


def test_a_draw_at_once_is_the_draw_by_shares(ledger: Path) -> None:
    """Also of what was sent twice, elsewhere, as another text or class, in no run, or without a decision."""
    opened = Ledger.open(ledger)
    for number, day in ((3, 1), (4, 2), (5, 3), (50, 0)):
        opened.commit(sent(number, AT + timedelta(days=day)))
    again: dict[str, Any] = {"run_id": "night-01", "record_id": f"r{9:024x}", "at": AT}
    elsewhere = Entry(event=Event.SUBMITTING, endpoint="other", lane=None, **again)
    opened.commit([Entry(event=Event.DECIDED, data_classes=("PII",), document_hmac=f"{9:032x}", **again), elsewhere])
    opened.commit([Entry(event=Event.DECIDED, data_classes=("CLEAN",), document_hmac="another", **again), elsewhere])
    opened.commit([Entry(event=Event.SUBMITTING, at=AT, record_id="r-lost", lane="cloud", endpoint="vendor")])
    opened.commit([Entry(event=Event.SUBMITTING, at=AT, record_id="r-inside", lane="local", endpoint="small")])
    for wanted in ({}, {"data_class": "PII"}, {"data_class": "CLEAN"}, {"since": date(2026, 10, 2)}, {"until": date(2026, 10, 3)}):
        values: dict[str, Any] = {"since": None, "until": None, "data_class": None}
        spec = new_spec(ledger, seed="autumn", size=60, **values | wanted)
        by_shares, at_once = draw(ledger, spec), draw(ledger, spec, at_once=True)
        assert at_once == by_shares
        assert at_once.population == len(at_once.items) > 0
