"""The breach look-back: what was sent to a cloud endpoint, judged again with today's detectors and policy.

- Nothing is sent, and nothing could be: no lane, no gate and no client is in reach of this module, and a test sees to it.
- Nothing is guessed: only the very text that was sent, by its keyed digest, is judged. A source that is gone, or holds another text now,
  is counted as that.
- What was found is in the ledger, batch by batch, so that a look-back that was killed goes on, and one that is run again finds the same
  and writes nothing. One batch is in memory at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from detectors import load
from detectors.document import LLM, Document, Evidence, Judgement
from flows.counted_evidence import evidence_counts
from flows.deciding import decide_documents
from flows.errors import JobError
from flows.job import Job, load_job
from flows.runs import register_policy
from flows.scanner import Scanner
from flows.sent_files import SentFiles
from flows.sources import Batch, list_batches, read_batch
from policies.demand import demand_for
from policies.facts import unmet
from policies.model import Decision, Endpoint, Lane
from policies.overrides import raised
from policies.policy import Policy
from policies.registry import load_rulebook
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lock import one_runner
from sinks.ledger.overrides import OverrideBook
from sinks.ledger.queries import job_runs
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sent import Past, Range, Sent, last_seq, looked_back, past_of, sent_elsewhere
from sinks.ledger.sources import FORGOTTEN as ERASED
from sinks.ledger.sources import lookup

STILL_PERMITTED = "still_permitted"
OTHER_CLASSES = "other_classes"
NOW_HELD, NOW_LOCAL, NOW_ELSEWHERE = "now_held", "now_local", "now_another_endpoint"
GONE, CHANGED, UNREADABLE, FORGOTTEN = "source_gone", "source_changed", "source_unreadable", "name_forgotten"

RESTRICTED = (NOW_HELD, NOW_LOCAL, NOW_ELSEWHERE)
"""It would not go there now."""
JUDGED = (STILL_PERMITTED, OTHER_CLASSES, *RESTRICTED)
"""The very text that was sent has been judged. It need not be judged again by the same detectors and policy."""
NOT_JUDGED = (GONE, CHANGED, UNREADABLE, FORGOTTEN)

NO_CLASS = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBackOptions:
    """policy, ledger, keys: instead of the job's. since, until: days (UTC) of the hand-over; until is not included."""

    job: Path
    policy: Path | None = None
    ledger: Path | None = None
    keys: Path | None = None
    since: date | None = None
    until: date | None = None
    actor: str = "waybill"


