"""What a night works with: opened once from the job file, closed when the night is over.

- One runner per ledger and job: the second leaves before it reads anything (invariant 6).
- State is what the ledger says. `states` is a copy from the night's start; nothing is decided on it that the gate does not check again.
- The template's constants are scanned like a document, once: a secret in a prompt is as gone as one in a record (invariant 2).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from detectors import load
from detectors.detector import DetectorSet
from detectors.document import Document, Evidence
from flows.anchoring import check_anchors
from flows.job import Job, load_job
from flows.lanes import EMULATOR, build_lane, check_usable, choose_endpoints, look_endpoint, start_endpoints
from flows.look_question import check_look
from flows.night_checks import check_policy, check_template
from flows.progress import Progress, SilentProgress
from flows.render import load_prompt
from flows.runs import begin_run, choose_run, logical_date, out_elsewhere, register_policy, template_of
from flows.scanner import Scanner, scanner_of
from flows.sources import check_duplicates
from flows.templates import keep_template
from flows.tokenizers import load_tokenizers
from policies.budget import Committed
from policies.model import Endpoint
from policies.policy import Policy
from policies.prices import Prices
from policies.registry import load_rulebook, rulebook_hash
from sinks.ingest import CompletedRow, ResultPlace
from sinks.lanes import Lane as LaneEngine
from sinks.ledger.completions import Completed, completed_before
from sinks.ledger.erasure import finish_forgetting
from sinks.ledger.keys import Keys
from sinks.ledger.lock import one_runner
from sinks.ledger.overrides import OverrideBook
from sinks.ledger.queries import RecordStates, run_state
from sinks.ledger.repairs import REPAIR, repaired
from sinks.ledger.segments import Ledger
from sinks.request import Prompt
from sinks.tokens import CountTokens

if TYPE_CHECKING:  # it imports this module
    from flows.clearing import Cleared
    from flows.fallback import Closed

MAX_ATTEMPTS = 5
"""So often a provider may lose a record before it is held for a person to look at."""

SETTLED = frozenset({"completed", "failed", "held"})
IN_FLIGHT = frozenset({"submitting", "submitted", "ambiguous"})

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

    committed: what the job is committed to pay, as of the last look into the ledger, and for what was cleared since.
    short: by endpoint and attempt, cleared records that are too few for a job of their provider, so far.
    closed: endpoints that failed tonight (`flows/fallback.py`); failures: how many records they did not take, by failure; throttled: those
    that were waited for once. taken_up: records that waited and were released by this start. repairs: records that are asked once more,
    with the template's repair instruction. odd: hand-overs that a person should look at, by what is odd.
    keep: where results go, if not into files (`flows.collecting.write_rows`). look: the night of the second look, once it has begun.
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
    short: dict[ShardGroup, list[Cleared]] = field(default_factory=dict)
    closed: dict[str, Closed] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    throttled: set[str] = field(default_factory=set)
    taken_up: set[str] = field(default_factory=set)
    repairs: frozenset[str] = frozenset()
    odd: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    progress: Progress = field(default_factory=SilentProgress)
    started: float = field(default_factory=time.monotonic)
    stages: dict[str, float] = field(default_factory=dict)
    unchanged: int = 0
    refused: int = 0
    lost: int = 0  # hand-overs or rows that a provider has nothing for, since the documents were last read
    keep: Callable[[Night, Sequence[CompletedRow]], Mapping[str, ResultPlace]] | None = None
    look: Night | None = None

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
        """Read the run's state from the ledger again."""
        self.states = run_state(self.ledger, self.run_id)
        self.repairs = repaired(self.ledger, self.run_id) if self.prompt.repair else frozenset()

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
        return state is not None and state.state == "released" and state.reason not in {"retry", REPAIR} and state.intent_id is not None


_OPEN: dict[NightOptions, Night] = {}


def opened(options: NightOptions) -> Night:
    """The night that is open in this process under these options."""
    return _OPEN[options]


@contextmanager
def open_night(options: NightOptions, progress: Progress | None = None) -> Iterator[Night]:
    """Open everything, in the order in which it is cheapest to find out that something is wrong."""
    job = load_job(options.path, out=options.out_path)
    progress = progress or SilentProgress()
    with ExitStack() as stack:
        rules = load_rulebook(job.policy_path, job.registry, job.prices)
        policy, registry = rules.policy, rules.registry
        prompt = load_prompt(job)
        endpoints = choose_endpoints(job, registry, scheduled=options.scheduled, isolation=policy.isolation)
        looking = look_endpoint(job, registry, isolation=policy.isolation)
        for endpoint in [*endpoints, *([looking] if looking else [])]:
            check_usable(endpoint, job)
        tokenizers = load_tokenizers(endpoints, job)
        day = logical_date(options.date)
        progress.stage("loading detectors")
        detectors = load(ner=policy.ner, participants=policy.participants)
        check_policy(policy, endpoints, detectors, rules.prices)
        check_look(job, policy)
        scanner = stack.enter_context(scanner_of(policy, detectors, options.scan_processes or job.scan_processes))
        if not options.collect_only:
            scanner.start()  # it loads while everything else is opened
        check_template(prompt, policy, scanner, job, endpoints)
        check_duplicates(job)
        check_anchors(job)  # before the ledger is opened, which would begin a new one where the old one is gone
        ledger = Ledger.open(job.ledger.path, keys=job.ledger_keys)
        # A scheduled night and a collection begin in the same second every quarter of an hour: the night waits its turn.
        stack.enter_context(one_runner(job.ledger.path, job.name, wait=options.scheduled and not options.collect_only))
        run_id = options.run_id or choose_run(
            ledger, job, logical_date=day, template_hash=prompt.hash, reprocess=options.reprocess or job.reprocess
        )
        begun_with = template_of(ledger, run_id, prompt)
        if begun_with != prompt:
            prompt = begun_with
            check_template(prompt, policy, scanner, job, endpoints)
        keep_template(ledger.path, prompt)
        finish_forgetting(ledger)
        register_policy(ledger, policy)
        if not options.collect_only:
            begin_run(ledger, job.name, run_id, policy=policy, template_hash=prompt.hash, detectors_hash=detectors.hash, logical_date=day)
        endpoints = start_endpoints(job, endpoints, stack)
        used = {endpoint.name: endpoint for endpoint in [*endpoints, *([looking] if looking else [])]}
        stages = {"detection": 0.0, "inference": 0.0}
        salt = ledger.keys.hmac("cache_salt", job.name.encode())
        night = Night(
            options=options,
            job=job,
            run_id=run_id,
            keys=ledger.keys,
            ledger=ledger,
            policy=policy,
            registry={**registry, **used},
            prices=rules.prices,
            endpoints=endpoints,
            prompt=prompt,
            detectors=detectors,
            scanner=scanner,
            lanes={name: build_lane(endpoint, job, stages, stack, salt=salt) for name, endpoint in used.items()},
            states=run_state(ledger, run_id),
            repairs=repaired(ledger, run_id) if prompt.repair else frozenset(),
            before=completed_before(ledger, job.name, run_id=run_id),
            out=out_elsewhere(ledger, job, run_id=run_id),
            overrides=OverrideBook(ledger),
            tokenizers=tokenizers,
            progress=progress,
            stages=stages,
        )
        _OPEN[options] = night
        stack.callback(_OPEN.pop, options, None)
        yield night
