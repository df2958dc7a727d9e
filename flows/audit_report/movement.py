"""The sections on where records went: class to destination, daily volumes, egress by endpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from flows.audit_report import charts, sankey
from flows.audit_report.blocks import MOST_ROWS, Block, Cell, Column, Section, Table, code, cut, day, number, text
from flows.audit_report.folding import Link, class_label, destination_label, fold
from flows.audit_report.period import Period
from flows.audit_report.registry_facts import Registry, fact
from policies.model import BUILT_IN_CLASSES, CLEAN
from sinks.ledger.report_rows import Egress, Flow, ReportData

_LANES = ("cloud", "local", "held")


def class_to_destination(data: ReportData) -> Section:
    """The Sankey, its numbers, and where something was folded, all numbers."""
    notes = (
        "Each number counts records per UTC day, added up over the days: a record that went to the same place on two days counts on both.",
        "A record counts once in each of the classes decided at the time. A partial scan stopped early: its classes are a lower bound.",
        "Uncertain and rejected hand-overs to a cloud endpoint count as cloud.",
    )
    if not data.flows:
        return Section(name="flow", title="Class to destination", notes=(*notes, "Nothing was handed over or held in this period."))
    links = fold(data.flows)
    blocks: list[Block] = [_left(data.flows), sankey.layout(links), _drawn(links)]
    if len(links) < len(data.flows):
        blocks.append(_in_full(data.flows))
    return Section(name="flow", title="Class to destination", notes=notes, blocks=blocks)


def _left(flows: Sequence[Flow]) -> Table:
    """The first question of every auditor, answered before any drawing: the built-in classes first, then the largest."""
    sums: Counter[tuple[str, bool]] = Counter()
    for flow in flows:
        if flow.lane == "cloud" and (flow.data_class != CLEAN or flow.partial):
            sums[flow.data_class, bool(flow.partial)] += flow.records
    rank = {name: position for position, name in enumerate(BUILT_IN_CLASSES)}
    ordered = sorted(sums.items(), key=lambda one: (rank.get(one[0][0], len(rank)), -one[1], one[0]))
    rows = [(Cell(class_label(*key)), number(records)) for key, records in ordered]
    return Table(
        name="flow-left",
        caption=f"Handed to cloud endpoints as anything but {CLEAN} after a complete scan",
        columns=(Column("Class"), Column("Records", number=True)),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (None, sum(records for _, records in ordered[MOST_ROWS:]))),
        empty="No record in this period.",
    )


def _drawn(links: Sequence[Link]) -> Table:
    ordered = sorted(links, key=lambda link: (_LANES.index(link.target.lane), link.source.label, link.target.label))
    return Table(
        name="flow-drawn",
        caption="Records by class and destination, as drawn",
        columns=(Column("Class"), Column("Destination"), Column("Records", number=True), Column("Bytes handed over", number=True)),
        rows=[(Cell(link.source.label), Cell(link.target.label), number(link.records), number(link.payload_bytes)) for link in ordered],
    )


def _in_full(flows: Sequence[Flow]) -> Table:
    ordered = sorted(
        flows, key=lambda flow: (_LANES.index(flow.lane), -flow.records, flow.data_class, str(flow.partial), flow.endpoint or "")
    )
    rows = [
        (
            Cell(class_label(flow.data_class, flow.partial)),
            Cell(destination_label(flow.lane, flow.endpoint)),
            number(flow.records),
            number(flow.payload_bytes),
        )
        for flow in ordered
    ]
    others = ordered[MOST_ROWS:]
    sums = (None, None, sum(flow.records for flow in others), sum(flow.payload_bytes for flow in others))
    return Table(
        name="flow-full",
        caption=f"Records by class and destination, none folded: cloud first, then the largest ({len(rows):,} in all)",
        columns=(Column("Class"), Column("Destination"), Column("Records", number=True), Column("Bytes handed over", number=True)),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, sums),
    )


def daily_volumes(data: ReportData, period: Period) -> Section:
    """Stacked bars, and the days behind them."""
    title = "Daily volumes"
    notes = ["Different records per UTC day and destination, whatever their classes."]
    if not data.volumes:
        return Section(name="volumes", title=title, notes=(*notes, "Nothing was handed over or held in this period."))
    first = max(period.since, data.volumes[0].day) if period.since and not _is_short(period) else period.since or data.volumes[0].day
    last = period.until - timedelta(days=1) if period.until and _is_short(period) else data.volumes[-1].day
    unit, filled = charts.buckets(data.volumes, first, last)
    if unit != "day":
        notes.append(f"The period is long: a bar is a {unit}, the sum of its days.")
    rows = [
        (Cell(bucket.label), *map(number, (bucket.cloud, bucket.local, bucket.held, bucket.total))) for bucket in filled if bucket.total
    ]
    lanes = ("Cloud", "Local", "Held", "Together")
    table = Table(
        name="volumes",
        caption=f"Records by {unit} and destination; a {unit} without any is left out",
        columns=(Column(unit.capitalize()), *(Column(lane, number=True) for lane in lanes)),
        rows=rows,
    )
    return Section(name="volumes", title=title, notes=notes, blocks=(charts.layout(unit, filled), table))


def _is_short(period: Period) -> bool:
    """Whether its days are drawn one by one, those before the first and after the last entry too."""
    return bool(period.since and period.until and (period.until - period.since).days <= charts.LONGEST_DAILY)


def egress_by_endpoint(data: ReportData, registry: Registry) -> Section:
    """What each cloud endpoint was handed, and who vouches for what about it."""
    notes = (
        "Every record handed to a cloud endpoint, uncertain and rejected hand-overs included.",
        f"Facts come from the registry {registry.name} as it is now (SHA-256 {registry.digest}); they are statements of its author.",
        "The ledger seals the hash of policy, registry and prices in force, not the facts themselves.",
    )
    return Section(
        name="egress", title="Egress by endpoint", notes=notes, blocks=(_handed_over(data.egress), _vouched(data.egress, registry))
    )


def _handed_over(egress: Sequence[Egress]) -> Table:
    rows = [
        (
            text(one.endpoint),
            number(one.records),
            number(one.hand_overs),
            number(one.shards),
            number(one.payload_bytes),
            day(one.first_day),
            day(one.last_day),
        )
        for one in egress
    ]
    others = egress[MOST_ROWS:]
    sums = (None, None, sum(one.hand_overs for one in others), sum(one.shards for one in others), sum(one.payload_bytes for one in others))
    return Table(
        name="egress",
        caption=f"Handed to cloud endpoints ({len(rows):,})",
        columns=(
            Column("Endpoint"),
            Column("Different records", number=True),
            Column("Hand-overs", number=True),
            Column("Shards", number=True),
            Column("Bytes", number=True),
            Column("First day"),
            Column("Last day"),
        ),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (*sums, None, None)),
        empty="Nothing was handed to a cloud endpoint in this period.",
    )


_FACTS = ("baa", "dpa", "zero_data_retention", "retention_days", "training_use", "human_review")


def _vouched(egress: Sequence[Egress], registry: Registry) -> Table:
    rows = [(text(one.endpoint), *_facts(one, registry)) for one in egress[:MOST_ROWS]]
    labels = (
        *("Endpoint", "Provider", "Model", "Region", "BAA", "DPA", "Zero retention", "Retention, days", "Trains on it", "Human review"),
        *("Review by", "Evidence"),
    )
    return Table(
        name="facts",
        caption="What the registry says of these endpoints",
        columns=tuple(Column(label) for label in labels),
        rows=rows,
        rest=[Cell(f"{len(egress) - MOST_ROWS:,} others"), *[Cell("")] * (len(labels) - 1)] if len(egress) > MOST_ROWS else (),
        empty="Nothing was handed to a cloud endpoint in this period.",
    )


def _facts(one: Egress, registry: Registry) -> list[Cell]:
    endpoint = registry.endpoints.get(one.endpoint or "")
    if endpoint is None:
        return [Cell("not in this registry"), *[Cell("unknown")] * 10]
    review = str(endpoint.review_by or "not stated")
    if endpoint.review_by and one.last_day > endpoint.review_by:
        review += " (before the last hand-over)"
    return [
        text(endpoint.provider),
        text(endpoint.model),
        text(endpoint.region or None),
        *(Cell(fact(endpoint, name)) for name in _FACTS),
        Cell(review, whole=True),
        code(endpoint.evidence_link or None),
    ]
