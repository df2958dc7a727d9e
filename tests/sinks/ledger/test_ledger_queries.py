from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from sinks.errors import LedgerError
from sinks.ledger import audit
from sinks.ledger.audit import AuditFilter
from sinks.ledger.completions import completed_before
from sinks.ledger.entry import Event
from sinks.ledger.facts import gate_facts
from sinks.ledger.outcomes import current_results, explicit_rows
from sinks.ledger.queries import class_counts, job_runs, open_intents, run_counts, run_state, unsettled_runs
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from tests.sinks.ledger.conftest import START, Teller

FIRST, SECOND = "night-2026-11-21", "night-2026-11-22"


def test_every_record_has_its_state(story: Ledger) -> None:
    states = run_state(story, SECOND)
    assert {row["record_id"]: row["state"] for row in states.table.to_pylist()} == {
        "r-clean": "completed",
        "r-failed": "failed",
        "r-lost": "ambiguous",
        "r-phi": "completed",
        "r-privileged": "held",
        "r-scan": "held",
    }
    assert len(states) == 6
    assert states.get("r-nobody") is None
    failed = states.get("r-failed")
    assert failed is not None
    assert (failed.error_code, failed.attempt, failed.intent_id, failed.endpoint, failed.lane) == (
        "invalid_output",
        1,
        "i-3",
        "emulator",
        "cloud",
    )
    assert failed.data_classes == ("PII",)
    assert [one.record_id for one in states.among("held", "ambiguous")] == ["r-lost", "r-privileged", "r-scan"]
    scan = states.get("r-scan")
    assert scan is not None
    assert (scan.reason, scan.data_classes, scan.document_hmac) == ("no_text_layer", (), None)


def test_a_run_without_entries_has_no_states(story: Ledger) -> None:
    states = run_state(story, "night-1999-01-01")
    assert len(states) == 0
    assert states.get("r-clean") is None


def test_state_follows_the_record_step_by_step(ledger: Ledger, night: Any) -> None:
    def state() -> str:
        found = run_state(ledger, SECOND).get("r-1")
        assert found is not None
        return found.state

    seen = []
    night.decide("r-1", ("CLEAN",), ("cloud",))
    seen.append(state())
    night.tell((Event.ASSIGNED, {"record_id": "r-1", "lane": "cloud", "endpoint": "emulator"}))
    seen.append(state())
    night.clear("r-1", "cloud", "emulator")
    seen.append(state())
    night.submit("r-1", "cloud", "emulator", "i-1")
    seen.append(state())
    for event in (Event.AMBIGUOUS, Event.SUBMITTED, Event.JOB_ENDED, Event.CANCELLED, Event.REJECTED):
        night.intent(event, "i-1")
        seen.append(state())
    night.clear("r-1", "cloud", "emulator", attempt=2)
    night.submit("r-1", "cloud", "emulator", "i-2", attempt=2)
    seen.append(state())
    night.tell((Event.HELD, {"record_id": "r-1", "reason": "budget"}))
    seen.append(state())
    night.tell((Event.RELEASED, {"record_id": "r-1"}))
    seen.append(state())
    expected = "decided assigned cleared submitting ambiguous submitted submitted cancelled rejected submitting held released"
    assert seen == expected.split()


def test_a_record_held_as_ambiguous_is_out_again_once_its_job_is_found(ledger: Ledger, night: Any) -> None:
    night.decide("r-1", ("CLEAN",), ("cloud",))
    night.clear("r-1", "cloud", "emulator")
    night.submit("r-1", "cloud", "emulator", "i-1")
    night.intent(Event.AMBIGUOUS, "i-1")
    night.tell((Event.HELD, {"record_id": "r-1", "reason": "ambiguous_hand_over"}))
    assert [one.state for one in open_intents(ledger)] == ["ambiguous"]
    night.intent(Event.SUBMITTED, "i-1", "batch-1")
    night.intent(Event.JOB_ENDED, "i-1", "batch-1")
    found = run_state(ledger, SECOND).get("r-1")
    assert found is not None
    assert found.state == "submitted"


def test_a_record_held_for_want_of_a_row_stays_held_when_the_job_ends(ledger: Ledger, night: Any) -> None:
    night.submit("r-1", "cloud", "emulator", "i-1")
    night.intent(Event.SUBMITTED, "i-1", "batch-1")
    night.tell((Event.HELD, {"record_id": "r-1", "reason": "missing_row"}))
    night.intent(Event.JOB_ENDED, "i-1", "batch-1")
    found = run_state(ledger, SECOND).get("r-1")
    assert found is not None
    assert found.state == "held"
    assert open_intents(ledger) == []


