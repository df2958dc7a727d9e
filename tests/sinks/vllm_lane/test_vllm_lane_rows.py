"""The lane against a scripted worker that speaks its contract: every row is answered once, whatever dies.

The real engine: `test_vllm_offline_engine.py`.
"""

from __future__ import annotations

import dataclasses
import os
import signal
from collections import Counter

import pytest

from sinks.errors import RejectedError
from sinks.lanes import Sought
from sinks.lanes.vllm_replica import MAX_BARREN_DEATHS, MAX_FAILED_LOADS
from tests.sinks.vllm_lane.bench import INTENT, NEXT, NOW, Bench, ended, eventually, outcomes


def test_rows_are_answered_once_and_one_worker_serves_many_jobs(bench: Bench) -> None:
    lane = bench.lane()
    assert bench.hand_over(lane, *(f"text {number}" for number in range(7))) == INTENT
    assert outcomes(lane) == [None] * 7
    bench.hand_over(lane, "later", "\u2028 in a text", intent=NEXT)
    assert outcomes(lane, NEXT) == [None, None]
    assert bench.starts() == 1
    assert set(bench.lines().values()) == {1}
    (result,) = [result for result in lane.collect(INTENT) if result.row_id.endswith("-2")]
    assert (result.output, result.model, result.tokens_out) == ("Say: text 2"[::-1], "quill-7b", 2)


def test_progress(bench: Bench) -> None:
    lane = bench.lane()
    assert dataclasses.astuple(lane.progress())[-1] == "idle"
    bench.hand_over(lane, "one", f"WAIT:{bench.go()}")
    eventually(lambda: lane.poll(INTENT) and lane.progress().done == 1)
    assert (lane.progress().state, lane.progress().rows) == ("working", 2)
    bench.go().touch()
    ended(lane)
    lane.discard(INTENT)
    done = lane.progress()
    assert (done.rows, done.done, done.tokens_out, done.state) == (2, 2, 4, "idle")
    assert done.seconds_working > 0


def test_a_worker_killed_in_mid_batch_is_started_again_and_goes_on(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, "one", "two", f"WAIT:{bench.go()}", "four", f"WAIT:{bench.go()} five", f"WAIT:{bench.go()} six", "seven")
    eventually(lambda: lane.poll(INTENT).completed == 3)
    os.kill(bench.pid(), signal.SIGKILL)
    bench.go().touch()
    assert outcomes(lane) == [None] * 7
    assert bench.starts() == 2
    assert set(bench.lines().values()) == {1}
    assert bench.journal("told")[-1][1:] == [f"{INTENT}.0-alone", "1"]  # what was in flight has run last, and alone


@pytest.mark.parametrize(
    ("texts", "expected", "starts"),
    [
        pytest.param(["KILL"], ["engine_died"], 2, id="alone"),
        pytest.param(["KILL"] * 3, ["engine_died"] * 3, 4, id="nothing else"),
        pytest.param(["a", "b", "c", "KILL", "d", "e", "f", "g", "h"], [None] * 3 + ["engine_died"] + [None] * 5, 3, id="one"),
        pytest.param(["a", "KILL", "KILL", "b", "c", "d"], [None, "engine_died", "engine_died", None, None, None], 4, id="two together"),
        pytest.param(["KILL", "a", "b", "c", "d", "e", "KILL"], ["engine_died", *[None] * 5, "engine_died"], 4, id="first and last"),
        pytest.param(["a", "ONCE", "b", "c"], [None] * 4, 2, id="once only"),
        pytest.param(["a", "TORN", "b", "c"], [None] * 4, 2, id="torn answer"),
    ],
)
def test_a_record_that_kills_the_engine_is_found_and_the_others_go_on(
    bench: Bench, texts: list[str], expected: list[str | None], starts: int
) -> None:
    lane = bench.lane()
    bench.hand_over(lane, *texts)
    assert outcomes(lane) == expected
    assert (lane.poll(INTENT).state, lane.poll(INTENT).failed) == ("completed", expected.count("engine_died"))
    assert bench.starts() == starts
    assert bench.lines() == Counter({f"b1b2-{number}": 1 for number in range(len(texts))})
    bench.hand_over(lane, "and the night goes on", intent=NEXT)
    assert outcomes(lane, NEXT) == [None]


def test_killers_and_torn_answers_in_one_batch(bench: Bench) -> None:
    lane = bench.lane(window=4)
    texts = ["x", "TORN", "KILL", "y", "z", "v", "KILL", "w"]
    bench.hand_over(lane, *texts)
    assert outcomes(lane) == ["engine_died" if text == "KILL" else None for text in texts]
    assert set(bench.lines().values()) == {1}


def test_who_asks_a_worker_to_end_accuses_no_record(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, "one", "ONCE TERM", "three")
    assert outcomes(lane) == [None] * 3  # in flight at two ends of a worker, the second time alone
    assert bench.starts() == 3


def test_an_engine_that_dies_of_everything_is_given_up(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, *["KILL"] * 12)
    assert ended(lane).state == "failed"
    assert bench.starts() == MAX_BARREN_DEATHS
    codes = outcomes(lane)
    assert codes.count("engine_unavailable") >= 12 - MAX_BARREN_DEATHS
    assert set(codes) <= {"engine_unavailable", "engine_died"}
    with pytest.raises(RejectedError, match="engine_unavailable"):
        bench.hand_over(lane, "one", intent=NEXT)
    assert bench.starts() == MAX_BARREN_DEATHS


def test_a_model_whose_files_go_away_is_no_records_fault(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, "GONE", "GONE")
    assert outcomes(lane) == ["engine_unavailable"] * 2
    assert bench.starts() == MAX_BARREN_DEATHS


@pytest.mark.parametrize("model", ["unloadable", "dies-loading"])
def test_an_engine_that_never_loads_is_tried_twice_and_its_rows_go_back(bench: Bench, model: str, caplog: pytest.LogCaptureFixture) -> None:
    lane = bench.lane(model_path=model)
    bench.hand_over(lane, "zephyr one", "zephyr two")
    assert ended(lane).state == "failed"
    assert outcomes(lane) == ["engine_unavailable"] * 2
    with pytest.raises(RejectedError) as caught:
        bench.hand_over(lane, "three", intent=NEXT)
    assert caught.value.code == "engine_unavailable"
    assert list(lane.find(Sought(intent_id=NEXT, digest="d", since=NOW, rows=1))) == []
    for _ in range(3):
        lane.poll(INTENT)
    assert (bench.starts(), lane.progress().state) == (MAX_FAILED_LOADS, "failed")
    assert "given up" in caplog.text
    assert "zephyr" not in caplog.text
    lane.discard(INTENT)
    lane.close()
    if model == "unloadable":  # why, is still there to be read
        assert any(b"no such model" in log.read_bytes() for log in bench.spool.glob("vllm-*/vllm.0.log"))


def test_an_engine_that_loads_at_the_second_try_is_not_given_up(bench: Bench) -> None:
    lane = bench.lane(model_path="unloadable-once")
    bench.hand_over(lane, "one", "KILL")
    assert outcomes(lane) == [None, "engine_died"]


def test_an_interpreter_that_is_not_there(bench: Bench) -> None:
    lane = bench.lane(python=str(bench.folder / "no-python"))
    bench.hand_over(lane, "one")
    assert outcomes(lane) == ["engine_unavailable"]
