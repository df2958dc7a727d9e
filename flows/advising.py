"""`waybill advise`: a question made of a month of the ledger, and the answer in words. Reads only.

A job is two workloads: what its policy keeps inside, and what may leave. What nobody measured is assumed, and the assumption is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from flows.cost_comparison import Compared, unknown_note, unknown_places
from flows.cost_report import Period, hosts_over
from flows.cost_sources import CostSources
from flows.counted_words import counted
from policies.economics.cloud_cost import usage_usd
from policies.economics.crossover import Fleet
from policies.economics.hosts import HOURS_PER_DAY, HOURS_PER_MONTH, host_on
from policies.economics.local_cost import HostUse
from policies.economics.thresholds import BUSY_AT_MOST, TRIED_FROM, TYPICAL_LOCAL_SHARE
from policies.economics.workloads import Data, Question, Workload
from policies.model import Lane
from sinks.ledger.cost_lines import CostLine, cost_lines, days_seen
from sinks.ledger.local_share import LocalShare, local_shares

DAYS = 30
"""So many of the ledger's last days are a month, where no others are asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    """What is read, and how many of such periods make a month."""

    lines: Sequence[CostLine]
    days: int
    sources: CostSources

    @property
    def factor(self) -> Decimal:
        """From the days that were seen to a month."""
        return Decimal(HOURS_PER_MONTH) / (HOURS_PER_DAY * self.days)


def question_of_ledger(sources: CostSources, *, since: date | None, until: date | None) -> Question | None:
    """The question that these days of the ledger pose; None where they hold no outcome."""
    seen = days_seen(sources.ledger, since=since, until=until)
    if seen is None:
        return None
    last = seen[1] + timedelta(days=1)
    first = since or max(seen[0], last - timedelta(days=DAYS))
    lines = cost_lines(sources.ledger, since=first, until=last)
    hosts, _ = hosts_over(Period(ledger=sources.ledger, prices=sources.prices, since=first, until=last), lines)
    month = _Month(lines=[line for line in lines if line.final], days=(last - first).days, sources=sources)
    shares = local_shares(sources.ledger, since=first, until=last)
    fleet, noted = _fleet(sources, hosts, seen[1])
    workloads, api, notes = _workloads(month, shares)
    scaled = f"Of {counted(month.days, 'day')} from {first} on, scaled to a month: {month.factor:.3f} times what was seen."
    compared = Compared(
        lines=lines, host_usd=(), hosts=hosts, prices=sources.prices, registry=sources.registry, cloud=None, of_job=sources.cloud_of_job
    )
    unknown = unknown_note(unknown_places(compared))
    notes = [scaled, *([unknown] if unknown else []), *noted, *notes]
    title = "this ledger" if sources.ledger.name == "ledger" else f"the ledger {sources.ledger.name}"
    return Question(title=title, engineer=True, api=api, fleet=fleet, workloads=workloads, notes=tuple(notes))


def _fleet(sources: CostSources, hosts: Sequence[HostUse], day: date) -> tuple[Fleet | None, list[str]]:
    """The kind of host that is there, as fast as it was measured to be: the one that did most."""
    measured = [host for host in hosts if host.tokens_per_s]
    if not measured:
        where = sources.prices.file or "the price file"
        lacking = "no host of it did any work in these days" if sources.prices.hosts else "it declares no host (`hosts:`)"
        return None, [f"What own machines cost is not known: {where}: {lacking}."]
    most = max(measured, key=lambda host: host.tokens)
    entry = host_on(sources.prices.hosts, most.name, day)
    if entry is None or most.tokens_per_s is None:
        return None, [f"Host {most.name} has no entry in force in the price file."]
    fleet = Fleet(name=most.name, machine=entry.machine, tokens_per_s=most.tokens_per_s, busy_at_most=BUSY_AT_MOST)
    speed = f"{most.tokens_per_s:,.0f} tokens/s, as measured while it was busy"
    return fleet, [f"Host {most.name}: {speed}. It is planned to be busy for {BUSY_AT_MOST:.0%} of its time at most."]


def _workloads(month: _Month, shares: dict[str, LocalShare]) -> tuple[tuple[Workload, ...], str, list[str]]:
    grouped: dict[tuple[str, bool], list[CostLine]] = defaultdict(list)
    for line in month.lines:
        grouped[line.job or "", line.restricted].append(line)
    workloads, names, notes = [], set(), []
    for (job, restricted), lines in sorted(grouped.items()):
        tokens = sum(line.tokens for line in lines)
        if not tokens:
            notes.append(f"{job}: nobody reported the tokens of {counted(sum(line.records for line in lines), 'record')}: left out.")
            continue
        endpoint, usd = _at_provider(month, job, lines)
        names |= {endpoint} if endpoint else set()
        share, measured, said = _local_share(job, shares.get(job), restricted=restricted)
        notes += [
            *said,
            *([] if usd is not None or restricted else [f"{job}: no cloud endpoint with a price to compare with; name one with --cloud."]),
        ]
        workloads.append(
            Workload(
                name=f"{job}: {'kept inside by the policy' if restricted else 'may leave'}",
                tokens_per_month=tokens * month.factor,
                api_usd=None if usd is None else usd * month.factor,
                may_leave=not restricted,
                data=Data.REGULATED if restricted else Data.ORDINARY,
                law=", ".join(sorted({name for line in lines for name in line.classes.split("+") if name})) if restricted else "",
                peak_to_mean=_peak_to_mean(lines, month.days),
                local_share=share,
                measured=measured,
            )
        )
    return tuple(workloads), ", ".join(sorted(names)) or "no provider", notes


def _at_provider(month: _Month, job: str, lines: Sequence[CostLine]) -> tuple[str, Decimal | None]:
    """The endpoint that a job's work is compared with, and what it costs there; None where nobody has said."""
    sources = month.sources
    used = [line.endpoint for line in month.lines if (line.job or "") == job and line.lane != Lane.LOCAL and line.endpoint]
    known = [one for one in (sources.cloud, *sorted(set(used), key=used.count, reverse=True), *sources.cloud_of_job.get(job, ())) if one]
    for name in known:
        endpoint = sources.registry.get(name)
        prices = [None if endpoint is None else sources.prices.of(endpoint, line.handed_on) for line in lines]
        if all(price is not None for price in prices):
            usd = sum(
                (usage_usd(price, line.tokens_in, line.tokens_out) for price, line in zip(prices, lines, strict=True) if price), Decimal(0)
            )
            return name, usd
    return "", None


def _peak_to_mean(lines: Sequence[CostLine], days: int) -> Decimal:
    """The greatest day over the mean of all days, those without work included."""
    daily: dict[date, int] = defaultdict(int)
    for line in lines:
        daily[line.day] += line.tokens
    return Decimal(max(daily.values()) * days) / sum(daily.values())


def _local_share(job: str, found: LocalShare | None, *, restricted: bool) -> tuple[Decimal, bool, list[str]]:
    """What a model inside answers well enough, and whether that was measured."""
    if restricted:
        return Decimal(1), False, []
    if found is not None and found.tried >= TRIED_FROM:
        share = Decimal(found.kept) / found.tried
        return (
            share,
            True,
            [f"{job}: of {found.tried:,} records that may leave and were tried inside, {found.kept:,} ended there ({share:.0%})."],
        )
    said = (
        f"{job}: too few records that may leave were tried inside to say what a model there can take; {TYPICAL_LOCAL_SHARE:.0%} is assumed."
    )
    return TYPICAL_LOCAL_SHARE, False, [said]
