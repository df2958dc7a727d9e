"""What a night works with: opened once from the job file, closed when the night is over.

- One runner per ledger and job: the second leaves before it reads anything (invariant 6).
- State is what the ledger says. `states` is a copy from the night's start; nothing is decided on it that the gate does not check again.
- The template's constants are scanned like a document, once: a secret in a prompt is as gone as one in a record (invariant 2).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from detectors import load
from detectors.detector import DetectorSet
from detectors.document import Document, Evidence
from flows.errors import JobError
from flows.job import Job, load_job
from flows.lanes import EMULATOR, build_lane, check_usable, choose_endpoints, look_endpoint, start_endpoints
from flows.look_question import check_look
from flows.progress import Progress, SilentProgress
from flows.render import load_prompt
from flows.runs import begin_run, choose_run, out_elsewhere, register_policy, template_of
from flows.scanner import Scanner
from flows.sources import check_duplicates
from flows.templates import keep_template
from policies.check import Severity, check
from policies.decide import decide
from policies.demand import demand_for
from policies.load import DEFAULT_REGISTRY
from policies.model import Endpoint, Lane
from policies.policy import Policy
from policies.registry import load_rulebook
from sinks.ingest import CompletedRow, ResultPlace
from sinks.lanes import Lane as LaneEngine
from sinks.ledger.erasure import finish_forgetting
from sinks.ledger.keys import Keys
from sinks.ledger.lock import one_runner
from sinks.ledger.overrides import OverrideBook
from sinks.ledger.queries import Completed, RecordStates, completed_before, run_state
from sinks.ledger.segments import Ledger
from sinks.request import Prompt

MAX_ATTEMPTS = 5
"""So often a provider may lose a record before it is held for a person to look at."""

SETTLED = frozenset({"completed", "failed", "held"})
IN_FLIGHT = frozenset({"submitting", "submitted", "ambiguous"})


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
    """An open night. Only `states`, `stages`, `look` and the counters change while it lasts.

    keep: where results go, if not into files (`flows.collecting.write_rows`). look: the night of the second look, once it has begun.
    """

    options: NightOptions
    job: Job
    run_id: str
    keys: Keys
    ledger: Ledger
    policy: Policy
    registry: Mapping[str, Endpoint]
    endpoints: Sequence[Endpoint]
    prompt: Prompt
    detectors: DetectorSet
    scanner: Scanner
    lanes: Mapping[str, LaneEngine]
    states: RecordStates
    before: Completed
    out: Completed
    overrides: OverrideBook
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

    def attempt(self, record_id: str) -> int:
        """The attempt that a new clearance of this record is for: one more than the last that was handed over."""
        state = self.states.get(record_id)
        return 1 if state is None or state.attempt is None else state.attempt + 1

    def was_lost(self, record_id: str) -> bool:
        """Whether a provider's job ended without an answer for this record."""
        state = self.states.get(record_id)
        return state is not None and state.state == "released" and state.intent_id is not None


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
        policy, registry = load_rulebook(job.policy_path, job.registry or DEFAULT_REGISTRY)
        prompt = load_prompt(job)
        endpoints = choose_endpoints(job, registry, scheduled=options.scheduled, isolation=policy.isolation)
        looking = look_endpoint(job, registry, isolation=policy.isolation)
        for endpoint in [*endpoints, *([looking] if looking else [])]:
            check_usable(endpoint, job)
        day = logical_date(options)
        progress.stage("loading detectors")
        detectors = load(ner=policy.ner, participants=policy.participants)
        check_policy(policy, endpoints, detectors)
        check_look(job, policy)
        scanner = stack.enter_context(scanner_of(policy, detectors, options.scan_processes or job.scan_processes))
        if not options.collect_only:
            scanner.start()  # it loads while everything else is opened
        check_template(prompt, policy, scanner, job)
        check_duplicates(job)
        ledger = Ledger.open(job.ledger.path, keys=job.ledger_keys)
        # A scheduled night and a collection begin in the same second every quarter of an hour: the night waits its turn.
        stack.enter_context(one_runner(job.ledger.path, job.name, wait=options.scheduled and not options.collect_only))
        run_id = options.run_id or choose_run(
            ledger, job, logical_date=day, template_hash=prompt.hash, reprocess=options.reprocess or job.reprocess
        )
        begun_with = template_of(ledger, run_id, prompt)
        if begun_with != prompt:
            prompt = begun_with
            check_template(prompt, policy, scanner, job)
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
            endpoints=endpoints,
            prompt=prompt,
            detectors=detectors,
            scanner=scanner,
            lanes={name: build_lane(endpoint, job, stages, stack, salt=salt) for name, endpoint in used.items()},
            states=run_state(ledger, run_id),
            before=completed_before(ledger, job.name, run_id=run_id),
            out=out_elsewhere(ledger, job, run_id=run_id, now=datetime.now(UTC)),
            overrides=OverrideBook(ledger),
            progress=progress,
            stages=stages,
        )
        _OPEN[options] = night
        stack.callback(_OPEN.pop, options, None)
        yield night


def scanner_of(policy: Policy, detectors: DetectorSet, processes: int | None) -> Scanner:
    """What scans under this policy, as its nights ask: planned, unless the policy wants complete evidence."""
    return Scanner(detectors, demand_for(policy), ner=policy.ner, participants=policy.participants, processes=processes)


def logical_date(options: NightOptions) -> str:
    """The day that the run is for: ISO, UTC."""
    if options.date is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return date.fromisoformat(options.date).isoformat()
    except ValueError:
        raise JobError(f"--date: expected YYYY-MM-DD, found {options.date!r}") from None


def check_policy(policy: Policy, endpoints: Sequence[Endpoint], detectors: DetectorSet) -> None:
    """Refuse a policy that `waybill policy check` finds errors in, with the endpoints that this job uses."""
    problems = check(policy, {endpoint.name: endpoint for endpoint in endpoints}, today=datetime.now(UTC).date(), known=detectors.kinds)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more: see `waybill policy check`)" if len(errors) > 1 else ""
        raise JobError(f"{errors[0].where}: {errors[0].message}{more}")


def check_template(prompt: Prompt, policy: Policy, scanner: Scanner, job: Job) -> None:
    """Refuse a template whose own words may not go where its records go."""
    constants = Document(record_id="template", text="\n".join(prompt.constants), source="template", family="template")
    if not constants.text.strip() or job.lanes.cloud is None:
        return
    (evidence,) = scanner.scan([constants])
    decision = decide("template", evidence, policy, detectors_hash="")
    if Lane.CLOUD not in decision.lanes:
        raise JobError(
            f"{job.file}: the prompt template or schema itself is {', '.join(decision.data_classes)} under this policy, so it may not "
            "leave; take the restricted words out, or set lanes.cloud: null"
        )
