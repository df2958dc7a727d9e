"""API, own machines, or both, for each workload: rules over the figures, in order. Pure.

1. What may not leave stays inside, and what must answer sooner than a provider can. No price changes that.
2. Of the rest: too little volume, too small a bill, or nobody to run machines, and it stays at the API. Unless machines are there anyway.
3. Then it is computed. The workloads that save most for a host's time come first; as many are taken inside as save most in sum, beside
   what is inside already; and only if that saves a share of the bill that is worth a second way to run models.
4. What is taken inside is taken whole, or in part: without its spikes, without what a model inside cannot do.

A spiky load, which peaks at p times its mean, gets hosts for its mean. They serve 1/p of it, and all of the rest is burst: so it is where
the load is all or nothing, the worst of its kind. A load that is not spiky gets hosts for its peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from policies.economics.crossover import Fleet, crossing
from policies.economics.thresholds import (
    API_UP_TO_TOKENS,
    API_UP_TO_YEARLY_USD,
    INSIDE_UP_TO_MS,
    SELF_HOST_FROM_YEARLY_USD,
    SPIKY_FROM,
    WHOLE_FROM_SHARE,
    WORTH_FROM_SAVING,
)
from policies.economics.workloads import Question, Workload
from policies.prices import MILLION

MONTHS = 12
ZERO = Decimal(0)


class Verdict(StrEnum):
    """Where a workload should run."""

    API = "API"
    SELF_HOST = "self-host"
    HYBRID = "hybrid"
    UNKNOWN = "not known"


class Rule(StrEnum):
    """What decided."""

    MAY_NOT_LEAVE = "may_not_leave"
    LATENCY = "latency"
    SMALL_VOLUME = "small_volume"
    NOT_KNOWN = "not_known"
    NOBODY_TO_RUN_IT = "nobody_to_run_it"
    SMALL_BILL = "small_bill"
    API_CHEAPER = "api_cheaper"
    SAVING_TOO_SMALL = "saving_too_small"
    SPIKY = "spiky"
    PART_OF_IT = "part_of_it"
    CHEAPER_INSIDE = "cheaper_inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadAdvice:
    """What one workload is told. inside: the share of its tokens that runs inside. api_usd: what is left to pay a provider, a month."""

    workload: Workload
    verdict: Verdict
    rule: Rule
    inside: Decimal
    api_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The whole answer. hosts: that the advice takes; redundant: two at the least, since what runs there has nowhere to fall back to.

    api_usd: a month, if everything that may leave were at the provider; None where a price is missing. saving_usd: a month, of taking
    inside what was found best to take; None where nothing was computed. crossover: tokens a month above which own machines are cheaper
    for the workloads that may leave, as they are mixed.
    """

    question: Question
    verdict: Verdict
    workloads: tuple[WorkloadAdvice, ...]
    hosts: int
    redundant: bool
    api_usd: Decimal | None
    saving_usd: Decimal | None
    crossover: Decimal | None

    @property
    def host_usd(self) -> Decimal:
        """What the hosts cost a month."""
        return self.hosts * self.question.fleet.monthly if self.question.fleet else ZERO

    @property
    def by_bill(self) -> Verdict | None:
        """What the guides' rule of thumb says of the yearly API bill alone."""
        if self.api_usd is None or not self.api_usd:
            return None
        yearly = self.api_usd * MONTHS
        if yearly < API_UP_TO_YEARLY_USD:
            return Verdict.API
        return Verdict.SELF_HOST if yearly > SELF_HOST_FROM_YEARLY_USD else Verdict.HYBRID


def advise(question: Question) -> Advice:
    """The advice on a question."""
    forced = [one for one in question.workloads if _forced(one) is not None]
    free = [one for one in question.workloads if _forced(one) is None]
    redundant = any(_answers_soon(one) for one in forced)
    there = _hosts(question.fleet, [_reserved(one, whole=True) for one in forced], least=2 if redundant else 1)
    rule = _not_computed(question, free, there)
    taken, saving = ((), None) if rule is not None or not free else _best(question.fleet, free, forced, there)
    told = {one.name: _told(one, rule, taken, saving, free) for one in free}
    advised = tuple(told.get(one.name) or _inside(one) for one in question.workloads)
    inside = [one.workload for one in advised if one.inside]
    prices = [one.api_usd for one in free]
    return Advice(
        question=question,
        verdict=_together(advised),
        workloads=advised,
        hosts=_hosts(question.fleet, [_reserved(one, whole=one in forced) for one in inside], least=there),
        redundant=redundant,
        api_usd=None if None in prices else sum((usd for usd in prices if usd is not None), ZERO),
        saving_usd=saving,
        crossover=_crossover(question.fleet, free),
    )


def _forced(workload: Workload) -> Rule | None:
    """Why a workload must run inside, whatever it costs; None where it need not."""
    if not workload.may_leave:
        return Rule.MAY_NOT_LEAVE
    return Rule.LATENCY if _answers_soon(workload) else None


def _answers_soon(workload: Workload) -> bool:
    return workload.answer_within_ms is not None and workload.answer_within_ms <= INSIDE_UP_TO_MS


