"""What a plan may know of earlier nights: which documents are unchanged, how fast each endpoint was. Reads only; there may be no ledger.

A ledger with entries whose keys are gone stops a plan as it stops a night: without them no document can be recognised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from detectors.document import Document
from flows.errors import JobError
from flows.job import Job
from flows.ledger_at_hand import keys_at_hand
from flows.runs import out_elsewhere
from flows.scanning import SCAN_KEYS
from flows.workload import MEASURED_SINCE
from sinks.ledger import files
from sinks.ledger.completions import Completed, completed_before
from sinks.ledger.keys import Keys
from sinks.ledger.queries import RecordStates, RunInfo, job_runs, run_state
from sinks.ledger.throughput import Throughput, measured_throughput
from sinks.request import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """keys: those of the ledger, else any. before, out: what is complete, and what is at a provider; None: nothing, or nobody can tell.

    waiting: so many records are out there. measured: by endpoint. run, states: the night that the plan is held against, and its records.
    """

    keys: Keys = SCAN_KEYS
    before: Completed | None = None
    out: Completed | None = None
    waiting: int = 0
    measured: Mapping[str, Throughput] = field(default_factory=dict)
    run: RunInfo | None = None
    states: RecordStates | None = None

    def is_due(self, document: Document, prompt: Prompt) -> bool:
        """Whether a night would take it: for this very text under this very template it has no result, and none is on its way."""
        if self.states is not None:
            return self.states.get(document.record_id) is not None
        known = {done.get(document.record_id) for done in (self.before, self.out) if done is not None} - {None}
        if not known or not document.readable:
            return True
        return (self.keys.document_hmac(self.keys.part_hmacs(document.parts)), prompt.hash) not in known


def history_of(job: Job, *, reprocess: bool) -> History:
    """As of now. Raises LedgerError for a ledger or keys that a night could not use either."""
    if not files.head(job.ledger.path):
        return History()
    keys = keys_at_hand(job)
    measured = measured_throughput(job.ledger.path, job.name, datetime.now(UTC) - MEASURED_SINCE)
    out = out_elsewhere(job.ledger.path, job, run_id="")
    if reprocess:
        return History(keys=keys, measured=measured, waiting=len(out))
    return History(keys=keys, measured=measured, before=completed_before(job.ledger.path, job.name), out=out, waiting=len(out))


def history_before(job: Job, date: str) -> History:
    """As of the night of this date, before it began. Raises JobError where there was none, LedgerError as `history_of`."""
    runs = [run for run in job_runs(job.ledger.path, job.name) if run.logical_date == date] if files.head(job.ledger.path) else []
    if not runs:
        known = sorted({run.logical_date for run in job_runs(job.ledger.path, job.name)}) if files.head(job.ledger.path) else []
        said = f"; its nights are from {known[0]} to {known[-1]}" if known else "; it has had none"
        raise JobError(f"--against {date}: the ledger {job.ledger.path} has no night of {job.name} on that date{said}")
    keys = keys_at_hand(job)
    run = runs[-1]
    begun = run.started_at or datetime.now(UTC)
    measured = measured_throughput(job.ledger.path, job.name, begun - MEASURED_SINCE, until=begun)
    return History(keys=keys, measured=measured, run=run, states=run_state(job.ledger.path, run.run_id))
