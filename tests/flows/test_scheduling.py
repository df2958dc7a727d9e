"""What a schedule needs besides a server: the job's own words for it, and nights and collections that keep out of each other's way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.collect import collect
from flows.deployment import read_job
from flows.errors import BatchFailedError, JobError, ScheduleError
from flows.prefect_settings import QUIET
from sinks.errors import AlreadyRunningError
from sinks.ledger.lock import one_runner

ROOT = Path(__file__).parents[2]


def test_the_bundled_job_is_fit_for_a_schedule() -> None:
    path = ROOT / "examples" / "nightly.yaml"
    assert read_job(str(path)) == {"name": "nightly", "file": str(path), "cron": "0 2 * * *", "timezone": "UTC"}


def test_a_relative_path_becomes_absolute(make_night: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    night = make_night(extra='schedule: "5 4 * * 1-5"\ntimezone: Europe/Paris\nunsafe_emulator: true\n')
    monkeypatch.chdir(night.job.parent)
    assert read_job("small.yaml") == {"name": "small", "file": str(night.job), "cron": "5 4 * * 1-5", "timezone": "Europe/Paris"}


@pytest.mark.parametrize(
    ("extra", "error", "expected"),
    [
        ("unsafe_emulator: true\n", ScheduleError, "schedule: expected a cron line"),
        ('schedule: "0 2 * * *"\n', ScheduleError, "lanes.cloud: emulator is the bundled emulator"),
        ('schedule: "0 2 * *"\n', JobError, "expected five cron fields"),
    ],
    ids=["no schedule", "an emulator that nobody allowed", "four fields"],
)
def test_a_job_that_is_not_fit(extra: str, error: type[Exception], expected: str, make_night: Callable[..., Any]) -> None:
    with pytest.raises(error, match=expected):
        read_job(str(make_night(extra=extra).job))


def test_a_job_that_is_not_named() -> None:
    with pytest.raises(JobError, match="set WAYBILL_JOB"):
        read_job("")


def test_the_deployments_keep_their_processes_quiet_whatever_the_worker_was_told() -> None:
    deployments = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    for deployment in deployments:
        told = deployment["work_pool"]["job_variables"]["env"]
        assert told["PREFECT_LOGGING_TO_API_ENABLED"] == "false"
        assert {name: QUIET[name] for name in told} == told


def test_a_scheduled_night_waits_for_its_turn(tmp_path: Path) -> None:
    waited = threading.Event()

    def night() -> None:
        with one_runner(tmp_path, "small", wait=True):
            waited.set()

    with one_runner(tmp_path, "small"):
        other = threading.Thread(target=night)
        other.start()
        assert not waited.wait(0.3)
    other.join(30)
    assert waited.is_set()


def test_a_collection_leaves_while_a_night_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise AlreadyRunningError("job small is already running")

    monkeypatch.setattr("flows.collect.collect_job", busy)
    assert collect.fn("small.yaml") is None


def test_a_collection_that_fails_shows_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("quetzalcoatl-7719")

    monkeypatch.setattr("flows.collect.collect_job", fail)
    with pytest.raises(BatchFailedError, match=r"failed \(ValueError\)"):
        collect.fn("small.yaml")
