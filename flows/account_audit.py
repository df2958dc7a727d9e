"""`waybill audit reconcile`: the ledger against what the provider's account shows, both ways. Reads only, on both sides.

Every finding is a code. `AGREES` holds those that are as they should be: they are said, and do not make the audit fail. Pure but for
`audit_account`, which asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from flows.job import Job
from flows.provider_access import open_providers
from sinks.errors import EndpointError
from sinks.lanes.inventory import FOREIGN, InventoryLane, ListedJob, StoredFile
from sinks.ledger.files import head
from sinks.ledger.handed import HandedIntent, handed_intents

NOT_OURS = "not_ours"
AGREES = frozenset({NOT_OURS})
MEANING: Mapping[str, str] = {
    NOT_OURS: "somebody else's: it carries none of our hand-overs",
    "unknown_job": "carries a hand-over that this ledger does not know: another ledger's, or a copy's",
    "second_job": "a second job of one hand-over: paid twice; cancel it",
    "unadopted_job": "its hand-over is in doubt: run the job again, which adopts it",
    "cannot_be_told": "not in the ledger, and nobody can tell yet whose it is; ask again when it has ended",
    "not_there": "the ledger knows it, the provider does not list it: another account, or it was deleted there",
    "rows_differ": "the provider counts another number of rows than were handed over",
    "not_stopped": "the ledger gave it up, and it still runs: cancel it there",
    "file_not_deleted": "recorded as deleted, and still there: delete it",
    "file_unused": "carries our name, and no job of this ledger uses it: delete it",
    "unreachable": "could not be asked, so nothing about it agrees",
}
"""What each code says, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that differs, or is not ours. subject: the provider's id of a job or file, or the endpoint. rows: ledger, provider."""

    code: str
    endpoint: str
    subject: str
    intent_id: str | None = None
    run_id: str | None = None
    state: str | None = None
    rows_ledger: int | None = None
    rows_provider: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAudit:
    """What was found. jobs, files: how many the provider showed. hand_overs: of the ledger, that were looked for."""

    findings: tuple[Finding, ...]
    jobs: int = 0
    files: int = 0
    hand_overs: int = 0

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return all(one.code in AGREES for one in self.findings)

    def table(self) -> pa.Table:
        """As columns."""
        names = [one.name for one in fields(Finding)]
        types = {name: pa.int64() for name in ("rows_ledger", "rows_provider")}
        return pa.table({name: pa.array([getattr(one, name) for one in self.findings], types.get(name, pa.string())) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one endpoint's provider shows: jobs since a time, marked where that could be told, and all files."""

    endpoint: str
    since: datetime
    jobs: Sequence[ListedJob]
    files: Sequence[StoredFile]


def audit_account(job: Job, *, since: datetime, beside: Sequence[Path] = ()) -> AccountAudit:
    """Compare the job's ledger with every cloud endpoint that it used since, and the job's own. beside: ledgers that share the account."""
    own = handed_intents(job.ledger.path) if head(job.ledger.path) else []
    others = [intent for path in beside for intent in handed_intents(path)]
    names = {intent.endpoint for intent in own if intent.at >= since} | set(job.lanes.cloud or ())
    findings: list[Finding] = []
    jobs = files = 0
    with open_providers(job, names) as providers:
        silent = dict(providers.silent)
        for name, lane in providers.lanes.items():
            try:
                account = _account(name, lane, since, [*own, *others])
            except EndpointError as error:
                silent[name] = str(error)
                continue
            jobs, files = jobs + len(account.jobs), files + len(account.files)
            findings += compare(account, own, others)
    findings += [Finding(code="unreachable", endpoint=name, subject=name, detail=why) for name, why in silent.items()]
    looked_for = sum(intent.at >= since for intent in own)
    return AccountAudit(findings=tuple(findings), jobs=jobs, files=files, hand_overs=looked_for)


def _account(name: str, lane: InventoryLane, since: datetime, known: Sequence[HandedIntent]) -> Account:
    """Ask. A job that the ledger does not know is looked at closely, where the list alone does not tell whose it is."""
    ours = {job_id for intent in known for job_id in intent.jobs | intent.stopped}
    jobs = []
    for shown in lane.listed(since):
        if shown.job_id in ours or (shown.created_at is not None and shown.created_at < since):
            jobs.append(shown)
            continue
        jobs.append(_closely(lane, shown) if shown.mark is None else shown)
    return Account(endpoint=name, since=since, jobs=jobs, files=list(lane.stored()))


def _closely(lane: InventoryLane, shown: ListedJob) -> ListedJob:
    """With its mark, if it can be had. One job that cannot be looked at does not spoil the rest: it stays one that cannot be told."""
    try:
        return replace(shown, mark=lane.look(shown.job_id).mark)
    except EndpointError:
        return shown


def compare(account: Account, own: Sequence[HandedIntent], others: Sequence[HandedIntent] = ()) -> Iterator[Finding]:
    """Everything in which the account and the ledger differ, jobs first."""
    by_job = {job_id: intent for intent in [*others, *own] for job_id in intent.jobs | intent.stopped}
    shown = {one.job_id: one for one in account.jobs}
    for one in account.jobs:
        intent = by_job.get(one.job_id)
        if intent is not None:
            yield from _known(account, one, intent)
        elif one.created_at is None or one.created_at >= account.since:
            yield _unknown(account, one, [*own, *others])
    for intent in own:
        if intent.endpoint == account.endpoint and intent.at >= account.since:
            yield from _absent(intent, shown)
    yield from _files(account, own, others, by_job)


def _known(account: Account, one: ListedJob, intent: HandedIntent) -> Iterator[Finding]:
    if one.total is not None and one.total != intent.records:
        yield _finding("rows_differ", account, one, intent)
    given_up = one.job_id in intent.stopped and one.job_id not in intent.jobs
    if given_up and not one.ended:
        yield _finding("not_stopped", account, one, intent)


def _unknown(account: Account, one: ListedJob, known: Iterable[HandedIntent]) -> Finding:
    if one.mark is None:
        return _finding("cannot_be_told", account, one, None)
    if one.mark == FOREIGN:
        return _finding(NOT_OURS, account, one, None)
    intent = next((intent for intent in known if one.carries(intent.intent_id)), None)
    if intent is None:
        return _finding("unknown_job", account, one, None)
    return _finding("second_job" if intent.jobs else "unadopted_job", account, one, intent)


def _absent(intent: HandedIntent, shown: Mapping[str, ListedJob]) -> Iterator[Finding]:
    """Jobs that ought to be in the list. A provider for which a job is its own content no longer lists what was deleted."""
    for job_id in sorted(intent.jobs - shown.keys()):
        if not intent.retired:
            yield _about(intent, "not_there", job_id)


def _files(
    account: Account, own: Sequence[HandedIntent], others: Sequence[HandedIntent], by_job: Mapping[str, HandedIntent]
) -> Iterator[Finding]:
    used = {file_id: by_job.get(one.job_id) for one in account.jobs for file_id in one.file_ids}
    intents = {intent.intent_id: intent for intent in [*others, *own]}
    unclaimed = {file_id for one in account.jobs if one.job_id not in by_job for file_id in one.file_ids}
    for file in account.files:
        intent = used.get(file.file_id) or intents.get(file.mark)
        if intent is None:
            if file.mark != FOREIGN and file.file_id not in unclaimed:
                yield Finding(code="file_unused", endpoint=account.endpoint, subject=file.file_id, intent_id=file.mark)
            continue
        code = _file_code(intent)
        if code is not None:
            yield replace(_about(intent, code, file.file_id), endpoint=account.endpoint)


def _about(intent: HandedIntent, code: str, subject: str) -> Finding:
    return Finding(
        code=code, endpoint=intent.endpoint, subject=subject, intent_id=intent.intent_id, run_id=intent.run_id, state=intent.state
    )


def _file_code(intent: HandedIntent) -> str | None:
    if intent.retired:
        return "file_not_deleted"
    return "file_unused" if intent.state in {"rejected", "cancelled"} and not intent.jobs else None


def _finding(code: str, account: Account, one: ListedJob, intent: HandedIntent | None) -> Finding:
    return Finding(
        code=code,
        endpoint=account.endpoint,
        subject=one.job_id,
        intent_id=intent.intent_id if intent else one.mark or None,
        run_id=intent.run_id if intent else None,
        state=one.state,
        rows_ledger=intent.records if intent else None,
        rows_provider=one.total,
    )
