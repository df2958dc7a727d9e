"""Ledgers to prove things about: two nights in which everything happened that a statement must count, and ways to touch a proof."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.proving import record_proof
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import SourceName, remember
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment

AT = datetime(2026, 10, 1, 2, tzinfo=UTC)
SECRET = "clinic/castellan.txt"
POLICY = "version: 1\ndefault: held\n"
POLICY_HASH = "p" * 64


def day(number: int) -> datetime:
    return AT + timedelta(days=number)


def decided(record: str, *classes: str, at: datetime = AT, **more: Any) -> Entry:
    values: dict[str, Any] = {
        "data_classes": classes,
        "partial": False,
        "rule": "routes[0]",
        "lanes": ("cloud", "local"),
        "policy_hash": POLICY_HASH,
        "detectors_hash": "d" * 64,
        "document_hmac": f"text-{record}",
        "run_id": f"night-{at:%d}",
    }
    return Entry(event=Event.DECIDED, at=at, record_id=record, **values | more)


def sent(record: str, *, at: datetime = AT, lane: str | None = "cloud", endpoint: str | None = "vendor", **more: Any) -> list[Entry]:
    about: dict[str, Any] = {"at": at, "record_id": record, "run_id": f"night-{at:%d}", "lane": lane, "endpoint": endpoint}
    payload: dict[str, Any] = {"clearance_id": f"c-{record}-{at:%d}", "payload_hmac": f"pay-{record}", "payload_bytes": 90, "attempt": 1}
    return [
        Entry(event=Event.ASSIGNED, strategy="cloud_first", reason="preferred", score=0.5, **about),
        Entry(event=Event.CLEARED, **about, **payload),
        Entry(event=Event.SUBMITTING, intent_id=f"i-{at:%d}-{lane}", **about | payload | more),
    ]


def story() -> Iterator[list[Entry]]:
    """Two nights, and what was said of them later. What counts for PHI and the cloud is beside each record."""
    yield [Entry(event=Event.POLICY_REGISTERED, at=AT, policy_hash=POLICY_HASH, policy_text=POLICY)]
    found = (EvidenceCount(entity="PERSON", count=2, max_score=0.85, detector="ner"),)
    yield [decided("r-clean", "CLEAN", evidence=found), *sent("r-clean")]  # nothing ever said of it
    yield [Entry(event=Event.SUBMITTED, at=AT, run_id="night-01", intent_id="i-01-cloud", endpoint="vendor", provider_job_id="batch-1")]
    yield [decided("r-leaked", "PHI", "PII"), *sent("r-leaked")]  # then
    yield [decided("r-inside", "PHI"), *sent("r-inside", lane="local", endpoint="small")]  # not the cloud
    yield [decided("r-looked", "CLEAN"), *sent("r-looked")]  # known now: look-back and review
    yield [decided("r-other-text", "CLEAN"), *sent("r-other-text")]  # PHI is another text of it
    yield [decided("r-doubted", "CLEAN"), *sent("r-doubted")]  # in doubt
    yield [decided("r-part", "PII", partial=True), *sent("r-part")]  # partial
    yield sent("r-undecided")  # unknown
    yield [decided("r-none"), *sent("r-none")]  # unknown: no classes
    late, *handed = sent("r-again")
    yield [decided("r-again", "PII"), late, handed[0], decided("r-again", "CLEAN"), handed[1]]  # unknown: decided after its clearance
    yield [decided("r-nowhere", "CLEAN"), *sent("r-nowhere", lane=None, endpoint=None)]  # counts as the cloud
    yield [decided("r-lowered", "PII"), *sent("r-lowered")]
    yield [decided("r-late", "PHI", at=day(5)), *sent("r-late", at=day(5), endpoint="other")]  # then, later and elsewhere
    yield [Entry(event=Event.COMPLETED, at=AT, run_id="night-01", record_id="r-clean", lane="cloud", endpoint="vendor", confidence=-0.25)]
    about: dict[str, Any] = {"at": day(9), "run_id": "night-01"}
    yield [
        Entry(
            event=Event.LOOKBACK,
            record_id="r-looked",
            document_hmac="text-r-looked",
            before="CLEAN",
            after="PHI+PII",
            reason="now_local",
            **about,
        ),
        Entry(event=Event.LOOKBACK, record_id="r-clean", document_hmac="text-r-clean", before="CLEAN", reason="source_gone", **about),
        Entry(
            event=Event.REVIEWED, record_id="r-looked", document_hmac="text-r-looked", before="CLEAN", after="PHI", reason="leak", **about
        ),
        Entry(event=Event.REVIEWED, record_id="r-doubted", document_hmac="text-r-doubted", after="UNSURE", reason="unsure", **about),
        decided("r-other-text", "PHI", at=day(9), document_hmac="another"),
        Entry(
            event=Event.OVERRIDDEN,
            record_id="r-lowered",
            detail_code="lowered",
            data_classes=("PHI",),
            before="PHI+PII",
            after="PII",
            **about,
        ),
    ]


def told(folder: Path) -> Path:
    """The story as a ledger."""
    opened = Ledger.open(folder / "ledger")
    for entries in story():
        opened.commit(entries)
    remember(opened.path, [SourceName(record_id="r-leaked", source=SECRET, source_id="7")])
    return opened.path


def made(ledger: Path, record: str, **options: bool) -> dict[str, Any]:
    proof = record_proof(ledger, record, with_source=options.get("with_source", False))
    assert proof is not None
    document: dict[str, Any] = json.loads(proof.model_dump_json())
    return document


def saved(folder: Path, document: Any) -> Path:
    file = folder / "proof.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return file


def edited_copy(ledger: Path, folder: Path) -> Path:
    """The same ledger, in which r-clean was decided by another rule."""
    copied = Path(shutil.copytree(ledger, folder / "edited"))
    file = attacker.segment_files(copied)[2]
    whole = Segment.read(file)
    rows = whole.rows.to_pylist()
    rows[0]["rule"] = "routes[1]"
    Segment(type(whole.rows).from_pylist(rows, schema=whole.rows.schema), whole.footer).write(file)
    return copied


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a document are."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*place, key))
    else:
        yield place


def touched(document: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    """The document with one value that is a little different."""
    changed = copy.deepcopy(document)
    target: Any = changed
    for key in place[:-1]:
        target = target[key]
    value = target[place[-1]]
    if isinstance(value, bool) or value is None:
        target[place[-1]] = not value
    elif isinstance(value, int | float):
        target[place[-1]] = value + 1
    else:
        middle = len(value) // 2
        target[place[-1]] = value[:middle] + ("A" if value[middle : middle + 1] != "A" else "B") + value[middle + 1 :]
    return changed
