from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.errors import LedgerUnavailableError
from sinks.ledger import views
from sinks.ledger.entry import Event
from sinks.ledger.facts import gate_facts
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import SourceName, remember

FORMAT_OF_1_0 = 64
"""The number of DuckDB 1.0's storage format, which every later client reads."""
FIRST_DAY, SECOND_DAY = date(2026, 11, 21), date(2026, 11, 22)
NAMES = {
    "entries",
    "decisions",
    "assignments",
    "egress",
    "outcomes",
    "held",
    "overrides",
    "costs",
    "policies",
    "detectors",
    "class_destination_daily",
    "runs",
    "clearances",
    "sources",
    "intents",
    "record_states",
    "hand_overs",
    "judgements",
    "rescans",
    "lookbacks",
    "reviews",
    "quarantines",
    "deletions",
    "erasures",
    "checkpoints",
}


def ask(ledger: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(ledger / views.DATABASE, read_only=True) as auditor:
        return auditor.sql(query).fetchall()


@pytest.fixture(scope="module")
def auditor(story: Ledger) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(story.path / views.DATABASE, read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_view_answers_on_an_empty_ledger(ledger: Ledger, name: str) -> None:
    expected = 1 if name in {"entries", "checkpoints"} else 0
    assert ask(ledger.path, f"SELECT count(*) FROM {name}") == [(expected,)]  # noqa: S608  # names from the list above


def test_the_views_are_those_of_the_design_and_each_says_what_it_is(story: Ledger) -> None:
    found = ask(story.path, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
    assert {name for name, _ in found} == NAMES
    assert all(comment for _, comment in found)
    assert ask(story.path, "SELECT count(*) FROM duckdb_tables()") == [(0,)]


def test_every_column_and_every_macro_says_what_it_is(story: Ledger) -> None:
    columns = ask(story.path, "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE NOT internal")
    assert len(columns) > 10 * len(NAMES)
    assert [name for name, comment in columns if not comment] == []
    macros = ask(story.path, "SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal")
    assert {name for name, _ in macros} >= {"document_history"}
    assert [name for name, comment in macros if not comment] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            "SELECT record_id, endpoint, data_classes, hand_over, rule, policy_hash, assigned_endpoint, cleared_endpoint,"
            " cleared_payload_hmac = payload_hmac, decision_seq < assignment_seq, assignment_seq < clearance_seq, clearance_seq < seq"
            " FROM egress ORDER BY seq",
            [
                (record, "emulator", classes, how, "route 1", "p1", "emulator", "emulator", True, True, True, True)
                for record, classes, how in [
                    ("r-clean", ["CLEAN"], "job_ended"),
                    ("r-clean", ["CLEAN"], "job_ended"),
                    ("r-failed", ["PII"], "submitted"),
                    ("r-lost", ["CLEAN"], "ambiguous"),
                ]
            ],
            id="egress",
        ),
        pytest.param(
            "SELECT day, data_class, partial, lane, endpoint, records, bytes FROM class_destination_daily ORDER BY ALL",
            [
                (FIRST_DAY, "CLEAN", False, "cloud", "emulator", 1, 100),
                (SECOND_DAY, "(none)", None, "held", None, 1, 0),
                (SECOND_DAY, "CLEAN", False, "cloud", "emulator", 2, 200),
                (SECOND_DAY, "NPI", False, "local", "extractive", 1, 100),
                (SECOND_DAY, "PHI", False, "local", "extractive", 1, 100),
                (SECOND_DAY, "PII", False, "cloud", "emulator", 1, 100),
                (SECOND_DAY, "PRIVILEGED", False, "held", None, 1, 0),
            ],
            id="class_destination_daily",
        ),
        pytest.param(
            "SELECT record_id, reason, data_classes, still_held FROM held ORDER BY record_id",
            [
                ("r-lost", "ambiguous_hand_over", ["CLEAN"], True),
                ("r-privileged", "no_endpoint", ["PRIVILEGED"], True),
                ("r-scan", "no_text_layer", None, True),
            ],
            id="held",
        ),
        pytest.param(
            "SELECT run_id[-2:], record_id, outcome, error_code FROM outcomes ORDER BY seq",
            [
                ("21", "r-clean", "completed", None),
                ("22", "r-clean", "completed", None),
                ("22", "r-phi", "completed", None),
                ("22", "r-failed", "failed", "invalid_output"),
            ],
            id="outcomes",
        ),
        pytest.param(
            "SELECT day, lane, endpoint, model, records, tokens_in, tokens_out, cost_usd FROM costs ORDER BY day, lane",
            [
                (FIRST_DAY, "cloud", "emulator", "small", 1, None, None, None),
                (SECOND_DAY, "cloud", "emulator", "small", 2, 40, 10, Decimal("0.000126000")),
                (SECOND_DAY, "local", "extractive", "small", 1, None, None, None),
            ],
            id="costs",
        ),
        pytest.param("SELECT record_id, actor, before, after FROM overrides", [("r-phi", "Ada Example", "PII", "PHI")], id="overrides"),
        pytest.param("SELECT policy_hash, policy_text FROM policies", [("p1", "version: 2026-11-21\ndefault: held\n")], id="policies"),
        pytest.param("SELECT detectors_hash, decisions, runs FROM detectors", [("d1", 6, 2)], id="detectors"),
        pytest.param(
            "SELECT run_id, job, logical_date, finished, ended_as, starts FROM runs ORDER BY seq",
            [
                ("night-2026-11-21", "night", "2026-11-21", True, "done", 1),
                ("night-2026-11-22", "night", "2026-11-22", False, None, 1),
            ],
            id="runs",
        ),
        pytest.param("SELECT count(*), count(spent_seq), count(*) FILTER (voided) FROM clearances", [(5, 5, 0)], id="clearances"),
        pytest.param(
            "SELECT count(*) = max(segment), max(tree_size) = (SELECT count(*) FROM entries), count(DISTINCT root) = count(*)"
            " FROM checkpoints",
            [(True, True, True)],
            id="checkpoints",
        ),
        pytest.param("SELECT count(*), min(strategy) FROM assignments", [(5, "prefer_cloud")], id="assignments"),
        pytest.param(
            "SELECT evidence[1].entity, evidence[1].count, lanes, cloud_requires FROM decisions WHERE record_id = 'r-phi'",
            [("US_SSN", 2, ["local"], ["dpa=true"])],
            id="decisions",
        ),
        pytest.param(
            "SELECT intent_id, state, provider_job_id, records FROM intents ORDER BY intent_id",
            [
                ("i-0", "job_ended", "batch-0", 1),
                ("i-1", "job_ended", "batch-1", 1),
                ("i-2", "submitted", "local-2", 1),
                ("i-3", "submitted", "batch-3", 1),
                ("i-4", "ambiguous", None, 1),
            ],
            id="intents",
        ),
        pytest.param(
            "SELECT event FROM document_history('r-lost')",
            [("decided",), ("assigned",), ("cleared",), ("submitting",), ("ambiguous",)],
            id="document_history",
        ),
        pytest.param("SELECT count(*) FROM document_history(record_id := 'r-nobody')", [(0,)], id="document_history of nobody"),
    ],
)
def test_a_view_says_what_happened(auditor: duckdb.DuckDBPyConnection, query: str, expected: list[tuple[Any, ...]]) -> None:
    assert auditor.sql(query).fetchall() == expected


