"""A template's own words leave with every record, so each endpoint must be one that they may go to."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from detectors import load
from detectors.scan import scan
from flows.errors import JobError
from flows.night_checks import check_template
from policies.load import DEFAULT_POLICY
from policies.registry import load_rulebook
from sinks.request import Message, Part, Prompt, TaskKind

RULES = load_rulebook(DEFAULT_POLICY)
CLOUD = next(endpoint for endpoint in RULES.registry.values() if endpoint.engine == "openai_batch" and endpoint.provider == "openai")
PRIVATE = "Call Clara Vogel at home, +1 212 736 5000, clara.vogel@gmail.test, driver licence D1234562"


def taken(text: str, *, retires_on: date | None = None, **facts: bool) -> None:
    detectors = load(participants=RULES.policy.participants)
    prompt = Prompt(kind=TaskKind.SUMMARIZE, messages=(Message(role="user", parts=(Part(text=text), Part(slot="text"))),))
    scanner: Any = SimpleNamespace(scan=lambda documents: scan(documents, detectors))
    job: Any = SimpleNamespace(file="job.yaml", lanes=SimpleNamespace(cloud=CLOUD.name))
    check_template(prompt, RULES.policy, scanner, job, [replace(CLOUD, facts=facts, retires_on=retires_on)])


def test_words_that_need_an_agreement_go_only_where_there_is_one() -> None:
    taken(PRIVATE, dpa=True, training_use=False)
    with pytest.raises(JobError, match=f"may not leave for {CLOUD.name}"):
        taken(PRIVATE, training_use=False)


def test_an_endpoint_past_its_day_says_nothing_of_the_words() -> None:
    """Nothing goes there, whatever the words; a job that also names its successor runs."""
    taken("Summarize the document in three sentences.", retires_on=date(2026, 1, 1), training_use=False)
    taken(PRIVATE, retires_on=date(2026, 1, 1), training_use=False)


def test_plain_words_are_no_reason_where_clean_records_need_an_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without it gets no record; that is for each record's own decision to say, and no fault of the template."""
    strict = replace(RULES.policy, routes=tuple(replace(route, cloud_requires={"dpa": True}) for route in RULES.policy.routes))
    monkeypatch.setattr(sys.modules[__name__], "RULES", replace(RULES, policy=strict))
    taken("Summarize the document in three sentences.", training_use=False)


def test_plain_words_may_go_anywhere() -> None:
    taken("Summarize the document in three sentences.", training_use=True)
