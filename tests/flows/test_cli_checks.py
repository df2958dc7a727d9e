"""`waybill policy check|test`, `detectors list`, `doctor`: what is sound, what is not, and what to do about it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY


def test_the_bundled_policy_is_sound_and_passes_its_cases(cli: Callable[..., Any]) -> None:
    assert "0 errors" in cli("policy", "check").out
    last = cli("policy", "test").out.splitlines()[-1]
    assert last.startswith("default.cases.yaml: ")
    assert last.endswith(" 0 failed")


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the bundled policy with one thing replaced, its cases beside it."""

    def write(old: str = "", new: str = "") -> Path:
        text = DEFAULT_POLICY.read_text()
        assert text.count(old or "version: ") >= 1
        path = tmp_path / "mine.yaml"
        path.write_text(text.replace(old, new, 1) if old else text)
        shutil.copy(DEFAULT_POLICY.with_name("default.cases.yaml"), tmp_path / "mine.cases.yaml")
        return path

    return write


def test_an_expired_fact_is_refused(policy: Callable[..., Path], tmp_path: Path, cli: Callable[..., Any]) -> None:
    registry = tmp_path / "endpoints.yaml"
    registry.write_text(DEFAULT_REGISTRY.read_text().replace("review_by: 2099-12-31", "review_by: 2001-01-01"))
    said = cli("policy", "check", policy(), "--registry", registry, code=1)
    assert any(line.startswith("error: ") and "emulator" in line for line in said.out.splitlines())


def test_an_unreachable_route_is_refused(policy: Callable[..., Path], cli: Callable[..., Any]) -> None:
    twice = policy("default: held", "  - {when: [CLEAN], lanes: [local]}\ndefault: held")
    said = cli("policy", "check", twice, code=1)
    assert "routes[3]: is never reached" in said.out


def test_a_case_that_comes_out_otherwise_is_named(policy: Callable[..., Path], tmp_path: Path, cli: Callable[..., Any]) -> None:
    cases = tmp_path / "two.yaml"
    cases.write_text(
        "cases:\n"
        "  - {name: nothing found, evidence: {}, expect: {classes: [CLEAN], lanes: [cloud, local]}}\n"
        "  - {name: a key, evidence: {entities: {CREDENTIAL: 1.0}}, expect: {classes: [CREDENTIALS], lanes: [cloud]}}\n"
    )
    said = cli("policy", "test", policy(), "--cases", cases, code=1)
    assert said.out.splitlines() == [
        f"{cases}:3: a key: expected CREDENTIALS → cloud, found CREDENTIALS → local",
        "two.yaml: 1 passed, 1 failed",
    ]


def test_detectors_are_listed_cheapest_first(cli: Callable[..., Any]) -> None:
    rows = [json.loads(line) for line in cli("detectors", "list", "--json").out.splitlines()]
    assert all(set(row) == {"name", "version", "cost", "provides"} and row["provides"] for row in rows)
    assert [row["cost"] for row in rows] == sorted(row["cost"] for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    plain = cli("detectors", "list").out.splitlines()
    assert [line.split()[0] for line in plain[:-1]] == [row["name"] for row in rows]
    assert plain[-1].startswith(f"{len(rows)} detectors, ")


def findings(said: Any) -> list[tuple[str, str, str]]:
    return [(line[:4].strip(), line[6:25].strip(), line[25:]) for line in said.out.splitlines()]


def test_doctor_on_this_machine(cli: Callable[..., Any]) -> None:
    found = findings(cli("doctor"))
    assert {health for health, _, _ in found} <= {"ok", "warn"}
    assert {"python", "prefect", "duckdb", "detectors", "policy"} <= {what for _, what, _ in found}


def test_doctor_on_a_good_job(finished_night: Any, cli: Callable[..., Any]) -> None:
    found = findings(cli("doctor", "--job", finished_night.job))
    assert ("ok", "cloud lane", "emulator: the bundled emulator, nothing leaves this machine and nothing is asked of a real model") in found
    assert {"job", "output", "ledger", "spool", "local lane", "nights"} <= {what for health, what, _ in found if health == "ok"}


@pytest.mark.parametrize(
    ("extra", "what", "expected"),
    [
        ("lanes: {cloud: openai-batch}\n", "cloud lane", "needs its key in the environment variable OPENAI_API_KEY"),
        ("lanes: {cloud: nowhere}\n", "lanes", "no endpoint 'nowhere'"),
        ("lanes: {local: vllm}\n", "local lane", "engine.python"),
        ("lanes: {cloud: bedrock-batch}\n", "cloud lane", "needs its key in the environment variable WAYBILL_AWS_PROFILE"),
        ("task: {kind: extract}\n", "job", "task"),
        ("policy: other.yaml\n", "job", "expected a path that exists"),
    ],
    ids=["key not set", "unknown endpoint", "no interpreter", "AWS key not set", "no schema", "no policy"],
)
def test_doctor_finds_what_would_stop_a_night(
    *, extra: str, what: str, expected: str, make_night: Callable[..., Any], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "WAYBILL_AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    night = make_night(extra=extra)
    bad = [finding for finding in findings(cli("doctor", "--job", night.job, code=1)) if finding[0] == "FAIL"]
    assert [name for _, name, _ in bad] == [what]
    assert expected in bad[0][2]
    assert sorted(path.name for path in night.job.parent.iterdir()) == ["inbox", "small.yaml"]


def test_doctor_finds_a_place_that_cannot_be_written(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night()
    (night.job.parent / "unused-ledger").write_text("in the way")
    bad = [finding for finding in findings(cli("doctor", "--job", night.job, code=1)) if finding[0] == "FAIL"]
    assert [(name, "unused-ledger" in detail) for _, name, detail in bad] == [("ledger", True)]


def test_doctor_warns_of_an_emulator_on_a_schedule(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    refused = make_night(extra='schedule: "0 2 * * *"\n')
    assert any(
        health == "FAIL" and "unsafe_emulator" in detail for health, _, detail in findings(cli("doctor", "--job", refused.job, code=1))
    )
    allowed = make_night(extra='schedule: "0 2 * * *"\nunsafe_emulator: true\n')
    assert ("warn", "cloud lane") in {(health, what) for health, what, _ in findings(cli("doctor", "--job", allowed.job))}


def test_an_endpoint_that_the_job_does_not_use_stops_nothing(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra="registry: registry.yaml\n")
    registry, text = night.job.parent / "registry.yaml", DEFAULT_REGISTRY.read_text()
    begin = text.index("  openai-batch:")
    registry.write_text(text[:begin] + re.sub(r"review_by: \S+", "review_by: 2001-01-01", text[begin:], count=1))
    found = findings(cli("doctor", "--job", night.job))
    assert [health for health, _, detail in found if "openai-batch" in detail and "reviewed by 2001-01-01" in detail] == ["warn"]
