"""Machines inside: what they cost, whole and to the unit; a price file that says it wrongly is refused with the line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.check import Severity, check
from policies.economics.hosts import HOURS_PER_MONTH, Machine, Owned, People, Rented, host_on, name_of_host
from policies.economics.local_cost import SMALLEST_USD, allot, host_use, work_usd
from policies.errors import PolicyFileError
from policies.load import DEFAULT_POLICY
from policies.model import Endpoint, Lane
from policies.prices import parse_prices
from policies.registry import load_rulebook
from policies.yaml_value import Source

GOOD = """version: 2026-11-22
currency: USD
prices:
  - {provider: emulator, feature: batch, input: "0", output: "0", valid_from: 2026-01-01, review_by: 2027-01-01, source: README.md}
hosts:
  - name: gpu-1
    endpoints: [vllm, spare]
    gpus: 2
    owned: {hardware_usd: "96000", months: 36, kw: "3.8", usd_per_kwh: "0.30"}
    people: {usd_per_year: "140000", share: "0.25"}
    valid_from: 2026-01-01
    review_by: 2027-06-30
    source: purchase order
  - name: gpu-1
    endpoints: [vllm, spare]
    gpus: 2
    rented: {usd_per_gpu_hour: "2.00"}
    valid_from: 2026-07-01
    review_by: 2027-06-30
    source: contract
