"""`waybill run --no-wait` leaves cloud work out (exit 4); `waybill collect` fetches it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.collect import collect
from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY

CANARY = "quetzalcoatl-7719"
AS_BUNDLED = "settings: {emulator: true}"


def write_registry(night: Any, more: str) -> None:
    """The bundled registry, with other settings of the emulator."""
    text = DEFAULT_REGISTRY.read_text()
    assert text.count(AS_BUNDLED) == 1
    (night.job.parent / "registry.yaml").write_text(text.replace(AS_BUNDLED, f"settings: {{emulator: true, {more}}}"))


def statuses(results: Path) -> dict[str, str]:
    rows = [row for path in results.rglob("*.parquet") for row in pq.ParquetFile(path).read().to_pylist()]
    assert len(rows) == len({row["record_id"] for row in rows})
    return {row["source"]: row["status"] for row in rows}


def nothing_out(night: Any) -> str:
    return f"nothing is out: every hand-over of this job in {night.ledger} has been collected\n"


@pytest.fixture
def pending_night(make_night: Callable[..., Any], cli: Callable[..., Any]) -> Any:
    night = make_night(extra="registry: registry.yaml\n")
    write_registry(night, "emulator_delay_s: 600")
    report = json.loads(cli("run", night.job, "--out", night.out, "--no-wait", "--json", code=4).out.splitlines()[-1])
    assert (report["documents"], report["results"], report["held"], report["pending"]) == (8, 4, 1, 3)
    assert report["by_class"]["CLEAN"] == {"local": 0, "cloud": 0, "held": 0, "pending": 3}
    write_registry(night, "emulator_delay_s: 0.1")
    return night


def test_collect_fetches_what_the_run_left_out(pending_night: Any, cli: Callable[..., Any]) -> None:
    assert "public/moss.html" not in statuses(pending_night.results)
    said = cli("collect", pending_night.job, "--out", pending_night.out, "--json")
    (report,) = map(json.loads, said.out.splitlines())
    assert (report["documents"], report["results"], report["held"], report["pending"]) == (8, 7, 1, 0)
    assert report["by_class"]["CLEAN"] == {"local": 0, "cloud": 3, "held": 0, "pending": 0}
    found = statuses(pending_night.results)
    assert len(found) == 8
    assert found["public/moss.html"] == "completed"
    assert CANARY not in said.out + said.err
    again = cli("collect", pending_night.job, "--out", pending_night.out)
    assert (again.out, again.err) == ("", nothing_out(pending_night))


def test_running_again_collects_too_and_sends_nothing_twice(pending_night: Any, cli: Callable[..., Any]) -> None:
    report = json.loads(cli("run", pending_night.job, "--out", pending_night.out, "--json").out.splitlines()[-1])
    assert (report["results"], report["pending"]) == (7, 0)
    (received,) = pending_night.out.rglob("emulator/**/received")
    assert sum(path.read_bytes().count(CANARY.encode()) for path in received.glob("*.bin")) == 3


@pytest.mark.parametrize("forbidden", ["policy", "dates"])
def test_what_is_forbidden_since_is_collected_and_not_sent_again(forbidden: str, pending_night: Any, cli: Callable[..., Any]) -> None:
    folder = pending_night.job.parent
    if forbidden == "policy":
        policy = DEFAULT_POLICY.read_text()
        inside, changed = re.subn(r"lanes: \[(?:local, cloud|cloud, local)\](?:\n +cloud_requires: .*)?", "lanes: [local]", policy)
        assert changed == 2
        (folder / "policy.yaml").write_text(inside)
        pending_night.job.write_text(pending_night.job.read_text() + "policy: policy.yaml\n")
    else:
        registry = (folder / "registry.yaml").read_text()
        (folder / "registry.yaml").write_text(registry.replace("review_by: 2099-12-31", "review_by: 2026-01-01"))
        assert "review" in cli("run", pending_night.job, "--out", pending_night.out, code=2).err
    said = cli("collect", pending_night.job, "--out", pending_night.out, "--json")
    (report,) = map(json.loads, said.out.splitlines())
    assert (report["documents"], report["results"], report["held"], report["pending"]) == (8, 7, 1, 0)
    (received,) = pending_night.out.rglob("emulator/**/received")
    assert sum(path.read_bytes().count(CANARY.encode()) for path in received.glob("*.bin")) == 3


def test_where_there_is_no_ledger_a_person_is_told_and_the_schedule_is_not(night: Any, cli: Callable[..., Any]) -> None:
    said = cli("jobs", "--job", night.job, "--out", night.out, code=1).err
    assert f"{night.ledger}: no ledger here" in said
    assert cli("collect", night.job, "--out", night.out, code=1).err == said
    assert cli("audit", "reconcile", "--job", night.job, "--out", night.out, code=1).err == said
    assert collect.fn(str(night.job), str(night.out)) is None
    assert sorted(path.name for path in night.job.parent.iterdir()) == ["inbox", "small.yaml"]


def test_collecting_after_a_first_night_that_was_killed_before_its_first_entry(night: Any, cli: Callable[..., Any]) -> None:
    (night.out / "ledger" / "segments").mkdir(parents=True)
    assert cli("collect", night.job, "--out", night.out).err == nothing_out(night)
    assert collect.fn(str(night.job), str(night.out)) is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("emulator_delay_s: soon", "settings.emulator_delay_s: expected seconds, found 'soon'"),
        ("emulator_faults: nowhere.json", "settings.emulator_faults: expected a file, found none at"),
    ],
    ids=["delay", "faults"],
)
def test_wrong_settings_of_the_emulator(settings: str, expected: str, make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra="registry: registry.yaml\n")
    write_registry(night, settings)
    assert expected in cli("run", night.job, "--out", night.out, code=2).err


def test_a_fault_plan_reaches_the_emulator(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra="registry: registry.yaml\n")
    write_registry(night, "emulator_faults: plan.json")
    (night.job.parent / "plan.json").write_text(json.dumps([{"at": "lifecycle.in_progress", "fault": "expire", "rows": 1, "times": 1}]))
    said = cli("run", night.job, "--out", night.out, "--json")
    report = json.loads(said.out.splitlines()[-1])
    assert (report["results"], report["held"], report["pending"]) == (7, 1, 0), "what an expired batch left undone goes the way again"
    (batches,) = night.out.rglob("emulator/**/batches")
    assert "expired" in {json.loads(path.read_text())["object"]["status"] for path in batches.glob("*.json")}
