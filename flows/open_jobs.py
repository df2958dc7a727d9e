"""`waybill jobs`: every hand-over that owes an answer, as the ledger knows it and as its provider shows it now. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.job import Job
from flows.provider_access import INSIDE, open_providers
from sinks.errors import EndpointError
from sinks.lanes.inventory import InventoryLane, ListedJob
from sinks.ledger.files import head
from sinks.ledger.handed import CancelWish, IntentMoney, cancel_wishes, money_of
from sinks.ledger.queries import OpenIntent, job_runs, jobs_of_others, open_intents

NOT_ASKED, UNREACHABLE, NOT_LISTED, UNTOLD = "not asked", "unreachable", "not listed", "cannot be told"
RUNS_INSIDE = "runs inside"
NOBODY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """One line. state: the ledger's word, provider: the provider's, or why there is none. deadline: the job's; None without a job file.

    provider_job_id: as the ledger knows it, or, in doubt, as the provider's list shows it. settled_usd: paid by reported usage.
    """

    intent_id: str
    job: str | None
    run_id: str
    endpoint: str
    attempt: int
    provider_job_id: str | None
    state: str
    provider: str
    handed_over: datetime
    age_h: float
    rows: int
    done: int | None
    deadline: datetime | None
    overdue: bool | None
    reserved_usd: Decimal | None
    settled_usd: Decimal
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJobs:
    """The lines, oldest first, and what could not be asked: endpoint and reason."""

    jobs: tuple[OpenJob, ...] = ()
    silent: Mapping[str, str] | None = None

    def table(self) -> pa.Table:
        """As columns."""
        types: dict[str, pa.DataType] = {
            **{name: pa.int64() for name in ("attempt", "rows", "done")},
            **{name: pa.timestamp("us", tz="UTC") for name in ("handed_over", "deadline")},
            **{name: pa.decimal128(38, 9) for name in ("reserved_usd", "settled_usd")},
            "age_h": pa.float64(),
            "overdue": pa.bool_(),
        }
        names = [one.name for one in fields(OpenJob)]
        return pa.table({name: pa.array([getattr(one, name) for one in self.jobs], types.get(name, pa.string())) for name in names})


def open_jobs(ledger: Path, job: Job | None, *, offline: bool, now: datetime) -> OpenJobs:
    """What is out: of the job's runs, or without a job file of all, then as the ledger alone knows it."""
    if not head(ledger):
        return OpenJobs()
    owners = {run.run_id: run.job for run in job_runs(ledger, job.name if job else None)}
    intents = [intent for intent in open_intents(ledger) if job is None or intent.run_id in owners]
    ids = [intent.intent_id for intent in intents]
    money, wishes, taken = money_of(ledger, ids), cancel_wishes(ledger, ids), jobs_of_others(ledger, NOBODY)
    shown, silent = _ask(job, intents) if job is not None and not offline else ({}, {})
    desk = _Desk(job=job, owners=owners, shown=shown, silent=silent, taken=taken, money=money, wishes=wishes, now=now)
    return OpenJobs(jobs=tuple(map(desk.line, intents)), silent={name: why for name, why in silent.items() if why != INSIDE})


def _ask(job: Job, intents: Sequence[OpenIntent]) -> tuple[dict[str, dict[str, ListedJob]], dict[str, str]]:
    """One listing an endpoint, not one question a job: the jobs that it shows by endpoint, and who could not be asked."""
    by_endpoint: dict[str, list[OpenIntent]] = defaultdict(list)
    for intent in intents:
        by_endpoint[intent.endpoint].append(intent)
    shown: dict[str, dict[str, ListedJob]] = {}
    with open_providers(job, by_endpoint) as providers:
        silent = dict(providers.silent)
        for name, lane in providers.lanes.items():
            try:
                shown[name] = _listed(lane, by_endpoint[name])
            except EndpointError as error:
                silent[name] = str(error)
    return shown, silent


def _listed(lane: InventoryLane, intents: Sequence[OpenIntent]) -> dict[str, ListedJob]:
    return {found.job_id: found for found in lane.listed(min(intent.at for intent in intents))}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Where what the ledger says and what the provider shows become a line. taken: jobs that are some hand-over's already."""

    job: Job | None
    owners: Mapping[str, str]
    shown: Mapping[str, Mapping[str, ListedJob]]
    silent: Mapping[str, str]
    taken: frozenset[str]
    money: Mapping[str, IntentMoney]
    wishes: Mapping[str, CancelWish]
    now: datetime

    def line(self, intent: OpenIntent) -> OpenJob:
        found, word = self._found(intent)
        money = self.money.get(intent.intent_id, IntentMoney(reserved_usd=None, settled_usd=Decimal(0)))
        deadline = intent.at + timedelta(hours=self.job.deadline_h) if self.job else None
        return OpenJob(
            intent_id=intent.intent_id,
            job=self.owners.get(intent.run_id),
            run_id=intent.run_id,
            endpoint=intent.endpoint,
            attempt=intent.attempt,
            provider_job_id=intent.provider_job_id or (found.job_id if found else None),
            state=intent.state,
            provider=word,
            handed_over=intent.at,
            age_h=round((self.now - intent.at) / timedelta(hours=1), 2),
            rows=len(intent.record_ids),
            done=found.completed if found else None,
            deadline=deadline,
            overdue=self.now > deadline if deadline else None,
            reserved_usd=money.reserved_usd,
            settled_usd=money.settled_usd,
            note=self._note(intent, found, deadline),
        )

    def _found(self, intent: OpenIntent) -> tuple[ListedJob | None, str]:
        if self.silent.get(intent.endpoint) == INSIDE:
            return None, RUNS_INSIDE
        if intent.endpoint in self.silent:
            return None, UNREACHABLE
        if intent.endpoint not in self.shown:
            return None, NOT_ASKED
        jobs = self.shown[intent.endpoint]
        if intent.provider_job_id is not None:
            found = jobs.get(intent.provider_job_id)
            return found, found.state if found else NOT_LISTED
        free = [one for one in jobs.values() if one.job_id not in self.taken]
        carrying = [one for one in free if one.carries(intent.intent_id)]
        if carrying:
            return carrying[0], carrying[0].state
        return None, UNTOLD if any(one.mark is None for one in free) else NOT_LISTED

    def _note(self, intent: OpenIntent, found: ListedJob | None, deadline: datetime | None) -> str:
        """What to know, the pressing first; what to do about it is in `docs/cloud/jobs.md`."""
        notes = []
        if deadline is not None and self.now > deadline:
            notes.append("OVERDUE")
        if intent.provider_job_id is None:
            notes.append("the next run adopts it" if found else "in doubt: the next run looks for it")
        elif found is not None and found.ended:
            notes.append("ended: collect it")
        wish: Any = self.wishes.get(intent.intent_id)
        if wish is not None:
            notes.append(f"cancel asked by {wish.actor} {wish.at:%m-%d %H:%M}, rest: {wish.rest}")
        return "; ".join(notes)
