"""The lane against a scripted worker that speaks its contract. The real engine: `test_vllm_offline_engine.py`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from policies.model import Endpoint
from sinks import egress
from sinks.errors import EndpointError, GateError, RejectedError
from sinks.freeze import clean_spool
from sinks.lanes import Sought, vllm_locks
from sinks.lanes.vllm_locks import DeviceLocks, device_locks, lock_path, open_locks_folder
from sinks.lanes.vllm_offline import VllmOfflineLane
from sinks.lanes.vllm_replica import MAX_BARREN_DEATHS, MAX_FAILED_LOADS
from sinks.shard import JobStatus
from tests.sinks import vllm_lane_driver as driver

INTENT = "b1b2c3d4e5f60718293a4b5c6d7e8f90"
NEXT = "c9b2c3d4e5f60718293a4b5c6d7e8f90"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Bench:
    """A folder with a spool and device locks, the lanes made on it, and what their workers wrote into their journal."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spool = folder, folder / "spool"
        self.lanes: list[VllmOfflineLane] = []
        self.settings: dict[str, Any] = {}

    def endpoint(self) -> Endpoint:
        return driver.endpoint(**self.settings)

    def lane(self, **settings: Any) -> VllmOfflineLane:
        self.settings = settings
        made = driver.make_lane(self.folder, self.endpoint())
        self.lanes.append(made)
        return made

    def hand_over(self, lane: VllmOfflineLane, *texts: str, intent: str = INTENT) -> str:
        return lane.hand_over(driver.cleared(lane, self.endpoint(), list(texts), intent=intent))

    def journal(self, word: str) -> list[list[str]]:
        path = self.spool / "journal"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line.split() for line in lines if line.startswith(f"{word} ")]

    def starts(self) -> int:
        return len(self.journal("start"))

    def pid(self) -> int:
        return int(self.journal("start")[-1][-1])

    def go(self, name: str = "go") -> Path:
        return self.folder / name

    def lines(self) -> Counter[str]:
        """How often each row has a line in an output."""
        outputs = self.spool.glob("*.out.jsonl")
        return Counter(json.loads(line)["row_id"] for output in outputs for line in output.read_bytes().splitlines())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for lane in made.lanes:
        for intent in (INTENT, NEXT):
            lane.discard(intent)
        lane.close(patience_s=5)


