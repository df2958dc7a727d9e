"""What `waybill doctor` says of a job's ledger: whether it is as it was signed, whether its keys are there, what its nights left open."""

from __future__ import annotations

from collections.abc import Iterator

from flows.checkup import Check, Health
from flows.job import Job
from flows.ledger_at_hand import keys_at_hand
from sinks.errors import KeyMissingError, SinkError
from sinks.ledger.files import head
from sinks.ledger.queries import job_runs, open_intents
from sinks.ledger.verify import verify

VERIFIED = "ledger verify"


def check_ledger(job: Job) -> Iterator[Check]:
    """Every line about the ledger. Nothing is written."""
    try:
        entries = head(job.ledger.path)
    except SinkError as error:
        yield Check(health=Health.BAD, what=VERIFIED, detail=str(error))
        return
    if not entries:
        yield Check(health=Health.GOOD, what="nights", detail="none yet")
        return
    yield _verified(job)
    yield _keys(job)
    yield from _nights(job)


def _verified(job: Job) -> Check:
    """As `waybill audit verify` without --deep."""
    try:
        verdict = verify(job.ledger.path)
    except SinkError as error:
        return Check(health=Health.BAD, what=VERIFIED, detail=str(error))
    if verdict.fault is not None:
        about = f"NOT INTACT, entry {verdict.fault.seq}: {verdict.fault.reason}"
        return Check(health=Health.BAD, what=VERIFIED, detail=f"{about}; see `waybill audit verify --deep`, restore the ledger from a copy")
    detail = f"intact: {verdict.entries} entries in {verdict.segments} segments (files and signatures)"
    return Check(health=Health.GOOD, what=VERIFIED, detail=detail)


def _keys(job: Job) -> Check:
    try:
        keys = keys_at_hand(job)
    except KeyMissingError as error:
        return Check(health=Health.BAD, what="keys", detail=str(error))
    except SinkError as error:  # no key's fault: the line above says what is wrong
        return Check(health=Health.DOUBTFUL, what="keys", detail=f"cannot be compared with the ledger: {error}")
    return Check(health=Health.GOOD, what="keys", detail=f"{job.ledger_keys}: HMAC key {keys.key_id} and the signing key")


def _nights(job: Job) -> Iterator[Check]:
    try:
        runs, waiting = job_runs(job.ledger.path, job.name), open_intents(job.ledger.path)
    except SinkError as error:
        yield Check(health=Health.BAD, what="ledger", detail=str(error))
        return
    unfinished = [run.run_id for run in runs if not run.finished]
    yield Check(
        health=Health.DOUBTFUL if unfinished else Health.GOOD,
        what="nights",
        detail=f"{len(runs)} runs, {len(unfinished)} unfinished" + (f" (the last: {unfinished[-1]})" if unfinished else ""),
    )
    ambiguous = sum(intent.state in {"ambiguous", "submitting"} for intent in waiting)
    yield Check(
        health=Health.DOUBTFUL if ambiguous else Health.GOOD,
        what="hand-overs",
        detail=f"{len(waiting)} open, {ambiguous} ambiguous" + ("; the next run looks them up" if ambiguous else ""),
    )