def test_days_are_utc_whatever_the_auditors_clock_says(story: Ledger) -> None:
    with duckdb.connect(story.path / views.DATABASE, read_only=True) as auditor:
        auditor.execute("SET TimeZone = 'Asia/Tokyo'")
        assert auditor.sql("SELECT DISTINCT day FROM class_destination_daily ORDER BY day").fetchall() == [(FIRST_DAY,), (SECOND_DAY,)]


def test_a_hand_over_without_a_lane_counts_as_egress(ledger: Ledger, night: Any) -> None:
    night.tell((Event.SUBMITTING, {"record_id": "r-odd", "endpoint": "somewhere", "intent_id": "i-9"}))
    assert ask(ledger.path, "SELECT record_id, lane, decision_seq FROM egress") == [("r-odd", "cloud", None)]


def test_an_outcome_stated_twice_costs_once(ledger: Ledger, night: Any) -> None:
    for _ in range(2):
        night.end(Event.COMPLETED, "r-1", "cloud", "emulator", "i-1", cost_usd=Decimal("0.5"))
    assert ask(ledger.path, "SELECT records, cost_usd FROM costs") == [(1, Decimal("0.500000000"))]


def test_a_released_record_is_no_longer_held(ledger: Ledger, night: Any) -> None:
    night.tell((Event.HELD, {"record_id": "r-1", "reason": "budget"}))
    night.tell((Event.RELEASED, {"record_id": "r-1", "actor": "Ada Example"}))
    assert ask(ledger.path, "SELECT still_held, released_at IS NOT NULL FROM held") == [(False, True)]


def test_an_open_auditor_sees_new_commits_and_never_stops_the_writer(ledger: Ledger, night: Any) -> None:
    with duckdb.connect(ledger.path / views.DATABASE, read_only=True) as auditor:
        seen = []
        for number in range(5):
            night.tell((Event.HELD, {"record_id": f"r-{number}", "reason": "budget"}))
            seen.append(auditor.sql("SELECT count(*) FROM entries WHERE event = 'held'").fetchall()[0][0])
        Ledger.open(ledger.path).commit([])
    assert seen == [1, 2, 3, 4, 5]


def test_a_commit_in_progress_is_never_seen(ledger: Ledger) -> None:
    segments = ledger.path / "segments"
    shutil.copy(segments / "00000001.parquet", segments / ".tmp-somewhere-1-0a0a0a0a-01")
    assert ask(ledger.path, "SELECT count(*) FROM entries") == [(1,)]