"""
RENTED = 'rented: {usd_per_gpu_hour: "1"}'
TWO = "endpoints: [vllm, spare]\n    gpus: 2"
OWNED = 'owned: {hardware_usd: "96000", months: 36, kw: "3.8", usd_per_kwh: "0.30"}'


def prices(text: str = GOOD) -> Any:
    return parse_prices(Source(name="prices.yaml", data=text.encode()))


def test_a_machine_costs_hardware_power_and_people() -> None:
    machine = prices().hosts[0].machine
    monthly = machine.monthly
    assert monthly.hardware == Decimal(96000) / 36
    assert monthly.power == Decimal("3.8") * 730 * Decimal("0.30")
    assert monthly.people == Decimal(140000) * Decimal("0.25") / 12
    assert abs(machine.usd_per_hour * HOURS_PER_MONTH - monthly.total) < Decimal(10) ** -20
    assert abs(machine.usd_per_gpu_hour * 2 - machine.usd_per_hour) < Decimal(10) ** -20
    rented = Machine(gpus=4, paid=Rented(usd_per_gpu_hour=Decimal("2.50")), people=None)
    assert (rented.usd_per_hour, rented.monthly.power) == (Decimal(10), Decimal(0))


def test_a_host_costs_what_its_entry_of_the_day_says() -> None:
    hosts = prices().hosts
    assert host_on(hosts, "gpu-1", date(2025, 12, 31)) is None
    assert isinstance(host_on(hosts, "gpu-1", date(2026, 6, 30)).machine.paid, Owned)  # type: ignore[union-attr]
    assert isinstance(host_on(hosts, "gpu-1", date(2026, 7, 1)).machine.paid, Rented)  # type: ignore[union-attr]
    assert (name_of_host(hosts, "spare"), name_of_host(hosts, "elsewhere")) == ("gpu-1", None)
    days = [date(2026, 6, 29) + timedelta(days=ahead) for ahead in range(4)]
    use = host_use(hosts, "gpu-1", days, busy_hours=Decimal(24), tokens=1_000_000)
    assert use is not None
    expected = 48 * hosts[0].machine.usd_per_hour + 48 * Decimal(4)
    assert (Decimal(use.hours), use.usd, use.utilisation) == (Decimal(96), expected.quantize(SMALLEST_USD), Decimal("0.25"))
    assert use.usd_per_million == use.usd
    assert use.idle_usd == (use.usd * Decimal("0.75")).quantize(SMALLEST_USD)
    assert host_use(hosts, "gpu-1", [date(2025, 1, 1)], busy_hours=Decimal(0), tokens=0) is None


def test_work_costs_its_busy_hours_over_the_utilisation() -> None:
    """Twice as idle is twice as dear; and what the work bears is what the machine costs for all of its time."""
    rate = Decimal("4.50")
    assert work_usd(Decimal(10), rate, Decimal("0.5")) == Decimal(90)
    assert work_usd(Decimal(10), rate, Decimal("0.25")) == Decimal(180)
    host = prices().hosts[0]
    use = host_use([host], "gpu-1", [date(2026, 3, 1), date(2026, 3, 2)], busy_hours=Decimal(12), tokens=5)
    assert use is not None
    assert work_usd(use.gpu_hours, host.machine.usd_per_gpu_hour, use.utilisation) == use.usd
    for utilisation in (Decimal(0), Decimal("1.01"), Decimal(-1)):
        with pytest.raises(ValueError, match="utilisation above 0"):
            work_usd(Decimal(1), rate, utilisation)


@given(
    total=st.decimals(min_value=0, max_value=10**6, places=9),
    weights=st.lists(st.integers(min_value=0, max_value=10**10), min_size=1, max_size=40),
)
def test_parts_are_exactly_the_whole(total: Decimal, weights: list[int]) -> None:
    parts = allot(total, weights)
    assert sum(parts) == (total if sum(weights) else 0)
    if sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - total * weight / sum(weights)) <= SMALLEST_USD
            assert weight or not part


def test_hosts_are_part_of_the_prices_and_of_their_hash() -> None:
    first, second = prices(), prices(GOOD.replace('"2.00"', '"2.01"'))
    assert first.digest != second.digest
    assert len(first.digest) == 64
    assert prices(GOOD.partition("hosts:")[0]).hosts == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD.replace(f"    {OWNED}\n", ""), r"prices.yaml:6: hosts\[0\]: expected either `owned` or `rented`"),
        (GOOD.replace(OWNED, f"{OWNED}\n    {RENTED}"), r"prices.yaml:6: hosts\[0\]: expected either `owned` or `rented`"),
        (GOOD.replace('"96000"', "96000"), r"prices.yaml:9: hosts\[0\].owned.hardware_usd: expected US dollars in quotes"),
        (GOOD.replace("months: 36", "months: 0"), r"prices.yaml:9: hosts\[0\].owned.months: expected a number of months"),
        (GOOD.replace('"0.30"', '"-0.30"'), r"prices.yaml:9: .*usd_per_kwh: expected US dollars per kilowatt-hour"),
        (GOOD.replace('"0.25"', '"1.25"'), r"prices.yaml:10: .*people.share: expected a share from 0 to 1"),
        (GOOD.replace("gpus: 2\n    rented", "gpus: 0\n    rented"), r"prices.yaml:16: hosts\[1\].gpus: expected a number of GPUs"),
        (GOOD.replace("2026-07-01", "2026-01-01"), r"prices.yaml:14: hosts\[1\]: a second entry for host gpu-1 from 2026-01-01 on"),
        (GOOD.replace(f"- name: gpu-1\n    {TWO}\n    rented", f"- name: gpu-2\n    {TWO}\n    rented"),
         r"prices.yaml:14: hosts\[1\]: endpoint vllm already belongs to host gpu-1"),
        (GOOD.replace("kw:", "kilowatts:"), r"prices.yaml:9: hosts\[0\].owned.kilowatts: unknown key"),
        (GOOD.partition("hosts:")[0] + "hosts: []\n", "prices.yaml:5: hosts: expected a list of at least one host"),
        (GOOD.replace("    source: contract\n", ""), r"prices.yaml:14: hosts\[1\].source: expected this key"),
    ],
    ids=["neither", "both", "float", "months", "negative", "share", "gpus", "doubled", "two hosts", "unknown key", "empty", "no source"],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(PolicyFileError, match=expected):
        prices(text)


def test_the_policy_check_speaks_of_hosts() -> None:
    rules = load_rulebook(DEFAULT_POLICY)
    registry = {name: Endpoint(name=name, lane=lane, engine="extractive", provider="waybill", model="m") for name, lane in
                (("vllm", Lane.LOCAL), ("spare", Lane.CLOUD))}  # fmt: skip
    found = prices()
    said = {
        problem.message for problem in check(rules.policy, registry, today=date(2027, 6, 15), prices=found) if "host" in problem.message
    }
    assert said == {
        "what host gpu-1 costs is to be reviewed by 2027-06-30: look at contract and set the next day",
        "host gpu-1 runs spare, which is a cloud endpoint: its work is charged by the provider",
    }
    late = check(rules.policy, {}, today=date(2027, 7, 1), prices=found)
    about = [problem for problem in late if "gpu-1" in problem.message]
    assert {problem.severity for problem in about} == {Severity.WARNING}
    assert any("was to be reviewed" in problem.message for problem in about)
    assert sum("which the registry does not have" in problem.message for problem in about) == 2


def test_people_are_no_part_of_a_machine_that_nobody_keeps() -> None:
    machine = prices().hosts[0].machine
    assert replace(machine, people=None).monthly.people == 0
    assert replace(machine, people=People(usd_per_year=Decimal(120000), share=Decimal("0.5"))).monthly.people == 5000
