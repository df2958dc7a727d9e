"""What a later night has done already is not sent, and not paid, once more by an older run; and a run that nobody goes on with is ended.

A document may change while an older run waits for its provider. The later run takes the new text; should the older run then lose its row,
the text that it would read and send again is one that the later run has a result for, or has out.

What an older run left with an engine inside is not answered any more, where the later one has taken all of it: its time is not free.

A night that was killed, and then not started again before the next one came to its end, is left behind: the next one took what was still in
the source. A collection ends it, with an explicit row for each record that it had begun and not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from detectors.document import Document
from flows.night import IN_FLIGHT, Night
from policies.model import Lane
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import OpenIntent, RecordStates, job_runs, run_state
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


def give_up_superseded(night: Night) -> None:
    """End the hand-overs inside that a collection finds unanswered, and of whose records a later run has taken every text."""
    if night.job.reprocess:
        return
    inside = [intent for intent in night.open_now() if _is_local(night, intent)]
    later = _later_states(night) if inside else []
    given_up = [intent for intent in inside if all(_taken_up(night, record_id, later) for record_id in intent.record_ids)]
    if given_up:
        night.ledger.commit([superseded_hand_over(intent) for intent in given_up])
        night.refresh()


def superseded_hand_over(intent: OpenIntent) -> Entry:
    """The end of a hand-over inside that nobody goes on with, so that its text is deleted."""
    return Entry(
        event=Event.CANCELLED,
        at=datetime.now(UTC),
        run_id=intent.run_id,
        lane=Lane.LOCAL,
        endpoint=intent.endpoint,
        attempt=intent.attempt,
        intent_id=intent.intent_id,
        provider_job_id=intent.provider_job_id,
        state=SUPERSEDED,
        detail_code=SUPERSEDED,
    )


def _is_local(night: Night, intent: OpenIntent) -> bool:
    endpoint = night.registry.get(intent.endpoint)
    return endpoint is not None and endpoint.lane is Lane.LOCAL


def _taken_up(night: Night, record_id: str, later: Sequence[RecordStates]) -> bool:
    """Whether a later run has taken the text that this run decided on."""
    own = night.states.get(record_id)
    return own is not None and own.document_hmac is not None and any(_text_taken(one, record_id) == own.document_hmac for one in later)


def _later_states(night: Night) -> list[RecordStates]:
    """The records of the job's runs that were begun after this one, under the same template."""
    runs = job_runs(night.ledger, night.job.name)
    place = next((place for place, run in enumerate(runs) if run.run_id == night.run_id), len(runs))
    return [run_state(night.ledger, run.run_id) for run in runs[place + 1 :] if run.template_hash == night.prompt.hash]


def _taken(night: Night, document: Document, states: RecordStates) -> bool:
    text = _text_taken(states, document.record_id)
    return text is not None and text == night.keys.document_hmac(night.keys.part_hmacs(document.parts))


def _text_taken(states: RecordStates, record_id: str) -> str | None:
    """The digest of the text of a record that a run has a result for, or has out; None where it has neither."""
    state = states.get(record_id)
    return state.document_hmac if state is not None and state.state in TAKEN else None
