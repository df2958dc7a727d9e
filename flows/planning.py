"""`waybill plan`: what a job would send where, how much, how long. No ledger, no spool, no lane, no side effect."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from detectors import load
from detectors.document import Document
from flows.deciding import decide_documents
from flows.job import load_job
from flows.lanes import choose_endpoints, look_endpoint
from flows.look_question import check_look, look_prompt
from flows.night import NightOptions, scanner_of
from flows.render import load_prompt
from flows.scanning import SCAN_KEYS
from flows.second_look import choice
from flows.sources import check_duplicates, list_batches, read_batch
from policies.assign import assign
from policies.load import DEFAULT_REGISTRY
from policies.model import Assignment, Decision, Lane
from policies.registry import load_rulebook
from sinks.request import Prompt

BYTES_PER_TOKEN = 3  # the bound that holds without a tokenizer: one token is at least three bytes of ordinary text


@dataclass(slots=True, kw_only=True)
class Plan:
    """What would go where; a second look comes beside it, whatever it will say.

    tokens_in: an upper estimate, template included. seconds: of reading and detection alone, as just measured.
    """

    documents: int = 0
    by_endpoint: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    by_class: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens_in: Counter[str] = field(default_factory=Counter)
    tokens_out: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def make_plan(options: NightOptions) -> Plan:
    """Read and decide every document as a night would, first one without a history."""
    job = load_job(options.path, out=options.out_path)
    policy, registry = load_rulebook(job.policy_path, job.registry or DEFAULT_REGISTRY)
    prompt = load_prompt(job)
    endpoints = choose_endpoints(job, registry, scheduled=False)
    check_look(job, policy)
    check_duplicates(job)
    looking = look_endpoint(job, registry, isolation=policy.isolation)
    detectors = load(ner=policy.ner, participants=policy.participants)
    plan, begun = Plan(), time.monotonic()
    with scanner_of(policy, detectors, options.scan_processes or job.scan_processes).start() as scanner:
        for batch in list_batches(job, limit=options.limit):
            documents = read_batch(batch, job, SCAN_KEYS)
            evidence = list(scanner.scan(documents))
            decisions = decide_documents(documents, evidence, policy, detectors.hash)
            for document, decision in zip(documents, decisions, strict=True):
                assignment = assign(decision, endpoints, strategy=job.lanes.strategy, today=datetime.now(UTC).date())
                _count(plan, document, decision, assignment, prompt)
            if job.second_look is not None and looking is not None:
                chosen, asked = choice(job.second_look, policy, SCAN_KEYS), look_prompt(job, policy, prompt, SCAN_KEYS)
                for document, found, decision in zip(documents, evidence, decisions, strict=True):
                    if Lane.CLOUD in decision.lanes and chosen(document, found):
                        _add(plan, f"second look: {looking.name}", document, asked)
    plan.seconds = time.monotonic() - begun
    return plan


def _count(plan: Plan, document: Document, decision: Decision, assignment: Assignment, prompt: Prompt) -> None:
    place = assignment.endpoint.lane if assignment.endpoint else "held"
    plan.documents += 1
    plan.by_class.update((name, place) for name in decision.data_classes)
    if assignment.endpoint is None:
        plan.by_reason[assignment.reason] += 1
        return
    _add(plan, f"{assignment.endpoint.lane}: {assignment.endpoint.name}", document, prompt)


def _add(plan: Plan, name: str, document: Document, prompt: Prompt) -> None:
    constants = sum(len(text.encode()) for text in prompt.constants)
    sent = sum(len(document.parts[slot].encode()) for slot in prompt.present(document.parts))
    plan.by_endpoint[name] += 1
    plan.tokens_in[name] += math.ceil((sent + constants) / BYTES_PER_TOKEN)
    plan.tokens_out[name] += prompt.max_tokens
