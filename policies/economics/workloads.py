"""What advice is asked about: workloads, what they cost at a provider, and a kind of host that could take them. Strict where read.

    version: 2026-11-22
    currency: USD
    scenario: …
    engineer: true                    somebody is there, or paid for, to run machines
    api: {name: GPT-4o, input: "2.50", output: "10.00", batch_discount: "0.50"}
    self_host: {…}                    as in the file of `waybill costs breakeven`
    workloads:
      - name: product texts
        tokens_per_month: 1600000000
        mix: {input: 1, output: 2}
        data: ordinary                ordinary, regulated (HIPAA, …) or proprietary (trade secrets in the prompts)
        law: HIPAA                    of regulated data: which law; said in the advice
        may_leave: true               whether a provider may have it at all
        batch: true                   it can wait, and pays the batch price
        answer_within_ms: 80          optional
        peak_to_mean: "1.2"           its greatest load over its mean
        local_share: "0.95"           of its tokens, what a model inside answers well enough

Whether data may leave is the policy's word, with agreements counted in. No price changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from policies.economics.cloud_cost import ApiPrice
from policies.economics.crossover import Fleet
from policies.economics.hosts import amount, share
from policies.economics.inputs import SPOKEN_NAME, api_of, fleet_of, mix_of
from policies.yaml_value import Source, YamlValue, parse


class Data(StrEnum):
    """What a workload's prompts hold."""

    ORDINARY = "ordinary"
    REGULATED = "regulated"
    PROPRIETARY = "proprietary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of work. tokens_per_month: in and out. api_usd: what it costs a month at a provider; None: nobody has said.

    local_share: of its tokens, what a model inside answers well enough. measured: whether that was measured, or is somebody's word.
    """

    name: str
    tokens_per_month: Decimal
    api_usd: Decimal | None
    may_leave: bool
    data: Data = Data.ORDINARY
    law: str = ""
    answer_within_ms: int | None = None
    peak_to_mean: Decimal = Decimal(1)
    local_share: Decimal = Decimal(1)
    measured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that advice goes by. fleet: None where nobody declared a host, or measured what it can do; `notes` then say so."""

    title: str
    engineer: bool
    api: str
    fleet: Fleet | None
    workloads: tuple[Workload, ...]
    notes: tuple[str, ...] = ()


def parse_questionnaire(source: Source) -> Question:
    """Bytes → a question. Raises PolicyFileError with FILE:LINE."""
    keys = parse(source).table(required=("version", "currency", "scenario", "engineer", "api", "self_host", "workloads"))
    keys["version"].written("a version, such as a date")
    keys["currency"].choice(("USD",))
    api = api_of(keys["api"])
    names: set[str] = set()
    workloads = []
    for item in keys["workloads"].items("a list of at least one workload"):
        workload = _workload(item, api)
        if workload.name in names:
            item.refuse(f"expected each workload once, found a second {workload.name}")
        names.add(workload.name)
        workloads.append(workload)
    return Question(
        title=keys["scenario"].text("a name for the scenario", pattern=SPOKEN_NAME),
        engineer=keys["engineer"].flag(),
        api=api.name,
        fleet=fleet_of(keys["self_host"]),
        workloads=tuple(workloads),
    )


def _workload(value: YamlValue, api: ApiPrice) -> Workload:
    keys = value.table(
        required=("name", "tokens_per_month", "mix", "data", "may_leave", "batch", "peak_to_mean", "local_share"),
        optional=("law", "answer_within_ms"),
    )
    data, tokens = Data(keys["data"].choice(tuple(Data))), keys["tokens_per_month"].whole("tokens a month", at_least=1)
    if ("law" in keys) != (data is Data.REGULATED):
        value.refuse("expected `law`, which names the law, where data is regulated, and only there")
    peak = amount(keys["peak_to_mean"], "the greatest load over the mean")
    if peak < 1:
        keys["peak_to_mean"].refuse("expected at least 1: no peak is below the mean")
    return Workload(
        name=keys["name"].text("a name", pattern=SPOKEN_NAME),
        tokens_per_month=Decimal(tokens),
        api_usd=api.monthly(tokens, mix_of(keys["mix"]), batch=keys["batch"].flag()),
        may_leave=keys["may_leave"].flag(),
        data=data,
        law=keys["law"].text("the law", pattern=SPOKEN_NAME) if "law" in keys else "",
        answer_within_ms=keys["answer_within_ms"].whole("milliseconds", at_least=1) if "answer_within_ms" in keys else None,
        peak_to_mean=peak,
        local_share=share(keys["local_share"]),
        measured=True,
    )
