"""The advice follows from the figures: the four scenarios get what the guides say, and a figure that changes changes it as it should."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.economics.advice import Advice, Rule, Verdict, advise
from policies.economics.crossover import Fleet
from policies.economics.hosts import Machine, Owned, People
from policies.economics.thresholds import SELF_HOST_FROM_TOKENS, TYPICAL_LOCAL_SHARE
from policies.economics.workloads import Data, Question, Workload, parse_questionnaire
from policies.errors import PolicyFileError
from policies.load import read_source
from policies.yaml_value import Source

EXAMPLES = Path(__file__).parents[2] / "examples" / "economics"


def scenario(name: str) -> Question:
    return parse_questionnaire(read_source(EXAMPLES / f"{name}.yaml"))


def changed(name: str, **changes: Any) -> Question:
    """A scenario in which every workload has other figures."""
    question = scenario(name)
    own = {key: changes.pop(key) for key in ("engineer", "fleet") if key in changes}
    return replace(question, workloads=tuple(replace(one, **changes) for one in question.workloads), **own)


def told(advice: Advice) -> dict[str, tuple[Verdict, Rule]]:
    return {one.workload.name: (one.verdict, one.rule) for one in advice.workloads}


def test_a_start_up_stays_on_the_api() -> None:
    advice = advise(scenario("start-up"))
    assert (advice.verdict, advice.hosts, advice.redundant) == (Verdict.API, 0, False)
    assert told(advice) == {"answers in the product": (Verdict.API, Rule.SMALL_VOLUME)}
    assert advice.api_usd == 375
    assert SELF_HOST_FROM_TOKENS == 500_000_000  # when to look again


def test_a_clinic_runs_its_own_because_the_law_decides_over_cost() -> None:
    advice = advise(scenario("healthcare"))
    assert (advice.verdict, advice.hosts, advice.redundant) == (Verdict.SELF_HOST, 1, False)
    assert told(advice) == {"clinical notes": (Verdict.SELF_HOST, Rule.MAY_NOT_LEAVE)}
    (notes,) = advice.workloads
    assert notes.workload.api_usd is not None
    assert notes.workload.api_usd < advice.host_usd  # the dearer way, and the only one
    assert advise(changed("healthcare", may_leave=True)).verdict is Verdict.API


def test_a_shop_with_spikes_does_both() -> None:
    advice = advise(scenario("e-commerce"))
    assert (advice.verdict, advice.hosts) == (Verdict.HYBRID, 1)
    assert told(advice) == {
        "product texts": (Verdict.SELF_HOST, Rule.CHEAPER_INSIDE),
        "customer service": (Verdict.HYBRID, Rule.SPIKY),
    }
    service = advice.workloads[1]
    assert (service.inside, service.api_usd) == (Decimal("0.20"), Decimal(2400))
    assert advice.saving_usd is not None
    left = sum((one.api_usd or Decimal(0) for one in advice.workloads), Decimal(0))
    assert advice.saving_usd == (advice.api_usd or 0) - left - advice.host_usd


def test_a_trading_firm_runs_its_own_twice() -> None:
    advice = advise(scenario("trading"))
    assert (advice.verdict, advice.hosts, advice.redundant) == (Verdict.SELF_HOST, 2, True)
    assert told(advice) == {"signals": (Verdict.SELF_HOST, Rule.MAY_NOT_LEAVE)}
    assert advise(changed("trading", may_leave=True)).workloads[0].rule is Rule.LATENCY
    assert advise(changed("trading", answer_within_ms=None)).redundant is False
    assert advise(changed("trading", may_leave=True, answer_within_ms=101)).verdict is Verdict.API


@pytest.mark.parametrize(
    ("name", "changes", "verdict", "rule"),
    [
        ("start-up", {"tokens_per_month": Decimal(50_000_001)}, Verdict.API, Rule.NOBODY_TO_RUN_IT),
        ("start-up", {"tokens_per_month": Decimal(50_000_001), "engineer": True}, Verdict.API, Rule.SMALL_BILL),
        ("start-up", {"tokens_per_month": Decimal(10**9), "api_usd": Decimal(7500), "engineer": True}, Verdict.HYBRID, Rule.PART_OF_IT),
        ("start-up", {"tokens_per_month": Decimal(10**9), "api_usd": Decimal(7500), "engineer": True, "local_share": Decimal(1)},
         Verdict.SELF_HOST, Rule.CHEAPER_INSIDE),
        ("start-up", {"tokens_per_month": Decimal(10**9), "api_usd": Decimal(7500), "engineer": True, "local_share": Decimal("0.2")},
         Verdict.API, Rule.API_CHEAPER),
        ("start-up", {"tokens_per_month": Decimal(10**9), "api_usd": Decimal(7500), "engineer": True, "local_share": Decimal("0.6")},
         Verdict.API, Rule.SAVING_TOO_SMALL),
        ("start-up", {"tokens_per_month": Decimal(10**9), "api_usd": None, "engineer": True}, Verdict.UNKNOWN, Rule.NOT_KNOWN),
        ("start-up", {"tokens_per_month": Decimal(10**9), "fleet": None, "engineer": True}, Verdict.UNKNOWN, Rule.NOT_KNOWN),
        ("start-up", {"tokens_per_month": Decimal(10**9), "api_usd": Decimal(450), "engineer": True}, Verdict.API, Rule.SMALL_BILL),
        ("start-up", {"may_leave": False}, Verdict.SELF_HOST, Rule.MAY_NOT_LEAVE),
        ("e-commerce", {"peak_to_mean": Decimal("1.1"), "local_share": Decimal(1)}, Verdict.SELF_HOST, Rule.CHEAPER_INSIDE),
        ("e-commerce", {"peak_to_mean": Decimal(9)}, Verdict.API, Rule.API_CHEAPER),
        ("e-commerce", {"engineer": False}, Verdict.API, Rule.NOBODY_TO_RUN_IT),
        ("e-commerce", {"api_usd": Decimal(300)}, Verdict.API, Rule.SMALL_BILL),
    ],
    ids=["above 50M", "with an engineer", "a billion", "all of it", "little of it", "small saving", "no price", "no host", "cheap model",
         "may not leave", "no spikes", "all spikes", "nobody", "cheap"],
)  # fmt: skip
def test_one_figure_changes_and_the_advice_with_it(name: str, changes: dict[str, Any], verdict: Verdict, rule: Rule) -> None:
    advice = advise(changed(name, **changes))
    assert (advice.verdict, advice.workloads[0].rule) == (verdict, rule)


def owned() -> Fleet:
    """One A100 of the self-hosting table: 2,700 a month."""
    paid = Owned(hardware_usd=Decimal(24000), months=12, kw=Decimal("1.37"), usd_per_kwh=Decimal("0.20"))
    people = People(usd_per_year=Decimal(120000), share=Decimal("0.05"))
    machine = Machine(gpus=1, paid=paid, people=people)
    return Fleet(name="one A100, owned", machine=machine, tokens_per_s=Decimal(1200), busy_at_most=Decimal("0.80"))


@pytest.mark.parametrize(
    ("yearly", "extraction", "verdict"),
    [(60_000, "0.80", Verdict.HYBRID), (200_000, "0.20", Verdict.API), (200_000, "0.80", Verdict.HYBRID), (60_000, "0.20", Verdict.API)],
    ids=["60k, extraction", "200k, frontier reasoning", "200k, extraction", "60k, frontier reasoning"],
)
def test_not_total_spend_decides_but_what_a_local_model_can_take(yearly: int, extraction: str, verdict: Verdict) -> None:
    monthly, tokens = Decimal(yearly) / 12, Decimal(yearly) / 12 / Decimal("7.5") * 1_000_000
    parts = {"extraction": (Decimal(extraction), Decimal("0.95")), "reasoning": (1 - Decimal(extraction), Decimal("0.05"))}
    loads = tuple(
        Workload(name=name, tokens_per_month=tokens * part, api_usd=monthly * part, may_leave=True, local_share=able)
        for name, (part, able) in parts.items()
    )
    advice = advise(Question(title="t", engineer=True, api="GPT-4o", fleet=owned(), workloads=loads))
    assert advice.verdict is verdict
    assert told(advice)["reasoning"][0] is not Verdict.SELF_HOST
    assert advice.by_bill is Verdict.HYBRID  # by the bill alone, all four would be


def test_hosts_that_are_there_anyway_take_what_fits_beside() -> None:
    """What may not leave has paid for them; with no room left, the rest is computed against hosts of its own."""
    clinic = scenario("healthcare")
    beside = Workload(name="letters", tokens_per_month=Decimal(40_000_000), api_usd=Decimal(300), may_leave=True, local_share=Decimal(1))
    advice = advise(replace(clinic, workloads=(*clinic.workloads, beside)))
    assert told(advice)["letters"] == (Verdict.SELF_HOST, Rule.CHEAPER_INSIDE)
    assert (advice.hosts, advice.saving_usd) == (1, Decimal(300))
    full = replace(clinic.workloads[0], tokens_per_month=Decimal(2_520_000_000), peak_to_mean=Decimal(1))
    crowded = advise(replace(clinic, workloads=(full, beside)))
    assert told(crowded)["letters"] == (Verdict.API, Rule.API_CHEAPER)
    assert (crowded.hosts, crowded.verdict) == (1, Verdict.HYBRID)


@given(
    loads=st.lists(
        st.builds(
            Workload,
            name=st.uuids().map(str),
            tokens_per_month=st.integers(1, 10**11).map(Decimal),
            api_usd=st.integers(0, 10**6).map(Decimal),
            may_leave=st.booleans(),
            data=st.sampled_from(Data),
            answer_within_ms=st.none() | st.integers(1, 1000),
            peak_to_mean=st.integers(1, 10).map(Decimal),
            local_share=st.integers(0, 100).map(lambda part: Decimal(part) / 100),
        ),
        min_size=1,
        max_size=5,
    ),
    engineer=st.booleans(),
)
def test_no_price_sends_out_what_may_not_leave(loads: list[Workload], engineer: bool) -> None:  # noqa: FBT001 - drawn
    advice = advise(Question(title="t", engineer=engineer, api="m", fleet=owned(), workloads=tuple(loads)))
    for one in advice.workloads:
        if not one.workload.may_leave:
            assert (one.verdict, one.inside, one.api_usd) == (Verdict.SELF_HOST, Decimal(1), Decimal(0))
        if one.inside:
            assert advice.hosts
    left = sum((one.api_usd or Decimal(0) for one in advice.workloads), Decimal(0))
    if not any(not one.may_leave or (one.answer_within_ms or 101) <= 100 for one in loads):
        assert left + advice.host_usd <= (advice.api_usd or 0) + Decimal("0.01")  # the advice is never dearer than the API


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    law: HIPAA\n", "", "expected `law`, which names the law"),
        ("data: regulated", "data: ordinary", "expected `law`, which names the law"),
        ('peak_to_mean: "1.5"', 'peak_to_mean: "0.5"', "peak_to_mean: expected at least 1"),
        ("may_leave: false", "may_leave: no", r"may_leave: expected true or false"),
        ("tokens_per_month: 200000000", "tokens_per_month: 0", "expected tokens a month"),
        ("engineer: true", "engineer: maybe", "engineer: expected true or false"),
    ],
    ids=["no law", "law of ordinary data", "peak", "may leave", "no tokens", "engineer"],
)
def test_a_questionnaire_that_is_wrong_is_refused_with_its_line(old: str, new: str, expected: str) -> None:
    text = (EXAMPLES / "healthcare.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(PolicyFileError, match=rf"^h.yaml:\d+: .*{expected}"):
        parse_questionnaire(Source(name="h.yaml", data=text.replace(old, new, 1).encode()))


def test_what_nobody_measured_is_assumed_as_the_guides_say() -> None:
    assert Decimal("0.80") == TYPICAL_LOCAL_SHARE
