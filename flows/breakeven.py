"""When own machines are cheaper: by volume, by utilisation and by model, at list and at batch price, from a file of figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows.cost_text import bullet, shown, table
from policies.economics.cloud_cost import ApiPrice
from policies.economics.crossover import Crossing, VolumeRow, crossing, volume_row
from policies.economics.inputs import BreakEvenInputs, Claim, parse_break_even
from policies.load import read_source
from policies.prices import MILLION

THOUSAND = 1_000
NEVER = "never"
TWO_VOLUMES = (
    "Where two volumes are named, own machines win from the first on, lose again after steps to another host, and win for good above "
    "the second."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model: what a million tokens cost, and where own machines overtake it."""

    api: ApiPrice
    usd_list: Decimal
    usd_batch: Decimal
    at_list: Crossing
    at_batch: Crossing


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The whole answer: the figures, and what follows from them."""

    inputs: BreakEvenInputs
    by_volume: tuple[VolumeRow, ...]
    by_utilisation: tuple[tuple[Decimal, Decimal], ...]
    by_model: tuple[ModelRow, ...]


def load_break_even(path: Path) -> BreakEven:
    """Read a file of figures, and work out what follows. Raises PolicyFileError with FILE:LINE."""
    return break_even(parse_break_even(read_source(path)))


def break_even(inputs: BreakEvenInputs) -> BreakEven:
    """What follows from the figures."""
    return BreakEven(
        inputs=inputs,
        by_volume=tuple(volume_row(inputs.fleet, inputs.against, inputs.mix, tokens) for tokens in inputs.volumes),
        by_utilisation=tuple((share, inputs.fleet.usd_per_million(share)) for share in inputs.utilisations),
        by_model=tuple(_model_row(inputs, api) for api in inputs.apis),
    )


def _model_row(inputs: BreakEvenInputs, api: ApiPrice) -> ModelRow:
    at_list, at_batch = api.blended(inputs.mix), api.blended(inputs.mix, batch=True)
    return ModelRow(
        api=api,
        usd_list=at_list,
        usd_batch=at_batch,
        at_list=crossing(inputs.fleet, at_list),
        at_batch=crossing(inputs.fleet, at_batch),
    )


def break_even_text(found: BreakEven) -> str:
    """All tables, for people."""
    inputs, fleet = found.inputs, found.inputs.fleet
    host = f"{fleet.name}, {dollars(fleet.monthly)} a month; {fleet.tokens_per_s:,} tokens/s, busy {fleet.busy_at_most:.0%} of it at most"
    lines = [
        f"{inputs.title}. US dollars; figures of {inputs.version}.",
        f"One host: {host}: {tokens(fleet.capacity)} tokens a month. A volume above that takes more of them.",
        f"Of {inputs.mix.parts} tokens, {inputs.mix.input} are input and {inputs.mix.output} output.",
        "",
        f"By volume, against {inputs.against.name}",
        *_by_volume(found),
        "",
        "By utilisation: what a million tokens cost on a host that is busy this share of the time",
        *table(("utilisation", "$ per million"), [(f"{share:.0%}", f"{usd:,.2f}") for share, usd in found.by_utilisation]),
        "",
        "By model: above these volumes a month, and above these utilisations, own machines are cheaper",
        *_by_model(found),
        *bullet(TWO_VOLUMES),
        *_set_ups(inputs),
        *_yearly(inputs),
        *_claims(inputs),
    ]
    return shown("\n".join(lines) + "\n")


def _by_volume(found: BreakEven) -> list[str]:
    names = ("tokens a month", "API, list", "API, batch", "self-host", "hosts", "utilisation", "cheaper, list", "cheaper, batch")
    return table(
        names,
        [
            (
                tokens(row.tokens),
                dollars(row.api_list),
                dollars(row.api_batch),
                dollars(row.self_host),
                str(row.hosts),
                f"{row.utilisation:.1%}",
                row.winner_list,
                row.winner_batch,
            )
            for row in found.by_volume
        ],
    )


def _by_model(found: BreakEven) -> list[str]:
    names = ("model", "$/M, list", "from tokens", "utilisation", "$/M, batch", "from tokens", "utilisation")
    return table(
        names,
        [
            (
                row.api.name,
                f"{row.usd_list:,.3f}",
                where(row.at_list),
                utilisation(row.at_list, found),
                f"{row.usd_batch:,.3f}",
                where(row.at_batch),
                utilisation(row.at_batch, found),
            )
            for row in found.by_model
        ],
    )


def where(crossed: Crossing) -> str:
    """From which volume on."""
    if crossed.first is None:
        return NEVER
    if crossed.for_good is None or crossed.for_good == crossed.first:
        return tokens(crossed.first)
    return f"{tokens(crossed.first)}, {tokens(crossed.for_good)}"


def utilisation(crossed: Crossing, found: BreakEven) -> str:
    """From which utilisation on, if a host can be as busy as that."""
    return f"{crossed.utilisation:.1%}" if crossed.utilisation <= found.inputs.fleet.busy_at_most else NEVER


def _set_ups(inputs: BreakEvenInputs) -> list[str]:
    if not inputs.set_ups:
        return []
    monthly = [(one.name, one.machine.monthly) for one in inputs.set_ups]
    rows = [(name, *(dollars(usd) for usd in (cost.hardware, cost.power, cost.people, cost.total))) for name, cost in monthly]
    return ["", "Set-ups, a month", *table(("set-up", "hardware", "power", "people", "total"), rows)]


def _yearly(inputs: BreakEvenInputs) -> list[str]:
    lines = []
    for one in inputs.yearly:
        rows = [(name, thousands(low), thousands(high)) for name, low, high in one.range.lines()]
        lines += ["", f"{one.name}: a year, before the first token, to the nearest thousand", *table(("", "from", "to"), rows, ruled=1)]
    return lines


def _claims(inputs: BreakEvenInputs) -> list[str]:
    if not inputs.claims:
        return []
    lines = ["", "Stated prices, computed anew"]
    for claim in inputs.claims:
        parts = f"{claim.mix.input}:{claim.mix.output} input to output{', in a batch' if claim.batch else ''}"
        cached = f", {claim.cached_share:.0%} of the input from a cache" if claim.cached_share else ""
        said = f"{claim.api.name}, {parts}{cached}: {claim.stated:,.2f} a million is stated, {claim.computed:,.3f} computed"
        lines += bullet(f"{said}: {_verdict(claim)}")
    return lines


def _verdict(claim: Claim) -> str:
    if claim.follows:
        return "it follows."
    return "it does not follow." + (" A cache makes input cheaper, never output." if claim.cached_share and claim.mix.output else "")


def break_even_values(found: BreakEven) -> dict[str, Any]:
    """Everything, for JSON."""
    inputs = found.inputs
    return {
        "title": inputs.title,
        "version": inputs.version,
        "against": inputs.against.name,
        "host": {"name": inputs.fleet.name, "usd_per_month": inputs.fleet.monthly, "tokens_per_month": inputs.fleet.capacity},
        "by_volume": [asdict(row) for row in found.by_volume],
        "by_utilisation": [{"utilisation": share, "usd_per_million": usd} for share, usd in found.by_utilisation],
        "by_model": [
            {"model": row.api.name, "usd_per_million": {"list": row.usd_list, "batch": row.usd_batch}}
            | {"list": asdict(row.at_list), "batch": asdict(row.at_batch)}
            for row in found.by_model
        ],
        "set_ups": [{"name": one.name} | asdict(one.machine.monthly) | {"total": one.machine.monthly.total} for one in inputs.set_ups],
        "yearly": [
            {"name": one.name, "lines": [{"what": what, "from": low, "to": high} for what, low, high in one.range.lines()]}
            for one in inputs.yearly
        ],
        "claims": [
            {"model": one.api.name, "stated": one.stated, "computed": one.computed, "follows": one.follows} for one in inputs.claims
        ],
    }


def dollars(usd: Decimal) -> str:
    """To the dollar; below ten, to the cent."""
    return f"{usd:,.0f}" if usd >= 10 or not usd else f"{usd:,.2f}"  # noqa: PLR2004 - as the docstring says


def thousands(usd: Decimal) -> str:
    """To the nearest thousand."""
    return f"{(usd / THOUSAND).quantize(Decimal(1)) * THOUSAND:,.0f}"


def tokens(count: int | Decimal) -> str:
    """In millions; in billions from a thousand of those on."""
    millions = Decimal(count) / MILLION
    value, unit = (millions / THOUSAND, "B") if millions >= THOUSAND else (millions, "M")
    text = f"{value:,.3f}".rstrip("0").rstrip(".") if unit == "B" else f"{value:,.1f}".removesuffix(".0")
    return text + unit
