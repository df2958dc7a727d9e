"""What restricted data costs by staying inside, and what the same nights would have cost otherwise. Pure; each figure with its assumptions.

Compared are the answers that records ended with, one each, with the tokens that they took where they were made: another model counts
tokens a little differently, and nobody knows how it would have failed. What cannot be priced is counted and left out, never guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal

from policies.economics.cloud_cost import usage_usd
from policies.economics.local_cost import SECONDS_PER_HOUR, HostUse, rounded
from policies.model import Endpoint, Lane
from policies.prices import Prices
from sinks.ledger.cost_lines import CostLine

ZERO = Decimal(0)
NOT_REGISTERED, NO_PRICE = "Not in this registry", "Without a price in this price file"
SAME_TOKENS = "The same tokens, at the batch price of the day of the hand-over, without a cache."


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What comparisons go by. host_usd: what each line bears of a host. cloud: the endpoint to compare with, else each job's (of_job)."""

    lines: Sequence[CostLine]
    host_usd: Sequence[Decimal | None]
    hosts: Sequence[HostUse]
    prices: Prices
    registry: Mapping[str, Endpoint]
    cloud: str | None
    of_job: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Premium:
    """What restricted records cost inside, and what they would have cost outside. None: not known, and `assumptions` say why.

    uncounted: records that are in neither, because nobody reported their tokens or nobody stated a price.
    """

    records: int
    local_usd: Decimal
    cloud_usd: Decimal | None
    uncounted: int
    assumptions: tuple[str, ...]

    @property
    def usd(self) -> Decimal | None:
        """The premium paid to keep them inside; below 0 where that was the cheaper."""
        return None if self.cloud_usd is None else self.local_usd - self.cloud_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One way in which the same records could have been answered. usd: None where it cannot be said, and why is in the assumptions."""

    name: str
    usd: Decimal | None
    uncounted: int
    assumptions: tuple[str, ...]


@dataclass(slots=True)
class _Outside:
    """A sum at providers, and what could not be priced."""

    usd: Decimal = ZERO
    records: int = 0
    uncounted: int = 0

    def add(self, line: CostLine, usd: Decimal | None) -> None:
        self.uncounted += line.records if usd is None else line.uncounted
        self.records += 0 if usd is None else line.records
        self.usd += usd or ZERO


def premium(compared: Compared) -> Premium:
    """The premium paid to keep restricted data inside."""
    ours = [(line, host) for line, host in zip(compared.lines, compared.host_usd, strict=True) if line.restricted]
    local = sum((line.settled_usd if host is None else host for line, host in ours), ZERO)
    at, named = _places(compared)
    outside = _Outside()
    for line, _ in ours:
        if line.final:
            outside.add(line, _usd_at(compared, at(line), line))
    assumptions = [
        "Restricted: the decision permits no cloud. Inside, all that they used counts. Outside, one answer each.",
        SAME_TOKENS,
        named,
    ]
    if not compared.hosts:
        assumptions.append("No host is declared in the price file: what they cost inside is only what the registry states, if anything.")
    known = outside.records > 0 or not ours
    return Premium(
        records=sum(line.records for line, _ in ours if line.final),
        local_usd=rounded(local),
        cloud_usd=rounded(outside.usd) if known else None,
        uncounted=outside.uncounted,
        assumptions=tuple(assumptions),
    )


def comparisons(compared: Compared, total: Decimal) -> tuple[Comparison, ...]:
    """As it was, all-cloud, all-local, and unrouted."""
    return (
        Comparison(name="as it was", usd=total, uncounted=0, assumptions=("What was settled, and the hosts for all of these days.",)),
        _all_cloud(compared),
        _all_local(compared),
        _unrouted(compared),
    )


def _all_cloud(compared: Compared) -> Comparison:
    at, named = _places(compared)
    outside = _summed(compared, at)
    said = "Every record at its job's cloud endpoint, and no host. Restricted records included: the policy does not permit it."
    return _stated("all-cloud", outside, ZERO, (said, named))


def _unrouted(compared: Compared) -> Comparison:
    """Sensitivity is no routing: it is the law. What is left out is every choice beyond it."""
    at, named = _places(compared, dearest=True)
    outside = _summed(compared, lambda line: None if line.restricted else at(line), left_out=lambda line: line.restricted)
    restricted = any(line.restricted for line in compared.lines)
    hosts = sum((host.usd for host in compared.hosts), ZERO) if restricted else ZERO
    said = "One model for all that may leave: the dearest cloud endpoint of its job, without a strategy. What may not leave stays inside"
    kept = " and the hosts stay as they are." if restricted else "; there is none, so no host."
    return _stated("unrouted", outside, hosts, (said + kept, named))


def _all_local(compared: Compared) -> Comparison:
    final = [line for line in compared.lines if line.final]
    tokens, uncounted = sum(line.tokens for line in final), sum(line.uncounted for line in final)
    capacity = sum((host.tokens_per_s * SECONDS_PER_HOUR * host.hours for host in compared.hosts if host.tokens_per_s), ZERO)
    if not capacity:
        why = (
            "the price file declares no host" if not compared.hosts else "nothing ran on the hosts, so nobody has measured what they can do"
        )
        return Comparison(name="all-local", usd=None, uncounted=uncounted, assumptions=(f"Not known: {why}.",))
    times = max(1, int((tokens / capacity).to_integral_value(rounding=ROUND_CEILING)))
    enough = "They are enough." if times == 1 else f"That takes {times} times as many of them."
    said = (
        f"Every record on the hosts, at the speed measured while busy: {tokens / capacity:.1%} of what they can do in these days. "
        f"{enough} A model inside is taken to be good enough."
    )
    hosts = sum((host.usd for host in compared.hosts), ZERO)
    return Comparison(name="all-local", usd=rounded(hosts * times), uncounted=uncounted, assumptions=(said,))


def _summed(
    compared: Compared, at: Callable[[CostLine], str | None], *, left_out: Callable[[CostLine], bool] = lambda _: False
) -> _Outside:
    outside = _Outside()
    for line in compared.lines:
        if line.final and not left_out(line):
            outside.add(line, _usd_at(compared, at(line), line))
    return outside


def _stated(name: str, outside: _Outside, hosts: Decimal, assumptions: tuple[str, ...]) -> Comparison:
    known = outside.records > 0 or not outside.uncounted
    usd = rounded(outside.usd + hosts) if known else None
    return Comparison(name=name, usd=usd, uncounted=outside.uncounted, assumptions=(*assumptions, SAME_TOKENS))


def _usd_at(compared: Compared, endpoint: str | None, line: CostLine) -> Decimal | None:
    """What a line would cost there; None where nobody has said."""
    found = compared.registry.get(endpoint or "")
    price = compared.prices.of(found, line.handed_on) if found is not None and found.lane is Lane.CLOUD else None
    return None if price is None else usage_usd(price, line.tokens_in, line.tokens_out, longer_than=line.longer_than)


def _places(compared: Compared, *, dearest: bool = False) -> tuple[Callable[[CostLine], str | None], str]:
    """The cloud endpoint that each line is compared with, and that in words."""
    if compared.cloud is not None:
        return (lambda _: compared.cloud), f"Compared with {compared.cloud}, as asked."
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for line in compared.lines:
        if line.lane != Lane.LOCAL and line.endpoint:
            used[line.job or ""][line.endpoint] += line.records
    chosen: dict[str, str] = {}
    for job in {line.job or "" for line in compared.lines}:
        names = list(dict.fromkeys([*(name for name, _ in used[job].most_common()), *compared.of_job.get(job, ())]))
        if names:
            chosen[job] = max(names, key=lambda name: _dearness(compared, name)) if dearest else names[0]
    if not chosen:
        return (lambda _: None), "No job here has a cloud endpoint to compare with: name one with --cloud, or the job file with --job."
    said = ", ".join(f"{name} for job {job or '(none)'}" for job, name in sorted(chosen.items()))
    return (lambda line: chosen.get(line.job or "")), f"Compared with {said}."


def unknown_places(compared: Compared) -> dict[str, str]:
    """The cloud endpoints of the ledger that no figure can be had of, each with what lacks: it is not in the registry, or has no price."""
    last: dict[str, date] = {}
    for line in compared.lines:
        if line.lane != Lane.LOCAL and line.endpoint:
            last[line.endpoint] = max(line.handed_on, last.get(line.endpoint, date.min))
    found = {}
    for name, day in sorted(last.items()):
        endpoint = compared.registry.get(name)
        if endpoint is None:
            found[name] = NOT_REGISTERED
        elif endpoint.lane is Lane.CLOUD and compared.prices.of(endpoint, day) is None:
            found[name] = NO_PRICE
    return found


def unknown_note(unknown: Mapping[str, str]) -> str:
    """The same in words, with what to do; nothing where all is known."""
    if not unknown:
        return ""
    lacking: dict[str, list[str]] = defaultdict(list)
    for name, lacks in unknown.items():
        lacking[lacks].append(name)
    said = "; ".join(f"{lacks}: {', '.join(names)}" for lacks, names in sorted(lacking.items()))
    todo = "name the job file with --job, or the job's own files with --registry and --prices"
    return f"{said}. What work would cost there is not known; {todo}."


def _dearness(compared: Compared, name: str) -> Decimal:
    """What the whole period's tokens would cost there, on its last day; nothing where nobody has said."""
    last = max((line.handed_on for line in compared.lines), default=date.min)
    found = compared.registry.get(name)
    price = compared.prices.of(found, last) if found is not None and found.lane is Lane.CLOUD else None
    if price is None:
        return Decimal(-1)
    return usage_usd(price, sum(line.tokens_in for line in compared.lines), sum(line.tokens_out for line in compared.lines))
