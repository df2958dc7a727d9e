"""What the account at AWS says against the registry, and that nothing is sent while it does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.clients.bedrock_client import AccountState
from sinks.handover import HandOverState
from sinks.lanes.bedrock_account import contradictions
from sinks.lanes.bedrock_batch import BedrockBatchLane
from tests.sinks.bedrock_control import ACCOUNT
from tests.sinks.egress.bedrock_lane.bedrock_stage import RECORDS, Bare, Cloud

LOGS = {"cloudWatchConfig": {"logGroupName": "g", "roleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}}
SHARED = AccountState(logs_text=False, retention="provider_data_share")


@pytest.mark.parametrize(
    ("facts", "state", "codes"),
    [
        ({"zero_data_retention": True, "human_review": False}, AccountState(logs_text=False, retention="none"), ()),
        ({"zero_data_retention": True}, AccountState(logs_text=False, retention="inherit"), ("data_retention",)),
        ({"zero_data_retention": False}, AccountState(logs_text=False, retention="inherit"), ()),
        ({"human_review": False}, AccountState(logs_text=False, retention="default"), ()),
        ({"human_review": False}, AccountState(logs_text=False, retention="aws_review"), ("data_retention",)),
        ({"training_use": False}, SHARED, ("data_retention",)),
        ({"training_use": False}, AccountState(logs_text=False, retention="a_mode_of_tomorrow"), ("data_retention",)),
        ({"dpa": True}, SHARED, ()),
        ({"retention_days": 0}, AccountState(logs_text=False, retention="none"), ()),
        ({"retention_days": 0}, AccountState(logs_text=False, retention="default"), ("data_retention",)),
        ({"retention_days": 30}, AccountState(logs_text=False, retention="inherit"), ()),
        ({"retention_days": 30}, AccountState(logs_text=False, retention="aws_review"), ("data_retention",)),
        ({"retention_days": 30}, SHARED, ("data_retention",)),
        ({}, AccountState(logs_text=True, retention="none"), ("invocation_logging",)),
        ({}, AccountState(logs_text=None, retention="none"), ("account_unreadable",)),
        ({"zero_data_retention": True}, AccountState(logs_text=False, retention="unreadable"), ("account_unreadable",)),
    ],
)
def test_the_account_may_contradict_the_registry(
    cloud: Endpoint, facts: dict[str, Any], state: AccountState, codes: tuple[str, ...]
) -> None:
    endpoint = replace(cloud, model="anthropic.claude-3-5-haiku-20241022-v1:0", facts=facts)
    assert tuple(one.code for one in contradictions(endpoint, state)) == codes


@pytest.mark.parametrize(
    ("model", "crosses"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc", True),
        ("meta.llama3-1-8b-instruct-v1:0", False),
        ("amazon.nova-lite-v1:0", False),
        ("arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0", False),
    ],
)
def test_an_inference_profile_may_leave_the_region(cloud: Endpoint, model: str, *, crosses: bool) -> None:
    found = contradictions(replace(cloud, model=model), AccountState(logs_text=False, retention="none"))
    assert [one.code for one in found] == (["cross_region"] if crosses else [])


def test_nothing_is_sent_while_the_account_logs_text(cloud_lane: Cloud) -> None:
    cloud_lane.control.logging = LOGS
    outcome = cloud_lane.scene.hand_over(cloud_lane.frozen())
    assert (outcome.state, outcome.code) == (HandOverState.REJECTED, "invocation_logging")
    assert (cloud_lane.keys(), cloud_lane.control.count("create")) == ([], 0)
    assert cloud_lane.states() == dict.fromkeys(RECORDS, "rejected")


def test_what_the_account_contradicts_can_be_accepted_by_its_code(bare: Bare) -> None:
    bare.control.logging = LOGS
    settings = {**bare.endpoint.settings, "unsafe_accept": "invocation_logging"}
    lane = BedrockBatchLane(bare.jobs, bare.store, replace(bare.endpoint, settings=settings), bare.lane._spool)
    assert [one.code for one in lane.account_facts()] == ["invocation_logging"]
    assert lane.hand_over(bare.issued())


def test_an_emulator_has_no_account(bare: Bare) -> None:
    lane = BedrockBatchLane(bare.jobs, bare.store, replace(bare.endpoint, provider="emulator"), bare.lane._spool)
    assert lane.account_facts() == ()
    assert bare.control.asked == []


def test_the_account_is_asked_once_for_many_hand_overs(bare: Bare) -> None:
    for _ in range(3):
        bare.lane.hand_over(bare.issued())
    assert (bare.control.count("logs"), bare.control.count("retains"), bare.control.count("create")) == (1, 1, 3)
