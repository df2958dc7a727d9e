"""A class that a person raises between the decision and the hand-over keeps the record, and its family, inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

import flows.nightly
from flows.night import Night, NightOptions
from flows.nightly import run_night
from flows.override_entry import Wish, raise_class
from flows.submitting import freeze_records

NOTICE = """From: Noor Abara <noor@harbour.test>
To: Hana Birk <hana@harbour.test>
Subject: Timetable
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/plain

The new ferry timetable is attached for the notice board.
--cut
Content-Type: text/plain; name=ferry.txt
Content-Disposition: attachment; filename=ferry.txt

The morning ferry to the island leaves from the northern pier, the evening ferry from the fish market.
--cut--
"""
DOCUMENTS = {
    "harbour.txt": "The harbour council will repave the promenade between the fish market and the old lighthouse this spring.",
    "museum.txt": "The museum opened a hall on the history of navigation, with instruments from four centuries.",
    "notice.eml": NOTICE,
}
INSIDE = {"notice.eml", "notice.eml#ferry.txt"}


def test_a_class_raised_before_the_gate_is_heard(make_night: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    night = make_night(DOCUMENTS)
    calls: list[int] = []

    def raised_meanwhile(running: Night, *more: Any) -> Iterator[Any]:
        calls.append(len(calls))
        if len(calls) == 1:
            wish = Wish(record="notice.eml#ferry.txt", data_class="PRIVILEGED", reason="counsel_said", actor="mara")
            raise_class(running.ledger, wish, now=datetime.now(UTC))
        return freeze_records(running, *more)

    monkeypatch.setattr(flows.nightly, "freeze_records", raised_meanwhile)
    night.job.write_text(night.job.read_text().replace("batch_size: 3", "batch_size: 9"))
    report = run_night(NightOptions(job=str(night.job), out=str(night.out)))
    assert (report.results, report.held, report.pending, report.refused) == (4, 0, 0, 0)
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as ledger:
        lanes = dict(
            ledger.execute("SELECT s.source, string_agg(h.lane) FROM hand_overs h JOIN sources s USING (record_id) GROUP BY 1").fetchall()
        )
        codes = ledger.execute("SELECT detail_code FROM quarantines").fetchall()
    assert codes == [("override_raised",)]
    assert {source for source, lane in lanes.items() if lane == "local"} == INSIDE, "each was handed over once, to where it may go now"
    assert {source for source, lane in lanes.items() if lane == "cloud"} == set(lanes) - INSIDE
    assert not any((night.out / "spool").rglob("*.jsonl"))
