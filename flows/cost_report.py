"""Where the money went: the ledger's outcomes, the price file and the machines inside, as one report. Reads only.

- What a provider was paid is the ledger's settled cost, to the last unit. A host of the price file is charged whole, for all the time that
  it was there, and its cost allotted by tokens to what ran on it. Nothing is guessed: what has no price or no usage is counted.
- What the same nights would have cost otherwise is a comparison with its assumptions beside it (`flows/cost_comparison.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from flows.cost_comparison import Compared, Comparison, Premium, comparisons, premium, unknown_note, unknown_places
from flows.counted_words import counted
from policies.economics.hosts import name_of_host
from policies.economics.local_cost import HostUse, allot, host_use
from policies.model import Endpoint, Lane
from policies.prices import Prices
from sinks.ledger.busy import busy_hours
from sinks.ledger.cost_lines import NO_CLASS, Amounts, CostLine, cost_lines, days_seen, policies_in_force, record_costs

GROUPS: Mapping[str, Callable[[CostLine], str]] = {
    "job": lambda line: line.job or "(no job)",
    "class": lambda line: line.classes or NO_CLASS,
    "lane": lambda line: line.lane or "(not stated)",
    "endpoint": lambda line: line.endpoint or "(not stated)",
    "day": lambda line: line.day.isoformat(),
    "cost_centre": lambda line: line.cost_centre or "(no cost centre)",
}
RECORD = "record"
BY = (RECORD, *GROUPS)
IDLE = "(idle hosts)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a report is about. until: not included. cloud: the endpoint to compare with, where it is not to be the job's own."""

    by: str = "endpoint"
    since: date | None = None
    until: date | None = None
    cloud: str | None = None
    cloud_of_job: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class CostRow:
    """One group. settled_usd: as the ledger has it. host_usd: of the machines inside. usd: what is charged, the one or the other."""

    group: str
    records: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    settled_usd: Decimal = Decimal(0)
    host_usd: Decimal = Decimal(0)
    usd: Decimal = Decimal(0)
    unpriced: int = 0
    uncounted: int = 0

    def add(self, line: Amounts, host_usd: Decimal | None) -> None:
        """One more line. host_usd: None where it ran on no host of the price file, and the ledger's own figure counts."""
        self.records += line.records
        self.failed += line.failed
        self.tokens_in += line.tokens_in
        self.tokens_out += line.tokens_out
        self.settled_usd += line.settled_usd
        self.host_usd += host_usd or Decimal(0)
        self.usd += line.settled_usd if host_usd is None else host_usd
        self.unpriced += line.unpriced
        self.uncounted += line.uncounted


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """The whole answer. prices: version and hash of the price file. policies: of the nights; each covers the prices they settled with."""

    by: str
    since: date
    until: date
    rows: tuple[CostRow, ...]
    total: CostRow
    hosts: tuple[HostUse, ...]
    busy_hours: Mapping[str, Decimal]
    premium: Premium
    comparisons: tuple[Comparison, ...]
    prices: tuple[str, str]
    policies: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What is read, for which days."""

    ledger: Path
    prices: Prices
    since: date
    until: date

    @property
    def days(self) -> list[date]:
        """Each of them."""
        return [self.since + timedelta(days=ahead) for ahead in range((self.until - self.since).days)]


def make_report(ledger: Path, prices: Prices, registry: Mapping[str, Endpoint], asked: Asked, *, today: date) -> CostReport | None:
    """The report on these days; None where the ledger has no outcome in them. Days that are still to come cost nothing yet."""
    seen = days_seen(ledger, since=asked.since, until=asked.until)
    if seen is None:
        return None
    since = asked.since or seen[0]
    until = max(min(asked.until or seen[1] + timedelta(days=1), today + timedelta(days=1)), seen[1] + timedelta(days=1))
    period = Period(ledger=ledger, prices=prices, since=since, until=until)
    edges = [price.long.over for price in prices.prices if price.long is not None]
    lines = cost_lines(ledger, since=since, until=until, edges=edges)
    hosts, busy = hosts_over(period, lines)
    shares = _shares(lines, hosts, prices)
    compared = Compared(
        lines=lines, host_usd=shares, hosts=hosts, prices=prices, registry=registry, cloud=asked.cloud, of_job=asked.cloud_of_job
    )
    rows, total = _rows(period, asked.by, lines, shares, hosts)
    return CostReport(
        by=asked.by,
        since=since,
        until=until,
        rows=rows,
        total=total,
        hosts=hosts,
        busy_hours=busy,
        premium=premium(compared),
        comparisons=comparisons(compared, total.usd),
        prices=(prices.version, prices.digest),
        policies=tuple(policies_in_force(ledger, since=since, until=until)),
        notes=(*([said] if (said := unknown_note(unknown_places(compared))) else []), *_notes(lines, prices, total)),
    )


def hosts_over(period: Period, lines: Sequence[CostLine]) -> tuple[tuple[HostUse, ...], dict[str, Decimal]]:
    """The machines inside over these days, and the busy hours of each local endpoint."""
    on_host: dict[str, set[str]] = defaultdict(set)
    for host in period.prices.hosts:
        on_host[host.name] |= set(host.endpoints)
    inside = {line.endpoint for line in lines if line.endpoint and line.lane == Lane.LOCAL}.union(*on_host.values())
    places = {f"host {name}": sorted(endpoints) for name, endpoints in on_host.items()} | {f"at {one}": [one] for one in inside}
    measured = busy_hours(period.ledger, places, since=period.since, until=period.until)
    found = [
        host_use(
            period.prices.hosts,
            name,
            period.days,
            busy_hours=measured.get(f"host {name}", Decimal(0)),
            tokens=sum(line.tokens for line in lines if line.endpoint in endpoints and line.lane == Lane.LOCAL),
        )
        for name, endpoints in on_host.items()
    ]
    busy = {one: measured[f"at {one}"] for one in sorted(inside) if f"at {one}" in measured}
    return tuple(host for host in found if host is not None), busy


def _host_of(line: Amounts, prices: Prices) -> str | None:
    """The host that a line ran on; None where that is a provider, or no host of the price file."""
    return name_of_host(prices.hosts, line.endpoint) if line.endpoint and line.lane == Lane.LOCAL else None


def _shares(lines: Sequence[Amounts], hosts: Iterable[HostUse], prices: Prices) -> list[Decimal | None]:
    """What of its host's cost each line bears; None where it ran on no host."""
    shares: list[Decimal | None] = [None] * len(lines)
    for host in hosts:
        places = [place for place, line in enumerate(lines) if _host_of(line, prices) == host.name]
        for place, part in zip(places, allot(host.usd, [lines[place].tokens for place in places]), strict=True):
            shares[place] = part
    return shares


