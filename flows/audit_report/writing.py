"""From a ledger folder to a report: read, verify, render."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flows.audit_report.page import page, sections
from flows.audit_report.period import Period
from flows.audit_report.registry_facts import read_registry
from flows.audit_report.verification import Verification, verified
from flows.breakeven import load_break_even
from sinks.ledger.note import VerifierKey
from sinks.ledger.report_data import report_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The page, and what verification found on the way."""

    html: str
    verification: Verification


def audit_report(
    ledger: Path,
    period: Period,
    *,
    now: datetime,
    registry: Path | None = None,
    deep: bool = False,
    keys: Sequence[VerifierKey] = (),
    anchors: Sequence[Path] = (),
    economics: Path | None = None,
) -> Report:
    """Make the report of a period. economics: a file of figures for `waybill costs breakeven`, whose chart then is in it.

    Raises LedgerError when the ledger cannot be read, PolicyFileError when the registry or the figures cannot.
    """
    vouched = read_registry(registry)
    crossing = load_break_even(economics) if economics is not None else None
    data = report_data(ledger, since=period.since, until=period.until)
    # Afterwards: the log only grows, so that what is verified now covers all that was read.
    verification = verified(ledger, deep=deep, keys=keys, anchors=anchors)
    parts = sections(data, period=period, registry=vouched, verification=verification, economics=crossing)
    html = page(parts, origin=data.checkpoint.origin, period=period, verification=verification, created=now)
    return Report(html=html, verification=verification)
