"""Decisions → assignments → clearances, and the entries that make them durable.

Nothing here sends. What this module returns becomes true only when `decision_entries` are committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from detectors.document import Document, Evidence
from flows.budgeting import within_budget
from flows.counted_evidence import evidence_counts
from flows.fallback import endure
from flows.night import Night
from policies.clearance import clear
from policies.model import Assignment, Clearance, Decision, Endpoint
from sinks.freeze import UNENCODABLE, payload
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.sources import SourceName, remember


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """A decided record: with an assignment and a clearance, or held for `held_reason`. repair: in the template's repair form."""

    document: Document
    decision: Decision
    evidence: Evidence
    part_hmacs: dict[str, str]
    assignment: Assignment
    clearance: Clearance | None
    held_reason: str = ""
    repair: bool = False


def clear_records(
    night: Night, documents: Sequence[Document], evidence: Sequence[Evidence], decisions: Sequence[Decision]
) -> list[Cleared]:
    """Assign and clear every record that is due; siblings that were only needed to decide the family are left out."""
    return [
        clear_record(night, document, found, decision)
        for document, found, decision in zip(documents, evidence, decisions, strict=True)
        if night.is_due(document)
    ]


def clear_record(
    night: Night, document: Document, evidence: Evidence, decision: Decision, *, among: Sequence[Endpoint] | None = None
) -> Cleared:
    """Assign and clear one record, or say why it is held. among: the night's endpoints unless stated."""
    part_hmacs, prompt = night.keys.part_hmacs(document.parts), night.prompt_for(document.record_id)
    assignment, exhausted = endure(night, decision, night.endpoints if among is None else among)
    assignment, reserved = (assignment, None) if exhausted else within_budget(night, decision, document, assignment)
    clearance, reason = None, "attempts_exhausted" if exhausted else assignment.reason
    if assignment.endpoint is not None and not exhausted:
        try:
            body = payload(night.lane(assignment.endpoint), prompt, assignment.endpoint, document.parts)
        except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form: what was scanned cannot be sent
            reason = UNENCODABLE
        else:
            clearance = clear(
                decision,
                assignment,
                run_id=night.run_id,
                payload_hmac=night.keys.hmac("payload", body),
                payload_bytes=len(body),
                attempt=night.attempt(document.record_id),
                today=night.today,
                reserved_usd=reserved,
            )
    return Cleared(
        document=document,
        decision=decision,
        evidence=evidence,
        part_hmacs=part_hmacs,
        assignment=assignment,
        clearance=clearance,
        held_reason="" if clearance else reason,
        repair=prompt.repairing,
    )


def decision_entries(night: Night, cleared: Sequence[Cleared]) -> list[Entry]:
    """What is committed before any byte leaves: decided, then assigned and cleared, or held."""
    # A record's id is made from its name, so the name of a record that the ledger knows already is not new.
    remember(night.ledger.path, [_name(record.document) for record in cleared if not night.knows(record.document.record_id)])
    return [entry for record in cleared for entry in _entries_of(night, record)]


def assignment_entries(night: Night, cleared: Sequence[Cleared]) -> list[Entry]:
    """What is committed when records are assigned anew under the decision that they have."""
    return [entry for record in cleared for entry in _entries_of(night, record)[1:]]


def _name(document: Document) -> SourceName:
    return SourceName(
        record_id=document.record_id,
        source=document.source,
        source_id=document.source_id,
        family=document.family,
    )


def _entries_of(night: Night, record: Cleared) -> list[Entry]:
    now, run_id, record_id = datetime.now(UTC), night.run_id, record.document.record_id
    decision, assignment, clearance = record.decision, record.assignment, record.clearance
    decided = Entry(
        event=Event.DECIDED,
        at=now,
        run_id=run_id,
        record_id=record_id,
        data_classes=decision.data_classes,
        partial=decision.partial,
        evidence=(*evidence_counts(record.evidence), *_taken_out(decision)),
        rule=decision.rule,
        lanes=tuple(decision.lanes),
        cloud_requires=tuple(f"{name}={_written(value)}" for name, value in decision.cloud_requires.items()),
        policy_hash=decision.policy_hash,
        detectors_hash=decision.detectors_hash,
        document_hmac=night.keys.document_hmac(record.part_hmacs),
        family=record.document.family or None,
        template_hash=night.prompt.hash,
        expiry=min((one.expiry for one in decision.lowered), default=None),
    )
    if clearance is None or assignment.endpoint is None:
        return [decided, Entry(event=Event.HELD, at=now, run_id=run_id, record_id=record_id, reason=record.held_reason)]
    endpoint = assignment.endpoint
    assigned = Entry(
        event=Event.ASSIGNED,
        at=now,
        run_id=run_id,
        record_id=record_id,
        lane=endpoint.lane,
        endpoint=endpoint.name,
        strategy=assignment.strategy,
        reason=assignment.reason,
        score=assignment.score,
    )
    cleared = Entry(
        event=Event.CLEARED,
        at=now,
        run_id=run_id,
        record_id=record_id,
        lane=clearance.lane,
        endpoint=clearance.endpoint,
        clearance_id=clearance.clearance_id,
        payload_hmac=clearance.payload_hmac,
        payload_bytes=clearance.payload_bytes,
        attempt=clearance.attempt,
    )
    return [decided, assigned, cleared]


def _taken_out(decision: Decision) -> tuple[EvidenceCount, ...]:
    """Each class that an approver let be taken out, with the id of the override in the place of the detector."""
    return tuple(
        EvidenceCount(entity=f"lowered:{one.data_class}", count=1, max_score=1.0, detector=one.override_id) for one in decision.lowered
    )


def _written(fact: bool | int | str) -> str:  # noqa: FBT001 - a fact is one of these
    return str(fact).lower() if isinstance(fact, bool) else str(fact)
