"""Whether a budget was kept: what a job was committed to, added up anew from the ledger's entries at every hand-over to the cloud. Pure.

As docs/ledger-format.md has it: a hand-over reserves in its `submitting` entries, an outcome with a cost settles its record, a refusal
frees all, one that was only not found frees after two days, and a job that was there twice counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

WATCHED = timedelta(hours=48)
_LIMIT = re.compile(r"(?:endpoints: {(?P<of>[a-z-]+): {)?(?P<period>night|month): (?P<amount>[0-9.]+)")

Limits = Mapping[tuple[str, str], Decimal]
"""By endpoint, or "" for the whole job, and period."""


@dataclass(slots=True)
class _Exposed:
    """A hand-over to the cloud: what each record may cost or did cost."""

    endpoint: str
    logical_date: str
    at: datetime
    reserved: dict[str, Decimal] = field(default_factory=dict)
    settled: dict[str, Decimal] = field(default_factory=dict)
    ended: str = ""
    ended_at: datetime | None = None
    extra: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)

    def committed(self, now: datetime) -> Decimal:
        """What it can still cost at the most, or did."""
        whole = sum(self.reserved.values(), Decimal(0))
        twice = whole * (len(self.extra) + max(len(self.late) - 1, 0))
        watched = self.ended == "not_found" and self.ended_at is not None and now - self.ended_at <= WATCHED
        if self.ended and not watched and not self.settled:
            return twice
        return twice + sum((self.settled.get(record, amount) for record, amount in self.reserved.items()), Decimal(0))


def limits(job: Sequence[str]) -> Limits:
    """What the job may spend."""
    found = [one for line in job if line.startswith("budget_usd") for one in _LIMIT.finditer(line)]
    return {(one["of"] or "", one["period"]): Decimal(one["amount"]) for one in found}


def overspent(entries: Sequence[Mapping[str, Any]], allowed: Limits) -> Iterator[str]:
    """Each hand-over after which more was committed than allowed."""
    if not allowed:
        return
    dates = {entry["run_id"]: entry["logical_date"] for entry in entries if entry["event"] == "run_started"}
    intents: dict[str, _Exposed] = {}
    for place, entry in enumerate(entries):
        if entry["intent_id"] is None or not _note(entry, dates, intents):
            continue
        after = entries[place + 1] if place + 1 < len(entries) else None
        if after is None or (after["event"], after["intent_id"]) != ("submitting", entry["intent_id"]):
            yield from _over(intents, intents[entry["intent_id"]], entry, allowed)


def _note(entry: Mapping[str, Any], dates: Mapping[str, str], intents: dict[str, _Exposed]) -> bool:
    """Take an entry in; whether it is one of a hand-over to the cloud that begins."""
    name, event = entry["intent_id"], entry["event"]
    if event == "submitting" and entry["lane"] != "local":
        exposed = intents.setdefault(name, _Exposed(endpoint=entry["endpoint"], logical_date=dates[entry["run_id"]], at=entry["at"]))
        exposed.reserved[entry["record_id"]] = entry["cost_usd"] or Decimal(0)
        return True
    exposed_before = intents.get(name)
    if exposed_before is None:
        return False
    if event in {"completed", "failed", "released"} and entry["cost_usd"] is not None:
        exposed_before.settled[entry["record_id"]] = entry["cost_usd"]
    elif event == "rejected":
        exposed_before.ended, exposed_before.ended_at = entry["state"] or "rejected", entry["at"]
    elif event in {"submitted", "ambiguous"}:
        exposed_before.ended = ""
    elif event == "cancelled" and entry["provider_job_id"]:
        {"extra_job": exposed_before.extra, "late_orphan": exposed_before.late}.get(entry["state"], set()).add(entry["provider_job_id"])
    return False


def _over(intents: Mapping[str, _Exposed], new: _Exposed, entry: Mapping[str, Any], allowed: Limits) -> Iterator[str]:
    tonight = [one for one in intents.values() if one.logical_date == new.logical_date]
    month = [one for one in intents.values() if (one.at.year, one.at.month) == (entry["at"].year, entry["at"].month)]
    for (endpoint, period), most in allowed.items():
        those = [one for one in (tonight if period == "night" else month) if endpoint in {"", one.endpoint}]
        total = sum((one.committed(entry["at"]) for one in those), Decimal(0))
        if endpoint in {"", new.endpoint} and total > most:
            yield f"with hand-over {entry['intent_id'][:12]} ${total} were committed for the {period}, of ${most}"
