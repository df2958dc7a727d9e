"""What a night goes by, read and checked in the order in which it is cheapest to find out that something is wrong. Nothing is written.

A night, a collection and a plan begin here, so that what would stop a night stops its plan, in the same words.
The template's constants are scanned like a document, once: a secret in a prompt is as gone as one in a record (invariant 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from detectors import load
from detectors.detector import DetectorSet
from flows.anchoring import check_anchors
from flows.job import Job, load_job
from flows.lanes import check_usable, choose_endpoints, look_endpoint
from flows.look_question import check_look
from flows.night import NightOptions
from flows.night_checks import check_policy, check_template
from flows.progress import Progress
from flows.render import load_prompt
from flows.runs import logical_date
from flows.scanner import Scanner, scanner_of
from flows.sources import check_duplicates
from flows.tokenizers import load_tokenizers
from policies.model import Endpoint
from policies.policy import Policy
from policies.prices import Prices
from policies.registry import load_rulebook
from sinks.request import Prompt
from sinks.tokens import CountTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a night goes by, checked. looking: the endpoint of its second look."""

    options: NightOptions
    job: Job
    policy: Policy
    registry: Mapping[str, Endpoint]
    prices: Prices
    prompt: Prompt
    endpoints: Sequence[Endpoint]
    looking: Endpoint | None
    tokenizers: Mapping[str, CountTokens]
    detectors: DetectorSet
    scanner: Scanner

    @property
    def used(self) -> Sequence[Endpoint]:
        """Every endpoint that the night may hand something to."""
        return [*self.endpoints, *([self.looking] if self.looking else [])]


@contextmanager
def checked(options: NightOptions, progress: Progress | None = None) -> Iterator[Ready]:
    """Find out what would stop the night. A collection starts its scanner only when there is something to scan."""
    job = load_job(options.path, out=options.out_path)
    rules = load_rulebook(job.policy_path, job.registry, job.prices)
    policy, registry = rules.policy, rules.registry
    prompt = load_prompt(job)
    endpoints = choose_endpoints(job, registry, scheduled=options.scheduled, isolation=policy.isolation)
    looking = look_endpoint(job, registry, isolation=policy.isolation)
    used = [*endpoints, *([looking] if looking else [])]
    for endpoint in used:
        check_usable(endpoint, job)
    tokenizers = load_tokenizers(used, job)
    logical_date(options.date)
    if progress is not None:
        progress.stage("loading detectors")
    detectors = load(ner=policy.ner, participants=policy.participants)
    check_policy(policy, endpoints, detectors, rules.prices)
    check_look(job, policy)
    with scanner_of(policy, detectors, options.scan_processes or job.scan_processes) as scanner:
        if not options.collect_only:
            scanner.start()  # it loads while everything else is opened
        check_template(prompt, policy, scanner, job, endpoints)
        check_duplicates(job)
        check_anchors(job)  # before the ledger is opened, which would begin a new one where the old one is gone
        yield Ready(
            options=options,
            job=job,
            policy=policy,
            registry=registry,
            prices=rules.prices,
            prompt=prompt,
            endpoints=endpoints,
            looking=looking,
            tokenizers=tokenizers,
            detectors=detectors,
            scanner=scanner,
        )
