"""What the lane keeps in the spool and who may use it: private files, text in inputs alone, only what the gate issued, locks of our own."""

from __future__ import annotations

import dataclasses
import os
import pwd
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from sinks import egress
from sinks.errors import EndpointError, GateError, RejectedError
from sinks.freeze import clean_spool
from sinks.lanes import vllm_locks
from sinks.lanes.vllm_locks import device_locks, open_locks_folder
from tests.sinks.vllm_lane import vllm_lane_driver as driver
from tests.sinks.vllm_lane.bench import INTENT, NEXT, Bench, ended, eventually, outcomes


def test_cleaning_the_spool_takes_nothing_from_a_worker_that_is_just_starting(bench: Bench) -> None:
    lane = bench.lane(model_path=f"wait:{bench.go()}")
    bench.hand_over(lane, "one")
    clean_spool(bench.spool, [INTENT])
    assert (lane.poll(INTENT).state, lane.progress().state) == ("running", "loading")
    bench.go().touch()
    assert outcomes(lane) == [None]


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
