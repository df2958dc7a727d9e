"""Faults of the line, of creates, listings, looks, cancels and courses, at all three providers; plans; and faults by chance."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sinks.emulator.catalogue import OPERATIONS, kinds_at
from sinks.emulator.chance import Draws
from sinks.emulator.clock import Clock, advance
from sinks.emulator.faults import Chance, Fault, FaultPlan, read_plan
from sinks.emulator.receipts import tally
from sinks.errors import EmulatorError

CREATE = {"openai": "openai.batches.create", "anthropic": "anthropic.batches.create", "bedrock": "bedrock.jobs.create"}
LIST = {"openai": "openai.batches.list", "anthropic": "anthropic.batches.list", "bedrock": "bedrock.jobs.list"}
GET = {"openai": "openai.batches.retrieve", "anthropic": "anthropic.batches.retrieve", "bedrock": "bedrock.jobs.get"}
CANCEL = {"openai": "openai.batches.cancel", "anthropic": "anthropic.batches.cancel", "bedrock": "bedrock.jobs.stop"}
WORKING = {"openai": "in_progress", "anthropic": "in_progress", "bedrock": "InProgress"}


def expect_lost(call: Callable[[], Any]) -> None:
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        call()


def test_faults_of_the_line(driver: Any) -> None:
    at = LIST[driver.name]
    job_id = driver.create()
    driver.finish(job_id)
    plain = driver.listing().json()
    kinds: list[dict[str, Any]] = [
        {"fault": "drop_before"},
        {"fault": "drop_middle"},
        {"fault": "status", "status": 429, "retry_after_s": 3},
        {"fault": "status", "status": 503},
        {"fault": "credentials"},
        {"fault": "html"},
        {"fault": "extra_fields"},
        {"fault": "slow", "seconds": 0.05},
        {"fault": "slow_body", "seconds": 0.05},
    ]
    driver.emulated.plan(*({"at": at, "call": call, **kind} for call, kind in enumerate(kinds, start=1)))
    expect_lost(driver.listing)
    expect_lost(driver.listing)
    throttled, broken, expired, html, extra, slow, slow_body = (driver.listing() for _ in range(7))
    assert (throttled.status_code, throttled.headers["retry-after"], broken.status_code) == (429, "3", 503)
    assert "retry-after" not in broken.headers
    assert "error" in broken.json() or "message" in broken.json()
    assert expired.status_code == (403 if driver.name == "bedrock" else 401)
    assert (html.status_code, html.text[:6]) == (200, "<html>")
    assert "x_new_in_2031" in extra.json()
    assert all("x_new_in_2031" in item for item in driver.items(extra.json()))
    assert slow.json() == slow_body.json() == driver.listing().json() == plain


def test_faults_of_creates(driver: Any) -> None:
    at = CREATE[driver.name]
    kinds: list[tuple[dict[str, Any], int]] = [
        ({"fault": "drop_before"}, 0),
        ({"fault": "drop_after"}, 1),
        ({"fault": "drop_middle"}, 1),
        ({"fault": "status", "status": 500, "after_commit": True}, 1),
        ({"fault": "status", "status": 413}, 0),
        ({"fault": "status", "status": 408, "after_commit": True}, 1),
        ({"fault": "html", "after_commit": True}, 1),
        ({"fault": "quota"}, 0),
        ({"fault": "duplicate"}, 2),
    ]
    driver.create()
    driver.emulated.plan(*({"at": at, "call": call, **kind} for call, (kind, _) in enumerate(kinds, start=1)))
    before = tally(driver.emulated.state)[driver.name]
    made = []
    for _ in kinds:
        count = len(driver.ids("?limit=100"))
        with contextlib.suppress(httpx2.HTTPError, ValueError):
            driver.create(1)
        made.append(len(driver.ids("?limit=100")) - count)
    assert made == [count for _, count in kinds]
    after = tally(driver.emulated.state)[driver.name]
    assert (after.creates - before.creates, after.twins - before.twins) == (sum(made) - 1, 1)
    assert driver.emulated.admin("receipts")[driver.name]["twins"] == after.twins


def test_faults_of_listings(driver: Any) -> None:
    at = LIST[driver.name]
    limit = "maxResults" if driver.name == "bedrock" else "limit"
    cursor = {"openai": "after", "anthropic": "after_id", "bedrock": "nextToken"}[driver.name]
    made = [driver.create(1) for _ in range(3)]
    for job_id in made:
        driver.finish(job_id)
    driver.emulated.plan(
        {"at": at, "fault": "lag"},
        {"at": at, "fault": "state", "call": 2},
        {"at": at, "fault": "skew", "call": 3, "seconds": -7200},
        {"at": at, "fault": "repeat_page", "call": 5},
        {"at": at, "fault": "skip_page", "call": 6},
    )
    assert not set(driver.ids()) & set(made)
    assert {driver.state(item) for item in driver.items(driver.listing().json())} == {"recalibrating"}
    skewed, true = (driver.items(driver.listing().json())[0] for _ in range(2))
    field = "submitTime" if driver.name == "bedrock" else "created_at"
    assert skewed[field] < true[field]
    first = f"?{limit}=1"
    name = true.get("id") or true["jobArn"]
    assert driver.ids(f"{first}&{cursor}={name}") == [made[2]], "the first page again"
    assert driver.ids(f"{first}&{cursor}={name}") == [made[0]], "the second page is left out"
    assert driver.ids(f"{first}&{cursor}={name}") == [made[1]]


def test_faults_of_looks_and_cancels(driver: Any) -> None:
    get, cancel = GET[driver.name], CANCEL[driver.name]
    driver.emulated.plan({"at": f"{driver.name}.lifecycle.{WORKING[driver.name]}", "fault": "stuck", "times": 3})
    ignored, raced, gone = (driver.create(2) for _ in range(3))
    driver.until_working(gone, WORKING[driver.name])
    driver.emulated.plan(
        {"at": get, "fault": "gone"},
        {"at": get, "fault": "state", "state": "backwards", "call": 2},
        {"at": get, "fault": "state", "state": "Paused", "call": 3},
        {"at": cancel, "fault": "ignored"},
        {"at": cancel, "fault": "race", "call": 2},
    )
    assert driver.get(gone).status_code == 404
    before = {"openai": "validating", "anthropic": "in_progress", "bedrock": "Scheduled"}[driver.name]
    assert driver.state(driver.get(gone).json()) == before
    assert driver.state(driver.get(gone).json()) == "Paused"
    assert driver.cancel(ignored).status_code == 200
    assert driver.state(driver.get(ignored).json()) == WORKING[driver.name]
    assert driver.cancel(raced).status_code == 200
    done = driver.finish(raced)
    assert driver.counts(done) == 2, "it completed all the same"
    for job_id in (ignored, gone):
        assert driver.cancel(job_id).status_code == 200
        assert driver.counts(driver.finish(job_id)) == 0
    assert driver.cancel(raced).status_code in {400, 409}


def test_faults_of_courses(driver: Any) -> None:
    working = f"{driver.name}.lifecycle.{WORKING[driver.name]}"
    for call, rows in enumerate((0, 2, 4), start=1):
        driver.emulated.plan({"at": working, "fault": "expire", "rows": rows, "call": call})
    driver.emulated.plan({"at": working, "fault": "stuck", "call": 4, "seconds": 1800}, {"at": working, "fault": "stuck", "call": 5})
    none, some, every, delayed, stuck = (driver.create(4) for _ in range(5))
    shown = [driver.finish(job_id) for job_id in (none, some, every)]
    assert [driver.counts(one) for one in shown] == [0, 2, 4]
    states = {"openai": ["expired"] * 3, "anthropic": ["ended"] * 3, "bedrock": ["Expired", "PartiallyCompleted", "PartiallyCompleted"]}
    assert [driver.state(one) for one in shown] == states[driver.name]
    driver.until_working(stuck, WORKING[driver.name])
    driver.emulated.advance(3600)
    assert driver.counts(driver.finish(delayed)) == 4
    assert driver.state(driver.get(stuck).json()) == WORKING[driver.name]
    driver.emulated.advance(24 * 3600)
    assert driver.counts(driver.finish(stuck)) == 0, "it expired"


def test_a_cancel_can_take_its_time_or_for_ever(driver: Any) -> None:
    stopping = {"openai": "cancelling", "anthropic": "canceling", "bedrock": "Stopping"}[driver.name]
    driver.emulated.plan({"at": f"{driver.name}.lifecycle.{WORKING[driver.name]}", "fault": "stuck", "times": 2})
    driver.emulated.plan({"at": f"{driver.name}.lifecycle.{stopping}", "fault": "stuck", "seconds": 600})
    driver.emulated.plan({"at": f"{driver.name}.lifecycle.{stopping}", "fault": "stuck", "call": 2})
    slow, never = driver.create(1), driver.create(1)
    for job_id in (slow, never):
        driver.until_working(job_id, WORKING[driver.name])
    for job_id in (slow, never, slow, never):
        assert driver.cancel(job_id).status_code == 200
    assert [driver.state(driver.get(job_id).json()) for job_id in (slow, never)] == [stopping, stopping]
    driver.emulated.advance(601)
    driver.finish(slow)
    assert driver.state(driver.get(never).json()) == stopping
    driver.emulated.advance(24 * 3600)
    driver.finish(never)


def test_validation_can_fail_and_output_can_show_up_early(drivers: dict[str, Any]) -> None:
    openai, bedrock = drivers["openai"], drivers["bedrock"]
    openai.emulated.plan(
        {"at": "lifecycle.validating", "fault": "quota"},
        {"at": "lifecycle.finalizing", "fault": "fail"},
        {"at": "bedrock.lifecycle.Validating", "fault": "quota"},
        {"at": "bedrock.lifecycle.InProgress", "fault": "early_output", "seconds": 1800},
    )
    refused, broken = (openai.finish(openai.create()) for _ in range(2))
    assert [one["errors"]["data"][0]["code"] for one in (refused, broken)] == ["token_limit_exceeded", "server_error"]
    failed = bedrock.finish(bedrock.create())
    assert (failed["status"], "quota" in failed["message"]) == ("Failed", True)
    early = bedrock.create()
    bedrock.until_working(early, "InProgress")
    assert len(bedrock.contents(early)["output"].splitlines()) == 1
    bedrock.emulated.advance(3600)
    assert bedrock.finish(early)["status"] == "Completed"
    assert len(bedrock.contents(early)["output"].splitlines()) == 4


def test_a_skewed_clock_at_a_create_stays_skewed(driver: Any) -> None:
    driver.emulated.plan({"at": CREATE[driver.name], "fault": "skew", "seconds": -86_400 * 2})
    old, new = driver.create(1), driver.create(1)
    field = "submitTime" if driver.name == "bedrock" else "created_at"
    assert driver.get(old).json()[field] < driver.get(new).json()[field]


def test_retention_can_end_in_the_middle_of_a_download(drivers: dict[str, Any]) -> None:
    for name, at in (("openai", "files.content"), ("anthropic", "anthropic.batches.results")):
        driver = drivers[name]
        job_id = driver.create()
        shown = driver.finish(job_id)
        driver.emulated.plan({"at": at, "fault": "retention"})
        path = shown["results_url"] if name == "anthropic" else f"/files/{shown['output_file_id']}/content"
        expect_lost(lambda: driver.http.get(path))  # noqa: B023 - called at once
        assert driver.http.get(path).status_code == 404


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        pytest.param([{"at": "batches.create", "fault": "explode"}], "unknown fault 'explode'; expected one of drop_before", id="fault"),
        pytest.param([{"at": "batches.destroy", "fault": "html"}], "unknown operation 'batches.destroy'", id="operation"),
        pytest.param([{"at": "batches.create", "fault": "torn_line"}], "'torn_line' does nothing at openai.batches.create", id="not there"),
        pytest.param([{"at": "batches.create", "fault": "html", "wen": 1}], "with the fields at, fault", id="field"),
        pytest.param([{"at": "batches.create"}], "wrong: faults.0.fault", id="no fault"),
        pytest.param({"fault": []}, "expected a JSON list of faults", id="key"),
        pytest.param({"random": {"rate": 0.5}}, "wrong: random.seed", id="no seed"),
    ],
)
def test_a_plan_that_is_none_is_one_clear_error(tmp_path: Path, plan: object, words: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    with pytest.raises(EmulatorError) as refused:
        read_plan(path)
    assert words in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")


def test_plans_that_are_added_count_from_now() -> None:
    plan = FaultPlan()
    assert plan.due("batches.create") is None
    plan.add((Fault(at="batches.create", fault="html", call=2),))
    assert [fault and fault.fault for fault in (plan.due("batches.create"), plan.due("openai.batches.create"))] == [None, "html"]


def drawn(folder: Path, chance: Chance, calls: int) -> list[str | None]:
    plan = FaultPlan(log=folder / "injected.jsonl")
    plan.draw_from(Draws.of(chance, folder).draw)
    return [fault and fault.fault for _ in range(calls) for at in OPERATIONS if (fault := plan.due(at)) or True]


def test_chance_is_repeatable_bounded_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    chance = Chance(seed=7, rate=0.3, most=40, most_each=1)
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    whole = drawn(tmp_path / "one", chance, 20)
    assert whole == drawn(tmp_path / "two", chance, 10) + drawn(tmp_path / "two", chance, 10)
    assert whole != drawn(tmp_path / "three", Chance(seed=8, rate=0.3, most=40, most_each=1), 20)
    noted = [json.loads(line) for line in (tmp_path / "one" / "injected.jsonl").read_text().splitlines()]
    assert len(noted) == len([kind for kind in whole if kind]) == 40
    assert len({(entry["at"], entry["fault"]) for entry in noted}) == 40
    assert all(entry["fault"] in kinds_at(entry["at"]) and entry["drawn"] for entry in noted)
    definite = [entry for entry in noted if entry["fault"] == "status" and entry["status"] == 413]
    assert not any(entry["after_commit"] for entry in definite), "a definite refusal is never a lie"


def test_chance_can_be_narrowed(tmp_path: Path) -> None:
    chance = Chance(seed=1, rate=1, most=1000, most_each=1000, at=("anthropic.*",), kinds=("drop_*", "status"), never=("drop_middle",))
    found = drawn(tmp_path, chance, 20)
    assert set(found) == {None, "drop_before", "drop_after", "status"}
    noted = [json.loads(line) for line in (tmp_path / "injected.jsonl").read_text().splitlines()]
    assert {entry["at"].partition(".")[0] for entry in noted} == {"anthropic"}


@pytest.mark.parametrize(
    "chance", [Chance(seed=1, kinds=("explode",)), Chance(seed=1, at=("azure.*",)), Chance(seed=1, rate=2)], ids=["kind", "at", "rate"]
)
def test_chance_of_what_there_is_not(tmp_path: Path, chance: Chance) -> None:
    with pytest.raises(EmulatorError, match=r"^random\."):
        Draws.of(chance, tmp_path)


def test_the_clock_is_moved_by_its_file_and_never_goes_back(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    start = clock.now()
    advance(tmp_path, 3600)
    assert 3600 <= clock.now() - start < 3660
    assert clock.advance(3600) - start >= 7200
    assert Clock(tmp_path).now() - start >= 7200
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(EmulatorError, match="expected seconds"):
            advance(tmp_path, wrong)
    (tmp_path / "clock.json").write_text("{}")
    with pytest.raises(EmulatorError, match="remove the file"):
        clock.now()


def test_the_own_door_says_what_it_wants(drivers: dict[str, Any]) -> None:
    http, root = drivers["openai"].http, drivers["openai"].emulated.running.root
    posts = {"clock": {"advance_s": -1}, "faults": [{"at": "x"}], "clocks": {}}
    assert [http.post(f"{root}/_emulator/{name}", json=asked).status_code for name, asked in posts.items()] == [400, 400, 404]
    assert "unknown fault" in http.post(f"{root}/_emulator/faults", json=[{"at": "batches.list", "fault": "x"}]).json()["error"]
