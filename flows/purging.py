"""`waybill purge`: what retention lets go of a job's results, spool and remote files.

- The ledger speaks first: a result that it calls purged may still lie there for a moment, one that it does not is there. Killed in between,
  the next purge deletes what was announced (idempotent).
- Under the job's lock: no night writes or collects meanwhile.
- Nothing under legal hold is deleted; a file that holds one row of a held record stays as a whole (`flows/retention.py`).
- Only files below the job's own output and spool are deleted, by the names that the ledger or the spool gives them; links are not followed.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from flows.job import Job
from flows.lanes import build_lane, choose_endpoints, look_endpoint, start_endpoints
from flows.purge_finding import SPOOL, Doomed, find_doomed
from flows.retention import holds_in
from policies.model import BUILT_IN_CLASSES, Endpoint
from policies.registry import load_rulebook
from sinks import durable
from sinks.errors import EndpointError, ResultsError
from sinks.lanes import Lane
from sinks.ledger.entry import Entry, Event
from sinks.ledger.expired import EXPLICIT, RESULT, RETENTION
from sinks.ledger.lock import one_runner
from sinks.ledger.queries import OpenIntent, job_runs
from sinks.ledger.segments import Ledger
from sinks.retire import retire

RUN = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReport:
    """What was deleted, or would be; kept: what a legal hold kept; unreachable: remote files whose provider did not delete now."""

    deleted: tuple[Doomed, ...]
    kept: tuple[Doomed, ...]
    unreachable: int = 0


def purge(job: Job, *, now: datetime, actor: str, dry_run: bool = False) -> PurgeReport:
    """Delete what is past the job's retention. Raises AlreadyRunningError while a night runs, JobError for a hold on nothing."""
    rules = load_rulebook(job.policy_path, job.registry, job.prices)
    policy, registry = rules.policy, rules.registry
    job_runs(job.ledger.path)  # raises where there is no ledger: purging must not make one
    declared = [one.data_class for one in job.source.declared]
    holds = holds_in(job.ledger.path, job.legal_hold, classes=[*policy.classes, *BUILT_IN_CLASSES, *declared])
    if dry_run:
        return _sorted_out(find_doomed(job, job.ledger.path, holds, now=now))
    with one_runner(job.ledger.path, job.name), ExitStack() as stack:
        ledger = Ledger.open(job.ledger.path, keys=job.ledger_keys)
        report = _sorted_out(find_doomed(job, ledger, holds, now=now))
        files = [one for one in report.deleted if one.intent is None]
        ledger.commit(list(_entries(files, now=now, actor=actor)))
        for one in files:
            _delete(one, job)
        remote = [one for one in report.deleted if one.intent is not None]
        names = {one.intent.endpoint for one in remote if one.intent}
        lanes = _lanes(names, job, ledger, stack, registry=registry, isolation=policy.isolation)
        gone = [one for one in remote if one.intent and _retire(one.intent, job, ledger, lanes, now=now, actor=actor)]
        return replace(report, deleted=(*files, *gone), unreachable=len(remote) - len(gone))


def _lanes(
    names: set[str], job: Job, ledger: Ledger, stack: ExitStack, *, registry: Mapping[str, Endpoint], isolation: str
) -> dict[str, Lane]:
    """The engines behind these endpoints, as the job has them; an endpoint that the registry knows no more has none."""
    if not names:
        return {}
    looking = look_endpoint(job, registry, isolation=isolation)
    own = [*choose_endpoints(job, registry, scheduled=False, isolation=isolation), *([looking] if looking else [])]
    known = {**registry, **{endpoint.name: endpoint for endpoint in own}}
    endpoints = start_endpoints(job, [known[name] for name in sorted(names) if name in known], stack)
    salt = ledger.keys.hmac("cache_salt", job.name.encode())
    return {endpoint.name: build_lane(endpoint, job, {"inference": 0.0}, stack, salt=salt) for endpoint in endpoints}


def _retire(intent: OpenIntent, job: Job, ledger: Ledger, lanes: Mapping[str, Lane], *, now: datetime, actor: str) -> bool:
    lane = lanes.get(intent.endpoint)
    if lane is None:
        return False
    try:
        retire(ledger, lane, intent, spool=job.spool, now=now, actor=actor)
    except EndpointError:  # the next purge, or the next night, asks again
        return False
    return True


def _sorted_out(found: Sequence[Doomed]) -> PurgeReport:
    return PurgeReport(deleted=tuple(one for one in found if not one.held), kept=tuple(one for one in found if one.held))


def _entries(files: Sequence[Doomed], *, now: datetime, actor: str) -> Iterator[Entry]:
    """An entry for each result that disappears and each other file, then one for each run with the sums."""
    fresh = [one for one in files if not one.announced]
    for one in fresh:
        entry = Entry(event=Event.PURGED, at=now, run_id=one.run_id, actor=actor, reason=RETENTION, detail_code=one.kind)
        if one.kind == RESULT:
            yield from (replace(entry, record_id=record_id, result_file=one.file) for record_id in one.record_ids)
        elif one.kind == EXPLICIT:
            yield replace(entry, result_file=one.file, state=f"rows_{len(one.record_ids)}")
        else:
            name = one.path.name.partition(".")[0] if one.path and one.run_id else None
            yield replace(entry, intent_id=name)
    for run_id in sorted({one.run_id for one in fresh if one.run_id}):
        sums = Counter[str]()
        for one in fresh:
            if one.run_id == run_id:
                sums[one.kind] += len(one.record_ids) if one.kind == RESULT else 1
        state = ",".join(f"{kind}_{count}" for kind, count in sorted(sums.items()))
        yield Entry(event=Event.PURGED, at=now, run_id=run_id, actor=actor, reason=RETENTION, detail_code=RUN, state=state)


def _delete(one: Doomed, job: Job) -> None:
    """Remove the file, then the folders that it leaves empty."""
    if one.path is None:
        return
    try:
        one.path.unlink(missing_ok=True)
        if one.path.parent.exists():
            durable.sync_folder(one.path.parent)
    except OSError as error:
        raise ResultsError(
            f"{one.path}: cannot be deleted ({error.strerror}); check the folder, purge again: it goes on from there"
        ) from None
    if one.kind != SPOOL:
        for folder in (one.path.parent, one.path.parent.parent):
            if folder != job.output:
                with contextlib.suppress(OSError):  # it is not empty
                    folder.rmdir()