def _inside(workload: Workload) -> WorkloadAdvice:
    rule = _forced(workload) or Rule.MAY_NOT_LEAVE
    return WorkloadAdvice(workload=workload, verdict=Verdict.SELF_HOST, rule=rule, inside=Decimal(1), api_usd=ZERO)


def _not_computed(question: Question, free: Sequence[Workload], there: int) -> Rule | None:
    """Why the workloads that may leave stay at the API without a computation; None where it is to be computed.

    there: hosts that are needed anyway. With them, volume, bill and people are no reason: they are paid for.
    """
    if not there and sum((one.tokens_per_month for one in free), ZERO) <= API_UP_TO_TOKENS:
        return Rule.SMALL_VOLUME
    prices = [one.api_usd for one in free]
    if question.fleet is None or None in prices:
        return Rule.NOT_KNOWN
    if not there and not question.engineer:
        return Rule.NOBODY_TO_RUN_IT
    if not there and sum((usd for usd in prices if usd is not None), ZERO) * MONTHS < API_UP_TO_YEARLY_USD:
        return Rule.SMALL_BILL
    return None


def _spiky(workload: Workload) -> bool:
    return workload.peak_to_mean >= SPIKY_FROM


def _share_inside(workload: Workload) -> Decimal:
    """Of a workload's tokens, what runs inside when it is taken inside."""
    return workload.local_share / workload.peak_to_mean if _spiky(workload) else workload.local_share


def _reserved(workload: Workload, *, whole: bool) -> Decimal:
    """Tokens a month that hosts must be able to take for it. whole: nothing of it can burst to a provider, nor be done better there."""
    if whole:
        return workload.tokens_per_month * workload.peak_to_mean
    return workload.tokens_per_month * workload.local_share * (Decimal(1) if _spiky(workload) else workload.peak_to_mean)


def _saved(workload: Workload) -> Decimal:
    return (workload.api_usd or ZERO) * _share_inside(workload)


def _hosts(fleet: Fleet | None, reserved: Sequence[Decimal], *, least: int) -> int:
    tokens = sum(reserved, ZERO)
    return 0 if not tokens else max(least, fleet.hosts(tokens) if fleet else 1)


def _best(fleet: Fleet | None, free: Sequence[Workload], forced: Sequence[Workload], there: int) -> tuple[tuple[Workload, ...], Decimal]:
    """The workloads to take inside, and what that saves a month: of those that save most on a host's time, as many as save most in sum."""
    if fleet is None:
        return (), ZERO
    ordered = sorted((one for one in free if _saved(one)), key=lambda one: (-_saved(one) / _reserved(one, whole=False), one.name))
    needed = [_reserved(one, whole=True) for one in forced]
    best: tuple[tuple[Workload, ...], Decimal] = ((), ZERO)
    for count in range(1, len(ordered) + 1):
        taken = ordered[:count]
        hosts = _hosts(fleet, [*needed, *(_reserved(one, whole=False) for one in taken)], least=there)
        saving = sum(map(_saved, taken), ZERO) - (hosts - there) * fleet.monthly
        if count == 1 or saving > best[1]:
            best = tuple(taken), saving
    return best


def _told(
    workload: Workload, rule: Rule | None, taken: Sequence[Workload], saving: Decimal | None, free: Sequence[Workload]
) -> WorkloadAdvice:
    """What a workload that may leave is told."""
    if rule is not None:
        verdict = Verdict.UNKNOWN if rule is Rule.NOT_KNOWN else Verdict.API
        return WorkloadAdvice(workload=workload, verdict=verdict, rule=rule, inside=ZERO, api_usd=workload.api_usd)
    bill = sum((one.api_usd or ZERO for one in free), ZERO)
    if saving is None or workload not in taken or saving < WORTH_FROM_SAVING * bill:
        cheaper = saving is None or workload not in taken or saving <= 0
        rule = Rule.API_CHEAPER if cheaper else Rule.SAVING_TOO_SMALL
        return WorkloadAdvice(workload=workload, verdict=Verdict.API, rule=rule, inside=ZERO, api_usd=workload.api_usd)
    inside = _share_inside(workload)
    left = None if workload.api_usd is None else workload.api_usd * (1 - inside)
    if _spiky(workload):
        return WorkloadAdvice(workload=workload, verdict=Verdict.HYBRID, rule=Rule.SPIKY, inside=inside, api_usd=left)
    if workload.local_share < WHOLE_FROM_SHARE:
        return WorkloadAdvice(workload=workload, verdict=Verdict.HYBRID, rule=Rule.PART_OF_IT, inside=inside, api_usd=left)
    return WorkloadAdvice(workload=workload, verdict=Verdict.SELF_HOST, rule=Rule.CHEAPER_INSIDE, inside=inside, api_usd=left)


def _together(advised: Sequence[WorkloadAdvice]) -> Verdict:
    verdicts = {one.verdict for one in advised}
    if Verdict.UNKNOWN in verdicts:
        return Verdict.UNKNOWN
    return verdicts.pop() if len(verdicts) == 1 else Verdict.HYBRID


def _crossover(fleet: Fleet | None, free: Sequence[Workload]) -> Decimal | None:
    tokens = sum((one.tokens_per_month for one in free), ZERO)
    if fleet is None or not tokens or any(one.api_usd is None for one in free):
        return None
    return crossing(fleet, sum(map(_saved, free), ZERO) / tokens * MILLION).first
