"""What the second look asks, what an answer is, and the jobs and endpoints that cannot have one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.errors import JobError
from flows.job import load_job
from flows.lanes import look_endpoint
from flows.look_question import answer_schema, check_look, question
from flows.look_run import classes_in
from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY, load_policy
from policies.policy import Policy
from policies.registry import load_registry
from sinks.answers import checker

DEFAULT = load_policy(DEFAULT_POLICY)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (replace(DEFAULT, classes={name: DEFAULT.classes[name] for name in ("UNSCANNABLE", "CLEAN")}), "no class"),
        (replace(DEFAULT, classes={name: DEFAULT.classes[name] for name in ("CREDENTIALS", "CLEAN")}), "no limit"),
    ],
    ids=["no class to ask about", "no limit to be near to"],
)
def test_a_look_that_would_ask_nothing_is_refused(make_night: Callable[..., Any], policy: Policy, message: str) -> None:
    job = load_job(make_night(extra="second_look: {endpoint: judge, near: 0.1}\n").job)
    with pytest.raises(JobError, match=message):
        check_look(job, policy)
    check_look(job, DEFAULT)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("second_look: {endpoint: extractive}", "either share"),
        ("second_look: {endpoint: extractive, share: 0.5, near: 0.1}", "either share"),
        ("second_look: {endpoint: extractive, share: 1.5}", "share"),
        ("second_look: {endpoint: extractive, share: 0}", "share"),
        ("second_look: {endpoint: local-server, share: 1.0}\nlanes: {cloud: null}", "cloud lane"),
        ("second_look: {share: 1.0}", "endpoint"),
    ],
    ids=["neither", "both", "too much", "nothing", "no cloud", "no endpoint"],
)
def test_a_job_that_makes_no_sense_is_refused(make_night: Callable[..., Any], keys: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        load_job(make_night(extra=f"{keys}\n").job)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [("extractive", "follows no instructions"), ("emulator", "cloud lane"), ("nobody", "no endpoint")],
)
def test_only_a_model_inside_may_look(make_night: Callable[..., Any], endpoint: str, message: str) -> None:
    job = load_job(make_night(extra=f"second_look: {{endpoint: {endpoint}, share: 1.0}}\n").job)
    with pytest.raises(JobError, match=message):
        look_endpoint(job, load_registry(DEFAULT_REGISTRY))


def test_a_server_cannot_look_where_the_policy_asks_for_a_namespace(make_night: Callable[..., Any]) -> None:
    job = load_job(make_night(extra="second_look: {endpoint: local-server, share: 1.0}\n").job)
    with pytest.raises(JobError, match=r"second_look\.endpoint: .*netns"):
        look_endpoint(job, load_registry(DEFAULT_REGISTRY), isolation="netns")


def test_the_question_holds_every_part_that_may_leave() -> None:
    prompt = question(DEFAULT, slots=["metadata.subject", "text"], salt_slot="metadata.tenant", line="=== x ===")
    assert prompt.slots == ("text", "metadata.subject", "metadata.tenant")
    filled = prompt.fill({"text": "body", "metadata.subject": "title", "metadata.tenant": "t"})
    assert "".join(part.text for part in filled[1].parts).startswith("=== x ===\nbody\ntitle\n=== x ===\n")
    assert all(name in prompt.constants[0] for name in ("PHI", "NPI", "PRIVILEGED", "TRADE_SECRET", "CREDENTIALS", "PII"))


@pytest.mark.parametrize(
    ("output", "valid"),
    [
        ('{"classes": []}', True),
        ('{"classes": ["PHI", "NPI"]}', True),
        ('{"classes": ["CLEAN"]}', False),
        ('{"classes": ["UNSCANNABLE"]}', False),
        ('{"classes": ["PHI"], "why": "x"}', False),
        (json.dumps({"classes": ["PHI"] * 9}), False),
        ("{}", False),
    ],
    ids=["none", "two", "clean", "unscannable", "more keys", "too many", "no key"],
)
def test_what_an_answer_is(output: str, valid: bool) -> None:  # noqa: FBT001
    prompt = question(DEFAULT, slots=[], salt_slot=None, line="-")
    assert prompt.schema == answer_schema(["PHI", "NPI", "PRIVILEGED", "TRADE_SECRET", "CREDENTIALS", "PII"])
    assert (checker(prompt)(output) is None) is valid


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ('{"classes": ["PHI", "PHI"]}', {"PHI"}),
        ('{"classes": ["PHI"], "classes": []}', {"PHI"}),
        ('{"classes": {"PHI": 1}, "classes": []}', {None}),
        ('{"classes": 7, "classes": ["PHI"]}', {None, "PHI"}),
    ],
    ids=["repeated", "twice", "an object", "a number"],
)
def test_a_key_that_is_there_twice_hides_nothing(output: str, names: set[str | None]) -> None:
    assert classes_in(output, ["PHI", "NPI"]) == names
