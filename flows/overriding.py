"""Overrides in the night: what people raised or lowered, for the documents of one batch, as the ledger has it at that moment.

A raised class is declared evidence before the scan, so that everything after it sees it: the planner, the second look, the family. A
lowered class is taken out at the decision alone, after everything else was added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from detectors.document import Document
from flows.night import Night
from policies.model import Lowered
from policies.overrides import in_force, raised
from sinks.ledger.segments import newest_key


def with_raised(night: Night, documents: Sequence[Document]) -> list[Document]:
    """The documents, those that somebody raised with the class declared."""
    entered = night.overrides.about(document.record_id for document in documents)
    return [
        replace(document, declared=document.declared | raised(entered[document.record_id]).keys())
        if document.record_id in entered
        else document
        for document in documents
    ]


def lowered_classes(night: Night, documents: Sequence[Document]) -> Mapping[str, tuple[Lowered, ...]]:
    """By record id, the lowerings that count for this very text now, under the policy in force."""
    entered = night.overrides.about(document.record_id for document in documents)
    due = [document for document in documents if any(one.lowers for one in entered.get(document.record_id, ()))]
    if not due:
        return {}
    origin, now = newest_key(night.ledger.path).name, datetime.now(UTC)
    found = {
        document.record_id: in_force(
            entered[document.record_id],
            night.policy.lowering,
            ledger=origin,
            document_hmac=night.keys.document_hmac(night.keys.part_hmacs(document.parts)),
            now=now,
        )
        for document in due
    }
    return {record_id: lowered for record_id, lowered in found.items() if lowered}
