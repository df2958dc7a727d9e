"""Decisions → assignments → clearances, and the entries that make them durable.

Nothing here sends. What this module returns becomes true only when `decision_entries` are committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from detectors.document import Document, Evidence
from flows.assigning import Judged, assign_records, fellow_instead, inside_instead
from flows.budgeting import stop_entries, within_budget
from flows.counted_evidence import evidence_counts
from flows.night import Night
from policies.budget import BUDGET_STOPPED, ENDPOINT_MONTH, ENDPOINT_NIGHT, NO_PRICE, SPENT
from policies.clearance import clear
from policies.model import Assignment, Clearance, Decision, Endpoint
from sinks.freeze import UNENCODABLE
from sinks.ledger.alike import Alike, Entries
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.sources import SourceName, remember

_OF_A_DECISION = ("data_classes", "partial", "rule", "policy_hash", "detectors_hash")
_OF_A_CLEARANCE = ("lane", "endpoint", "clearance_id", "payload_hmac", "payload_bytes", "attempt")
"""What entries repeat of it, under the same names."""

ENDPOINT_SPENT = frozenset({ENDPOINT_NIGHT, ENDPOINT_MONTH})
NO_MONEY = SPENT | {BUDGET_STOPPED, NO_PRICE}


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
    return clear_judged(night, [one for one in zip(documents, evidence, decisions, strict=True) if night.is_due(one[0])])


def clear_judged(night: Night, records: Sequence[Judged], *, among: Sequence[Endpoint] | None = None) -> list[Cleared]:
    """Assign these records together and clear each, or say why it is held. among: the night's endpoints unless stated."""
    left_out = frozenset() if among is None else {one.name for one in night.endpoints} - {one.name for one in among}
    return [
        _clear(night, one, assignment, left_out) for one, assignment in zip(records, assign_records(night, records, among), strict=True)
    ]


def _clear(night: Night, record: Judged, assignment: Assignment, left_out: AbstractSet[str]) -> Cleared:
    document, evidence, decision = record
    part_hmacs, prompt = night.keys.part_hmacs(document.parts), night.prompt_for(document.record_id)
    assignment, reserved = _affordable(night, document, decision, assignment, left_out)
    clearance, reason = None, assignment.reason
    if assignment.endpoint is not None:
        try:
            body = night.moulds_of(assignment.endpoint, prompt).payload(document.parts)
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


def _affordable(
    night: Night, document: Document, decision: Decision, assignment: Assignment, left_out: AbstractSet[str]
) -> tuple[Assignment, Decimal | None]:
    """The assignment within the budget, and what is reserved.

    Where only an endpoint's own limit is reached, another of its lane takes the record, but none of those left out: what one of them had
    too few of would come back without end. An escalated one that fits nowhere is asked inside again, and not held.
    """
    afforded, reserved = within_budget(night, decision, document, assignment)
    spent = set(left_out)
    while afforded.reason in ENDPOINT_SPENT and assignment.endpoint is not None and not night.stopped:
        spent.add(assignment.endpoint.name)
        assignment = fellow_instead(night, decision, assignment.endpoint.lane, spent, afforded.reason)
        if assignment.endpoint is None:
            break
        found, amount = within_budget(night, decision, document, assignment)
        if found.endpoint is assignment.endpoint:
            return found, amount
    if afforded.endpoint is None and afforded.reason in NO_MONEY and document.record_id in night.escalated:
        return within_budget(night, decision, document, inside_instead(night, decision, afforded.reason))
    return afforded, reserved


def decision_entries(night: Night, cleared: Sequence[Cleared]) -> Entries:
    """What is committed before any byte leaves: decided, then assigned and cleared, or held."""
    # A record's id is made from its name, so the name of a record that the ledger knows already is not new.
    remember(night.ledger.path, [_name(record.document) for record in cleared if not night.knows(record.document.record_id)])
    return [_decided(night, cleared), *assignment_entries(night, cleared)]


def assignment_entries(night: Night, cleared: Sequence[Cleared]) -> Entries:
    """What is committed when records are assigned anew under the decision that they have."""
    held = [record for record in cleared if record.clearance is None]
    permitted = [(record.assignment, record.clearance) for record in cleared if record.clearance is not None]
    record_ids = [clearance.record_id for _, clearance in permitted]
    at, run_id = datetime.now(UTC), night.run_id
    return [
        Alike(
            Entry(event=Event.ASSIGNED, at=at, run_id=run_id),
            {
                "record_id": record_ids,
                "lane": [clearance.lane for _, clearance in permitted],
                "endpoint": [clearance.endpoint for _, clearance in permitted],
                **{name: [getattr(assignment, name) for assignment, _ in permitted] for name in ("strategy", "reason", "score")},
            },
        ),
        Alike(
            Entry(event=Event.CLEARED, at=at, run_id=run_id),
            {"record_id": record_ids, **{name: [getattr(clearance, name) for _, clearance in permitted] for name in _OF_A_CLEARANCE}},
        ),
        *stop_entries(night),  # after all that was cleared before it
        Alike(
            Entry(event=Event.HELD, at=at, run_id=run_id),
            {"record_id": [record.document.record_id for record in held], "reason": [record.held_reason for record in held]},
        ),
    ]


def _name(document: Document) -> SourceName:
    return SourceName(
        record_id=document.record_id,
        source=document.source,
        source_id=document.source_id,
        family=document.family,
    )


def _decided(night: Night, cleared: Sequence[Cleared]) -> Alike:
    decisions = [record.decision for record in cleared]
    return Alike(
        Entry(event=Event.DECIDED, at=datetime.now(UTC), run_id=night.run_id, template_hash=night.prompt.hash),
        {
            "record_id": [record.document.record_id for record in cleared],
            **{name: [getattr(decision, name) for decision in decisions] for name in _OF_A_DECISION},
            "evidence": [(*evidence_counts(record.evidence), *_taken_out(record.decision)) for record in cleared],
            "lanes": [tuple(decision.lanes) for decision in decisions],
            "cloud_requires": [
                tuple(f"{name}={_written(value)}" for name, value in decision.cloud_requires.items()) for decision in decisions
            ],
            "document_hmac": [night.keys.document_hmac(record.part_hmacs) for record in cleared],
            "family": [record.document.family or None for record in cleared],
            "expiry": [min((one.expiry for one in decision.lowered), default=None) for decision in decisions],
        },
    )


def _taken_out(decision: Decision) -> tuple[EvidenceCount, ...]:
    """Each class that an approver let be taken out, with the id of the override in the place of the detector."""
    return tuple(
        EvidenceCount(entity=f"lowered:{one.data_class}", count=1, max_score=1.0, detector=one.override_id) for one in decision.lowered
    )


def _written(fact: bool | int | str) -> str:  # noqa: FBT001 - a fact is one of these
    return str(fact).lower() if isinstance(fact, bool) else str(fact)
