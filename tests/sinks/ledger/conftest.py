"""A ledger of two nights, written by hand: every way a record can end is in it once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.segments import Ledger

FIRST = "night-2026-11-21"
SECOND = "night-2026-11-22"
START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
POLICY = "version: 2026-11-21\ndefault: held\n"


@dataclass
class Teller:
    """Commits entries of one run, an hour apart from the run before."""

    ledger: Ledger
    run_id: str
    at: datetime

    def tell(self, *entries: tuple[Event, dict[str, Any]]) -> int:
        self.at += timedelta(seconds=1)
        return self.ledger.commit([Entry(event=event, at=self.at, run_id=self.run_id, **values) for event, values in entries])

    def start(self) -> None:
        self.tell(
            (
                Event.RUN_STARTED,
                {
                    "job": "night",
                    "logical_date": self.run_id[-10:],
                    "template_hash": "t1",
                    "policy_hash": "p1",
                    "detectors_hash": "d1",
                    "cost_centre": "claims",
                },
            ),
            (Event.POLICY_REGISTERED, {"policy_hash": "p1", "policy_text": POLICY}),
        )

    def decide(self, record_id: str, classes: tuple[str, ...], lanes: tuple[str, ...], *, hmac: str | None = None) -> None:
        evidence = (EvidenceCount(entity="US_SSN", count=2, max_score=0.75, detector="ssn"),) if "PHI" in classes else ()
        self.tell(
            (
                Event.DECIDED,
                {
                    "record_id": record_id,
                    "data_classes": classes,
                    "partial": False,
                    "evidence": evidence,
                    "rule": "route 1",
                    "lanes": lanes,
                    "cloud_requires": ("dpa=true",),
                    "policy_hash": "p1",
                    "detectors_hash": "d1",
                    "document_hmac": hmac or f"doc-{record_id}",
                },
            )
        )

    def clear(self, record_id: str, lane: str, endpoint: str, *, attempt: int = 1, clearance_id: str | None = None) -> None:
        clearance = clearance_id or f"c-{self.run_id}-{record_id}-{attempt}"
        payload = {"clearance_id": clearance, "payload_hmac": f"pay-{record_id}", "payload_bytes": 100, "attempt": attempt}
        self.tell(
            (
                Event.ASSIGNED,
                {"record_id": record_id, "lane": lane, "endpoint": endpoint, "strategy": "prefer_cloud", "reason": "permitted"},
            ),
            (Event.CLEARED, {"record_id": record_id, "lane": lane, "endpoint": endpoint, **payload}),
        )

    def submit(self, record_id: str, lane: str, endpoint: str, intent_id: str, *, attempt: int = 1) -> None:
        self.tell(
            (
                Event.SUBMITTING,
                {
                    "record_id": record_id,
                    "lane": lane,
                    "endpoint": endpoint,
                    "intent_id": intent_id,
                    "clearance_id": f"c-{self.run_id}-{record_id}-{attempt}",
                    "payload_hmac": f"pay-{record_id}",
                    "payload_bytes": 100,
                    "attempt": attempt,
                    "shard_hmac": "s1",
                },
            )
        )

    def intent(self, event: Event, intent_id: str, job_id: str | None = None) -> None:
        self.tell((event, {"intent_id": intent_id, "provider_job_id": job_id}))

    def end(self, event: Event, record_id: str, lane: str, endpoint: str, intent_id: str, **values: Any) -> None:
        self.tell((event, {"record_id": record_id, "lane": lane, "endpoint": endpoint, "intent_id": intent_id, "model": "small", **values}))


def tell_first_night(ledger: Ledger) -> None:
    night = Teller(ledger, FIRST, START)
    night.start()
    night.decide("r-clean", ("CLEAN",), ("cloud", "local"), hmac="doc-old")
    night.clear("r-clean", "cloud", "emulator")
    night.submit("r-clean", "cloud", "emulator", "i-0")
    night.intent(Event.SUBMITTED, "i-0", "batch-0")
    night.intent(Event.JOB_ENDED, "i-0", "batch-0")
    night.end(Event.COMPLETED, "r-clean", "cloud", "emulator", "i-0", result_file=f"{FIRST}/clean/i-0.parquet", result_row=0)
    night.tell((Event.RUN_ENDED, {"job": "night", "detail_code": "done"}))


def tell_second_night(ledger: Ledger) -> None:
    night = Teller(ledger, SECOND, START + timedelta(hours=24))
    night.start()
    night.decide("r-clean", ("CLEAN",), ("cloud", "local"))
    night.clear("r-clean", "cloud", "emulator")
    night.submit("r-clean", "cloud", "emulator", "i-1")
    night.intent(Event.SUBMITTED, "i-1", "batch-1")
    night.intent(Event.JOB_ENDED, "i-1", "batch-1")
    spent = {"tokens_in": 40, "tokens_out": 10, "cost_usd": Decimal("0.000125")}
    night.end(Event.COMPLETED, "r-clean", "cloud", "emulator", "i-1", result_file=f"{SECOND}/clean/i-1.parquet", result_row=3, **spent)
    night.decide("r-phi", ("NPI", "PHI"), ("local",))
    night.clear("r-phi", "local", "extractive")
    night.submit("r-phi", "local", "extractive", "i-2")
    night.intent(Event.SUBMITTED, "i-2", "local-2")
    night.end(Event.COMPLETED, "r-phi", "local", "extractive", "i-2", result_file=f"{SECOND}/NPI+PHI/i-2.parquet", result_row=0)
    night.decide("r-privileged", ("PRIVILEGED",), ())
    night.tell((Event.HELD, {"record_id": "r-privileged", "reason": "no_endpoint"}))
    night.tell((Event.HELD, {"record_id": "r-scan", "reason": "no_text_layer"}))
    night.decide("r-failed", ("PII",), ("cloud",))
    night.clear("r-failed", "cloud", "emulator")
    night.submit("r-failed", "cloud", "emulator", "i-3")
    night.intent(Event.SUBMITTED, "i-3", "batch-3")
    night.end(Event.FAILED, "r-failed", "cloud", "emulator", "i-3", error_code="invalid_output", cost_usd=Decimal("0.000001"))
    night.decide("r-lost", ("CLEAN",), ("cloud",))
    night.clear("r-lost", "cloud", "emulator")
    night.submit("r-lost", "cloud", "emulator", "i-4")
    night.intent(Event.AMBIGUOUS, "i-4")
    night.tell((Event.OVERRIDDEN, {"record_id": "r-phi", "actor": "Ada Example", "reason": "raised", "before": "PII", "after": "PHI"}))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger")


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Read only; a test that writes tells its own."""
    ledger = Ledger.open(tmp_path_factory.mktemp("story") / "ledger")
    tell_first_night(ledger)
    tell_second_night(ledger)
    return ledger


@pytest.fixture
def night(ledger: Ledger) -> Teller:
    teller = Teller(ledger, SECOND, START)
    teller.start()
    return teller
