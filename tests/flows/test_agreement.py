"""Planned and complete evidence decide alike, with the real detectors on the documents that are committed; a night may use either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.documents import documents, mix, sample, words_of
from detectors import load
from detectors.detector import EachText, marker_kind
from detectors.document import Document, Evidence
from flows.agreement import differing
from flows.errors import JobError
from flows.job import load_job
from policies.load import DEFAULT_POLICY, load_policy


@pytest.mark.parametrize("ner", ["the policy's", None])
def test_planned_and_complete_decide_alike_on_the_committed_documents(ner: str | None) -> None:
    policy = load_policy(DEFAULT_POLICY)
    detectors = load(ner=policy.ner if ner else None, participants=policy.participants)
    chosen = documents(None)
    assert len(chosen) > 50
    assert list(differing(chosen, policy, detectors)) == []


def test_a_difference_would_be_named() -> None:
    policy = load_policy(DEFAULT_POLICY)
    detectors = load()
    seen: list[int] = []

    def look(_text: object) -> Evidence:  # answers the second time it is asked only, as no detector may
        seen.append(1)
        return Evidence(markers=frozenset({"privilege_header"})) if len(seen) > 1 else Evidence()

    fickle = EachText(name="fickle", provides=frozenset({marker_kind("privilege_header")}), look=look)
    both = replace(detectors, detectors=(*detectors.detectors, fickle))
    assert list(differing([Document(record_id="r1", text="The weather was fine.", source="s")], policy, both)) == ["r1"]


def test_a_sample_is_the_same_every_time_and_says_what_it_is() -> None:
    given = [Document(record_id=str(place), text="one two three", source="ab"[place % 2]) for place in range(40)]
    drawn = sample(given, 30)
    assert drawn == sample(given, 30)
    assert sum(map(words_of, drawn)) == 30
    assert mix(drawn).count("%") == 2


EXPECTED = [([], 1), (["CLEAN"], 3), (["NPI"], 1), (["PHI"], 1), (["PRIVILEGED"], 2)]


def test_a_night_in_two_processes_ends_with_the_same_decisions(make_night: Callable[..., Any]) -> None:
    night = make_night()
    report = night.run("--scan-processes", "2")
    assert (report["documents"], report["held"], report["failed"]) == (8, 1, 0)
    assert decisions(night.ledger) == EXPECTED


def test_the_job_file_says_how_many_processes(make_night: Callable[..., Any]) -> None:
    night = make_night(extra="scan_processes: 1\n")
    night.run()
    assert decisions(night.ledger) == EXPECTED


def test_no_processes_at_all_is_no_choice(make_night: Callable[..., Any]) -> None:
    with pytest.raises(JobError, match="scan_processes"):
        load_job(make_night(extra="scan_processes: 0\n").job)


def decisions(ledger: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT data_classes, count(*) FROM decisions GROUP BY ALL ORDER BY ALL").fetchall()
