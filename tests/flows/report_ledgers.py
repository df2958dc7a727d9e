"""Ledgers to report on, written entry by entry: two ordinary months, one of hostile names, one of thousands of endpoints."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.segments import Ledger

HOSTILE = (
    "</script><script>fetch('https://evil.test')</script>",
    "</style><img src=https://evil.test/x onerror=alert(1)>",
    "\u202egnp.exe\u202c and \u2067hidden\u2069",
    "nul\x00 bell\x07 escape\x1b[31m line\nbreak",
    "\u200bzero\u200bwidth\ufeff",
    "quote\"'&amp;<b>bold</b>",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "{{ 7 * 7 }}{% raw %}",
    "--><!--",
    "\U0001f469\u200d\u2695\ufe0f emoji",
    "x" * 5000,
    "\u6587\u66f8" * 40,
)
"""Names that a page must show as what they are."""

START = datetime(2026, 10, 1, 23, 0, tzinfo=UTC)
ROUTES: tuple[tuple[tuple[str, ...], str, str | None, int], ...] = (
    (("CLEAN",), "cloud", "openai-batch", 26),
    (("CLEAN",), "cloud", "emulator", 9),
    (("PII",), "cloud", "openai-batch", 3),
    (("PHI",), "local", "vllm", 11),
    (("NPI", "PII"), "local", "vllm", 7),
    (("PRIVILEGED",), "local", "extractive", 4),
    (("TRADE_SECRET",), "held", None, 2),
    ((), "held", None, 1),
)
"""Classes, lane, endpoint, and how many records a night has of them, about."""


def moved(event: Event, at: datetime, run_id: str, record_id: str, **values: Any) -> Entry:
    """An entry about a record."""
    return Entry(event=event, at=at, run_id=run_id, record_id=record_id, **values)


def one_record(  # noqa: PLR0917 - a line of a table
    at: datetime, run_id: str, record_id: str, classes: tuple[str, ...], lane: str, endpoint: str | None, **decided: Any
) -> list[Entry]:
    """A record on its way: decided and handed over and completed, or held."""
    entries = []
    if classes:
        evidence = (EvidenceCount(entity="US_SSN", count=1, max_score=0.9, detector="ssn"),)
        verdict = {"lanes": () if lane == "held" else (lane,), "rule": "routes[0]", "policy_hash": "ab" * 32, "detectors_hash": "cd" * 32}
        entries.append(
            moved(
                Event.DECIDED,
                at,
                run_id,
                record_id,
                **{"data_classes": classes, "partial": False, "evidence": evidence, **verdict, **decided},
            )
        )
    if lane == "held":
        return [*entries, moved(Event.HELD, at, run_id, record_id, reason="no_rule" if classes else "empty_text")]
    intent = f"i-{run_id}-{endpoint}"
    sent = {"lane": lane, "endpoint": endpoint, "intent_id": intent}
    spent = {"tokens_in": 400, "tokens_out": 60, "cost_usd": Decimal("0.000123") if lane == "cloud" else Decimal(0)}
    model = {"model": "instruct-8b", "weights_digest": "5f" * 32} if lane == "local" else {"model": "gpt-4o-mini"}
    chosen = {"lane": lane, "endpoint": endpoint, "strategy": "cloud_first"}
    why = "preferred" if lane == "cloud" else "only_permitted_lane"
    entries.append(moved(Event.ASSIGNED, at, run_id, record_id, reason=name if (name := decided.get("policy_hash")) else why, **chosen))
    entries.append(moved(Event.SUBMITTING, at, run_id, record_id, payload_bytes=1200, attempt=1, **sent))
    entries.append(moved(Event.COMPLETED, at, run_id, record_id, result_file="a", result_row=0, **sent, **spent, **model))
    return entries


def a_waterfall(start: datetime, run_id: str) -> list[Entry]:
    """Nine records asked inside first: five answers are good, two stay in doubt, two are escalated and one of these is completed."""
    entries = []
    for number in range(9):
        record_id, at = f"w{number}", start + timedelta(minutes=number)
        inside = {"lane": "local", "endpoint": "vllm"}
        entries.append(moved(Event.ASSIGNED, at, run_id, record_id, strategy="waterfall", reason="preferred", **inside))
        answer = {"result_file": "w", "result_row": number, "model": "instruct-8b", "weights_digest": "5f" * 32, "cost_usd": Decimal(0)}
        answered = {**inside, **answer, "intent_id": f"i-{run_id}-vllm", "confidence": 0.9 - number / 10}
        if number < 5:
            entries.append(moved(Event.COMPLETED, at, run_id, record_id, **answered))
        elif number < 7:
            entries.append(moved(Event.COMPLETED, at, run_id, record_id, detail_code="low_confidence", **answered))
        else:
            there = {"lane": "cloud", "endpoint": "openai-batch"}
            entries.append(moved(Event.RELEASED, at, run_id, record_id, reason="escalated", endpoint="vllm"))
            entries.append(moved(Event.ASSIGNED, at, run_id, record_id, strategy="waterfall", reason="escalated", score=0.2, **there))
    there = {"lane": "cloud", "endpoint": "openai-batch", "result_file": "w", "result_row": 9, "cost_usd": Decimal("0.000123")}
    entries.append(moved(Event.COMPLETED, start + timedelta(hours=1), run_id, "w7", **there))
    return entries


def a_night(start: datetime, number: int, chance: random.Random) -> list[Entry]:
    """One night of the ordinary quarter."""
    run_id = f"intake/{start:%Y-%m-%d}"
    entries = [Entry(event=Event.RUN_STARTED, at=start, run_id=run_id, job="intake", logical_date=f"{start:%Y-%m-%d}")]
    for classes, lane, endpoint, usual in ROUTES:
        for count in range(max(1, round(usual * chance.uniform(0.6, 1.5)))):
            record_id = f"r{number:04d}{'-'.join(classes)}{lane}{endpoint}{count}"
            partial = lane == "held" and count == 1
            entries += one_record(start + timedelta(minutes=count), run_id, record_id, classes, lane, endpoint, partial=partial)
    for endpoint in ("openai-batch", "emulator", "vllm", "extractive"):
        code = "isolation_netns" if endpoint == "vllm" else None
        entries.append(
            Entry(event=Event.SUBMITTED, at=start + timedelta(hours=1), run_id=run_id, intent_id=f"i-{run_id}-{endpoint}", detail_code=code)
        )
    entries.append(Entry(event=Event.RUN_ENDED, at=start + timedelta(hours=2), run_id=run_id, job="intake", detail_code="done"))
    return entries


def ordinary(folder: Path, nights: int = 61) -> Path:
    """October and November of one job, with one of every exception."""
    ledger, chance = Ledger.open(folder), random.Random(7)
    text = "version: 2026-10-01\ndefault: held\n"
    ledger.commit([Entry(event=Event.POLICY_REGISTERED, at=START, policy_hash="ab" * 32, policy_text=text)])
    for number in range(nights):
        ledger.commit(a_night(START + timedelta(days=number), number, chance))
    last, run_id = START + timedelta(days=nights - 1, hours=3), "intake/2026-11-30"
    ledger.commit(a_waterfall(START + timedelta(days=1), "intake/2026-10-02"))
    person = {"actor": "Ada Example", "record_id": "r-raised", "run_id": run_id}
    judged = {"model": "instruct-8b", "endpoint": "vllm", "run_id": run_id, "weights_digest": "5f" * 32}
    ledger.commit(
        [
            Entry(event=Event.OVERRIDDEN, at=last, reason="patient named in the margin", before="CLEAN", after="PHI", **person),
            moved(Event.SUBMITTING, last, run_id, "r-lost", lane="cloud", endpoint="openai-batch", intent_id="i-lost", payload_bytes=900),
            Entry(event=Event.AMBIGUOUS, at=last, run_id=run_id, endpoint="openai-batch", intent_id="i-lost", detail_code="timeout"),
            Entry(event=Event.JUDGED, at=last, record_id="r-1", data_classes=("PRIVILEGED",), **judged),
            Entry(event=Event.JUDGED, at=last, record_id="r-2", data_classes=(), **judged),
            Entry(event=Event.REVIEWED, at=last, record_id="r-3", reason="sample", before="CLEAN", after="CLEAN", actor="Bo Example"),
            Entry(event=Event.LOOKBACK, at=last, record_id="r-4", reason="new_detectors", before="CLEAN", after="PHI"),
        ]
    )
    return folder


def hostile(folder: Path) -> Path:
    """One night in which every name is an attack."""
    ledger, entries = Ledger.open(folder), []
    for number, name in enumerate(HOSTILE):
        at = START + timedelta(minutes=number)
        entries += one_record(at, name, name, (name,), "cloud", name, policy_hash=name, detectors_hash=name)
        entries += one_record(at, name, f"local {name}", (name,), "local", name)
        entries.append(moved(Event.HELD, at, name, f"held {name}", reason=name))
        entries.append(moved(Event.OVERRIDDEN, at, name, name, actor=name, reason=name, before=name, after=name))
        entries.append(Entry(event=Event.AMBIGUOUS, at=at, run_id=name, endpoint=name, intent_id=name, detail_code=name))
        entries.append(Entry(event=Event.RUN_STARTED, at=at, run_id=name, job=name))
        entries.append(Entry(event=Event.POLICY_REGISTERED, at=at, policy_hash=name, policy_text=f"version: {name}\n"))
        entries.append(Entry(event=Event.JUDGED, at=at, record_id=name, data_classes=(name,), model=name, endpoint=name, run_id=name))
        entries.append(Entry(event=Event.REVIEWED, at=at, record_id=name, reason=name, before=name, after=name))
    ledger.commit(entries)
    return folder


def crowded(folder: Path, count: int = 3000) -> Path:
    """Thousands of classes and endpoints, and three PHI records among them that went to the cloud."""
    ledger, entries = Ledger.open(folder), []
    for number in range(count):
        lane = "cloud" if number % 3 else "local"
        entries += one_record(START, "crowd", f"r{number}", (f"CLASS_{number}",), lane, f"endpoint-{number}")
    for number in range(3):
        entries += one_record(START, "crowd", f"p{number}", ("PHI",), "cloud", "endpoint-1")
    ledger.commit(entries)
    return folder
