"""A real Prefect server and worker: the deployments say what the job says, a scheduled night runs, and no text reaches Prefect."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow.parquet as pq
import pytest

from flows.prefect_settings import QUIET

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

CANARY = "quetzalcoatl-7719"
PREFECT_YAML = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
BIN = Path(sys.executable).parent
PATIENCE_S = 120.0
SCHEDULE = 'schedule: "30 2 * * *"\ntimezone: America/New_York\nunsafe_emulator: true\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefect:
    """A server and a worker of our own, reached over the server's HTTP API."""

    folder: Path
    url: str
    environment: dict[str, str]

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.get(self.url + path) if body is None else client.post(self.url + path, json=body)
            answer.raise_for_status()
            return answer.json()

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"/deployments/name/{name}")
        return found

    def next_run(self, name: str) -> dict[str, Any]:
        """The earliest run that the server's own scheduler has planned."""
        wanted = {
            "deployments": {"id": {"any_": [self.deployment(name)["id"]]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        runs: list[dict[str, Any]] = wait_until(lambda: self.ask("/flow_runs/filter", wanted))
        assert runs[0]["auto_scheduled"]
        return runs[0]

    def bring_forward(self, name: str) -> dict[str, Any]:
        """Let the next scheduled run begin now, as a scheduled run; returns it when it has ended."""
        run = self.next_run(name)
        now = {"type": "SCHEDULED", "state_details": {"scheduled_time": datetime.now(UTC).isoformat()}}
        self.ask(f"/flow_runs/{run['id']}/set_state", {"state": now, "force": True})
        ended: dict[str, Any] = wait_until(lambda: self._ended(run["id"]))
        return ended

    def _ended(self, run_id: str) -> dict[str, Any] | None:
        run: dict[str, Any] = self.ask(f"/flow_runs/{run_id}")
        return run if run["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "prefect"), *arguments],
            env=self.environment | more,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def stored(self) -> dict[str, bytes]:
        """Every byte that server and worker keep or said: database, write-ahead log, logs."""
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


def wait_until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "this took too long"
        time.sleep(0.5)
    return found


@contextmanager
def running(arguments: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of our own, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(BIN / "prefect"), *arguments], stdout=output, stderr=output, env=environment, cwd=log.parent, start_new_session=True
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    folder = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ} | QUIET
    environment |= {"HOME": str(folder), "PREFECT_HOME": str(folder / "home"), "PREFECT_API_URL": url}
    environment |= {"PREFECT_SERVER_UI_ENABLED": "false", "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with ExitStack() as stack:
        server = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        stack.enter_context(running(server, folder / "server.log", environment))
        wait_until(lambda: is_healthy(url))
        worker = ["worker", "start", "--pool", "waybill", "--type", "process"]
        # The settings of a worker that nobody thought of: the deployment itself must keep its processes quiet.
        talkative = environment | {"PREFECT_LOGGING_TO_API_ENABLED": "true", "PREFECT_LOGGING_LEVEL": "DEBUG"}
        stack.enter_context(running(worker, folder / "worker.log", talkative))
        found = Prefect(folder=folder, url=url, environment=environment)
        wait_until(lambda: found.ask("/work_pools/filter", {}))
        yield found


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened: one good night, one collection, one night without a ledger, one with an emulator that nobody allowed."""

    job: Path
    output: Path
    ledger: Path
    deployed: str
    night: dict[str, Any]
    collection: dict[str, Any]
    without_ledger: dict[str, Any]
    not_allowed: dict[str, Any]


@pytest.fixture(scope="module")
def story(prefect: Prefect, write: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("scheduled")
    job = write(folder, extra=SCHEDULE).job
    output, ledger, aside = folder / "unused", folder / "unused-ledger", folder / "aside"
    relative = os.path.relpath(job, prefect.folder)
    done = prefect.command("deploy", "--all", "--prefect-file", str(PREFECT_YAML), WAYBILL_JOB=relative)
    assert done.returncode == 0, done.stdout + done.stderr
    night = prefect.bring_forward("nightly/small")
    collection = prefect.bring_forward("collect/small")
    ledger.rename(aside)
    ledger.write_text("in the way")
    without_ledger = prefect.bring_forward("nightly/small")
    ledger.unlink()
    aside.rename(ledger)
    job.write_text(job.read_text().replace("unsafe_emulator: true\n", ""))
    not_allowed = prefect.bring_forward("nightly/small")
    return Story(
        job=job,
        output=output,
        ledger=ledger,
        deployed=done.stdout + done.stderr,
        night=night,
        collection=collection,
        without_ledger=without_ledger,
        not_allowed=not_allowed,
    )


@pytest.mark.parametrize(
    ("name", "cron", "timezone", "parameters"),
    [
        ("nightly/small", "30 2 * * *", "America/New_York", {"wait": False}),
        ("collect/small", "*/15 * * * *", "UTC", {}),
    ],
    ids=["nightly at the job's schedule", "collect every quarter of an hour"],
)
def test_deployments(*, name: str, cron: str, timezone: str, parameters: dict[str, Any], prefect: Prefect, story: Story) -> None:
    found = prefect.deployment(name)
    assert [(one["active"], one["schedule"]["cron"], one["schedule"]["timezone"]) for one in found["schedules"]] == [(True, cron, timezone)]
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["parameters"] == {"job": str(story.job)} | parameters
    assert found["work_pool_name"] == "waybill"


def test_a_scheduled_night(story: Story) -> None:
    assert story.night["state"]["type"] == "COMPLETED", story.night["state"]
    date = datetime.fromisoformat(story.night["expected_start_time"]).astimezone(UTC).date().isoformat()
    with duckdb.connect(str(story.ledger / "ledger.duckdb"), read_only=True) as connection:
        events = connection.execute("SELECT run_id, logical_date, job FROM entries WHERE event = 'run_started'").fetchall()
        egress = connection.execute("SELECT count(*), any_value(endpoint) FROM egress").fetchall()
    assert set(events) == {(f"small-{date}", date, "small")}
    assert egress == [(3, "emulator")]
    rows = [row for path in story.output.rglob("*.parquet") for row in pq.ParquetFile(path).read().to_pylist()]
    assert len(rows) == len({row["record_id"] for row in rows}) == 8
    assert {row["run_id"] for row in rows} == {f"small-{date}"}
    assert sorted(row["status"] for row in rows) == ["completed"] * 7 + ["held"]
    assert all(row["output"] for row in rows if row["status"] == "completed")


def test_a_night_is_a_task_a_batch(prefect: Prefect, story: Story) -> None:
    wanted = {"flow_runs": {"id": {"any_": [story.night["id"]]}}}
    tasks = wait_until(lambda: prefect.ask("/task_runs/filter", wanted))
    assert sorted(task["name"] for task in tasks) == [f"batch-{number}" for number in range(len(tasks))]
    assert all(task["state"]["type"] == "COMPLETED" for task in tasks)


def test_a_scheduled_collection(story: Story) -> None:
    assert story.collection["state"]["type"] == "COMPLETED", story.collection["state"]


@pytest.mark.parametrize(("which", "code"), [("without_ledger", "LedgerUnavailableError"), ("not_allowed", "ScheduleError")])
def test_a_failure_is_a_code(which: str, code: str, story: Story) -> None:
    state = getattr(story, which)["state"]
    assert state["type"] == "FAILED"
    assert f"failed ({code})" in state["message"]
    for text in ("unused-ledger", "bundled emulator", str(story.job.parent)):
        assert text not in state["message"]


def test_the_worker_says_why(prefect: Prefect, story: Story) -> None:
    log = wait_until(
        lambda: text if "bundled emulator; name a real endpoint" in (text := (prefect.folder / "worker.log").read_text()) else ""
    )
    assert "the ledger cannot be opened" in log


def test_not_a_word_of_a_document_reached_prefect(prefect: Prefect, story: Story) -> None:
    stored = prefect.stored() | {"deploy": story.deployed.encode()}
    assert any(name.endswith("prefect.db") and content for name, content in stored.items())
    assert str(story.job).encode() in b"".join(stored.values()), "the search must be able to find what is there"
    forbidden = (
        CANARY,
        "Castellan",
        "Lindqvist",
        "536-22-8145",
        "mooring",
        "Timetable",
        "discharge.txt",
        "letter.txt",
        "the ledger cannot be",
    )
    for text in forbidden:
        where = {name for name, content in stored.items() if text.encode() in content}
        # Why a run failed is said in the worker's own log, and only there.
        assert where <= ({"worker.log"} if text == "the ledger cannot be" else set()), text


def test_the_processes_of_a_night_send_no_logs_to_prefect(prefect: Prefect, story: Story) -> None:
    names = {entry["name"] for entry in prefect.ask("/logs/filter", {})}
    assert names == {"prefect.flow_runs.worker"}, "a worker that was told to upload logs uploads its own, no more"


def test_not_a_word_lies_about(story: Story) -> None:
    found = {path for path in story.job.parent.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()}
    assert {path.relative_to(story.job.parent).parts[0] for path in found} <= {"inbox", "unused", "emulator"}


def terminal_run(prefect: Prefect, night: Any, code: int) -> list[str]:
    """`waybill run` with a Prefect API: what the terminal shows besides the report."""
    done = subprocess.run(
        night.command(), env=prefect.environment, cwd=prefect.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr.splitlines()


def last_flow_run(prefect: Prefect) -> dict[str, Any]:
    wanted = {"flow_runs": {"deployment_id": {"is_null_": True}}, "sort": "EXPECTED_START_TIME_DESC"}
    run: dict[str, Any] = prefect.ask("/flow_runs/filter", wanted)[0]
    return run


def test_a_run_from_the_terminal_shows_in_prefect_and_keeps_its_terminal(
    prefect: Prefect, write: Callable[..., Any], tmp_path: Path
) -> None:
    night = write(tmp_path, extra="lanes: {cloud: null}\n")
    lines = terminal_run(prefect, night, code=0)
    assert lines[:3] == ["waybill: loading detectors", "waybill: carrying documents", lines[2]]
    assert lines[2].startswith("run small-")
    assert not [line for line in lines if " | " in line or "nanobind" in line or "Traceback" in line]
    run = last_flow_run(prefect)
    assert (run["state"]["type"], run["parameters"]) == ("COMPLETED", {})


def test_a_failed_run_from_the_terminal_is_one_line_there_and_a_code_in_prefect(
    prefect: Prefect, write: Callable[..., Any], tmp_path: Path
) -> None:
    night = write(tmp_path, extra="lanes: {cloud: null}\n")
    night.out.mkdir()
    night.ledger.write_text("in the way")
    lines = terminal_run(prefect, night, code=1)
    assert [line for line in lines if line != "waybill: loading detectors"] == [
        f"waybill: {night.ledger}: the ledger cannot be opened (File exists); nothing is sent until it can"
    ]
    state = last_flow_run(prefect)["state"]
    assert state["type"] == "FAILED"
    assert "failed (LedgerUnavailableError)" in state["message"]
    assert str(tmp_path) not in state["message"]


def test_a_job_without_a_schedule_is_not_deployed(prefect: Prefect, write: Callable[..., Any], tmp_path: Path) -> None:
    job = write(tmp_path).job
    done = prefect.command("deploy", "--all", "--prefect-file", str(PREFECT_YAML), WAYBILL_JOB=str(job))
    assert done.returncode != 0
    assert "schedule: expected a cron line" in done.stdout + done.stderr
