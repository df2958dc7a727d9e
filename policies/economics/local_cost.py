"""What work inside costs: the machine's cost over its measured utilisation, allotted by tokens. Pure; Decimal, exact to the ledger's unit.

    cost of the work = busy GPU-hours x cost of a GPU-hour / utilisation,   utilisation = busy hours / hours there

An idle hour is paid by the work of the busy ones: together they bear what the machine costs for all the time that it is there. A machine
without any work has nothing to bear it, and its cost is stated as idle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, localcontext

from policies.economics.hosts import HOURS_PER_DAY, Host, host_on

SMALLEST_USD = Decimal("0.000000001")
SECONDS_PER_HOUR = 3_600
EXACT_DIGITS = 60
"""Enough for any amount of the ledger times any number of tokens: no rounding before the one that is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUse:
    """What a host was there for, did and cost over some days. gpu_hours: while busy. tokens: in and out, of its endpoints' answers."""

    name: str
    gpus: int
    hours: int
    busy_hours: Decimal
    tokens: int
    usd: Decimal

    @property
    def utilisation(self) -> Decimal:
        """Busy hours over hours there; 0 where it was not there."""
        return min(Decimal(1), self.busy_hours / self.hours) if self.hours else Decimal(0)

    @property
    def gpu_hours(self) -> Decimal:
        """GPU-hours during which it was busy."""
        return self.busy_hours * self.gpus

    @property
    def usd_per_million(self) -> Decimal | None:
        """What a million tokens cost here, idle hours included; None without a token."""
        return self.usd / self.tokens * 1_000_000 if self.tokens else None

    @property
    def tokens_per_s(self) -> Decimal | None:
        """Tokens a second while busy; None where it never was."""
        return self.tokens / (self.busy_hours * SECONDS_PER_HOUR) if self.busy_hours else None

    @property
    def idle_usd(self) -> Decimal:
        """What it cost while it was idle."""
        return rounded(self.usd * (1 - self.utilisation))


def work_usd(gpu_hours: Decimal, usd_per_gpu_hour: Decimal, utilisation: Decimal) -> Decimal:
    """What work of so many busy GPU-hours costs on a machine that is busy this share of its time. Raises ValueError where it never is."""
    if not 0 < utilisation <= 1:
        raise ValueError(f"expected a utilisation above 0 and at most 1, found {utilisation}")
    return rounded(gpu_hours * usd_per_gpu_hour / utilisation)


def host_use(hosts: Sequence[Host], name: str, days: Iterable[date], *, busy_hours: Decimal, tokens: int) -> HostUse | None:
    """A host over these days, each at its entry of that day; None where it has no entry on any of them."""
    there = [found.machine for day in days if (found := host_on(hosts, name, day)) is not None]
    if not there:
        return None
    usd = sum((machine.usd_per_hour * HOURS_PER_DAY for machine in there), Decimal(0))
    return HostUse(name=name, gpus=there[-1].gpus, hours=HOURS_PER_DAY * len(there), busy_hours=busy_hours, tokens=tokens, usd=rounded(usd))


def allot(total: Decimal, weights: Sequence[int]) -> list[Decimal]:
    """Divide an amount by weights, in the ledger's unit, so that the parts are exactly the whole.

    What rounding down leaves goes, a unit each, to the parts that lost most by it. All weights 0: all parts 0, and the whole stays idle.
    """
    whole = sum(weights)
    if not whole:
        return [Decimal(0)] * len(weights)
    with localcontext(prec=EXACT_DIGITS):
        exact = [total * weight / whole for weight in weights]
    parts = [one.quantize(SMALLEST_USD, rounding=ROUND_DOWN) for one in exact]
    units = int((total - sum(parts)) / SMALLEST_USD)
    for index in sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))[:units]:
        parts[index] += SMALLEST_USD
    return parts


def rounded(usd: Decimal) -> Decimal:
    """To the ledger's unit, half to even."""
    return usd.quantize(SMALLEST_USD, rounding=ROUND_HALF_EVEN)
