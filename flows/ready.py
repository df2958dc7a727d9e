"""What a night goes by, read and checked in the order in which it is cheapest to find out that something is wrong. Nothing is written.

A night, a collection and a plan begin here, so that what would stop a night stops its plan, in the same words.
The template's constants are scanned like a document, once: a secret in a prompt is as gone as one in a record (invariant 2).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from detectors import load
from detectors.detector import DetectorSet
from flows.anchoring import check_anchors
from flows.errors import JobError
from flows.job import Job, load_job
from flows.lanes import check_usable, choose_endpoints, look_endpoint
from flows.look_question import check_look
from flows.night import NightOptions
from flows.night_checks import check_policy, check_template
from flows.progress import Progress
from flows.render import load_prompt
from flows.runs import logical_date
from flows.scanner import Scanner, scanner_of
from flows.sources import check_duplicates, list_batches
from flows.tokenizers import load_tokenizers
from policies.model import Endpoint
from policies.policy import Policy
from policies.prices import Prices
from policies.registry import load_rulebook
from sinks.request import Prompt
from sinks.tokens import CountTokens

LOGGER = logging.getLogger("waybill")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a night goes by, checked. looking: the endpoint of its second look. refusal: why a collection may hand nothing to the cloud."""

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
    refusal: str = ""

    @property
    def used(self) -> Sequence[Endpoint]:
        """Every endpoint that the night may hand something to."""
        return [*self.endpoints, *([self.looking] if self.looking else [])]

    def refused_for(self, prompt: Prompt) -> str:
        """Why nothing may leave with this template, in a collection; a night is refused by it."""
        return _refused(self.options, partial(check_template, prompt, self.policy, self.scanner, self.job, self.endpoints))


@contextmanager
def checked(options: NightOptions, progress: Progress | None = None) -> Iterator[Ready]:
    """Find out what would stop the night. A collection starts its scanner only when there is something to scan.

    What a policy, its dates or a template forbid tonight does not undo what was handed over: a collection takes in what was paid for.
    """
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
    refusal = _refused(options, partial(check_policy, policy, endpoints, detectors, rules.prices))
    check_look(job, policy)
    with scanner_of(policy, detectors, options.scan_processes or job.scan_processes) as scanner:
        if not options.collect_only:
            scanner.start()  # it loads while everything else is opened
        ready = Ready(
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
        refusal = ready.refused_for(prompt) or refusal
        check_duplicates(job)
        if not options.collect_only and _is_empty(job):
            LOGGER.warning("source is empty: %s", job.source.path)
        check_anchors(job)  # before the ledger is opened, which would begin a new one where the old one is gone
        yield replace(ready, refusal=refusal)


def _is_empty(job: Job) -> bool:
    """Whether there is nothing to read. Of a bucket its own listing, which has just been read for duplicates, has said so."""
    return job.source.bucket is None and next(list_batches(job, limit=1), None) is None


def _refused(options: NightOptions, check: Callable[[], None]) -> str:
    """What the check says against sending, where the night only collects; a night is refused by it."""
    try:
        check()
    except JobError as error:
        if not options.collect_only:
            raise
        return str(error)
    return ""
