"""The gate and its ledger: what cannot be read or written sends nothing, and of two writers one wins."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sinks.errors import GateError, HeadMovedError, LedgerUnavailableError
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from tests.sinks.egress.gate_refusals import forge, full, refused


def test_a_ledger_that_cannot_be_written_sends_nothing(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen()
    monkeypatch.setattr(scene.ledger, "commit", full)
    with pytest.raises(LedgerUnavailableError):
        scene.hand_over(shard)
    assert scene.lane.handed == scene.provider.uploads == scene.provider.creates == 0


def test_a_ledger_that_cannot_be_read_sends_nothing(scene: Any) -> None:
    shard = scene.frozen()
    (scene.ledger.path / "segments").rename(scene.ledger.path / "gone")
    with pytest.raises(Exception, match="ledger"):
        scene.hand_over(shard)
    assert scene.lane.handed == scene.provider.uploads == 0


def test_a_refusal_stands_although_it_cannot_be_written(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = forge(scene.frozen(), clearance_id="0" * 32)
    monkeypatch.setattr(scene.ledger, "commit", full)
    with pytest.raises(GateError, match="no_clearance"):
        scene.hand_over(shard)


def test_facts_read_before_somebody_elses_commit_are_read_again(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen()
    commit = scene.ledger.commit
    heads: list[int | None] = []

    def overtaken(entries: Any, *, expected_head: int | None = None) -> int:
        if expected_head is not None and not heads:
            commit([Entry(event=Event.REVIEWED, at=scene.now, run_id="another-run")])
        heads.append(expected_head)
        return int(commit(entries, expected_head=expected_head))

    monkeypatch.setattr(scene.ledger, "commit", overtaken)
    assert scene.gate(shard)
    assert len(heads) == 2
    assert len(scene.events(Event.SUBMITTING)) == 3


def test_a_decision_that_comes_between_facts_and_commit_stops_the_shard(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen()
    commit = scene.ledger.commit

    def overtaken(entries: Any, *, expected_head: int | None = None) -> int:
        if expected_head is not None:
            monkeypatch.setattr(scene.ledger, "commit", commit)
            scene.decide("r-ada", lanes=("local",))
        return int(commit(entries, expected_head=expected_head))

    monkeypatch.setattr(scene.ledger, "commit", overtaken)
    refused(scene, shard, "lane_not_permitted", 0)


def test_a_gate_that_is_always_overtaken_gives_up_and_sends_nothing(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen("r-ada")
    rounds: list[int | None] = []

    def always_late(_entries: Any, *, expected_head: int | None = None) -> int:
        rounds.append(expected_head)
        raise HeadMovedError("moved")

    monkeypatch.setattr(scene.ledger, "commit", always_late)
    monkeypatch.setattr("sinks.egress.MAX_ROUNDS", 3)
    with pytest.raises(GateError, match="ledger_contended"):
        scene.hand_over(shard)
    assert len(rounds) == 3
    assert scene.lane.handed == 0


def test_of_two_racing_gates_one_wins(scene: Any) -> None:
    shard = scene.frozen()
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def race() -> None:
        ledger = Ledger.open(scene.ledger.path, keys=scene.ledger.keys)
        barrier.wait()
        try:
            scene.gate(shard, ledger=ledger)
            outcomes.append("passed")
        except GateError as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=race) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["clearance_spent", "passed"]
    assert len(scene.events(Event.SUBMITTING)) == len(shard.rows)
