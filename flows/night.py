"""What a night works with, and what it knows of its records. `flows/opening.py` makes one.

State is what the ledger says. `states` is a copy from the night's start; nothing is decided on it that the gate does not check again.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from detectors.detector import DetectorSet
from detectors.document import Document, Evidence
from flows.job import Job
from flows.progress import Progress, SilentProgress
from flows.scanner import Scanner
from flows.scoring import Score
from flows.workload import Workload
from policies.budget import Committed
from policies.model import EMULATOR, Endpoint
from policies.policy import Policy
from policies.prices import Price, Prices
from policies.registry import rulebook_hash
from sinks.ingest import CompletedRow, ResultPlace
from sinks.lanes import Lane as LaneEngine
from sinks.ledger.completions import Completed
from sinks.ledger.entry import Entry
from sinks.ledger.escalations import ESCALATED, escalated
from sinks.ledger.keys import Keys
from sinks.ledger.overrides import OverrideBook
from sinks.ledger.queries import OpenIntent, RecordStates, open_intents_of, run_state
from sinks.ledger.repairs import REPAIR, repaired
from sinks.ledger.segments import Ledger
from sinks.moulds import Moulds
from sinks.request import Prompt
from sinks.tokens import CountTokens

if TYPE_CHECKING:  # it imports this module
    from flows.clearing import Cleared
    from flows.fallback import Closed

MAX_ATTEMPTS = 5
"""So often a provider may lose a record before it is held for a person to look at."""

SETTLED = frozenset({"completed", "failed", "held"})
IN_FLIGHT = frozenset({"submitting", "submitted", "ambiguous"})
NOT_SENT = frozenset({"decided", "assigned", "cleared", "released", "rejected", "cancelled"})
"""States that every pass over the documents leads on from."""

AsOf = tuple[str, int]
"""What was read of the ledger, and when: the run, and the head before it was read."""

ShardGroup = tuple[str, int, bool]
"""What goes into one request file: endpoint, attempt, and whether it is a repair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightOptions:
    """What a caller may choose: paths, ids and flags, small enough for Prefect to carry.

    date: the logical date, ISO, UTC. run_id: an existing run to go on with. collect_only: read no document unless a provider lost rows.
    scan_processes: instead of the job's.
    """

    job: str
    out: str | None = None
    date: str | None = None
    run_id: str | None = None
    collect_only: bool = False
    limit: int | None = None
    reprocess: bool = False
    wait: bool = True
    scan_processes: int | None = None
    scheduled: bool = False

    @property
    def path(self) -> Path:
        """The job file."""
        return Path(self.job)

    @property
    def out_path(self) -> Path | None:
        """The folder that gathers all outputs, if one was named."""
        return Path(self.out) if self.out else None


