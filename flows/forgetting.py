"""Which records a person wants forgotten, less those under legal hold; `sinks/ledger/erasure.py` does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from flows.job import Job, load_job
from flows.override_entry import check_reason
from flows.retention import holds_in, names_on_hold
from policies.load import load_policy
from policies.model import BUILT_IN_CLASSES
from sinks.ledger.audit import SHORTEST
from sinks.ledger.erasure import Forgetting, finish_forgetting, forget, last_seen_before, named_after
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which names are to be erased: of these records (ids, or beginnings), of this source, or of records older than this day."""

    records: tuple[str, ...] = ()
    source: str | None = None
    before: date | None = None
    jobs: tuple[Path, ...] = ()
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What came of it. rows: of the map that went. unknown: what names no single record. kept: records under legal hold."""

    forgotten: int
    rows: int
    unknown: tuple[str, ...]
    kept: int


def forget_names(path: Path, wanted: Request, *, keys: Path | None, now: datetime) -> Forgotten:
    """Erase the names and record it. Raises RequestRefusedError, LedgerError where there is no ledger, JobError for a hold on nothing."""
    check_reason(wanted.reason, wanted.actor)
    chosen, unknown = _chosen(path, wanted)
    held = frozenset[str]().union(*(_held(path, load_job(job)) for job in wanted.jobs))
    wanted_ids = [record_id for record_id in chosen if record_id not in held]
    ledger = Ledger.open(path, keys=keys)
    rows = finish_forgetting(ledger)  # what an earlier, killed one began
    if wanted_ids:
        rows += forget(ledger, Forgetting(record_ids=tuple(wanted_ids), actor=wanted.actor, reason=wanted.reason, at=now))
    return Forgotten(forgotten=len(wanted_ids), rows=rows, unknown=unknown, kept=len(chosen) - len(wanted_ids))


def _chosen(path: Path, wanted: Request) -> tuple[list[str], tuple[str, ...]]:
    """The records that are meant, and the names that mean none, or more than one."""
    with reading(path) as reader:  # raises where there is no ledger: forgetting must not make one
        if wanted.before is not None:
            return last_seen_before(path, wanted.before), ()
        if wanted.source is not None:
            found = named_after(path, wanted.source)
            return found, () if found else (wanted.source,)
        known = reader.table("SELECT DISTINCT record_id FROM entries WHERE record_id IS NOT NULL")["record_id"].to_pylist()
    matches = {name: [one for one in known if one == name or (len(name) >= SHORTEST and one.startswith(name))] for name in wanted.records}
    chosen = sorted({found[0] for found in matches.values() if len(found) == 1})
    return chosen, tuple(name for name, found in matches.items() if len(found) != 1)


def _held(path: Path, job: Job) -> frozenset[str]:
    classes = [*load_policy(job.policy_path).classes, *BUILT_IN_CLASSES, *(one.data_class for one in job.source.declared)]
    return names_on_hold(path, holds_in(path, job.legal_hold, classes=classes))