def test_what_earlier_runs_completed_is_found_by_record(story: Ledger) -> None:
    earlier = completed_before(story, "night", run_id=SECOND)
    assert len(earlier) == 1
    assert earlier.get("r-clean") == ("doc-old", "t1")
    assert earlier.get("r-phi") is None
    assert completed_before(story, "night").get("r-clean") == ("doc-r-clean", "t1")
    assert len(completed_before(story, "another job")) == 0


def test_what_an_older_run_collects_late_does_not_stand_for_a_document_that_has_changed(ledger: Ledger) -> None:
    older, newer = Teller(ledger, FIRST, START), Teller(ledger, SECOND, START + timedelta(days=1))
    for told, text in ((older, "doc-old"), (newer, "doc-new")):
        told.start()
        for record in ("r-late", "r-superseded"):
            told.decide(record, ("CLEAN",), ("cloud",), hmac=text)
            told.submit(record, "cloud", "emulator", f"i-{text}")
    for told, record in ((newer, "r-late"), (newer, "r-superseded"), (older, "r-late")):
        told.end(Event.COMPLETED, record, "cloud", "emulator", "i-1", result_file=f"{told.run_id}.parquet", result_row=0)
    older.tell((Event.HELD, {"record_id": "r-superseded", "reason": "superseded"}))
    earlier = completed_before(ledger, "night")
    assert [earlier.get(record) for record in ("r-late", "r-superseded")] == [("doc-new", "t1")] * 2
    assert [row["result_file"] for row in current_results(ledger, job="night").to_pylist()] == [f"{SECOND}.parquet"] * 2
    with reading(ledger, ("intents", "record_states", "runs", "held")) as reader:
        assert reader.table("SELECT record_id, still_held FROM held").to_pylist() == [{"record_id": "r-superseded", "still_held": False}]
    older.decide("r-late", ("CLEAN",), ("cloud",), hmac="doc-newest")
    older.end(Event.COMPLETED, "r-late", "cloud", "emulator", "i-2")
    assert completed_before(ledger, "night").get("r-late") == ("doc-newest", "t1")


def test_open_intents_are_those_that_owe_an_answer(story: Ledger, ledger: Ledger, night: Any) -> None:
    assert [(one.intent_id, one.state, one.record_ids, one.shard_hmac) for one in open_intents(story)] == [
        ("i-4", "ambiguous", ("r-lost",), "s1")
    ]
    assert open_intents(story, FIRST) == []
    night.tell(
        *[
            (Event.SUBMITTING, {"record_id": record, "lane": "cloud", "endpoint": "emulator", "intent_id": "i-7", "attempt": 1})
            for record in ("r-9", "r-1", "r-5")
        ]
    )
    (found,) = open_intents(ledger, SECOND)
    assert (found.state, found.record_ids, found.provider_job_id, found.attempt) == ("submitting", ("r-9", "r-1", "r-5"), None, 1)
    night.intent(Event.SUBMITTED, "i-7", "batch-7")
    night.end(Event.COMPLETED, "r-1", "cloud", "emulator", "i-7")
    (found,) = open_intents(ledger)
    assert (found.state, found.record_ids, found.provider_job_id) == ("submitted", ("r-9", "r-1", "r-5"), "batch-7")
    for record in ("r-9", "r-5"):
        night.end(Event.FAILED, record, "cloud", "emulator", "i-7", error_code="x")
    assert open_intents(ledger) == []


@pytest.mark.parametrize("event", [Event.REJECTED, Event.CANCELLED])
def test_a_refused_hand_over_owes_nothing(ledger: Ledger, night: Any, event: Event) -> None:
    night.submit("r-1", "cloud", "emulator", "i-1")
    night.intent(event, "i-1")
    assert open_intents(ledger) == []


