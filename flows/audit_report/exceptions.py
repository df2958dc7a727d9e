"""The sections on what did not go its usual way: held, overridden, ambiguous, and what was found afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from flows.audit_report.blocks import MOST_ROWS, Block, Cell, Column, Section, Table, code, cut, day, moment, number, text
from flows.audit_report.folding import class_label
from sinks.ledger.report_rows import HeldRecord, ReportData


def held_records(data: ReportData) -> Section:
    """Why records were held, and which still are."""
    as_of = data.extent.last_at
    notes = (
        f"Ages are as of the last entry of the ledger, {as_of:%Y-%m-%d %H:%M:%S} UTC; so is what is still held.",
        "A record that was held before this period, and still is, is counted apart. Records of an ambiguous hand-over are held too.",
    )
    return Section(name="held", title="Held records", notes=notes, blocks=(_reasons(data, as_of), _waiting(data, as_of)))


def _reasons(data: ReportData, as_of: datetime) -> Table:
    rows = [
        (
            text(one.reason),
            number(one.held),
            number(one.still_held),
            number(one.earlier),
            moment(one.oldest, absent="none waits"),
            _age(one.oldest, as_of),
        )
        for one in data.held
    ]
    others = data.held[MOST_ROWS:]
    sums = (None, sum(one.held for one in others), sum(one.still_held for one in others), sum(one.earlier for one in others), None, None)
    return Table(
        name="held-reasons",
        caption="Held records by reason",
        columns=(
            Column("Reason"),
            Column("Held in the period", number=True),
            Column("of these, still held", number=True),
            Column("Still held from before", number=True),
            Column("Oldest since"),
            Column("Its age, days", number=True),
        ),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, sums),
    )


def _waiting(data: ReportData, as_of: datetime) -> Table:
    total = sum(one.still_held + one.earlier for one in data.held)
    shown = data.held_records
    rows = [
        (
            code(one.record_id),
            text(one.reason),
            _classes(one),
            moment(one.since),
            _age(one.since, as_of),
            text(one.run_id),
        )
        for one in shown
    ]
    return Table(
        name="held-records",
        caption=f"Still held, the oldest first ({len(shown):,} of {total:,})",
        columns=(
            Column("Record"),
            Column("Reason"),
            Column("Classes"),
            Column("Since"),
            Column("Age, days", number=True),
            Column("Run"),
        ),
        rows=rows,
        rest=_others(total - len(shown), 6),
        empty="No record of this period or before it is still held.",
    )


def overrides(data: ReportData) -> Section:
    """Where people changed what the policy said."""
    rows = [
        (
            moment(one.moment),
            code(one.record_id),
            text(one.actor),
            text(one.reason),
            text(one.before),
            text(one.after),
            moment(one.expiry, absent="none"),
        )
        for one in data.overrides
    ]
    table = Table(
        name="overrides",
        caption=f"Overridden records, the newest first ({len(rows):,} of {data.overrides_total:,})",
        columns=tuple(map(Column, ("Time", "Record", "Actor", "Reason", "Before", "After", "Expires"))),
        rows=rows,
        rest=_others(data.overrides_total - len(rows), 7),
    )
    return Section(name="overrides", title="Overridden records", blocks=(table,))


def ambiguous(data: ReportData) -> Section:
    """Hand-overs that may or may not have been taken."""
    rows = [
        (code(one.intent_id), text(one.endpoint), moment(one.moment), number(one.records), code(one.code), text(one.state))
        for one in data.ambiguous
    ]
    table = Table(
        name="ambiguous",
        caption=f"Ambiguous hand-overs, the newest first ({len(rows):,} of {data.ambiguous_total:,})",
        columns=(
            *map(Column, ("Intent", "Endpoint", "Time")),
            Column("Records", number=True),
            *map(Column, ("Cause", "State by now")),
        ),
        rows=rows,
        rest=_others(data.ambiguous_total - len(rows), 6),
    )
    note = "Nobody could tell whether the provider took these. They count as egress, and their records wait until somebody finds out."
    return Section(name="ambiguous", title="Ambiguous hand-overs", notes=(note,), blocks=(table,))


def found_afterwards(data: ReportData) -> list[Section]:
    """Second looks, reviews and look-backs; a section for each that the period has any of."""
    sections = []
    if data.second_looks:
        sections.append(_section("looks", "Second looks", _second_looks(data)))
    titles = {"reviewed": "Reviews", "lookback": "Look-backs", "rescanned": "Rescanned results"}
    for event, title in titles.items():
        if any(one.event == event for one in data.findings):
            sections.append(_section(event, title, _findings(data, event)))
    return sections


def _section(name: str, title: str, *blocks: Block) -> Section:
    return Section(name=name, title=title, blocks=blocks)


def _second_looks(data: ReportData) -> Table:
    rows = [
        (
            text(one.endpoint),
            text(one.model),
            code(one.weights_digest),
            Cell("named none") if one.data_class is None else Cell(class_label(one.data_class, partial=None)),
            number(one.records),
        )
        for one in data.second_looks
    ]
    return Table(
        name="looks",
        caption="What a model inside said of records; it can only raise what other evidence found",
        columns=(*map(Column, ("Endpoint", "Model", "Weights digest", "Class named")), Column("Records", number=True)),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (None, None, None, None, sum(one.records for one in data.second_looks[MOST_ROWS:]))),
    )


def _findings(data: ReportData, event: str) -> Table:
    found = [one for one in data.findings if one.event == event]
    rows = [
        (text(one.reason), text(one.before), text(one.after), number(one.records), day(one.first_day), day(one.last_day)) for one in found
    ]
    return Table(
        name=event,
        caption="By reason, and from what to what",
        columns=(*map(Column, ("Reason", "Before", "After")), Column("Records", number=True), *map(Column, ("First day", "Last day"))),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (None, None, None, sum(one.records for one in found[MOST_ROWS:]), None, None)),
    )


def _others(count: int, columns: int) -> Sequence[Cell]:
    return [Cell(f"{count:,} others"), *[Cell("")] * (columns - 1)] if count > 0 else ()


def _age(since: datetime | None, as_of: datetime) -> Cell:
    return number(max(0, (as_of - since).days)) if since else Cell("")


def _classes(one: HeldRecord) -> Cell:
    if one.data_classes is None:
        return Cell("never judged")
    return Cell(", ".join(map(partial(class_label, partial=None), one.data_classes)) + (" (partial scan)" if one.partial else ""))
