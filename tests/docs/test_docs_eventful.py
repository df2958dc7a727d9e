"""The cookbook of `docs/auditors.md` on a night on which everything happened: each question finds what there is to find."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger

PAGE = (Path(__file__).parents[2] / "docs" / "auditors.md").read_text(encoding="utf-8")
FIRST, SECOND = "night-2026-11-20", "night-2026-11-21"
SENT, INSIDE, ODD = "r0000000000000000000000aa", "r0000000000000000000000bb", "r0000000000000000000000cc"
PERSON = "Ada Example"


def block(question: int, number: int = 0) -> str:
    """The query of a question."""
    _, _, rest = PAGE.partition(f"\n## {question}. ")
    found: list[str] = re.findall(r"^```sql\n(.*?)^```", rest.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    return found[number]


def decided(record: str, run: str, classes: list[str], lanes: list[str], version: str, **more: Any) -> tuple[Event, dict[str, Any]]:
    values = {
        "policy_hash": f"policy-{version}",
        "detectors_hash": f"detectors-{version}",
        "document_hmac": f"text-{record}",
        "partial": False,
    }
    return Event.DECIDED, {
        "record_id": record,
        "run_id": run,
        "data_classes": tuple(classes),
        "lanes": tuple(lanes),
        "rule": f"routes[{version}]",
        **values,
        **more,
    }


def carried(record: str, run: str, lane: str, endpoints: dict[str, str], intent: str) -> Iterator[tuple[Event, dict[str, Any]]]:
    """Assigned to each endpoint for its reason, cleared for the last one and handed over to it."""
    about = {"record_id": record, "run_id": run, "lane": lane}
    for endpoint, reason in endpoints.items():
        yield Event.ASSIGNED, {**about, "endpoint": endpoint, "strategy": "cloud_first", "reason": reason, "score": 0.5}
    payload = {"clearance_id": f"c-{intent}", "payload_hmac": f"p-{intent}", "payload_bytes": 90, "attempt": 1, "endpoint": endpoint}
    yield Event.CLEARED, {**about, **payload}
    yield Event.SUBMITTING, {**about, **payload, "intent_id": intent}


def story() -> Iterator[tuple[Event, dict[str, Any]]]:
    run = {"job": "night", "run_id": FIRST}
    yield Event.RUN_STARTED, run
    yield Event.POLICY_REGISTERED, {"policy_hash": "policy-1", "policy_text": "default: held\n"}
    yield decided(SENT, FIRST, ["CLEAN"], ["cloud", "local"], "1")
    yield from carried(SENT, FIRST, "cloud", {"vendor": "preferred"}, "i1")
    yield Event.AMBIGUOUS, {"intent_id": "i1", "run_id": FIRST, "endpoint": "vendor", "lane": "cloud"}
    yield decided(INSIDE, FIRST, ["PII"], ["local"], "1", partial=True)
    yield from carried(INSIDE, FIRST, "local", {"small": "preferred", "large": "escalated"}, "i2")
    yield Event.SUBMITTED, {"intent_id": "i2", "run_id": FIRST, "endpoint": "large", "lane": "local", "detail_code": "isolation_netns"}
    model = {"model": "invented-7b", "revision": "v1", "weights_digest": "w1", "lora_digest": "l1"}
    place = {"result_file": "a.parquet", "result_row": 0}
    about = {"record_id": INSIDE, "run_id": FIRST, "lane": "local", "endpoint": "large", "intent_id": "i2"}
    yield Event.COMPLETED, {**about, **model, **place, "tokens_in": 9, "tokens_out": 3}
    yield Event.JOB_ENDED, {"intent_id": "i2", "run_id": FIRST, "endpoint": "large"}
    yield Event.QUARANTINED, {"run_id": FIRST, "record_id": ODD, "endpoint": "vendor", "intent_id": "i3", "detail_code": "not_cleared"}
    yield Event.RUN_ENDED, {**run, "detail_code": "pending"}
    yield Event.RUN_STARTED, {"job": "night", "run_id": SECOND}
    yield decided(SENT, SECOND, ["PHI"], ["local"], "2")
    yield Event.JUDGED, {"record_id": ODD, "run_id": SECOND, "data_classes": ("NPI",), "model": "invented-7b"}
    yield Event.RESCANNED, {"record_id": INSIDE, "run_id": FIRST, "before": "PII", "after": "NPI"}
    yield Event.LOOKBACK, {"record_id": SENT, "run_id": FIRST, "data_classes": ("PHI",), "before": "CLEAN", "after": "PHI"}
    yield Event.REVIEWED, {"record_id": SENT, "run_id": FIRST, "actor": PERSON, "before": "CLEAN", "after": "PHI"}
    yield Event.OVERRIDDEN, {"record_id": SENT, "actor": PERSON, "reason": "raised", "before": "CLEAN", "after": "PHI"}
    yield Event.PURGED, {"record_id": INSIDE, "run_id": FIRST, "result_file": "a.parquet", "reason": "retention"}


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    ledger = Ledger.open(tmp_path_factory.mktemp("eventful") / "ledger")
    at = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    for minutes, (event, values) in enumerate(story()):
        ledger.commit([Entry(event=event, at=at + timedelta(minutes=2 * minutes), **values)])
    with duckdb.connect(ledger.path / "ledger.duckdb", read_only=True) as connection:
        yield connection


EXPECTED = [
    (1, 0, ("data_class", "endpoint", "records", "bytes"), [("CLEAN", "vendor", 1, 90)]),
    (
        2,
        0,
        ("record_id", "endpoint", "region", "as_known_now"),
        [(SENT, "vendor", "not stated", True), (INSIDE, "large", "not stated", True)],
    ),
    (5, 0, ("actor", "record_id", "before", "after", "reason"), [(PERSON, SENT, "CLEAN", "PHI", "raised")]),
    (5, 1, ("actor", "event"), [(PERSON, "reviewed"), (PERSON, "overridden")]),
    (
        7,
        0,
        ("policy_hash", "detectors_hash", "decisions"),
        [("policy-1", "detectors-1", 1), ("policy-1", "detectors-1", 1), ("policy-2", "detectors-2", 1)],
    ),
    (8, 0, ("intent_id", "endpoint", "state", "records"), [("i1", "vendor", "ambiguous", 1)]),
    (9, 0, ("endpoint", "state", "not_deleted"), [("large", "job_ended", 1), ("vendor", "ambiguous", 1)]),
    (9, 1, ("erasure", "reason", "times"), [("purged", "retention", 1)]),
    (11, 0, ("data_classes", "records", "left"), [(["PII"], 1, 0)]),
    (
        12,
        0,
        ("event", "record_id", "had_left"),
        [("judged", ODD, False), ("rescanned", INSIDE, False), ("lookback", SENT, True), ("reviewed", SENT, True)],
    ),
    (
        13,
        0,
        ("record_id", "old_policy", "new_policy", "old_lanes", "new_lanes", "same_text"),
        [(SENT, "policy-1", "policy-2", ["cloud", "local"], ["local"], True)],
    ),
    (14, 0, ("record_id", "decisions", "policies", "detectors"), [(SENT, 2, 2, 2)]),
    (15, 0, ("run_id", "ended_as", "starts"), [(FIRST, "pending", 1), (SECOND, None, 1)]),
    (16, 0, ("record_id", "detail_code"), [(ODD, "not_cleared")]),
    (17, 0, ("endpoint", "model", "weights_digest", "lora_digest", "results"), [("large", "invented-7b", "w1", "l1", 1)]),
    (18, 0, ("endpoint", "isolation", "hand_overs"), [("large", "isolation_netns", 1)]),
    (19, 0, ("record_id", "endpoints", "reasons"), [(INSIDE, ["small", "large"], ["preferred", "escalated"])]),
]


@pytest.mark.parametrize(("question", "number", "columns", "rows"), EXPECTED, ids=[f"{one[0]}.{one[1]}" for one in EXPECTED])
def test_it_finds_what_there_is(
    *, question: int, number: int, columns: tuple[str, ...], rows: list[tuple[Any, ...]], auditor: duckdb.DuckDBPyConnection
) -> None:
    answer = auditor.sql(block(question, number)).to_arrow_table().to_pylist()
    assert sorted([tuple(row[name] for name in columns) for row in answer], key=str) == sorted(rows, key=str)


def test_the_checkpoint_of_a_day_is_of_its_last_entry(auditor: duckdb.DuckDBPyConnection) -> None:
    query = block(20).replace("2026-12-31", "2026-11-21")
    ((_, size, _, at, note),) = auditor.sql(query).fetchall()
    assert at < datetime(2026, 11, 21, tzinfo=UTC)
    of_that_day = "SELECT count(*), max(seq) FROM entries WHERE day = DATE '2026-11-20'"
    assert auditor.sql(of_that_day).fetchall() == [(size - 1, size)]  # the first of all is the schema, made today
    assert note.splitlines()[1] == str(size)