def test_gate_facts_are_the_latest_word_on_each_record(ledger: Ledger, night: Any) -> None:
    night.decide("r-1", ("CLEAN",), ("cloud",))
    night.clear("r-1", "cloud", "emulator")
    night.submit("r-1", "cloud", "emulator", "i-1")
    night.clear("r-1", "cloud", "emulator", attempt=2)
    night.decide("r-2", ("CLEAN",), ("cloud",))
    night.clear("r-2", "cloud", "emulator")
    night.decide("r-2", ("PHI",), ("local",))
    facts = gate_facts(ledger, SECOND, ["r-1", "r-2", "r-nobody"])
    assert facts.head == ledger.head()
    assert set(facts.records) == {"r-1", "r-2"}
    first, second = facts.records["r-1"], facts.records["r-2"]
    assert [(one.attempt, one.spent, one.voided, one.payload_hmac) for one in first.clearances] == [
        (1, True, False, "pay-r-1"),
        (2, False, False, "pay-r-1"),
    ]
    assert (first.lanes, first.document_hmac, first.assigned_endpoint, first.last_event) == (("cloud",), "doc-r-1", "emulator", "cleared")
    assert (second.data_classes, second.lanes, second.cloud_requires, second.policy_hash) == (("PHI",), ("local",), ("dpa=true",), "p1")
    (void,) = second.clearances
    assert (void.spent, void.voided) == (False, True)
    assert first.clearance(void.clearance_id) is None
    assert second.clearance(void.clearance_id) == void


def test_facts_of_another_run_do_not_count(story: Ledger) -> None:
    assert gate_facts(story, FIRST, ["r-phi"]).records == {}
    assert [one.clearance_id for one in gate_facts(story, FIRST, ["r-clean"]).records["r-clean"].clearances] == [f"c-{FIRST}-r-clean-1"]


def test_a_later_first_segment_only_leaves_facts_out(ledger: Ledger, night: Any) -> None:
    night.decide("r-1", ("CLEAN",), ("cloud",))
    since = ledger.head() + 1
    assert gate_facts(ledger, SECOND, ["r-1"], since_segment=since).records == {}
    night.clear("r-1", "cloud", "emulator")
    facts = gate_facts(ledger, SECOND, ["r-1"], since_segment=since)
    assert facts.records["r-1"].decision_seq is None
    assert gate_facts(ledger, SECOND, ["r-1"], since_segment=since - 1).records["r-1"].decision_seq is not None


def test_counts_add_up(story: Ledger) -> None:
    counts = run_counts(story, SECOND)
    assert (counts.documents, counts.results, counts.held, counts.failed, counts.pending) == (6, 2, 3, 1, 0)
    assert run_counts(story, "night-1999-01-01").documents == 0


def test_a_document_counts_once_in_each_of_its_classes(story: Ledger) -> None:
    nowhere = {"local": 0, "cloud": 0, "held": 0, "pending": 0}
    assert class_counts(story, SECOND) == {
        "CLEAN": {**nowhere, "cloud": 1, "held": 1},
        "NPI": {**nowhere, "local": 1},
        "PHI": {**nowhere, "local": 1},
        "PII": {**nowhere, "cloud": 1},
        "PRIVILEGED": {**nowhere, "held": 1},
    }


def test_what_is_on_its_way_is_pending(ledger: Ledger, night: Any) -> None:
    night.decide("r-1", ("CLEAN",), ("cloud",))
    assert class_counts(ledger, SECOND)["CLEAN"]["pending"] == 1
    assert run_counts(ledger, SECOND).pending == 1


def test_current_results_are_the_latest_of_each_document(story: Ledger) -> None:
    rows = current_results(story, job="night").to_pylist()
    assert [(row["record_id"], row["run_id"], row["status"]) for row in rows] == [
        ("r-clean", SECOND, "completed"),
        ("r-failed", SECOND, "failed"),
        ("r-lost", SECOND, "held"),
        ("r-phi", SECOND, "completed"),
        ("r-privileged", SECOND, "held"),
        ("r-scan", SECOND, "held"),
    ]
    assert (rows[0]["result_file"], rows[0]["result_row"]) == (f"{SECOND}/clean/i-1.parquet", 3)
    assert rows[1]["result_file"] is None
    assert [row["record_id"] for row in current_results(story, run_id=FIRST).to_pylist()] == ["r-clean"]
    assert current_results(story, job="another job").num_rows == 0


def test_explicit_rows_stand_for_documents_without_a_result(story: Ledger) -> None:
    rows = explicit_rows(story, SECOND).to_pylist()
    assert [(row["record_id"], row["status"], row["error_code"], row["data_classes"]) for row in rows] == [
        ("r-failed", "failed", "invalid_output", ["PII"]),
        ("r-lost", "held", "ambiguous_hand_over", ["CLEAN"]),
        ("r-privileged", "held", "no_endpoint", ["PRIVILEGED"]),
        ("r-scan", "held", "no_text_layer", None),
    ]
    assert (rows[0]["model"], rows[0]["template_hash"], rows[0]["lane"]) == ("small", "t1", "cloud")


