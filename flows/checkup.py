"""`waybill doctor`: what is installed, reachable, misconfigured. Each check is one line with what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from detectors import load
from detectors.errors import DetectorsError
from flows.errors import FlowError
from flows.job import Job, load_job
from flows.lanes import check_usable, choose_endpoints, look_endpoint
from flows.render import load_prompt
from flows.tokenizers import load_tokenizers
from policies.check import Severity, check
from policies.errors import PolicyError
from policies.load import DEFAULT_POLICY
from policies.model import BUILT_IN_CLASSES, EMULATOR, Endpoint
from policies.policy import Policy
from policies.registry import load_rulebook

PACKAGES = ("presidio-analyzer", "spacy", "duckdb", "pyarrow", "prefect", "openai", "anthropic", "boto3", "sumy")
LEAST_FREE = 2 * 2**30


class Health(StrEnum):
    """How a check came out; only `bad` makes the command fail."""

    GOOD = "ok"
    DOUBTFUL = "warn"
    BAD = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line."""

    health: Health
    what: str
    detail: str


def examine(job_path: Path | None) -> Iterator[Check]:
    """Check this machine, then the bundled policy or the job's own, its endpoints, places and open hand-overs."""
    yield from _installed()
    job = None
    if job_path is not None:
        try:
            job = load_job(job_path)
            load_prompt(job)
        except FlowError as error:
            yield Check(health=Health.BAD, what="job", detail=str(error))
            return
        yield Check(health=Health.GOOD, what="job", detail=f"{job.name}: {job.task.kind} of {job.source.path}")
    yield from _rules(job)
    if job is not None:
        yield from _places(job)
        # These speak in the words of this module.
        from flows.checkup_ledger import check_ledger  # noqa: PLC0415
        from flows.checkup_stores import check_stores  # noqa: PLC0415

        yield from check_ledger(job)
        yield from check_stores(job)


def _installed() -> Iterator[Check]:
    yield Check(health=Health.GOOD, what="python", detail=sys.version.split()[0])
    for package in PACKAGES:
        try:
            yield Check(health=Health.GOOD, what=package, detail=version(package))
        except PackageNotFoundError:
            yield Check(health=Health.BAD, what=package, detail="not installed; run `make setup`")


def _rules(job: Job | None) -> Iterator[Check]:
    try:
        rules = load_rulebook(job.policy_path, job.registry, job.prices) if job else load_rulebook(DEFAULT_POLICY)
        policy, registry = rules.policy, rules.registry
        detectors = load(ner=policy.ner, participants=policy.participants)
    except (PolicyError, DetectorsError) as error:
        yield Check(health=Health.BAD, what="policy", detail=str(error))
        return
    yield Check(
        health=Health.GOOD,
        what="detectors",
        detail=f"{len(detectors.detectors)} installed, NER {policy.ner or 'none (patterns and names)'}",
    )
    today = datetime.now(UTC).date()
    problems = check(policy, registry, today=today, known=detectors.kinds, prices=rules.prices)
    used = _used(job, registry)
    stopping = problems if used is None else check(policy, used, today=today, known=detectors.kinds, prices=rules.prices)
    for problem in problems:  # what is wrong with an endpoint that the job does not use stops no night of it
        health = Health.BAD if problem.severity is Severity.ERROR and problem in stopping else Health.DOUBTFUL
        yield Check(health=health, what="policy", detail=f"{problem.where}: {problem.message}")
    if not problems:
        yield Check(health=Health.GOOD, what="policy", detail=f"version {policy.version}, {policy.hash[:12]}")
    if job is not None:
        yield from _declared(job, policy)
        try:
            endpoints = choose_endpoints(
                job, registry, scheduled=job.schedule is not None and not job.unsafe_emulator, isolation=policy.isolation
            )
            looking = look_endpoint(job, registry, isolation=policy.isolation)
        except FlowError as error:
            yield Check(health=Health.BAD, what="lanes", detail=str(error))
            return
        for endpoint in endpoints:
            yield _endpoint(endpoint, job)
        if looking is not None and looking not in endpoints:
            yield _endpoint(looking, job)


def _declared(job: Job, policy: Policy) -> Iterator[Check]:
    """Classes that the job states and the policy has never heard of. They are lawful, and stop no night: their documents are held."""
    for name in sorted({one.data_class for one in job.source.declared if not policy.knows(one.data_class)}):
        close = get_close_matches(name, [*policy.classes, *BUILT_IN_CLASSES], n=1)
        hint = f"; did you mean {close[0]}?" if close else "; add it to the policy, or correct the name"
        detail = f"{job.at('source.declared')}: the policy knows no class {name}, so what is declared so is held as unknown_class{hint}"
        yield Check(health=Health.DOUBTFUL, what="declared", detail=detail)


def _used(job: Job | None, registry: Mapping[str, Endpoint]) -> dict[str, Endpoint] | None:
    """The endpoints that the job names; None without a job."""
    if job is None:
        return None
    named = {*job.lanes.named, *([job.second_look.endpoint] if job.second_look else [])}
    return {name: endpoint for name, endpoint in registry.items() if name in named}


def _endpoint(endpoint: Endpoint, job: Job) -> Check:
    what = f"{endpoint.lane} lane"
    try:
        load_tokenizers([endpoint], job)
    except FlowError as error:
        return Check(health=Health.BAD, what=what, detail=str(error))
    if endpoint.provider == EMULATOR:
        return Check(
            health=Health.DOUBTFUL if job.schedule else Health.GOOD,
            what=what,
            detail=f"{endpoint.name}: the bundled emulator, nothing leaves this machine and nothing is asked of a real model",
        )
    try:
        check_usable(endpoint, job)
    except FlowError as error:
        return Check(health=Health.BAD, what=what, detail=str(error))
    return Check(health=Health.GOOD, what=what, detail=f"{endpoint.name}: {endpoint.engine}, {endpoint.model}")


def _places(job: Job) -> Iterator[Check]:
    for what, folder in (("output", job.output), ("ledger", job.ledger.path), ("spool", job.spool)):
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not nearest.is_dir():
            yield Check(health=Health.BAD, what=what, detail=f"expected a folder, found a file at {nearest}; move it away, or name another")
            continue
        if not os.access(nearest, os.W_OK):
            yield Check(health=Health.BAD, what=what, detail=f"{nearest} cannot be written; nothing would be sent")
            continue
        free = shutil.disk_usage(nearest).free
        health = Health.GOOD if free > LEAST_FREE else Health.DOUBTFUL
        yield Check(health=health, what=what, detail=f"{folder} ({free / 2**30:.0f} GiB free)")
