"""The section on when own machines are cheaper: the chart and the table of `waybill costs breakeven`, from the same file of figures."""

from __future__ import annotations

import base64

from flows.audit_report.blocks import Cell, Column, Image, Section, Table
from flows.breakeven import BreakEven, dollars, tokens, where
from flows.economics_chart import break_even_chart

WIDTH, HEIGHT = 960, 600


def when_own_machines_are_cheaper(found: BreakEven) -> Section:
    """Costs by volume, at list and at batch price, and where they cross."""
    inputs = found.inputs
    notes = (
        f"{inputs.title}, from figures of {inputs.version} that were given to this report; none of them is from the ledger.",
        "How they are computed is in docs/economics.md.",
    )
    return Section(name="breakeven", title="When own machines are cheaper", notes=notes, blocks=(_chart(found), _by_volume(found)))


def _chart(found: BreakEven) -> Image:
    crossings = "; ".join(
        f"{row.api.name}: from {where(row.at_list)} tokens a month at list price, {where(row.at_batch)} at batch price"
        for row in found.by_model
    )
    return Image(
        name="breakeven",
        source=f"data:image/png;base64,{base64.b64encode(break_even_chart(found)).decode()}",
        width=WIDTH,
        height=HEIGHT,
        summary=f"US dollars a month by volume, on own machines and at providers. Own machines are cheaper than {crossings}.",
        caption="US dollars a month by volume. Full marks: cheaper than list price from there on; hollow ones: than batch price.",
    )


def _by_volume(found: BreakEven) -> Table:
    rows = [
        (
            Cell(tokens(row.tokens), str(row.tokens)),
            Cell(dollars(row.api_list), f"{row.api_list:f}"),
            Cell(dollars(row.api_batch), f"{row.api_batch:f}"),
            Cell(dollars(row.self_host), f"{row.self_host:f}"),
            Cell(f"{row.hosts:,}", str(row.hosts)),
            Cell(row.winner_list),
            Cell(row.winner_batch),
        )
        for row in found.by_volume
    ]
    numbers = ("Tokens a month", "API, list", "API, batch", "Own machines", "Hosts")
    return Table(
        name="breakeven",
        caption=f"US dollars a month against {found.inputs.against.name}",
        columns=(*(Column(label, number=True) for label in numbers), Column("Cheaper, list"), Column("Cheaper, batch")),
        rows=rows,
    )