def test_runs_of_a_job(story: Ledger) -> None:
    first, second = job_runs(story, "night")
    assert (first.run_id, first.finished, first.ended_as, first.template_hash) == (FIRST, True, "done", "t1")
    assert (second.run_id, second.finished, second.ended_at, second.logical_date) == (SECOND, False, None, "2026-11-22")
    assert job_runs(story, "another job") == []
    assert len(job_runs(story)) == 2


@pytest.mark.parametrize(
    ("wanted", "egress", "held", "days"),
    [
        (AuditFilter(), 4, 3, 7),
        (AuditFilter(since=date(2026, 11, 22)), 3, 3, 6),
        (AuditFilter(until=date(2026, 11, 22)), 1, 0, 1),
        (AuditFilter(data_class="PII"), 1, 0, 1),
        (AuditFilter(data_class="PHI"), 0, 0, 1),
        (AuditFilter(endpoint="extractive"), 0, 0, 2),
    ],
    ids=["all", "since", "until", "class", "restricted class", "endpoint"],
)
def test_audit_filters(story: Ledger, wanted: AuditFilter, egress: int, held: int, days: int) -> None:
    assert audit.egress(story, wanted).num_rows == egress
    assert audit.held(story.path, wanted).num_rows == held
    assert audit.summary(story, wanted).num_rows == days


def test_audit_costs_by_class(story: Ledger) -> None:
    (row,) = audit.costs(story, AuditFilter(data_class="PII")).to_pylist()
    assert (row["records"], str(row["cost_usd"])) == (1, "0.000001000")


def test_audit_document(story: Ledger) -> None:
    events = audit.document(story, "r-phi")["event"].to_pylist()
    assert events == ["decided", "assigned", "cleared", "submitting", "submitted", "completed", "overridden"]


def test_a_folder_without_a_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger here"):
        audit.summary(tmp_path)


@pytest.mark.parametrize(
    ("told", "unsettled"),
    [
        pytest.param(["done"], False, id="done"),
        pytest.param(["gate_refused"], False, id="refused"),
        pytest.param(["pending"], True, id="pending"),
        pytest.param([], True, id="killed"),
        pytest.param(["done", Event.RUN_STARTED], True, id="started again"),
        pytest.param([Event.AMBIGUOUS, "done"], True, id="ambiguous"),
        pytest.param(["done", Event.SUBMITTED], True, id="an answer after its end"),
    ],
)
def test_a_run_is_settled_once_it_has_ended_and_owes_nothing(ledger: Ledger, night: Any, told: list[Any], *, unsettled: bool) -> None:
    night.decide("r-1", ("CLEAN",), ("cloud",))
    night.clear("r-1", "cloud", "emulator")
    night.submit("r-1", "cloud", "emulator", "i-1")
    for one in told:
        if isinstance(one, Event):
            night.tell((one, {"intent_id": "i-1"} if one is not Event.RUN_STARTED else {"job": "night"}))
        else:
            night.tell((Event.RUN_ENDED, {"detail_code": one}))
    assert unsettled_runs(ledger) == ([SECOND] if unsettled else [])


def test_completions_of_many_runs_are_read_a_few_runs_at_a_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        told = Teller(ledger, f"night-{number}", START + timedelta(days=number))
        told.start()
        for record in ("r-each", f"r-{number}"):
            told.decide(record, ("CLEAN",), ("cloud",), hmac=f"doc-{number}")
            told.end(Event.COMPLETED, record, "cloud", "emulator", f"i-{number}")
    whole = completed_before(ledger, "night", run_id="night-4")
    for entries in (1, 5, 13):
        monkeypatch.setattr("sinks.ledger.shares.ENTRIES_A_SHARE", entries)
        batched = completed_before(ledger, "night", run_id="night-4")
        assert len(batched) == len(whole) == 5
        for record in ("r-each", "r-0", "r-1", "r-2", "r-3", "r-4"):
            assert batched.get(record) == whole.get(record)
    assert whole.get("r-each") == ("doc-3", "t1")
    assert whole.get("r-4") is None
