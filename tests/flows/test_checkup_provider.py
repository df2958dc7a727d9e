"""`waybill doctor --lane cloud` asks the provider for its list, as a recovery would, and sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import checkup_cloud
from flows.checkup import Health
from flows.checkup_cloud import CLOCK, FACTS, PRICE, PROVIDER, examine_account, examine_cloud
from flows.job import load_job
from flows.lanes import build_lane
from policies.load import DEFAULT_REGISTRY
from policies.registry import load_registry
from sinks.emulator.process import start_emulator
from sinks.emulator.receipts import received

CLOUD = "registry: endpoints.yaml\nlanes: {cloud: anthropic-batch}\n"


@pytest.fixture
def night(make_night: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    made = make_night(extra=CLOUD)
    registry = DEFAULT_REGISTRY.read_text(encoding="utf-8").replace("https://api.anthropic.com", "https://127.0.0.1:1")
    (made.job.parent / "endpoints.yaml").write_text(registry, encoding="utf-8")
    return made


def test_a_provider_that_cannot_be_reached_is_said(night: Any) -> None:
    *others, last = examine_cloud(night.job)
    assert not any(check.health is Health.BAD for check in others)
    assert {FACTS, PRICE, "secret"} <= {check.what for check in others}
    assert (last.health, last.what) == (Health.BAD, PROVIDER)
    assert "no usable answer to 'batches'" in last.detail
    assert "sk-secret" not in last.detail


def test_without_a_key_nobody_is_asked(night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    checks = list(examine_cloud(night.job))
    assert PROVIDER not in {check.what for check in checks}
    assert [check.what for check in checks if check.health is Health.BAD] == ["cloud lane"]


def ask(lane: Any, endpoint: Any) -> dict[str, Health]:
    return {check.what: check.health for check in checkup_cloud._ask(endpoint, lane)}


def test_one_page_of_the_list_is_asked_for_and_the_clocks_compared(tmp_path: Path) -> None:
    bundled = load_registry(DEFAULT_REGISTRY)["emulator"]
    with start_emulator(tmp_path / "provider") as emulator:
        for engine in ("openai_batch", "anthropic_batch"):
            endpoint = replace(bundled, engine=engine, base_url=emulator.url_of(engine))
            job = SimpleNamespace(spool=tmp_path / "spool", file=tmp_path / "job.yaml")
            with ExitStack() as stack:
                lane: Any = build_lane(endpoint, job, {"inference": 0.0}, stack, salt="")  # type: ignore[arg-type]  # all it asks of a job
                assert ask(lane, endpoint) == {PROVIDER: Health.GOOD, CLOCK: Health.GOOD}
        assert [request["method"] for request, _ in received(emulator.state)] == ["GET", "GET"], "nothing is made"


@pytest.mark.parametrize(
    ("ahead", "health"),
    [(None, Health.DOUBTFUL), (timedelta(seconds=-40), Health.DOUBTFUL), (timedelta(minutes=6), Health.BAD), (timedelta(0), Health.GOOD)],
    ids=["not said", "a little", "much", "none"],
)
def test_a_clock_that_is_wrong(ahead: timedelta | None, health: Health) -> None:
    endpoint = load_registry(DEFAULT_REGISTRY)["openai-batch"]
    assert ask(SimpleNamespace(listed=lambda _: iter(()), clock_ahead=lambda: ahead), endpoint)[CLOCK] is health


def test_facts_past_their_review_and_a_model_without_a_price(night: Any) -> None:
    registry = night.job.parent / "endpoints.yaml"
    changed = (
        registry.read_text().replace("review_by: 2027-05-31", "review_by: 2026-01-31").replace("claude-haiku-4-5", "claude-invented-9")
    )
    registry.write_text(changed)
    bad = {check.what: check.detail for check in examine_account(load_job(night.job)) if check.health is Health.BAD}
    assert set(bad) == {FACTS, PRICE, PROVIDER}
    assert "past their review (2026-01-31)" in bad[FACTS]
    assert "no batch price for claude-invented-9" in bad[PRICE]


@pytest.mark.parametrize("cloud", ["emulator", "null"])
def test_where_there_is_no_provider_nobody_is_asked(make_night: Callable[..., Any], cloud: str) -> None:
    night = make_night(extra=f"lanes: {{cloud: {cloud}}}\n")
    assert list(examine_account(load_job(night.job))) == []
