"""The work before the endpoints inside, and whether it ends before the job's deadline: what strategies that look at it are told.

- Speed: of earlier nights, as the ledger measured it (`sinks/ledger/throughput.py`), else as the registry declares it. Measured is only
  what is inside: a provider's batch takes hours whatever is in it, so that would be its queue, not its speed.
- Waiting: the records of hand-overs inside that have not ended, times the tokens of a record so far.
- Reserved: restricted work still to come. Known cheaply: what the batches carried so far held of it (`policies/strategies/reserve.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flows.job import Job
from policies.assign import Capacity, RecordFacts
from policies.model import Decision, Endpoint, Lane
from policies.strategies.reserve import reserve
from sinks.ledger.queries import OpenIntent, job_runs
from sinks.ledger.segments import Ledger
from sinks.ledger.throughput import Throughput, measured_throughput

LOOKS_AT_TIME = frozenset({"local_first", "tiered", "waterfall", "cheapest"})
"""Strategies that send elsewhere what an endpoint inside would not end in time."""
MEASURED_SINCE = timedelta(days=14)
ENOUGH_TOKENS = 200_000
"""Fewer measure how long it takes to begin, not how fast it goes."""


@dataclass(slots=True, kw_only=True)
class Workload:
    """What is known while a night lasts.

    speeds: measured tokens a second, by endpoint. tokens_out: of a record, as measured; None: not yet. waiting: by hand-over, its endpoint
    and how many records. batches: in this pass; passed: of these, carried; captive: restricted tokens of each that had anything to do.
    """

    ends_at: datetime
    inside: frozenset[str]
    speeds: Mapping[str, float] = field(default_factory=dict)
    tokens_out: int | None = None
    waiting: dict[str, tuple[str, int]] = field(default_factory=dict)
    batches: int = 0
    passed: int = 0
    captive: list[float] = field(default_factory=list)
    records: int = 0
    tokens: float = 0.0

    @classmethod
    def of(cls, job: Job, ledger: Ledger, run_id: str, endpoints: Sequence[Endpoint]) -> Workload | None:
        """What earlier nights say; None where the strategy does not ask, or nobody has said how fast anything inside is."""
        inside = [endpoint for endpoint in endpoints if endpoint.lane is Lane.LOCAL]
        if job.lanes.strategy not in LOOKS_AT_TIME or len(endpoints) == 1:
            return None
        now = datetime.now(UTC)
        measured = measured_throughput(ledger, job.name, now - MEASURED_SINCE)
        known = {one.name: measured[one.name] for one in inside if one.name in measured and measured[one.name].tokens >= ENOUGH_TOKENS}
        if not known and all(endpoint.tokens_per_s is None for endpoint in inside):
            return None
        begun = next((run.started_at for run in job_runs(ledger, job.name) if run.run_id == run_id), None)
        return cls(
            ends_at=(begun or now) + timedelta(hours=job.deadline_h),
            inside=frozenset(endpoint.name for endpoint in inside),
            speeds={name: one.tokens_per_s for name, one in known.items()},
            tokens_out=_mean_out(known),
        )

    def begin(self, batches: int) -> None:
        """A pass over so many batches begins. Restricted work is only still to come in the first one."""
        self.batches = batches if not self.passed else 0
        self.passed = 0
        self.captive = []

    def carried(self, decisions: Sequence[Decision], facts: Sequence[RecordFacts]) -> None:
        """One more batch is about to be carried."""
        self.passed += 1
        if not decisions:
            return
        self.captive.append(0.0)
        for decision, fact in zip(decisions, facts, strict=True):
            amount = fact.tokens_in + fact.tokens_out
            self.records, self.tokens = self.records + 1, self.tokens + amount
            if decision.lanes and Lane.CLOUD not in decision.lanes:
                self.captive[-1] += amount

    def saw(self, intent: OpenIntent, *, ended: bool) -> None:
        """A hand-over was looked at."""
        if ended:
            self.waiting.pop(intent.intent_id, None)
        elif intent.endpoint in self.inside:
            self.waiting[intent.intent_id] = (intent.endpoint, len(intent.record_ids))

    def capacity(self) -> Capacity:
        """As of now."""
        a_record = self.tokens / self.records if self.records else 0.0
        queued: dict[str, float] = {}
        for endpoint, records in self.waiting.values():
            queued[endpoint] = queued.get(endpoint, 0.0) + records * a_record
        to_come = max(self.batches - self.passed, 0)
        return Capacity(
            seconds_left=max((self.ends_at - datetime.now(UTC)).total_seconds(), 0.0),
            tokens_per_s=self.speeds,
            queued_tokens=queued,
            reserved_tokens=reserve(self.captive, to_come),
        )


def _mean_out(measured: Mapping[str, Throughput]) -> int | None:
    records = sum(one.records for one in measured.values())
    return round(sum(one.tokens_out for one in measured.values()) / records) if records else None
