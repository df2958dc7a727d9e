"""What of a job's results, spool and remote files is past its retention, and which of it a legal hold keeps. Deletes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from flows.job import Job
from flows.retention import Holds
from sinks.errors import ResultsError
from sinks.ledger import expired
from sinks.ledger.queries import OpenIntent, job_runs, open_intents
from sinks.ledger.segments import Ledger
from sinks.parquet import EXPLICIT_ROWS, Status
from sinks.retire import unretired

SPOOL, REMOTE = "spool", "remote"
EXPLICIT_STATUSES = (Status.HELD, Status.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """One thing that is past its retention. kind: result, explicit_rows, spool or remote. held: a legal hold keeps it.

    announced: the ledger has said so already, and only the deletion is missing.
    """

    kind: str
    run_id: str | None
    path: Path | None = None
    file: str | None = None
    record_ids: tuple[str, ...] = field(default=(), repr=False)
    intent: OpenIntent | None = None
    held: bool = False
    announced: bool = False


def find_doomed(job: Job, ledger: Ledger | Path, holds: Holds, *, now: datetime) -> list[Doomed]:
    """Everything past its retention, whatever holds say of it."""
    runs = [run.run_id for run in job_runs(ledger) if run.job in {job.name, f"{job.name}.second-look"}]
    found: list[Doomed] = []
    keep = job.retention
    if keep.results_days is not None:
        before = now - timedelta(days=keep.results_days)
        found += _results(job, ledger, runs, before)
        found += _explicit_rows(job, ledger, runs, before)
    if keep.spool_days is not None:
        found += _spooled(job, ledger, now - timedelta(days=keep.spool_days))
    if keep.remote_days is not None:
        found += _remote(ledger, runs, now - timedelta(days=keep.remote_days))
        unsure = bool(job.legal_hold)  # nobody can say of a file of unknown records that none of them is held
    return [replace(one, held=not one.announced and (holds.cover(one.run_id, one.record_ids) if one.run_id else unsure)) for one in found]


def _results(job: Job, ledger: Ledger | Path, runs: Sequence[str], before: datetime) -> Iterator[Doomed]:
    for one in expired.result_files(ledger, runs, before=before):
        path = _inside(job.output, one.file)
        if not one.purged or path.exists():
            yield Doomed(kind=expired.RESULT, run_id=one.run_id, path=path, file=one.file, record_ids=one.record_ids, announced=one.purged)


def _explicit_rows(job: Job, ledger: Ledger | Path, runs: Sequence[str], before: datetime) -> Iterator[Doomed]:
    for run in expired.ended_runs(ledger, runs, before=before):
        for status in EXPLICIT_STATUSES:
            path = _inside(job.output, f"{run.run_id}/{status}/{EXPLICIT_ROWS}")
            if path.exists():
                file = path.relative_to(job.output).as_posix()
                yield Doomed(kind=expired.EXPLICIT, run_id=run.run_id, path=path, file=file, record_ids=run.record_ids)


def _spooled(job: Job, ledger: Ledger | Path, before: datetime) -> Iterator[Doomed]:
    """Files of hand-overs that are not open, named by their intent; what lies in folders belongs to a lane, which discards it."""
    is_open = {intent.intent_id for intent in open_intents(ledger)}
    paths = [path for path in sorted(job.spool.glob("*")) if path.is_file() and _changed(path) < before]
    left = [path for path in paths if path.name.partition(".")[0] not in is_open]
    known = expired.records_of_intents(ledger, [path.name.partition(".")[0] for path in left])
    for path in left:
        run_id, record_ids = known.get(path.name.partition(".")[0], (None, ()))
        yield Doomed(kind=SPOOL, run_id=run_id, path=path, record_ids=record_ids)


def _remote(ledger: Ledger | Path, runs: Sequence[str], before: datetime) -> Iterator[Doomed]:
    due = [intent for intent in unretired(ledger) if intent.run_id in set(runs) and intent.at < before]
    known = expired.records_of_intents(ledger, [intent.intent_id for intent in due])
    for intent in due:
        yield Doomed(kind=REMOTE, run_id=intent.run_id, record_ids=known.get(intent.intent_id, ("", ()))[1], intent=intent)


def _inside(output: Path, file: str) -> Path:
    """The path of a result file. Refuses a name that leads elsewhere, through a link too: nothing else is ever deleted."""
    name = PurePosixPath(file)
    path = output / name
    if name.is_absolute() or ".." in name.parts or not path.parent.resolve().is_relative_to(output.resolve()):
        raise ResultsError(f"{output}: the ledger names a result outside this folder; nothing was deleted: verify the ledger")
    return path


def _changed(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)
