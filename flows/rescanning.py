"""Outputs are scanned as documents are, before they are written: a result carries the classes of its input and its own (invariant 7).

- More than its input carries: the union decides the root, and the ledger says so (`rescanned`) before the file is there. Collected again
  after a crash, what the ledger says stands, so that the same rows give the same files, whatever detectors are installed by then.
- An output that could not be scanned is UNSCANNABLE, as a document would be (invariant 1).
- It never takes a class away. Nor does a lowering, which an approver signed for the input's text, count for what a model made of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from detectors.document import Document, Evidence
from flows.counted_evidence import evidence_counts
from flows.night import Night
from policies.decide import decide, listed
from policies.model import CLEAN, UNSCANNABLE, Decision
from policies.policy import Policy
from sinks.ingest import CompletedRow
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lookup import RecordClasses, decided_classes, rescanned_classes
from sinks.ledger.overrides import joined

MORE_SENSITIVE, NOT_SCANNED = "output_more_sensitive", "output_not_scanned"


def result_classes(night: Night, rows: Sequence[CompletedRow]) -> Mapping[str, RecordClasses]:
    """The classes that the results of these rows carry, by record id: those of the input, and those of the output."""
    record_ids = [row.record_id for row in rows]
    known = rescanned_classes(night.ledger, night.run_id, {row.record_id: row.intent_id for row in rows})
    classes = {**decided_classes(night.ledger, night.run_id, record_ids), **known}
    unscanned = [row for row in rows if row.result.output and row.record_id not in known]
    entries = []
    for row, evidence in zip(unscanned, night.scan([_as_document(row) for row in unscanned]), strict=True):
        found = decide(row.record_id, evidence, night.policy, night.detectors.hash)
        before, after = classes[row.record_id], _union(classes[row.record_id], found, night.policy)
        if after != before:
            classes[row.record_id] = after
            entries.append(_rescanned(night, row, evidence, found, before=before, after=after))
    night.ledger.commit(entries)
    return classes


def _as_document(row: CompletedRow) -> Document:
    """The output, and beside it what it says where it is JSON: an escape must not hide what a reader of the result sees."""
    output = row.result.output or ""
    said = _said(output) if output.lstrip()[:1] in {"{", "["} else ""
    return Document(record_id=row.record_id, text=output, source="output", metadata={"values": said})


def _said(output: str) -> str:
    """The names and values of a JSON text, a line each; of a name that comes twice both values; nothing where it is no JSON."""
    try:
        return "\n".join(_lines(json.loads(output, object_pairs_hook=tuple), ""))
    except (ValueError, RecursionError):
        return ""


def _lines(node: object, name: str) -> Iterator[str]:
    if isinstance(node, tuple):  # an object
        for key, value in node:
            yield from _lines(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _lines(value, name)
    else:
        yield f"{name}: {node}" if name else str(node)


def _union(before: RecordClasses, found: Decision, policy: Policy) -> RecordClasses:
    """The classes of both, less those that another covers (PII beside PHI), as a decision lists them."""
    if before.data_classes == found.data_classes == (CLEAN,) and before.partial >= found.partial:
        return before
    carried = [name for name in (*before.data_classes, *found.data_classes) if name != CLEAN]
    classes = listed(tuple(dict.fromkeys(carried)), policy) or before.data_classes
    return RecordClasses(data_classes=classes, partial=before.partial or found.partial)


def _rescanned(
    night: Night, row: CompletedRow, evidence: Evidence, found: Decision, *, before: RecordClasses, after: RecordClasses
) -> Entry:
    return Entry(
        event=Event.RESCANNED,
        at=datetime.now(UTC),
        run_id=night.run_id,
        record_id=row.record_id,
        data_classes=after.data_classes,
        partial=after.partial,
        evidence=evidence_counts(evidence),
        policy_hash=found.policy_hash,
        detectors_hash=found.detectors_hash,
        lane=row.endpoint.lane.value,
        endpoint=row.endpoint.name,
        reason=NOT_SCANNED if UNSCANNABLE in found.data_classes else MORE_SENSITIVE,
        attempt=row.attempt,
        intent_id=row.intent_id,
        before=joined(before.data_classes),
        after=joined(after.data_classes),
    )
