"""`check`: each fault is found, and the bundled policy has none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from detectors.document import EvidenceKind
from policies.check import Problem, Severity, check, is_loopback
from policies.load import DEFAULT_POLICY
from policies.model import UNSCANNABLE, Endpoint, Lane
from policies.policy import Policy, Route
from policies.registry import load_rulebook

TODAY = date(2026, 11, 22)
RULES = load_rulebook(DEFAULT_POLICY)
POLICY, REGISTRY = RULES.policy, RULES.registry
LOCAL, BOTH = (Lane.LOCAL,), (Lane.LOCAL, Lane.CLOUD)
RESTRICTED, PII, CLEAN = POLICY.routes


def with_routes(*routes: Route) -> Policy:
    return Policy(version="1", classes=POLICY.classes, routes=routes, file="p.yaml")


def route(*when: str, lanes: tuple[Lane, ...] = LOCAL, **requires: bool) -> Route:
    return Route(when=frozenset(when), lanes=lanes, cloud_requires=requires, line=7)


def said(problems: list[Problem], severity: Severity) -> list[str]:
    return [f"{problem.where}: {problem.message}" for problem in problems if problem.severity is severity]


def test_the_default_policy_passes_its_own_check() -> None:
    assert check(POLICY, REGISTRY, today=TODAY, known=POLICY.kinds, prices=RULES.prices) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (with_routes(PII, RESTRICTED, CLEAN), "routes[0]: permits the cloud to documents with more classes than routes[1]"),
        (
            with_routes(RESTRICTED, replace(PII, cloud_requires={}), replace(CLEAN, cloud_requires={"dpa": True})),
            "drops the requirement dpa",
        ),
        (with_routes(RESTRICTED, PII, route("PHI", "NPI"), CLEAN), "routes[2]: is never reached"),
        (with_routes(route("PHI", lanes=BOTH, dpa=True), RESTRICTED, PII, CLEAN), "permits the cloud to PHI without baa: true"),
        (with_routes(route("PHI", lanes=BOTH, baa=False), RESTRICTED, PII, CLEAN), "permits the cloud to PHI without baa: true"),
        (with_routes(route("CREDENTIALS", lanes=BOTH), RESTRICTED, PII, CLEAN), "permits the cloud to CREDENTIALS and requires nothing"),
        (with_routes(route(UNSCANNABLE, lanes=BOTH, dpa=True), RESTRICTED, PII, CLEAN), "permits the cloud to UNSCANNABLE"),
    ],
    ids=["freer first", "requirement lost", "unreachable", "phi without baa", "phi with baa false", "nothing required", "unscannable"],
)
def test_errors_of_the_table(policy: Policy, expected: str) -> None:
    assert any(expected in message for message in said(check(policy, REGISTRY, today=TODAY), Severity.ERROR))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (with_routes(RESTRICTED, CLEAN), "classes.PII: PII has no route: its documents are held"),
        (with_routes(RESTRICTED, replace(PII, lanes=LOCAL, cloud_requires={})), "classes.CLEAN: CLEAN has no route"),
        (
            with_routes(RESTRICTED, route("PII", "PHI", lanes=BOTH, dpa=True), CLEAN),
            "routes[1]: names PHI, which routes[0] has already decided",
        ),
        (with_routes(RESTRICTED, replace(PII, cloud_requires={"baa": True}), CLEAN), "no endpoint satisfies all of baa"),
        (
            Policy(version="1", classes={"PII": POLICY.classes["PII"]}, routes=POLICY.routes, file="p.yaml"),
            "no rule raises PHI",
        ),
    ],
    ids=["class without route", "clean without route", "mentioned twice", "no endpoint satisfies", "class without rule"],
)
def test_warnings(policy: Policy, expected: str) -> None:
    assert any(expected in message for message in said(check(policy, REGISTRY, today=TODAY), Severity.WARNING))


def test_a_kind_that_no_detector_gives_is_an_error() -> None:
    missing = EvidenceKind("topic:care")
    messages = said(check(POLICY, REGISTRY, today=TODAY, known=POLICY.kinds - {missing}), Severity.ERROR)
    assert len(messages) == 1
    assert "classes.PHI: no detector gives topic:care" in messages[0]


INSIDE = Endpoint(
    name="inside", lane=Lane.LOCAL, engine="openai_compatible", provider="vllm", model="m", base_url="http://127.0.0.1:8000/v1"
)
OUTSIDE = replace(REGISTRY["openai-batch"], name="outside")
BEDROCK = replace(REGISTRY["bedrock-batch"], name="bedrock")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (replace(INSIDE, base_url="http://10.1.2.3:8000/v1"), "is local, but 10.1.2.3 is not this machine"),
        (replace(INSIDE, base_url="http://llm.internal/v1", settings={"allow_host": "other.internal"}), "llm.internal is not this machine"),
        (replace(INSIDE, base_url="http://localhost.example.com/v1"), "localhost.example.com is not this machine"),
        (replace(INSIDE, base_url=""), "needs a base_url"),
        (replace(INSIDE, proxy="http://proxy.internal:3128"), "goes through a proxy"),
        (replace(OUTSIDE, lane=Lane.LOCAL), "api.openai.com is not this machine"),
        (replace(OUTSIDE, base_url=""), "has no base_url"),
        (replace(OUTSIDE, base_url="http://api.openai.com/v1"), "without TLS"),
        (replace(OUTSIDE, secret=""), "has no secret"),
        (replace(OUTSIDE, provider="emulator"), "calls itself the emulator"),
        (replace(OUTSIDE, settings={"emulator": True}), "has settings.emulator, but its provider is openai"),
        (replace(OUTSIDE, engine="extractive"), "works inside this machine"),
        (replace(OUTSIDE, review_by=date(2026, 11, 21)), "to be reviewed by 2026-11-21"),
        (replace(OUTSIDE, review_by=None), "has no review_by day"),
        (replace(BEDROCK, settings={"bucket": "b"}), "has no settings.role_arn: bedrock_batch needs the service role"),
        (replace(BEDROCK, settings={"role_arn": "r"}), "has no settings.bucket: bedrock_batch needs the bucket"),
    ],
    ids=[
        "private address", "other host allowed", "looks like localhost", "no address", "proxy", "cloud called local", "sdk default address",
        "no tls", "no key", "false emulator", "half an emulator", "local engine in the cloud", "expired", "undated", "no role", "no bucket",
    ],
)  # fmt: skip
def test_errors_of_an_endpoint(endpoint: Endpoint, expected: str) -> None:
    messages = said(check(POLICY, REGISTRY | {endpoint.name: endpoint}, today=TODAY), Severity.ERROR)
    assert len(messages) == 1
    assert f"endpoint {endpoint.name}: " in messages[0]
    assert expected in messages[0]


@pytest.mark.parametrize(
    "endpoint",
    [
        INSIDE,
        replace(INSIDE, base_url="http://[::1]:8000/v1"),
        replace(INSIDE, base_url="http://llm.internal/v1", settings={"allow_host": "llm.internal"}),
    ],
    ids=["loopback", "loopback v6", "allow-listed"],
)
def test_a_local_endpoint_that_is_local_passes(endpoint: Endpoint) -> None:
    assert check(POLICY, REGISTRY | {endpoint.name: endpoint}, today=TODAY) == []


def test_expiry_follows_the_day_passed_in() -> None:
    assert said(check(POLICY, REGISTRY, today=date(2027, 5, 31)), Severity.ERROR) == []
    late = said(check(POLICY, REGISTRY, today=date(2027, 6, 1)), Severity.ERROR)
    assert len(late) == 4
    assert not any("emulator" in message for message in late)


def test_a_registry_without_a_lane_is_a_warning() -> None:
    only_local = {name: endpoint for name, endpoint in REGISTRY.items() if endpoint.lane is Lane.LOCAL}
    problems = check(POLICY, only_local, today=TODAY)
    assert {problem.severity for problem in problems} == {Severity.WARNING}
    assert any("the cloud lane, for which the registry has no endpoint" in problem.message for problem in problems)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("2130706433", False),
        ("example.com", False),
    ],
    ids=["name", "v4", "whole block", "v6", "number", "public"],
)
def test_is_loopback(host: str, expected: bool) -> None:  # noqa: FBT001  a parametrized expectation
    assert is_loopback(host) is expected
