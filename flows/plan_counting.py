"""Every document of a plan to a place: decided and assigned as in a night, then counted in tokens and dollars.

By the same strategy and under the same prices. What only happens in a night is not foreseen: failures, escalations, overrides, second looks
that add classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from detectors.document import Document, Evidence
from flows.deciding import decide_documents
from flows.expected_prices import expected_price
from flows.job import Job
from flows.look_question import look_prompt
from flows.plan_forecast import Forecast
from flows.plan_history import History
from flows.ready import Ready
from flows.scanning import SCAN_KEYS
from flows.scoring import Score, scorer_of
from flows.second_look import choice
from flows.sources import Batch, read_batch
from flows.workload import ENOUGH_TOKENS, LOOKS_AT_TIME, Workload
from policies.assign import NO_LIMITS, Capacity, RecordFacts, assign_all
from policies.budget import Budget
from policies.model import Assignment, Decision, Endpoint, Lane
from policies.prices import Price, caches
from sinks.request import Prompt
from sinks.tokens import InputTokens, input_tokens


@dataclass(slots=True, kw_only=True)
class PlacePlan:
    """What would go to one endpoint, under the name of what for.

    tokens_in: as expected, template included. tokens_out: at most; tokens_out_about: as earlier nights used them, None without one.
    usd_least: of the expected input alone; usd_most: what a night would reserve; usd_about: with the output as earlier nights used it.
    Without a price all three are None.
    """

    endpoint: str
    lane: Lane
    documents: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_out_about: int | None = None
    usd_least: Decimal | None = None
    usd_about: Decimal | None = None
    usd_most: Decimal | None = None

    @property
    def tokens(self) -> int:
        """In and out, as expected."""
        return self.tokens_in + (self.tokens_out if self.tokens_out_about is None else self.tokens_out_about)


@dataclass(slots=True, kw_only=True)
class Plan:
    """What would go where; a second look comes beside it, whatever it will say.

    unchanged: documents that have a result already. seconds: of reading and detection alone, as measured here.
    """

    job: Job
    history: History
    budget: Budget
    documents: int = 0
    unchanged: int = 0
    places: dict[str, PlacePlan] = field(default_factory=dict)
    by_reason: Counter[str] = field(default_factory=Counter)
    by_class: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    forecast: Forecast | None = None


class Counting:
    """Where documents become counts, tokens and dollars."""

    def __init__(self, ready: Ready, plan: Plan) -> None:
        self.ready, self.plan = ready, plan
        run = plan.history.run
        self.today: date = (run.started_at if run is not None and run.started_at is not None else datetime.now(UTC)).date()
        self._score: Score | None = scorer_of(ready.job, ready.prompt)
        self._prices = {endpoint.name: ready.prices.of(endpoint, self.today) for endpoint in ready.endpoints}
        self._work = _workload(ready, plan.history)
        speeds = self._work.speeds if self._work is not None else {}
        self._compared = {one.name: expected_price(ready.prices, one, self.today, speeds.get(one.name)) for one in ready.endpoints}

    def carry(self, batches: Sequence[Batch]) -> None:
        """Every batch, one after the other."""
        if self._work is not None:
            self._work.begin(len(batches))
        for batch in batches:
            self._carry(batch)

    def _carry(self, batch: Batch) -> None:
        ready, history = self.ready, self.plan.history
        read = read_batch(batch, ready.job, history.keys)
        due = {document.record_id for document in read if history.is_due(document, ready.prompt)}
        self.plan.unchanged += len(read) - len(due)
        wanted = {document.family or document.record_id for document in read if document.record_id in due}
        documents = [document for document in read if (document.family or document.record_id) in wanted]
        evidence = list(ready.scanner.scan(documents))
        decisions = decide_documents(documents, evidence, ready.policy, ready.detectors.hash)
        judged = [one for one in zip(documents, evidence, decisions, strict=True) if one[0].record_id in due]
        facts = [self._facts(document, found) for document, found, _ in judged]
        if self._work is not None:
            self._work.carried([decision for _, _, decision in judged], facts)
        assignments = assign_all(
            [decision for _, _, decision in judged],
            ready.endpoints,
            strategy=ready.job.lanes.strategy,
            today=self.today,
            facts=facts,
            capacity=self._capacity(),
        )
        for (document, _, decision), assignment in zip(judged, assignments, strict=True):
            self._assigned(document, decision, assignment)
        if ready.job.second_look is not None and ready.looking is not None:
            self._looked_at(judged, ready.looking)

    def _looked_at(self, judged: Sequence[tuple[Document, Evidence, Decision]], looking: Endpoint) -> None:
        look, policy = self.ready.job.second_look, self.ready.policy
        if look is None or self.plan.history.run is not None:  # its records are accounted apart, in a run of their own
            return
        chosen, asked = choice(look, policy, SCAN_KEYS), look_prompt(self.ready.job, policy, self.ready.prompt, SCAN_KEYS)
        for document, found, decision in judged:
            if Lane.CLOUD in decision.lanes and chosen(document, found):
                self._add(f"second look: {looking.name}", looking, document, asked)

    def _facts(self, document: Document, evidence: Evidence) -> RecordFacts:
        prompt = self.ready.prompt
        tokens_in = input_tokens(prompt, document.parts).expected
        tokens_out = (self._work.tokens_out if self._work is not None else None) or prompt.max_tokens
        return RecordFacts(
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            complexity=self._score(document, evidence) if self._score is not None else 0.0,
            usd={name: _about(price, tokens_in, tokens_out) for name, price in self._compared.items()},
        )

    def _capacity(self) -> Capacity:
        """Before the night has begun: all of its time is left, and what was assigned so far is all that waits."""
        lanes = self.ready.job.lanes
        capacity = NO_LIMITS
        if self._work is not None:
            inside = [place for place in self.plan.places.values() if place.lane is Lane.LOCAL]
            queued: Counter[str] = Counter()
            for place in inside:
                queued[place.endpoint] += place.tokens
            seconds = self.ready.job.deadline_h * 3600
            capacity = replace(self._work.capacity(), seconds_left=seconds, queued_tokens=dict(queued))
        if lanes.complexity is not None:
            capacity = replace(capacity, medium_from=lanes.complexity.medium_from, large_from=lanes.complexity.large_from)
        return capacity if lanes.quality_floor is None else replace(capacity, quality_floor=lanes.quality_floor)

    def _assigned(self, document: Document, decision: Decision, assignment: Assignment) -> None:
        """One document, wherever it goes."""
        endpoint = assignment.endpoint
        self.plan.documents += 1
        self.plan.by_class.update((name, endpoint.lane if endpoint else "held") for name in decision.data_classes)
        if endpoint is None:
            self.plan.by_reason[assignment.reason] += 1
            return
        self._add(f"{endpoint.lane}: {endpoint.name}", endpoint, document, self.ready.prompt)

    def _add(self, name: str, endpoint: Endpoint, document: Document, prompt: Prompt) -> None:
        """One request under the name of its place."""
        tokens = input_tokens(prompt, document.parts, self.ready.tokenizers.get(endpoint.name))
        place = self.plan.places.setdefault(name, PlacePlan(endpoint=endpoint.name, lane=endpoint.lane))
        place.documents += 1
        place.tokens_in += tokens.expected
        place.tokens_out += prompt.max_tokens
        self._cost(place, endpoint, tokens, prompt.max_tokens)

    def _cost(self, place: PlacePlan, endpoint: Endpoint, tokens: InputTokens, tokens_out: int) -> None:
        price = self._prices.get(endpoint.name) or self.ready.prices.of(endpoint, self.today)
        if price is None:
            return
        place.usd_least = (place.usd_least or Decimal(0)) + price.bound(tokens.expected, 0, caching=False)
        place.usd_most = (place.usd_most or Decimal(0)) + price.bound(tokens.at_most, tokens_out, caching=caches(endpoint))
        measured = self.plan.history.measured.get(endpoint.name)
        if measured is not None and measured.records:
            usual = min(round(measured.tokens_out / measured.records), tokens_out)
            place.usd_about = (place.usd_about or Decimal(0)) + price.bound(tokens.expected, usual, caching=False)


def _about(price: Price | None, tokens_in: int, tokens_out: int) -> Decimal | None:
    return None if price is None else price.bound(tokens_in, tokens_out, caching=False)


def _workload(ready: Ready, history: History) -> Workload | None:
    """What the strategies that look at time would be told; None where the night would not tell them anything."""
    inside = [endpoint for endpoint in ready.endpoints if endpoint.lane is Lane.LOCAL]
    known = {one.name: history.measured[one.name] for one in inside if one.name in history.measured}
    known = {name: one for name, one in known.items() if one.tokens >= ENOUGH_TOKENS}
    if ready.job.lanes.strategy not in LOOKS_AT_TIME or len(ready.endpoints) == 1:
        return None
    if not known and all(endpoint.tokens_per_s is None for endpoint in inside):
        return None
    records = sum(one.records for one in known.values())
    return Workload(
        ends_at=datetime.now(UTC) + timedelta(hours=ready.job.deadline_h),
        inside=frozenset(endpoint.name for endpoint in inside),
        speeds={name: one.tokens_per_s for name, one in known.items()},
        tokens_out=round(sum(one.tokens_out for one in known.values()) / records) if records else None,
    )
