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
from flows.lanes import choose_endpoints
from flows.night import NightOptions, scanner_of
from flows.render import load_prompt
from flows.scanning import SCAN_KEYS
from flows.sources import check_duplicates, list_batches, read_batch
from policies.assign import assign
from policies.load import DEFAULT_REGISTRY
from policies.model import Assignment, Decision
from policies.registry import load_rulebook
from sinks.request import Prompt

BYTES_PER_TOKEN = 3  # the bound that holds without a tokenizer: one token is at least three bytes of ordinary text


@dataclass(slots=True, kw_only=True)
class Plan:
    """What would go where. tokens_in: an upper estimate, template included. seconds: of reading and detection alone, as just measured."""

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
    check_duplicates(job)
    detectors = load(ner=policy.ner, participants=policy.participants)
    plan, begun = Plan(), time.monotonic()
    with scanner_of(policy, detectors, options.scan_processes or job.scan_processes).start() as scanner:
        for batch in list_batches(job, limit=options.limit):
            documents = read_batch(batch, job, SCAN_KEYS)
            decisions = decide_documents(documents, list(scanner.scan(documents)), policy, detectors.hash)
            for document, decision in zip(documents, decisions, strict=True):
                assignment = assign(decision, endpoints, strategy=job.lanes.strategy, today=datetime.now(UTC).date())
                _count(plan, document, decision, assignment, prompt)
    plan.seconds = time.monotonic() - begun
    return plan


def _count(plan: Plan, document: Document, decision: Decision, assignment: Assignment, prompt: Prompt) -> None:
    place = assignment.endpoint.lane if assignment.endpoint else "held"
    plan.documents += 1
    plan.by_class.update((name, place) for name in decision.data_classes)
    if assignment.endpoint is None:
        plan.by_reason[assignment.reason] += 1
        return
    name = f"{assignment.endpoint.lane}: {assignment.endpoint.name}"
    constants = sum(len(text.encode()) for text in prompt.constants)
    sent = sum(len(document.parts[slot].encode()) for slot in prompt.present(document.parts))
    plan.by_endpoint[name] += 1
    plan.tokens_in[name] += math.ceil((sent + constants) / BYTES_PER_TOKEN)
    plan.tokens_out[name] += prompt.max_tokens
