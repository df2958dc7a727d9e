"""What a later night has done already is not sent, and not paid, once more by an older run; and a run that nobody goes on with is ended.

A document may change while an older run waits for its provider. The later run takes the new text; should the older run then lose its row,
the text that it would read and send again is one that the later run has a result for, or has out.

A night that was killed, and then not started again before the next one came to its end, is left behind: the next one took what was still in
the source. A collection ends it, with an explicit row for each record that it had begun and not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from detectors.document import Document
from flows.night import IN_FLIGHT, Night
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import RecordStates, job_runs, run_state
from sinks.ledger.segments import Ledger

SUPERSEDED = "superseded"
TAKEN = IN_FLIGHT | {"completed"}


def left_behind(ledger: Ledger | Path, job: str) -> set[str]:
    """The job's runs whose latest start did not come to its end, while a run that was begun after them did."""
    runs = job_runs(ledger, job)
    carried = [place for place, run in enumerate(runs) if run.ended_at is not None]
    return {run.run_id for run in runs[: max(carried, default=0)] if run.ended_at is None}


def hold_superseded(night: Night, documents: Sequence[Document]) -> Sequence[Document]:
    """Hold the records that this run has begun, and of which a later run has taken this very text; returns all documents as they are."""
    begun = [document for document in documents if night.states.get(document.record_id) is not None and night.is_due(document)]
    if not begun or night.options.reprocess or night.job.reprocess:
        return documents
    later = _later_states(night)
    held = [document.record_id for document in begun if any(_taken(night, document, states) for states in later)]
    if held:
        now = datetime.now(UTC)
        entries = [Entry(event=Event.HELD, at=now, run_id=night.run_id, record_id=record_id, reason=SUPERSEDED) for record_id in held]
        night.ledger.commit(entries)
        night.refresh()
    return documents


def _later_states(night: Night) -> list[RecordStates]:
    """The records of the job's runs that were begun after this one, under the same template."""
    runs = job_runs(night.ledger, night.job.name)
    place = next((place for place, run in enumerate(runs) if run.run_id == night.run_id), len(runs))
    return [run_state(night.ledger, run.run_id) for run in runs[place + 1 :] if run.template_hash == night.prompt.hash]


def _taken(night: Night, document: Document, states: RecordStates) -> bool:
    state = states.get(document.record_id)
    if state is None or state.state not in TAKEN:
        return False
    return state.document_hmac == night.keys.document_hmac(night.keys.part_hmacs(document.parts))