def test_opening_again_leaves_the_database_alone(ledger: Ledger) -> None:
    before = (ledger.path / views.DATABASE).stat()
    Ledger.open(ledger.path)
    after = (ledger.path / views.DATABASE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_relink_mends_a_ledger_that_was_moved(ledger: Ledger, tmp_path: Path) -> None:
    moved = ledger.path.rename(tmp_path / "moved [2026] it's*")
    with pytest.raises(duckdb.IOException):
        ask(moved, "SELECT count(*) FROM entries")
    views.relink(moved)
    assert ask(moved, "SELECT count(*) FROM entries") == [(1,)]


def test_relink_of_no_ledger_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailableError, match="no ledger here"):
        views.relink(tmp_path)


def test_the_script_beside_it_makes_the_same_views(story: Ledger) -> None:
    with duckdb.connect() as fresh:
        fresh.execute((story.path / views.SCRIPT).read_text(encoding="utf-8"))
        assert fresh.sql("SELECT count(*) FROM egress").fetchall() == [(4,)]


def test_sources_show_the_last_name(ledger: Ledger) -> None:
    remember(ledger.path, [SourceName(record_id="r-1", source="inbox/a.txt", title="Old")])
    remember(
        ledger.path, [SourceName(record_id="r-1", source="inbox/a.txt", title="New"), SourceName(record_id="r-2", source="inbox/b.txt")]
    )
    assert ask(ledger.path, "SELECT record_id, title FROM sources ORDER BY record_id") == [("r-1", "New"), ("r-2", None)]


def test_the_sql_in_the_docs_runs(story: Ledger) -> None:
    page = (Path(__file__).parents[3] / "docs" / "ledger-format.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        ask(story.path, block)


def start(night: Any, run_id: str) -> None:
    night.run_id = run_id
    night.start()


@pytest.mark.parametrize(
    ("events", "still"),
    [
        pytest.param([Event.HELD], [("21", False), ("22", True)], id="held again"),
        pytest.param([Event.COMPLETED], [("21", False)], id="completed"),
        pytest.param([], [("21", True)], id="not touched"),
    ],
)
def test_what_the_next_night_did_decides_whether_it_is_still_held(
    ledger: Ledger, night: Any, events: list[Event], still: list[tuple[str, bool]]
) -> None:
    start(night, "night-2026-11-21")
    night.tell((Event.HELD, {"record_id": "r-1", "reason": "budget"}))
    start(night, "night-2026-11-22")
    for event in events:
        night.tell((event, {"record_id": "r-1", "lane": "local", "reason": "budget" if event is Event.HELD else None}))
    assert ask(ledger.path, "SELECT run_id[-2:], still_held FROM held ORDER BY seq") == still


def test_another_jobs_result_does_not_end_the_holding(ledger: Ledger, night: Any) -> None:
    night.tell((Event.HELD, {"record_id": "r-1", "reason": "budget"}))
    night.run_id = "other-2026-11-22"
    night.tell((Event.RUN_STARTED, {"job": "other", "logical_date": "2026-11-22"}))
    night.end(Event.COMPLETED, "r-1", "local", "extractive", "i-1")
    assert ask(ledger.path, "SELECT run_id, still_held FROM held") == [("night-2026-11-22", True)]


def test_a_clearance_stated_again_is_spent_where_it_stood_last(ledger: Ledger, night: Any) -> None:
    for _ in range(2):  # a night killed between clearing and handing over, and started again
        night.decide("r-1", ("CLEAN",), ("cloud",))
        night.clear("r-1", "cloud", "emulator")
    night.submit("r-1", "cloud", "emulator", "i-1")
    night.decide("r-1", ("CLEAN",), ("cloud",))
    night.clear("r-1", "cloud", "emulator", attempt=2)
    found = ask(ledger.path, "SELECT attempt, spent_seq IS NOT NULL, voided FROM clearances ORDER BY seq")
    assert found == [(1, False, True), (1, True, False), (2, False, False)]


def test_the_gate_takes_an_id_that_was_ever_spent_for_spent(ledger: Ledger, night: Any) -> None:
    night.decide("r-1", ("CLEAN",), ("cloud",))
    night.clear("r-1", "cloud", "emulator")
    night.submit("r-1", "cloud", "emulator", "i-1")
    night.decide("r-1", ("CLEAN",), ("cloud",))
    night.clear("r-1", "cloud", "emulator")
    record = gate_facts(ledger, night.run_id, ["r-1"]).records["r-1"]
    assert [(one.spent, one.voided) for one in record.clearances] == [(True, True), (True, False)]


def test_older_clients_can_open_the_database(ledger: Ledger) -> None:
    header = (ledger.path / views.DATABASE).read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") <= FORMAT_OF_1_0


def test_the_views_answer_to_who_attaches_them(story: Ledger) -> None:
    with duckdb.connect() as auditor:
        auditor.execute(f"ATTACH '{story.path / views.DATABASE}' AS night (READ_ONLY)")
        assert auditor.sql("SELECT count(*) FROM night.egress").fetchall() == [(4,)]
        auditor.execute("USE night")
        assert auditor.sql("SELECT count(*) FROM document_history('r-lost')").fetchall() == [(5,)]
