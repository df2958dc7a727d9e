"""The advice in words: for each workload where it should run, the rule that decided, and the figures behind it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from flows.breakeven import dollars, tokens
from flows.cost_text import bullet, shown, table
from policies.economics.advice import MONTHS, Advice, Rule, Verdict, WorkloadAdvice
from policies.economics.thresholds import (
    API_UP_TO_TOKENS,
    API_UP_TO_YEARLY_USD,
    INSIDE_UP_TO_MS,
    PLAN_FROM_MONTHLY_USD,
    SELF_HOST_FROM_TOKENS,
    SELF_HOST_FROM_YEARLY_USD,
    SPIKY_FROM,
    SWITCH_FROM_MONTHLY_USD,
    WORTH_FROM_SAVING,
)
from policies.economics.workloads import Data

WHY = {
    Rule.LATENCY: f"it must answer within {INSIDE_UP_TO_MS} ms, which no provider can promise over the internet",
    Rule.SMALL_VOLUME: (
        f"up to {tokens(API_UP_TO_TOKENS)} tokens a month no machine of one's own is busy enough; "
        f"look again at {tokens(SELF_HOST_FROM_TOKENS)}"
    ),
    Rule.NOT_KNOWN: "a figure is missing: see the notes",
    Rule.NOBODY_TO_RUN_IT: "nobody is there to run machines",
    Rule.SMALL_BILL: f"below {dollars(API_UP_TO_YEARLY_USD)} a year there is too little to save",
    Rule.API_CHEAPER: "hosts for it would cost more than the provider does",
    Rule.SAVING_TOO_SMALL: f"own machines would save less than {WORTH_FROM_SAVING:.0%} of the bill: not worth a second way to run models",
    Rule.SPIKY: f"its peak is {SPIKY_FROM} times its mean or more: the base inside, what is above it at the API",
    Rule.PART_OF_IT: "a model inside answers part of it well enough: that inside, the rest at the API",
    Rule.CHEAPER_INSIDE: "a model inside answers it well enough, and costs less",
}
"""What each rule says; MAY_NOT_LEAVE is said with the reason."""


def advice_text(advice: Advice) -> str:
    """The whole answer, for people."""
    question, fleet = advice.question, advice.question.fleet
    lines = [f"Advice for {question.title}: {_verdict(advice)}. US dollars a month; compared with {question.api}.", ""]
    names = ("workload", "advice", "tokens", "at the API", "good enough inside", "peak/mean", "runs inside", "left at the API")
    lines += table(names, [_row(one) for one in advice.workloads])
    lines += [""]
    for one in advice.workloads:
        lines += bullet(f"{one.workload.name}: {one.verdict}, because {why(one)} [{one.rule}].")
    lines += ["", "The figures", *(line for said in _figures(advice) for line in bullet(said))]
    if fleet is not None:
        each = f"{dollars(fleet.monthly)} a month, {tokens(fleet.capacity)} tokens a month at most"
        lines += bullet(f"Hosts: {advice.hosts} of {fleet.name} ({each} each), {dollars(advice.host_usd)} a month.")
    if question.notes:
        lines += ["", "Notes", *(line for note in question.notes for line in bullet(note))]
    return shown("\n".join(lines) + "\n")


def _verdict(advice: Advice) -> str:
    said = advice.verdict.upper() if advice.verdict is Verdict.API else str(advice.verdict)
    if not any(not one.workload.may_leave for one in advice.workloads):
        return said
    return f"{said}, redundant, no outside dependency" if advice.redundant else f"{said} (what the law and the policy say goes before cost)"


def _row(one: WorkloadAdvice) -> tuple[str, ...]:
    load = one.workload
    return (
        load.name,
        one.verdict,
        tokens(load.tokens_per_month),
        "?" if load.api_usd is None else dollars(load.api_usd),
        f"{load.local_share:.0%}{'' if load.measured else ' (assumed)'}",
        f"{load.peak_to_mean:.1f}",
        f"{one.inside:.0%}",
        "?" if one.api_usd is None else dollars(one.api_usd),
    )


def why(one: WorkloadAdvice) -> str:
    """The reason in words."""
    if one.rule is not Rule.MAY_NOT_LEAVE:
        return WHY[one.rule]
    held = {
        Data.REGULATED: f"it is under {one.workload.law or 'a law'} and may not leave: compliance decides over cost",
        Data.PROPRIETARY: "what is proprietary stands in its prompts and may not leave",
    }
    return held.get(one.workload.data, "it may not leave")


def _figures(advice: Advice) -> Iterator[str]:
    usd = advice.api_usd
    if usd is None:
        yield "What the API would cost is not known."
    elif usd:
        yield f"What may leave would cost {dollars(usd)} a month at the API, {dollars(usd * MONTHS)} a year.{_thumb(advice, usd)}"
    if advice.saving_usd is not None:
        share = f" ({advice.saving_usd / usd:.0%} of that)" if usd else ""
        taken = "saves" if any(one.inside for one in advice.workloads if one.workload.may_leave) else "would save"
        yield f"To take the best of it inside {taken} {dollars(advice.saving_usd)} a month{share}, hosts counted."
    if advice.crossover is not None:
        yield f"As these workloads are mixed, own machines can be cheaper from {tokens(advice.crossover)} tokens a month on."
    kept = [one.workload for one in advice.workloads if not one.workload.may_leave]
    if kept and advice.question.fleet is not None and all(one.api_usd is not None for one in kept):
        there = sum((one.api_usd or Decimal(0) for one in kept), Decimal(0))
        said = f"What may not leave would cost {dollars(there)} a month at the API, and hosts cost {dollars(advice.host_usd)}."
        yield f"{said} That is not what decides."
    if advice.redundant:
        yield "Two hosts at the least: what answers at once and may not leave has nowhere else to go when one fails."
    if any(one.local_share < 1 for one in kept):
        yield "What a model inside does not answer well enough, and may not leave, is for people to look at."
    if not advice.question.engineer and any(one.inside for one in advice.workloads):
        yield "Nobody is there to run machines: that must change before anything runs on them."


def _thumb(advice: Advice, usd: Decimal) -> str:
    """What the guides' rules of thumb say of the bill, beside what was computed."""
    below, above = dollars(API_UP_TO_YEARLY_USD), dollars(SELF_HOST_FROM_YEARLY_USD)
    thumb = f" By the bill alone, guides say {advice.by_bill} (below {below} a year API, above {above} self-host, hybrid between)"
    if usd >= SWITCH_FROM_MONTHLY_USD:
        return f"{thumb}, and to switch from {dollars(SWITCH_FROM_MONTHLY_USD)} a month on."
    if usd >= PLAN_FROM_MONTHLY_USD:
        return f"{thumb}, and to begin planning at {dollars(PLAN_FROM_MONTHLY_USD)} a month."
    return f"{thumb}."


def advice_values(advice: Advice) -> dict[str, Any]:
    """Everything, for JSON."""
    fleet = advice.question.fleet
    return {
        "title": advice.question.title,
        "verdict": advice.verdict,
        "compared_with": advice.question.api,
        "redundant": advice.redundant,
        "hosts": {"name": fleet.name if fleet else None, "count": advice.hosts, "usd_per_month": advice.host_usd},
        "api_usd_per_month": advice.api_usd,
        "saving_usd_per_month": advice.saving_usd,
        "crossover_tokens_per_month": advice.crossover,
        "by_bill_alone": advice.by_bill,
        "workloads": [
            {
                "name": one.workload.name,
                "verdict": one.verdict,
                "rule": one.rule,
                "why": why(one),
                "tokens_per_month": one.workload.tokens_per_month,
                "api_usd_per_month": one.workload.api_usd,
                "may_leave": one.workload.may_leave,
                "local_share": one.workload.local_share,
                "local_share_measured": one.workload.measured,
                "peak_to_mean": one.workload.peak_to_mean,
                "inside": one.inside,
                "left_usd_per_month": one.api_usd,
            }
            for one in advice.workloads
        ],
        "notes": list(advice.question.notes),
    }
