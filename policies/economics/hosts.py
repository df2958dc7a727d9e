"""Local hosts: what a machine of one's own, or a rented one, costs for as long as it is there, busy or not. Pure; Decimal throughout.

    hosts:
      - name: gpu-1
        endpoints: [vllm]         of the registry, whose work is done there
        gpus: 2
        owned: {hardware_usd: "96000", months: 36, kw: "3.8", usd_per_kwh: "0.30"}
        people: {usd_per_year: "140000", share: "0.25"}
        valid_from: 2026-01-01
        review_by: 2027-01-31
        source: purchase order, electricity contract

Instead of `owned`, `rented: {usd_per_gpu_hour: "2.90"}`. A year has 8,760 hours, a month a twelfth of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from policies.errors import PolicyFileError
from policies.yaml_value import YamlValue

HOURS_PER_YEAR = 8_760
MONTHS_PER_YEAR = 12
HOURS_PER_MONTH = HOURS_PER_YEAR // MONTHS_PER_YEAR
HOURS_PER_DAY = 24

NAME = r"[a-z0-9][a-z0-9_.-]{0,62}"
AMOUNT = r"(?:0|[1-9]\d{0,8})(?:\.\d{1,9})?"
SHARE = r"(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)"
MACHINE_KEYS = ("gpus", "owned", "rented", "people")
"""What says of a host what it costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A machine that was bought. hardware_usd: all of it, spread over `months`. kw: what it draws with its cooling, around the clock."""

    hardware_usd: Decimal
    months: int
    kw: Decimal
    usd_per_kwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rented:
    """A machine that is paid for by the GPU-hour, around the clock; power and cooling are in the rate."""

    usd_per_gpu_hour: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who keeps a machine running: a salary with all that comes with it, and the share of it that goes into this."""

    usd_per_year: Decimal
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyCost:
    """US dollars a month."""

    hardware: Decimal
    power: Decimal
    people: Decimal

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.hardware + self.power + self.people


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a host costs, wherever it is used."""

    gpus: int
    paid: Owned | Rented
    people: People | None = None

    @property
    def monthly(self) -> MonthlyCost:
        """What it costs a month, idle or not."""
        people = Decimal(0) if self.people is None else self.people.usd_per_year * self.people.share / MONTHS_PER_YEAR
        if isinstance(self.paid, Rented):
            return MonthlyCost(hardware=self.paid.usd_per_gpu_hour * self.gpus * HOURS_PER_MONTH, power=Decimal(0), people=people)
        return MonthlyCost(
            hardware=self.paid.hardware_usd / self.paid.months,
            power=self.paid.kw * HOURS_PER_MONTH * self.paid.usd_per_kwh,
            people=people,
        )

    @property
    def usd_per_hour(self) -> Decimal:
        """What the whole machine costs an hour, idle or not."""
        return self.monthly.total / HOURS_PER_MONTH

    @property
    def usd_per_gpu_hour(self) -> Decimal:
        """What one of its GPUs costs an hour, idle or not."""
        return self.usd_per_hour / self.gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host of the price file, as it is from a day on. endpoints: names in the registry; a name belongs to one host."""

    name: str
    endpoints: tuple[str, ...]
    machine: Machine
    valid_from: date
    review_by: date
    source: str
    where: str = field(default="", compare=False)


def host_on(hosts: Iterable[Host], name: str, day: date) -> Host | None:
    """The entry of a host that is in force on a day; None before its first."""
    return max((host for host in hosts if host.name == name and host.valid_from <= day), key=lambda host: host.valid_from, default=None)


def name_of_host(hosts: Iterable[Host], endpoint: str) -> str | None:
    """The host on which an endpoint's work is done; None where nobody has said."""
    return next((host.name for host in hosts if endpoint in host.endpoints), None)


def parse_hosts(value: YamlValue) -> tuple[Host, ...]:
    """The hosts of a price file. Raises PolicyFileError with FILE:LINE."""
    hosts = tuple(_host(item) for item in value.items("a list of at least one host"))
    _refuse_doubles(hosts)
    return hosts


def _host(value: YamlValue) -> Host:
    dates = ("valid_from", "review_by")
    keys = value.table(required=("name", "endpoints", "gpus", *dates, "source"), optional=("owned", "rented", "people"))
    valid_from, review_by = (keys[name].day("a day, YYYY-MM-DD") for name in dates)
    return Host(
        name=keys["name"].text("a name of lower case letters, digits, `_`, `.` and `-`", pattern=NAME),
        endpoints=keys["endpoints"].names("endpoint of the registry", pattern=NAME),
        machine=machine_of(value, keys),
        valid_from=valid_from,
        review_by=review_by,
        source=keys["source"].text("where the figures are from"),
        where=f"{value.file}:{value.line}: {value.path}",
    )


def machine_of(value: YamlValue, keys: Mapping[str, YamlValue]) -> Machine:
    """What MACHINE_KEYS of a table say."""
    if ("owned" in keys) == ("rented" in keys):
        value.refuse("expected either `owned` or `rented`, and not both: what is bought is written off, what is rented has a rate")
    return Machine(
        gpus=keys["gpus"].whole("a number of GPUs", at_least=1),
        paid=_owned(keys["owned"]) if "owned" in keys else Rented(usd_per_gpu_hour=_rate(keys["rented"])),
        people=_people(keys["people"]) if "people" in keys else None,
    )


def _owned(value: YamlValue) -> Owned:
    keys = value.table(required=("hardware_usd", "months", "kw", "usd_per_kwh"))
    return Owned(
        hardware_usd=amount(keys["hardware_usd"], "US dollars"),
        months=keys["months"].whole("a number of months", at_least=1),
        kw=amount(keys["kw"], "kilowatts"),
        usd_per_kwh=amount(keys["usd_per_kwh"], "US dollars per kilowatt-hour"),
    )


def _rate(value: YamlValue) -> Decimal:
    return amount(value.table(required=("usd_per_gpu_hour",))["usd_per_gpu_hour"], "US dollars per GPU-hour")


def _people(value: YamlValue) -> People:
    keys = value.table(required=("usd_per_year", "share"))
    return People(usd_per_year=amount(keys["usd_per_year"], "US dollars a year"), share=share(keys["share"]))


def amount(value: YamlValue, what: str) -> Decimal:
    """A number as text, so that nobody's float comes between."""
    return Decimal(value.text(f'{what} in quotes, such as "2.50"', pattern=AMOUNT))


def share(value: YamlValue) -> Decimal:
    """A part of a whole, from 0 to 1, as text."""
    return Decimal(value.text('a share from 0 to 1 in quotes, such as "0.25"', pattern=SHARE))


def _refuse_doubles(hosts: tuple[Host, ...]) -> None:
    """Two costs for one machine on one day, or one endpoint on two machines, would make a cost depend on the file's order."""
    dated: dict[tuple[str, date], Host] = {}
    owner: dict[str, Host] = {}
    for host in hosts:
        first = dated.setdefault((host.name, host.valid_from), host)
        if first is not host:
            raise PolicyFileError(
                f"{host.where}: a second entry for host {host.name} from {host.valid_from} on; the first is at {first.where}"
            )
        for endpoint in host.endpoints:
            other = owner.setdefault(endpoint, host)
            if other.name != host.name:
                raise PolicyFileError(f"{host.where}: endpoint {endpoint} already belongs to host {other.name}, at {other.where}")
