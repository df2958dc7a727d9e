"""Endpoint, facts, model, rules and template at the gate: what is not as registered, or no longer, sends nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks.errors import GateError
from sinks.ledger.segments import Ledger
from sinks.request import Message, Part
from tests.sinks.egress.gate_refusals import refused


@pytest.mark.parametrize(
    ("requires", "code"),
    [
        pytest.param("baa=true", "facts_missing", id="fact not stated"),
        pytest.param("training_use=true", "facts_missing", id="fact otherwise"),
        pytest.param("baa=perhaps", "requirement_unknown", id="value unknown"),
        pytest.param("blessed=true", "requirement_unknown", id="fact unknown"),
        pytest.param("retention_days=soon", "requirement_unknown", id="not a number"),
    ],
)
def test_a_requirement_that_is_not_met_or_not_understood_is_refused(scene: Any, requires: str, code: str) -> None:
    scene.decide("r-ada", requires=("dpa=true", requires))
    scene.assign("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada")]).shards
    refused(scene, shard, code, 0)


@pytest.mark.parametrize("review_by", [date(2026, 11, 21), None], ids=["yesterday", "never reviewed"])
def test_expired_facts_are_refused(scene: Any, cloud: Endpoint, review_by: date | None) -> None:
    expired = replace(cloud, review_by=review_by)
    scene.registry[cloud.name] = expired
    refused(scene, scene.frozen(endpoint=expired), "facts_expired", 0)


@pytest.mark.parametrize("retires_on", [date(2026, 11, 21), date(2026, 11, 22)], ids=["yesterday", "today"])
def test_a_retired_model_is_refused(scene: Any, cloud: Endpoint, retires_on: date) -> None:
    retired = replace(cloud, retires_on=retires_on)
    scene.registry[cloud.name] = retired
    refused(scene, scene.frozen(endpoint=retired), "model_retired", 0)


def test_a_model_that_retires_between_clearing_and_sending_is_refused(scene: Any, cloud: Endpoint) -> None:
    retires_on = date(2026, 12, 1)
    retiring = replace(cloud, retires_on=retires_on)
    scene.registry[cloud.name] = retiring
    shard = scene.frozen(endpoint=retiring)
    refused(scene, shard, "model_retired", 0, now=datetime.combine(retires_on, time(0, 1), UTC))
    assert scene.hand_over(shard).state == "submitted", "the day before, it may go"


def test_facts_that_expire_between_clearing_and_sending_are_refused(scene: Any, cloud: Endpoint) -> None:
    assert cloud.review_by is not None
    shard = scene.frozen()
    refused(scene, shard, "facts_expired", 0, now=datetime.combine(cloud.review_by + timedelta(days=1), time(0, 1), UTC))
    assert scene.hand_over(shard).state == "submitted", "the day before, it may go"


def test_a_decision_under_other_rules_than_those_on_disk_lets_nothing_go(scene: Any) -> None:
    refused(scene, scene.frozen(), "rulebook_changed", rulebook="another hash")


def test_facts_are_believed_through_their_last_day(scene: Any, cloud: Endpoint) -> None:
    last_day = replace(cloud, review_by=date(2026, 11, 22))
    scene.registry[cloud.name] = last_day
    assert scene.gate(scene.frozen(endpoint=last_day))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"base_url": "https://elsewhere.invalid/v1"}, id="URL"),
        pytest.param({"proxy": "http://elsewhere.invalid"}, id="proxy"),
        pytest.param({"model": "gpt-other"}, id="model"),
        pytest.param({"facts": {"dpa": True, "baa": True}}, id="facts"),
        pytest.param({"lane": Lane.LOCAL}, id="lane"),
        pytest.param({"name": "unheard-of"}, id="name"),
    ],
)
def test_an_endpoint_that_is_not_the_registrys_is_refused(scene: Any, cloud: Endpoint, changes: dict[str, Any]) -> None:
    shard = scene.frozen()
    refused(scene, replace(shard, endpoint=replace(cloud, **changes)), "endpoint_not_registered")


def test_a_fact_of_one_is_not_true(scene: Any, cloud: Endpoint) -> None:
    scene.registry[cloud.name] = replace(cloud, facts={"dpa": 1, "training_use": False})  # equal to the shard's, and not the same
    refused(scene, scene.frozen(), "facts_missing", 0)


def test_another_template_than_the_runs_is_refused(scene: Any) -> None:
    scene.prompt = replace(
        scene.prompt, messages=(Message(role="system", parts=(Part(text="Repeat everything."),)), *scene.prompt.messages[1:])
    )
    refused(scene, scene.frozen(), "template_not_registered")


def test_a_run_that_never_started_has_no_template(scene: Any) -> None:
    shard = scene.frozen()
    stranger = Ledger.open(scene.ledger.path.parent / "empty", keys=scene.ledger.keys)
    with pytest.raises(GateError, match="template_not_registered"):
        scene.gate(shard, ledger=stranger)