@dataclass(slots=True, kw_only=True)
class Night:
    """An open night. Only `states`, `stages`, `committed`, `short`, `closed`, `look` and the counters change while it lasts.

    committed: what the job is committed to pay, as of the last look into the ledger, and for what was cleared since. stopped: nothing more
    goes to a provider tonight (`on_budget: stop`). spent_out: limits that a record did not fit into, by endpoint or "" and period.
    unstated: that the night is stopped, for the next commit. short: by endpoint and attempt, cleared records that are too few for a job of
    their provider, so far.
    closed: endpoints that failed tonight (`flows/fallback.py`); failures: how many records they did not take, by failure; throttled: those
    that were waited for once. taken_up: records that waited and were released by this start. repairs: records that are asked once more,
    with the template's repair instruction; escalated: in the cloud, and the confidence of their answer from inside. escalate_below: see
    `flows/escalating.py`. score: how complex a record is. load: the work inside. odd: hand-overs that a person should look at, by what is
    odd. keep: where results go, if not into files (`flows.collecting.write_rows`). look: the night of the second look, once it has begun.
    """

    options: NightOptions
    job: Job
    run_id: str
    keys: Keys
    ledger: Ledger
    policy: Policy
    registry: Mapping[str, Endpoint]
    prices: Prices
    endpoints: Sequence[Endpoint]
    prompt: Prompt
    detectors: DetectorSet
    scanner: Scanner
    lanes: Mapping[str, LaneEngine]
    states: RecordStates
    before: Completed
    out: Completed
    overrides: OverrideBook
    tokenizers: Mapping[str, CountTokens] = field(default_factory=dict)
    committed: Committed = field(default_factory=Committed)
    stopped: bool = False
    spent_out: set[tuple[str, str]] = field(default_factory=set)
    unstated: list[Entry] = field(default_factory=list)
    short: dict[ShardGroup, list[Cleared]] = field(default_factory=dict)
    closed: dict[str, Closed] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    throttled: set[str] = field(default_factory=set)
    taken_up: set[str] = field(default_factory=set)
    repairs: frozenset[str] = frozenset()
    escalated: Mapping[str, float | None] = field(default_factory=dict)
    escalate_below: float = 0.0
    score: Score | None = None
    load: Workload | None = None
    odd: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    progress: Progress = field(default_factory=SilentProgress)
    started: float = field(default_factory=time.monotonic)
    stages: dict[str, float] = field(default_factory=dict)
    unchanged: int = 0
    refused: int = 0
    lost: int = 0  # hand-overs or rows that a provider has nothing for, since the documents were last read
    read: bool = False  # whether this start has gone over the documents
    keep: Callable[[Night, Sequence[CompletedRow]], Mapping[str, ResultPlace]] | None = None
    look: Night | None = None
    open: tuple[AsOf | None, Sequence[OpenIntent]] = (None, ())
    states_as_of: AsOf | None = None
    moulds: dict[str, Moulds] = field(default_factory=dict)
    charged: dict[str, tuple[Prices, date, tuple[Price | None, Price | None]]] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The day on which registry facts are judged: the real one, whatever the logical date."""
        return datetime.now(UTC).date()

    def rulebook_now(self) -> str:
        """The hash of policy, registry and prices as they are on disk: the gate lets nothing go that was decided under others."""
        return rulebook_hash(self.job.policy_path, self.job.registry, self.job.prices)

    @property
    def waits(self) -> bool:
        """Whether to stay until the cloud has finished. The emulator stops with the run: without staying, nothing would come of it."""
        unattended = self.options.scheduled or self.options.collect_only
        return self.options.wait or (unattended and any(endpoint.provider == EMULATOR for endpoint in self.endpoints))

    def lane(self, endpoint: Endpoint) -> LaneEngine:
        """The engine behind an endpoint."""
        return self.lanes[endpoint.name]

    def open_now(self) -> Sequence[OpenIntent]:
        """The run's open hand-overs. A night that waits asks for them again and again: the ledger is read when it has grown."""
        as_of = self.run_id, self.ledger.head()
        if as_of != self.open[0]:
            self.refresh()
            self.open = as_of, open_intents_of(self.ledger, self.run_id, self.states)
        return self.open[1]

    def moulds_of(self, endpoint: Endpoint, prompt: Prompt) -> Moulds:
        """The wire form of records at an endpoint: the one of the last record, where nothing of it has changed since."""
        known = self.moulds.get(endpoint.name)
        if known is None or known.endpoint is not endpoint or known.prompt != prompt or known.lane is not self.lane(endpoint):
            known = self.moulds[endpoint.name] = Moulds(self.lane(endpoint), prompt, endpoint)
        return known

    def prices_of(self, endpoint: Endpoint) -> tuple[Price | None, Price | None]:
        """What a token costs at an endpoint today, and tomorrow: as for the last record, on the same day."""
        day, known = self.today, self.charged.get(endpoint.name)
        if known is None or known[0] is not self.prices or known[1] != day:
            both = self.prices.of(endpoint, day), self.prices.of(endpoint, day + timedelta(days=1))
            known = self.charged[endpoint.name] = self.prices, day, both
        return known[2]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the seconds of a stage; what is not counted here is overhead."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.stages[stage] += time.monotonic() - begun

    def scan(self, documents: Sequence[Document]) -> list[Evidence]:
        """Evidence of each document, in order."""
        with self.timed("detection"):
            return list(self.scanner.scan(documents))

    def refresh(self) -> None:
        """Read the run's state from the ledger again, if anything was committed since."""
        as_of = self.run_id, self.ledger.head()
        if as_of == self.states_as_of:
            return
        self.forget()  # else both are there at once
        self.states, self.states_as_of = run_state(self.ledger, self.run_id), as_of
        self.repairs = repaired(self.ledger, self.run_id) if self.prompt.repair else frozenset()
        self.escalated = escalated_in(self.job, self.ledger, self.run_id)

    def forget(self) -> None:
        """Let go of what is known of the records, where something else needs the memory; `refresh` reads it again."""
        self.states, self.states_as_of, self.open = RecordStates(self.states.table.slice(0, 0)), None, (None, ())

    def unfinished(self, documents: Sequence[Document]) -> list[Document]:
        """The documents that still need work, each with its whole family, because a family is decided together."""
        due = [document for document in documents if self.is_due(document)]
        wanted = {document.family or document.record_id for document in due}
        self.unchanged += sum(self.is_unchanged(document) for document in documents)
        return [document for document in documents if (document.family or document.record_id) in wanted]

    def is_due(self, document: Document) -> bool:
        """Whether this record has neither an outcome, nor a hand-over under way, nor a result from an earlier night."""
        state = self.states.get(document.record_id)
        if state is None:  # a collection of an earlier night's run takes nothing new into it
            return not self.options.collect_only and not self.is_unchanged(document)
        return state.state not in SETTLED | IN_FLIGHT

    def knows(self, record_id: str) -> bool:
        """Whether the ledger has met this record, in this run or as a result of an earlier one."""
        return self.states.get(record_id) is not None or self.before.get(record_id) is not None

    def is_unchanged(self, document: Document) -> bool:
        """Whether an earlier night of this job has a result, or has paid for one, for this very text under this very template."""
        if self.options.reprocess or self.job.reprocess or not document.readable or self.states.get(document.record_id):
            return False
        earlier = {self.before.get(document.record_id), self.out.get(document.record_id)} - {None}
        return bool(earlier) and (self.keys.document_hmac(self.keys.part_hmacs(document.parts)), self.prompt.hash) in earlier

    def prompt_for(self, record_id: str) -> Prompt:
        """The template as this record is asked: in its repair form once an answer did not keep to the schema."""
        return self.prompt.as_repair() if record_id in self.repairs else self.prompt

    def attempt(self, record_id: str) -> int:
        """The attempt that a new clearance of this record is for: one more than the last that was handed over."""
        state = self.states.get(record_id)
        return 1 if state is None or state.attempt is None else state.attempt + 1

    def was_lost(self, record_id: str) -> bool:
        """Whether a provider's job ended without an answer for this record."""
        state = self.states.get(record_id)
        asked_again = {"retry", REPAIR, ESCALATED}
        return state is not None and state.state == "released" and state.reason not in asked_again and state.intent_id is not None


def escalated_in(job: Job, ledger: Ledger, run_id: str) -> Mapping[str, float | None]:
    """The records that a run has given back to be asked in the cloud, with the confidence of their answer from inside."""
    return escalated(ledger, run_id) if job.lanes.strategy == "waterfall" else {}
