"""The book of overrides: every one of them, in order, also those entered while the night runs, without reading the ledger twice."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sinks.ledger import files, overrides
from sinks.ledger.entry import Entry, Event
from sinks.ledger.overrides import LastDecision, OverrideBook, last_decision, raising
from sinks.ledger.segments import Ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def raise_it(ledger: Ledger, record_id: str, data_class: str) -> None:
    ledger.commit([raising(record_id, data_class, reason="seen", actor="mara", at=NOW, last=last_decision(ledger, record_id))])


def test_what_is_entered_meanwhile_is_in_the_next_answer(ledger: Ledger) -> None:
    book = OverrideBook(ledger)
    assert book.about(["r-1"]) == {}
    raise_it(ledger, "r-1", "PHI")
    raise_it(ledger, "r-2", "NPI")
    assert {record: [one.data_class for one in found] for record, found in book.about(["r-1", "r-3"]).items()} == {"r-1": ["PHI"]}
    raise_it(ledger, "r-1", "NPI")
    (first, second) = book.about(["r-1"])["r-1"]
    assert (first.data_class, second.data_class, second.lowers, second.at) == ("PHI", "NPI", False, NOW)
    assert first.seq < second.seq
    assert first.override_id != second.override_id


def test_only_new_segments_are_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = overrides.reading

    def counted(where: Ledger | Path, **options: int) -> object:
        read.append(options["since_segment"])
        return real(where, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(overrides, "reading", counted)
    book = OverrideBook(ledger)
    for _ in range(3):
        book.about(["r-1"])
    ledger.commit([Entry(event=Event.HELD, at=NOW, run_id="n-2026-11-22", record_id="r-1", reason="no_rule")])
    book.about(["r-1"])
    book.about(["r-1"])
    assert read == [1, 2]
    assert files.head(ledger.path) == 2


def test_an_entry_that_says_neither_is_none(ledger: Ledger) -> None:
    ledger.commit([Entry(event=Event.OVERRIDDEN, at=NOW, record_id="r-1", reason="raised", before="PII", after="PHI")])
    assert OverrideBook(ledger).about(["r-1"]) == {}


def test_before_and_after_are_the_classes_of_the_last_decision(ledger: Ledger) -> None:
    for classes, text in ((("CLEAN",), "d1"), (("PII",), "d2")):
        ledger.commit(
            [Entry(event=Event.DECIDED, at=NOW, run_id="n-2026-11-22", record_id="r-1", data_classes=classes, document_hmac=text)]
        )
    last = last_decision(ledger, "r-1")
    assert last == LastDecision(data_classes=("PII",), document_hmac="d2")
    entry = raising("r-1", "PHI", reason="seen", actor="mara", at=NOW, last=last)
    assert (entry.before, entry.after, entry.document_hmac) == ("PII", "PHI+PII", "d2")
    assert last_decision(ledger, "r-2") is None
    assert raising("r-2", "PHI", reason="seen", actor="mara", at=NOW, last=None).before == "CLEAN"
