"""`waybill plan`: what a job would send where, how much, how long. No ledger, no spool, no lane, no side effect."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from detectors import load
from detectors.document import Document
from flows.deciding import decide_documents
from flows.job import load_job
from flows.lanes import choose_endpoints, look_endpoint
from flows.look_question import check_look, look_prompt
from flows.night import NightOptions
from flows.render import load_prompt
from flows.scanner import scanner_of
from flows.scanning import SCAN_KEYS
from flows.second_look import choice
from flows.sources import check_duplicates, list_batches, read_batch
from flows.tokenizers import load_tokenizers
from policies.assign import assign
from policies.budget import Budget
from policies.model import Assignment, Decision, Endpoint, Lane
from policies.prices import Prices, caches
from policies.registry import load_rulebook
from sinks.request import Prompt
from sinks.tokens import CountTokens, InputTokens, input_tokens


@dataclass(slots=True, kw_only=True)
class Plan:
    """What would go where; a second look comes beside it, whatever it will say.

    tokens_in: as expected, template included; tokens_out: at most. usd_least: of the expected input alone; usd_most: what a night would
    reserve, by which a budget is kept. Without a price (`unpriced`) both are absent. seconds: of reading and detection alone, as measured.
    """

    documents: int = 0
    by_endpoint: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    by_class: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens_in: Counter[str] = field(default_factory=Counter)
    tokens_out: Counter[str] = field(default_factory=Counter)
    usd_least: dict[str, Decimal] = field(default_factory=dict)
    usd_most: dict[str, Decimal] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    seconds: float = 0.0


def make_plan(options: NightOptions) -> Plan:
    """Read and decide every document as a night would, first one without a history."""
    job = load_job(options.path, out=options.out_path)
    rules = load_rulebook(job.policy_path, job.registry, job.prices)
    policy, registry = rules.policy, rules.registry
    prompt = load_prompt(job)
    endpoints = choose_endpoints(job, registry, scheduled=False)
    check_look(job, policy)
    check_duplicates(job)
    looking = look_endpoint(job, registry, isolation=policy.isolation)
    detectors = load(ner=policy.ner, participants=policy.participants)
    tokenizers = load_tokenizers([*endpoints, *([looking] if looking else [])], job)
    plan, begun = Plan(budget=job.budget), time.monotonic()
    count = _Counting(plan=plan, prices=rules.prices, tokenizers=tokenizers, today=datetime.now(UTC).date())
    with scanner_of(policy, detectors, options.scan_processes or job.scan_processes).start() as scanner:
        for batch in list_batches(job, limit=options.limit):
            documents = read_batch(batch, job, SCAN_KEYS)
            evidence = list(scanner.scan(documents))
            decisions = decide_documents(documents, evidence, policy, detectors.hash)
            for document, decision in zip(documents, decisions, strict=True):
                assignment = assign(decision, endpoints, strategy=job.lanes.strategy, today=count.today)
                count.assigned(document, decision, assignment, prompt)
            if job.second_look is not None and looking is not None:
                chosen, asked = choice(job.second_look, policy, SCAN_KEYS), look_prompt(job, policy, prompt, SCAN_KEYS)
                for document, found, decision in zip(documents, evidence, decisions, strict=True):
                    if Lane.CLOUD in decision.lanes and chosen(document, found):
                        count.add(f"second look: {looking.name}", looking, document, asked)
    plan.seconds = time.monotonic() - begun
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counting:
    """Where documents become counts, tokens and dollars."""

    plan: Plan
    prices: Prices
    tokenizers: Mapping[str, CountTokens]
    today: date

    def assigned(self, document: Document, decision: Decision, assignment: Assignment, prompt: Prompt) -> None:
        """One document, wherever it goes."""
        place = assignment.endpoint.lane if assignment.endpoint else "held"
        self.plan.documents += 1
        self.plan.by_class.update((name, place) for name in decision.data_classes)
        if assignment.endpoint is None:
            self.plan.by_reason[assignment.reason] += 1
            return
        self.add(f"{assignment.endpoint.lane}: {assignment.endpoint.name}", assignment.endpoint, document, prompt)

    def add(self, name: str, endpoint: Endpoint, document: Document, prompt: Prompt) -> None:
        """One request under the name of its place."""
        tokens = input_tokens(prompt, document.parts, self.tokenizers.get(endpoint.name))
        self.plan.by_endpoint[name] += 1
        self.plan.tokens_in[name] += tokens.expected
        self.plan.tokens_out[name] += prompt.max_tokens
        self._cost(name, endpoint, tokens, prompt.max_tokens)

    def _cost(self, name: str, endpoint: Endpoint, tokens: InputTokens, tokens_out: int) -> None:
        price = self.prices.of(endpoint, self.today)
        if price is not None:
            least, most = price.bound(tokens.expected, 0, caching=False), price.bound(tokens.at_most, tokens_out, caching=caches(endpoint))
            self.plan.usd_least[name] = self.plan.usd_least.get(name, Decimal(0)) + least
            self.plan.usd_most[name] = self.plan.usd_most.get(name, Decimal(0)) + most
