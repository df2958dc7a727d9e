"""The section on which strategy chose which endpoint, and why; and how far records came that were escalated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flows.audit_report import steps
from flows.audit_report.blocks import MOST_ROWS, Block, Cell, Column, Section, Table, cut, number, text
from flows.audit_report.folding import destination_label
from flows.audit_report.steps import Step, StepChart
from sinks.ledger.report_rows import Funnel, ReportData, Route

MOST_BARS = 12


def routing(data: ReportData) -> Section:
    """Shares by endpoint, every reason, and the funnel of the strategy that escalates."""
    notes = (
        "A strategy chooses among the endpoints that the decision permits; it permits none itself. Why it chose is in docs/routing.md.",
        "A record that was assigned again, after a failure or an escalation, counts at each endpoint that it was assigned to.",
    )
    if not data.routes:
        return Section(name="routing", title="Routing", notes=("No record was assigned to an endpoint in this period.",))
    blocks: list[Block] = [_shares(data.routes), _reasons(data.routes)]
    if data.funnel.assigned:
        blocks.append(_funnel(data.funnel))
    return Section(name="routing", title="Routing", notes=notes, blocks=blocks)


def _shares(routes: Sequence[Route]) -> StepChart:
    sums: Counter[tuple[str, str | None]] = Counter()
    for one in routes:
        sums[one.lane, one.endpoint] += one.records
    ranked = sorted(sums, key=lambda end: (-sums[end], end[0], str(end[1])))
    # One that would be alone among the others keeps its name.
    named = ranked if len(ranked) <= MOST_BARS + 1 else ranked[:MOST_BARS]
    bars = [Step(label=destination_label(*end), lane=end[0], records=sums[end]) for end in named]
    for lane in ("cloud", "local"):
        others = [end for end in ranked[len(named) :] if end[0] == lane]
        if others:
            bars.append(Step(label=f"{len(others):,} other {lane} endpoints", lane=lane, records=sum(sums[end] for end in others)))
    return steps.layout("shares", "Assignments by endpoint, and their share of all", bars, whole=sum(sums.values()))


def _reasons(routes: Sequence[Route]) -> Table:
    rows = [
        (
            text(one.strategy),
            text(one.lane),
            text(one.endpoint),
            text(one.reason),
            number(one.records),
            Cell("" if one.score is None else f"{one.score:.3g}", "" if one.score is None else repr(one.score)),
        )
        for one in routes
    ]
    return Table(
        name="routes",
        caption=f"Assignments by strategy, endpoint and reason ({len(rows):,})",
        columns=(
            *map(Column, ("Strategy", "Lane", "Endpoint", "Reason")),
            Column("Different records", number=True),
            Column("Mean score", number=True),
        ),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (None, None, None, None, sum(one.records for one in routes[MOST_ROWS:]), None)),
    )


def _funnel(funnel: Funnel) -> StepChart:
    bars = [
        Step(label="assigned", lane="local", records=funnel.assigned),
        Step(label="answered inside", lane="local", records=funnel.answered),
        Step(label="with too little confidence", lane="local", records=funnel.doubtful),
        Step(label="kept, marked for review", lane="held", records=funnel.kept),
        Step(label="escalated to the cloud", lane="cloud", records=funnel.escalated),
        Step(label="completed there", lane="cloud", records=funnel.settled),
    ]
    return steps.layout("funnel", "The waterfall: different records by how far they came", bars, whole=funnel.assigned)