def eventually(reached: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := reached()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def ended(lane: VllmOfflineLane, intent: str = INTENT) -> JobStatus:
    def poll() -> JobStatus | None:
        status = lane.poll(intent)
        return status if status.ended else None

    found: JobStatus = eventually(poll)
    return found


def outcomes(lane: VllmOfflineLane, intent: str = INTENT) -> list[str | None]:
    """Error codes by row number, None for a result."""
    ended(lane, intent)
    found = {int(result.row_id.partition("-")[2]): result for result in lane.collect(intent)}
    for result in found.values():
        assert (result.output is None) == (result.error_code is not None)
    return [found[number].error_code for number in range(len(found))]


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


def run_until(bench: Bench, texts: list[str], reached: Callable[[], Any], **settings: Any) -> None:
    """Run a night in a process of its own until something is reached, then kill it."""
    bench.settings = settings
    facts = bench.folder / "facts.json"
    facts.write_text(json.dumps({"folder": str(bench.folder), "settings": settings, "texts": texts, "intent": INTENT}))
    command = [sys.executable, str(HERE / "vllm_lane_driver.py"), str(facts)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as night:
        try:
            eventually(lambda: night.poll() is not None or reached())
            assert night.poll() is None
        finally:
            night.kill()


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


def test_cleaning_the_spool_takes_nothing_from_a_worker_that_is_just_starting(bench: Bench) -> None:
    lane = bench.lane(model_path=f"wait:{bench.go()}")
    bench.hand_over(lane, "one")
    clean_spool(bench.spool, [INTENT])
    assert (lane.poll(INTENT).state, lane.progress().state) == ("running", "loading")
    bench.go().touch()
    assert outcomes(lane) == [None]


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


def test_cancelling_stops_the_job_and_nothing_else(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, "one", f"WAIT:{bench.go('never')}")
    bench.hand_over(lane, f"WAIT:{bench.go()}", "two", intent=NEXT)
    eventually(lambda: lane.poll(INTENT).completed == 1)
    lane.cancel(INTENT)
    assert (lane.poll(INTENT).state, lane.poll(INTENT).ended) == ("cancelled", True)
    assert outcomes(lane) == [None, "batch_cancelled"]
    bench.go().touch()
    assert outcomes(lane, NEXT) == [None, None]
    assert bench.lane().poll(INTENT).state == "cancelled"  # whoever asks


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


def test_no_text_where_it_does_not_belong_and_private_files(bench: Bench) -> None:
    lane = bench.lane()
    bench.hand_over(lane, "zephyr one", "zephyr KILL", "zephyr three")
    ended(lane)
    with_text = {path.name for path in bench.spool.rglob("*") if path.is_file() and b"zephyr" in path.read_bytes()}
    assert with_text == {f"{INTENT}.0.in.jsonl", f"{INTENT}.0-alone.in.jsonl"}
    private = [path for path in bench.spool.rglob("*") if path.is_file() and path.name != "journal" and "first-" not in path.name]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private if "ready" not in path.name} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in [bench.spool, *bench.spool.glob("vllm-*")]} == {0o700}
    (bench.spool / f"{INTENT}.jsonl").write_bytes(b"frozen")
    lane.discard(INTENT)
    assert [path.name for path in bench.spool.glob(f"{INTENT}.*")] == [f"{INTENT}.jsonl"]  # not the lane's to delete


def test_only_what_the_gate_issued_and_only_for_its_own_endpoint(bench: Bench) -> None:
    lane = bench.lane()
    shard = driver.cleared(lane, bench.endpoint(), ["one"], intent=INTENT)
    del egress._issued[INTENT]
    with pytest.raises(GateError):
        lane.hand_over(shard)
    other = dataclasses.replace(bench.endpoint(), model="quill-8b")
    with pytest.raises(EndpointError, match="as it was when the night began"):
        lane.hand_over(driver.cleared(lane, other, ["one"], intent=INTENT))
    assert bench.starts() == 0


def test_a_spool_that_cannot_be_written_is_a_refusal(bench: Bench) -> None:
    lane = bench.lane()
    bench.spool.write_bytes(b"a file in its place")
    with pytest.raises(RejectedError, match="spool_unwritable"):
        bench.hand_over(lane, "one")
    bench.spool.unlink()


@pytest.mark.parametrize("kind", ["link", "shared"])
def test_the_folder_of_the_locks_must_be_ours(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "locks"
    if kind == "link":
        path.symlink_to(tmp_path)
    else:
        path.mkdir()
        path.chmod(0o777)
    with pytest.raises(EndpointError, match="our own"):
        open_locks_folder(path)


@pytest.mark.parametrize("kind", ["nothing", "ours", "link", "shared", "file"])
def test_a_locks_folder_that_somebody_else_made_first_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(vllm_locks, "SHARED", tmp_path / "shared")
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir=str(tmp_path / "home")))
    usual = tmp_path / "shared" / f"waybill-{os.getuid()}"
    usual.parent.mkdir()
    if kind in {"ours", "shared"}:
        usual.mkdir(mode=0o700)
        usual.chmod(0o777 if kind == "shared" else 0o700)
    elif kind == "link":
        usual.symlink_to(tmp_path)
    elif kind == "file":
        usual.write_bytes(b"")
    found = device_locks()
    assert found == (usual if kind in {"nothing", "ours"} else tmp_path / "home" / ".cache" / "waybill" / "locks")
    assert open_locks_folder(found).stat().st_mode & 0o777 == 0o700
