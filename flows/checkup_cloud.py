"""`waybill doctor --lane cloud`: would tonight's records get out, and does the provider's account say what the registry says?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.checkup import Check, Health, examine
from flows.errors import FlowError
from flows.job import Job, load_job
from flows.lanes import build_lane, check_usable
from policies.check import SOON
from policies.errors import PolicyError
from policies.model import EMULATOR, Endpoint, Lane
from policies.prices import Prices
from policies.registry import load_rulebook
from sinks.errors import EndpointError

CLOUD = frozenset({"job", "policy", "lanes", f"{Lane.CLOUD} lane"})
"""The lines of `examine` that are about the cloud lane."""
FACTS, SECRET, PRICE, ACCOUNT, PROVIDER, BUCKET, CLOCK = "facts", "secret", "price", "account", "provider", "bucket", "clock"

# The list of jobs from now on: one page, which proves address, proxy, certificates, key and account.
_ONE_PAGE = timedelta(hours=1)
# Signed requests are refused beyond five minutes; recoveries by time allow for an hour (`sinks/lanes/listing.py`).
SKEW_DOUBTFUL, SKEW_BAD = timedelta(seconds=30), timedelta(minutes=5)


def examine_cloud(job_path: Path | None) -> Iterator[Check]:
    """What `examine` says about the way out: the policy, and the endpoint that a job sends to; then the provider's own word."""
    if job_path is None:
        yield Check(health=Health.DOUBTFUL, what="job", detail="none named; name one with --job to check the endpoint that it sends to")
    yield from (check for check in examine(job_path) if check.what in CLOUD)
    if job_path is not None:
        try:
            yield from examine_account(load_job(job_path))
        except (FlowError, PolicyError):  # said above
            return


def examine_account(job: Job) -> Iterator[Check]:
    """What the registry vouches for, and what the provider says when it is asked. Nothing is sent."""
    rules = load_rulebook(job.policy_path, job.registry, job.prices)
    for name in job.lanes.cloud or ():
        endpoint = rules.registry.get(name)
        if endpoint is not None and endpoint.lane is Lane.CLOUD and endpoint.provider != EMULATOR:
            yield from _endpoint_account(endpoint, job, rules.prices)


def _endpoint_account(endpoint: Endpoint, job: Job, prices: Prices) -> Iterator[Check]:
    yield _facts(endpoint)
    yield _price(endpoint, prices)
    check_usable(endpoint, job)
    yield Check(health=Health.GOOD, what=SECRET, detail=f"{endpoint.name}: found ({endpoint.secret or 'none is needed'})")
    with ExitStack() as stack:
        lane: Any = build_lane(endpoint, job, {"inference": 0.0}, stack, salt="")
        yield from _ask(endpoint, lane)


def _facts(endpoint: Endpoint) -> Check:
    today = datetime.now(UTC).date()
    stated = ", ".join(f"{name}={str(fact).lower()}" for name, fact in sorted(endpoint.facts.items()))
    detail = f"{endpoint.name}: {stated}; by {endpoint.evidence_link}"
    if endpoint.review_by is None or endpoint.review_by < today:
        return Check(
            health=Health.BAD, what=FACTS, detail=f"{detail}; past their review ({endpoint.review_by}), so nothing goes there: review them"
        )
    health = Health.DOUBTFUL if endpoint.review_by - today < SOON else Health.GOOD
    return Check(health=health, what=FACTS, detail=f"{detail}, to be reviewed by {endpoint.review_by}")


def _price(endpoint: Endpoint, prices: Prices) -> Check:
    if prices.of(endpoint, datetime.now(UTC).date()) is None:
        return Check(
            health=Health.BAD, what=PRICE, detail=f"{endpoint.name}: no batch price for {endpoint.model} today; state it in prices.yaml"
        )
    return Check(health=Health.GOOD, what=PRICE, detail=f"{endpoint.name}: a batch price is stated for today")


def _ask(endpoint: Endpoint, lane: Any) -> Iterator[Check]:
    """The list of jobs, the bucket, the clock, the account. Where nobody answers, that is said once."""
    try:
        next(iter(lane.listed(datetime.now(UTC) + _ONE_PAGE)), None)
    except EndpointError as error:
        yield Check(health=Health.BAD, what=PROVIDER, detail=str(error))
        if lane.clock_ahead() is not None:  # it has answered, and this may be why it refused
            yield _clock(endpoint, lane.clock_ahead())
        return
    yield Check(health=Health.GOOD, what=PROVIDER, detail=f"{endpoint.name}: answers, takes the key and lists its jobs")
    yield _clock(endpoint, lane.clock_ahead())
    if endpoint.engine == "bedrock_batch":
        yield _bucket(endpoint, lane)
    facts = getattr(lane, "account_facts", None)
    if facts is not None:
        yield from _account(endpoint, facts)


def _clock(endpoint: Endpoint, ahead: timedelta | None) -> Check:
    if ahead is None:
        return Check(health=Health.DOUBTFUL, what=CLOCK, detail=f"{endpoint.name}: the provider does not say what time it is")
    seconds = ahead.total_seconds()
    detail = f"{endpoint.name}: our clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the provider's"
    if abs(ahead) > SKEW_DOUBTFUL:
        return Check(health=Health.BAD if abs(ahead) > SKEW_BAD else Health.DOUBTFUL, what=CLOCK, detail=f"{detail}; set it right (NTP)")
    return Check(health=Health.GOOD, what=CLOCK, detail=detail)


def _bucket(endpoint: Endpoint, lane: Any) -> Check:
    try:
        next(iter(lane.stored()), None)
    except EndpointError as error:
        return Check(health=Health.BAD, what=BUCKET, detail=str(error))
    return Check(health=Health.GOOD, what=BUCKET, detail=f"{endpoint.name}: {endpoint.settings.get('bucket')} can be listed")


def _account(endpoint: Endpoint, facts: Any) -> Iterator[Check]:
    try:
        found = facts()
    except EndpointError as error:
        yield Check(health=Health.BAD, what=ACCOUNT, detail=str(error))
        return
    for one in found:
        health = Health.DOUBTFUL if one.accepted else Health.BAD
        yield Check(health=health, what=ACCOUNT, detail=f"{endpoint.name}: {one.code}: {one.message}")
    if not found:
        yield Check(health=Health.GOOD, what=ACCOUNT, detail=f"{endpoint.name}: nothing there contradicts the registry")
