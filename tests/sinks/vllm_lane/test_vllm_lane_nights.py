"""Workers that outlive their night, and lanes that share devices: taken over, waited for or ended, never two engines on one device."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from sinks.errors import EndpointError
from sinks.lanes import Sought
from sinks.lanes.vllm_locks import DeviceLocks, lock_path
from sinks.lanes.vllm_offline import VllmOfflineLane
from sinks.lanes.vllm_replica import MAX_FAILED_LOADS
from tests.sinks.vllm_lane import vllm_lane_driver as driver
from tests.sinks.vllm_lane.bench import INTENT, NEXT, NOW, Bench, ended, eventually, outcomes, run_until


def test_killed_ourselves_the_worker_finishes_and_the_next_night_takes_it_in(bench: Bench) -> None:
    texts = ["one", "two", f"WAIT:{bench.go()}", *(f"more {number}" for number in range(20))]
    run_until(bench, texts, lambda: len(bench.journal("answered")) == len(texts) - 1)
    lane = bench.lane()
    assert list(lane.find(Sought(intent_id=INTENT, digest="d", since=NOW, rows=1))) == [INTENT]
    status = lane.poll(INTENT)  # does not wait for the orphan, which has the device
    assert (status.state, status.completed, status.total) == ("running", len(texts) - 1, len(texts))
    assert lane.progress().state == "waiting"
    bench.go().touch()
    assert outcomes(lane) == [None] * len(texts)
    assert bench.starts() == 1  # ours was never needed
    assert set(bench.lines().values()) == {1}
    # Only what was answered since is this night's.
    assert (lane.progress().rows, lane.progress().done) == (1, 1)


def test_killed_ourselves_and_the_worker_with_us(bench: Bench) -> None:
    texts = ["one", "two", f"WAIT:{bench.go()}", "KILL later", "five", "six", "seven"]
    run_until(bench, texts, lambda: len(bench.journal("answered")) == 2, window=2)
    eventually(lambda: len(bench.journal("start")) > 0)
    with contextlib.suppress(ProcessLookupError):  # of the killer it may have died by itself
        os.kill(bench.pid(), signal.SIGKILL)
    bench.go().touch()
    lane = bench.lane(window=2)
    assert outcomes(lane) == [None, None, None, "engine_died", None, None, None]
    assert bench.lines() == Counter({f"b1b2-{number}": 1 for number in range(len(texts))})


def test_a_killed_night_before_its_job_was_there_leaves_nothing_to_find(bench: Bench) -> None:
    lane = bench.lane()
    bench.spool.mkdir()
    (bench.spool / f"{INTENT}.0.in.jsonl").write_bytes(b"{}\n")
    assert list(lane.find(Sought(intent_id=INTENT, digest="d", since=NOW, rows=1))) == []
    assert (lane.poll(INTENT).state, lane.poll(INTENT).ended) == ("absent", False)
    with pytest.raises(EndpointError, match="not in the spool"):
        list(lane.collect(INTENT))


def test_two_lanes_never_have_two_engines_on_one_device(bench: Bench) -> None:
    first = bench.lane()
    bench.hand_over(first, f"WAIT:{bench.go()}")
    eventually(lambda: bench.journal("told"))
    second = bench.lane()
    bench.hand_over(second, "two", intent=NEXT)
    assert second.poll(NEXT).state == "running"
    assert second.progress().state == "waiting"
    assert bench.starts() == 1
    bench.go().touch()
    assert outcomes(first) == [None]
    first.discard(INTENT)
    first.close()  # the device is free now
    assert outcomes(second, NEXT) == [None]
    assert bench.starts() == 2
    pids = [words[-1] for words in bench.journal("start")]
    assert [words[-1] for words in bench.journal("end")] == pids[:1]


def test_replicas_share_the_rows_by_their_tokens(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    lane = bench.lane(device="", replicas=2, gpus_per_replica=2)
    texts = ["long " * 4000, *["short"] * 20]
    bench.hand_over(lane, *texts)
    assert outcomes(lane) == [None] * len(texts)
    assert sorted(words[1] for words in bench.journal("start")) == ["4,5", "6,7"]
    rows = sorted(len(path.read_bytes().splitlines()) for path in bench.spool.glob("*.in.jsonl"))
    assert rows == [1, 20]
    specs = [json.loads(path.read_bytes()) for path in bench.spool.glob("vllm-*/*.spec.json")]
    assert [spec["engine"] for spec in specs] == [{"seed": 0, "tensor_parallel_size": 2}] * 2
    assert {path.name for path in (bench.folder / "locks").iterdir()} == {f"engine-{number}.lock" for number in range(4, 8)}


def test_one_replica_that_is_given_up_leaves_the_others_working(bench: Bench) -> None:
    lane = bench.lane(replicas=2, model_path="second-unloadable")
    bench.hand_over(lane, *["text"] * 6)
    assert ended(lane).state == "failed"
    assert Counter(outcomes(lane)) == {None: 3, "engine_unavailable": 3}
    bench.hand_over(lane, *["text"] * 6, intent=NEXT)
    assert outcomes(lane, NEXT) == [None] * 6
    assert bench.starts() == 1 + MAX_FAILED_LOADS


def test_shares_of_devices_that_are_no_longer_there_are_taken_over(bench: Bench) -> None:
    texts = [f"WAIT:{bench.go()} {number}" for number in range(6)]
    run_until(bench, texts, lambda: len(bench.journal("told")) == 2, replicas=2)
    for words in bench.journal("start"):
        os.kill(int(words[-1]), signal.SIGKILL)
    bench.go().touch()
    lane = bench.lane(replicas=1)
    assert outcomes(lane) == [None] * 6
    assert set(bench.lines().values()) == {1}


def test_close_frees_the_device_and_leaves_no_files(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, "one")
    ended(lane)
    lane.discard(INTENT)
    lane.close()
    assert bench.journal("end") == [["end", str(bench.pid())]]
    assert [path.name for path in bench.spool.iterdir()] == ["journal"]
    locks = DeviceLocks.acquire([lock_path(bench.folder / "locks", "cpu-0")])
    assert locks is not None
    locks.release()


def test_close_leaves_a_worker_with_open_rows_at_work(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, "one", f"WAIT:{bench.go()}")
    eventually(lambda: bench.journal("told"))
    lane.close()
    later = bench.lane()
    assert later.poll(INTENT).state == "running"
    bench.go().touch()
    assert outcomes(later) == [None, None]
    assert bench.starts() == 1
    later.discard(INTENT)
    eventually(lambda: bench.journal("end"))

    def tidied() -> bool:
        later.close()
        return [path.name for path in bench.spool.iterdir()] == ["journal"]

    eventually(tidied)  # the worker says that it ends, then it ends


def test_close_ends_a_worker_that_does_not_want_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.lanes.vllm_process.TERMINATE_S", 0.1)
    lane = bench.lane(model_path="stubborn")
    bench.hand_over(lane, "one")
    ended(lane)
    lane.close(patience_s=0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(bench.pid(), 0)


def test_discarding_ends_an_orphan_first(bench: Bench) -> None:
    run_until(bench, ["one", f"WAIT:{bench.go()}"], lambda: len(bench.journal("answered")) == 1)
    lane = bench.lane()
    lane.poll(INTENT)
    lane.discard(INTENT)
    assert (lane.poll(INTENT).state, list(bench.spool.glob(f"{INTENT}.*"))) == ("absent", [])
    bench.go().touch()
    locks = DeviceLocks.acquire([lock_path(bench.folder / "locks", "cpu-0")])  # held by the orphan until it ended
    assert locks is not None
    locks.release()


def test_discarding_ends_no_other_jobs_worker(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = bench.lane()
    bench.hand_over(other, f"WAIT:{bench.go()}")
    eventually(lambda: bench.journal("told"))
    target = bench.endpoint()
    lane = VllmOfflineLane(
        tmp_path_factory.mktemp("other") / "spool", Path(sys.executable), target, worker=(str(driver.WORKER),), locks=bench.folder / "locks"
    )
    lane.hand_over(driver.cleared(lane, target, ["two"], intent=NEXT))
    lane.discard(NEXT)
    bench.go().touch()
    assert outcomes(other) == [None]
    assert bench.starts() == 1