def _rows(
    period: Period, by: str, lines: Sequence[CostLine], shares: Sequence[Decimal | None], hosts: Sequence[HostUse]
) -> tuple[tuple[CostRow, ...], CostRow]:
    grouped: dict[str, CostRow] = {}
    if by == RECORD:
        records = record_costs(period.ledger, since=period.since, until=period.until)
        for record, part in zip(records, _shares(records, hosts, period.prices), strict=True):
            grouped.setdefault(record.record_id, CostRow(group=record.record_id)).add(record, part)
    else:
        for line, part in zip(lines, shares, strict=True):
            grouped.setdefault(GROUPS[by](line), CostRow(group=GROUPS[by](line))).add(line, part)
    total = CostRow(group="total")
    for line, part in zip(lines, shares, strict=True):
        total.add(line, part)
    rows = [grouped[name] for name in sorted(grouped)]
    if idle := sum((host.usd for host in hosts if not host.tokens), Decimal(0)):
        rows.append(CostRow(group=IDLE, host_usd=idle, usd=idle))
        total.host_usd += idle
        total.usd += idle
    return tuple(rows), total


def _notes(lines: Sequence[CostLine], prices: Prices, total: CostRow) -> tuple[str, ...]:
    notes = [
        "An outcome counts what it used, also where it failed, was repaired or was escalated; one stated twice counts once.",
        "What providers were paid is settled in the ledger, at the prices in force on the day of the hand-over.",
    ]
    if prices.hosts:
        notes.append(
            "A host costs the same whether it is busy or not: what it costs over these days is allotted by tokens, in and out alike, to "
            "what ran on it. A price that the registry states for such an endpoint is not added."
        )
    else:
        notes.append(
            f"{prices.file or 'The price file'} declares no host: what work inside cost is not known (`hosts:`, docs/economics.md)."
        )
    if total.unpriced:
        unpriced = counted(total.unpriced, "record is", "records are")
        notes.append(f"{unpriced} unpriced: the provider reported no usage. That is in no sum, and nobody guesses.")
    homeless = sorted({line.endpoint for line in lines if line.endpoint and line.lane == Lane.LOCAL and not _host_of(line, prices)})
    if homeless and prices.hosts:
        notes.append(f"On no host of the price file: {', '.join(homeless)}; counted with what the registry states for them, else nothing.")
    unborne = sum(line.uncounted for line in lines if _host_of(line, prices))
    if unborne:
        borne = "Nothing of a host's cost is borne by them: the others bear it all."
        notes.append(f"Without token counts on hosts: {counted(unborne, 'record')}. {borne}")
    return tuple(notes)
