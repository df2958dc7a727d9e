"""The segment index leaves out only files that hold no answer, also when many threads ask while others commit."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sinks.errors import LedgerUnavailableError
from sinks.ledger import files, index
from sinks.ledger.entry import Entry, Event
from sinks.ledger.facts import gate_facts
from sinks.ledger.index import SegmentIndex, run_name
from sinks.ledger.segments import Ledger

AT = datetime(2026, 11, 22, tzinfo=UTC)
RUN = "night-2026-11-22"


def held(record_id: str) -> Entry:
    return Entry(event=Event.HELD, at=AT, run_id=RUN, record_id=record_id, reason="budget")


def speaking_of(path: Path, names: set[str]) -> bool:
    """By reading the file: does it speak of any of these?"""
    rows = pq.read_table(path, columns=["event", "run_id", "record_id", "intent_id"]).to_pylist()
    runs = {run_name(row["run_id"]) for row in rows if row["event"] in {"run_started", "run_ended"}}
    return bool(names & ({row["record_id"] for row in rows} | {row["intent_id"] for row in rows} | runs))


def paths_of(ledger: Ledger) -> list[Path]:
    return [path for _, path in files.numbered(ledger.path / files.SEGMENTS)]


@pytest.mark.parametrize(
    "names",
    [
        {"r-clean"},
        {"r-phi", "r-lost"},
        {"i-3"},
        {run_name("night-2026-11-22")},
        {"r-clean", "i-2", "nobody"},
        {"nobody"},
        {"night-2026-11-22"},
        set(),
    ],
    ids=lambda names: "+".join(sorted(names)) or "none",
)
def test_the_index_names_exactly_the_segments_that_speak_of_it(story: Ledger, names: set[str]) -> None:
    paths = paths_of(story)
    assert SegmentIndex().about(paths, names) == [path for path in paths if speaking_of(path, names)]


def test_a_segment_is_read_once_and_only_when_it_is_new(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    names_in = index._names_in

    def counted(path: Path) -> Any:
        read.append(path.stem)
        return names_in(path)

    monkeypatch.setattr(index, "_names_in", counted)
    for number in range(40):
        ledger.commit([held(f"r-{number}"), held("r-always")])
        assert len(ledger.index.about(paths_of(ledger), ["r-always"])) == number + 1
    assert [path.stem for path in ledger.index.about(paths_of(ledger), ["r-0", "r-39"])] == ["00000002", "00000041"]
    assert read == [f"{number:08d}" for number in range(1, 42)]


def test_spans_stay_few(ledger: Ledger) -> None:
    for number in range(100):
        ledger.commit([held(f"r-{number}")])
    ledger.index.about(paths_of(ledger), ["r-1"])
    assert len(ledger.index._spans) <= 8


def test_only_the_paths_asked_about_are_given(ledger: Ledger) -> None:
    for _ in range(4):
        ledger.commit([held("r-1")])
    paths = paths_of(ledger)
    assert ledger.index.about(paths, ["r-1"]) == paths[1:]
    assert ledger.index.about(paths[3:], ["r-1"]) == paths[3:]


def test_an_archive_is_always_read(ledger: Ledger) -> None:
    archive = ledger.path / "archive" / "2026-10.00000001-00000004.parquet"
    assert ledger.index.about([archive, *paths_of(ledger)], ["nobody"]) == [archive]


def test_many_threads_ask_while_others_commit(ledger: Ledger) -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        for step in range(12):
            mine = f"r-{number}-{step}"
            ledger.commit([held(mine)])
            found = gate_facts(ledger, RUN, [mine, f"r-{number}-0"]).records
            if set(found) != {mine, f"r-{number}-0"}:
                wrong.append((mine, sorted(found)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    paths = paths_of(ledger)
    assert ledger.index.about(paths, ["r-3-7"]) == [path for path in paths if speaking_of(path, {"r-3-7"})]


def test_a_damaged_segment_is_named(ledger: Ledger) -> None:
    ledger.commit([held("r-1")])
    damaged = paths_of(ledger)[-1]
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(LedgerUnavailableError, match=rf"{damaged.name}: not a readable Parquet file"):
        SegmentIndex().about(paths_of(ledger), ["r-1"])