@dataclass(slots=True, kw_only=True)
class LookBack:
    """One look-back under way. Only `written` changes."""

    job: Job
    ledger: Ledger
    policy: Policy
    registry: Mapping[str, Endpoint]
    detectors_hash: str
    wanted: Range
    actor: str
    overrides: OverrideBook
    written: int = 0

    def commit(self, entries: Sequence[Entry]) -> None:
        """Make findings durable."""
        self.ledger.commit(entries)
        self.written += len(entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBackReport:
    """restricted: rows of `sinks.ledger.sent.looked_back`, of what would now not go there. by_reason: texts × endpoints.

    records: each once. elsewhere: records that other jobs sent, which this look-back has not looked at. written: entries of this pass.
    """

    ledger: Path
    restricted: list[dict[str, object]] = field(repr=False)
    by_reason: Counter[str]
    records: int
    restricted_records: int
    elsewhere: int
    written: int
    policy_hash: str
    detectors_hash: str


def look_back(options: LookBackOptions) -> LookBackReport:
    """Judge again everything that the job sent, as far as it is still there; enter the findings; say what the ledger then knows."""
    job = load_job(options.job)
    rules = load_rulebook(options.policy or job.policy_path, job.registry, job.prices)
    policy, registry = rules.policy, rules.registry
    detectors = load(ner=policy.ner, participants=policy.participants)
    unknown = sorted(policy.kinds - detectors.kinds)
    if unknown:
        raise JobError(f"{policy.file}: no detector answers {unknown[0]}; see `waybill policy check`")
    folder = options.ledger or job.ledger.path
    with reading(folder):
        pass  # a folder that holds no ledger is refused here; opening it to write would make one
    keys = options.keys or (None if options.ledger else job.ledger_keys)
    ledger = Ledger.open(folder, keys=keys)
    runs = tuple(run.run_id for run in job_runs(ledger, job.name))
    look = LookBack(
        job=job,
        ledger=ledger,
        policy=policy,
        registry=registry,
        detectors_hash=detectors.hash,
        wanted=Range(since=options.since, until=options.until, runs=runs, as_of=last_seq(ledger)),  # a night may go on meanwhile
        actor=options.actor,
        overrides=OverrideBook(ledger),
    )
    demand = demand_for(policy, complete=True)  # all the classes of a breach, not only the first that decides
    scanner = Scanner(detectors, demand, ner=policy.ner, participants=policy.participants, processes=job.scan_processes)
    # A full stop is in no job's name: a night may run meanwhile, another look-back of the job may not.
    with one_runner(ledger.path, f"{job.name}.lookback"), scanner:
        register_policy(ledger, policy)
        files = SentFiles(look.ledger.path, (answer["record_id"].to_pylist() for answer in _so_far(look)))
        for batch in list_batches(job, only=files):
            judge_batch(look, scanner, batch)
        enter_missing(look)
        return report(look)


def judge_batch(look: LookBack, scanner: Scanner, batch: Batch) -> None:
    """Read a batch again and enter what is now thought of the texts in it that were sent, and have not been judged so yet."""
    documents = {document.record_id: document for document in read_batch(batch, look.job, look.ledger.keys)}
    keys = look.ledger.keys
    hmacs = {name: keys.document_hmac(keys.part_hmacs(document.parts)) for name, document in documents.items()}
    past = past_of(look.ledger, list(documents), look.wanted, policy_hash=look.policy.hash, detectors_hash=look.detectors_hash)
    due = [one for one in past.sent if past.looked.get(one.key) not in JUDGED]
    same = [one for one in due if hmacs[one.record_id] == one.document_hmac]
    decided = _decide_again(look, scanner, _with_raised(look, _with_families(documents, same, hmacs, past)), same)
    entries = [_judged_entry(look, one, *decided[one.record_id], family=documents[one.record_id].family) for one in same]
    for one in due:
        if hmacs[one.record_id] != one.document_hmac:
            document = documents[one.record_id]
            reason = CHANGED if document.readable else GONE if document.problem == "vanished" else UNREADABLE
            if past.looked.get(one.key) != reason:
                entries.append(_missing_entry(look, one, reason))
    look.commit(entries)


def _with_families(documents: Mapping[str, Document], same: Sequence[Sent], hmacs: Mapping[str, str], past: Past) -> list[Document]:
    """What must be scanned: the texts that were sent, and their siblings, which share classes, but for those that are another text now."""
    families = {documents[one.record_id].family or one.record_id for one in same}
    return [
        document
        for name, document in documents.items()
        if (document.family or name) in families and hmacs[name] in past.texts.get(name, frozenset())
    ]


def _with_raised(look: LookBack, documents: Sequence[Document]) -> list[Document]:
    """With the classes that people raised since. What an approver let be lowered stays: a look-back shows what the evidence says."""
    entered = look.overrides.about(document.record_id for document in documents)
    return [replace(one, declared=one.declared | raised(entered.get(one.record_id, ())).keys()) for one in documents]


def _decide_again(
    look: LookBack, scanner: Scanner, documents: Sequence[Document], same: Sequence[Sent]
) -> dict[str, tuple[Decision, Evidence]]:
    """Decisions by record. What a model inside once said of a text is kept: nobody is asked again, and evidence only grows."""
    judged = {one.record_id: frozenset(Judgement(data_class=name, model=model) for name, model in one.judged) for one in same}
    evidence = [
        replace(found, judged=said, settled=found.settled | {LLM}) if (said := judged.get(document.record_id)) else found
        for document, found in zip(documents, scanner.scan(documents), strict=True)
    ]
    decisions = decide_documents(documents, evidence, look.policy, look.detectors_hash)
    return {decision.record_id: (decision, found) for decision, found in zip(decisions, evidence, strict=True)}


def judgement_of(decision: Decision, sent: Sent, registry: Mapping[str, Endpoint]) -> str:
    """The reason code: may this text still go where it went?"""
    if not decision.lanes:
        return NOW_HELD
    if Lane.CLOUD not in decision.lanes:
        return NOW_LOCAL
    endpoint = registry.get(sent.endpoint)
    # What the registry no longer knows vouches for nothing.
    if decision.cloud_requires and (endpoint is None or unmet(endpoint, decision.cloud_requires)):
        return NOW_ELSEWHERE
    return STILL_PERMITTED if set(decision.data_classes) == set(sent.data_classes) else OTHER_CLASSES


def _judged_entry(look: LookBack, sent: Sent, decision: Decision, evidence: Evidence, *, family: str) -> Entry:
    return replace(
        _missing_entry(look, sent, judgement_of(decision, sent, look.registry)),
        after=classes_text(decision.data_classes),
        data_classes=decision.data_classes,
        partial=decision.partial,
        evidence=evidence_counts(evidence),
        rule=decision.rule,
        lanes=tuple(decision.lanes),
        family=family or None,
    )


def _missing_entry(look: LookBack, sent: Sent, reason: str) -> Entry:
    """What is said of a text that could not be judged: its classes then, and why."""
    return Entry(
        event=Event.LOOKBACK,
        at=datetime.now(UTC),
        run_id=sent.run_id,
        record_id=sent.record_id,
        actor=look.actor,
        endpoint=sent.endpoint or None,
        document_hmac=sent.document_hmac or None,
        reason=reason,
        before=classes_text(sent.data_classes),
        policy_hash=look.policy.hash,
        detectors_hash=look.detectors_hash,
    )


def classes_text(data_classes: Sequence[str]) -> str:
    """Classes as `before` and `after` state them: joined by `+`, a dash for none."""
    return "+".join(data_classes) or NO_CLASS


def enter_missing(look: LookBack) -> None:
    """What was sent and was met in no file: the source is gone, or nobody may know its name any more."""
    for answer in _so_far(look):
        left = [row for row in answer.to_pylist() if row["reason"] is None]
        names = lookup(look.ledger.path, [row["record_id"] for row in left])
        entries = []
        for row in left:
            named = {name: row[name] for name in ("record_id", "document_hmac", "endpoint", "run_id")}
            sent = Sent(**named, data_classes=tuple(row["classes_then"] or ()))
            name = names.get(sent.record_id)
            entries.append(_missing_entry(look, sent, FORGOTTEN if name is None or name.source == ERASED else GONE))
        look.commit(entries)


def report(look: LookBack) -> LookBackReport:
    """What the ledger knows by now; the same after one pass as after ten."""
    by_reason: Counter[str] = Counter()
    restricted: list[dict[str, object]] = []
    records = 0
    for answer in _so_far(look):
        by_reason.update(answer["reason"].to_pylist())
        records += len(answer["record_id"].unique())
        restricted += [row for row in answer.to_pylist() if row["reason"] in RESTRICTED]
    restricted.sort(key=lambda row: (str(row["first_sent"]), str(row["record_id"]), str(row["endpoint"])))
    return LookBackReport(
        ledger=look.ledger.path,
        restricted=restricted,
        by_reason=by_reason,
        records=records,
        restricted_records=len({row["record_id"] for row in restricted}),
        elsewhere=sent_elsewhere(look.ledger, replace(look.wanted, runs=None), runs=look.wanted.runs or ()),
        written=look.written,
        policy_hash=look.policy.hash,
        detectors_hash=look.detectors_hash,
    )


def _so_far(look: LookBack) -> Iterator[pa.Table]:
    return looked_back(look.ledger, look.wanted, policy_hash=look.policy.hash, detectors_hash=look.detectors_hash)
