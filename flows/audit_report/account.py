"""The sections on what it cost, what did the work, under which versions, and what the log itself is."""

from __future__ import annotations

from decimal import Decimal

from flows.audit_report.blocks import (
    MOST_ROWS,
    Cell,
    Column,
    Facts,
    Points,
    Quote,
    Section,
    Table,
    code,
    cut,
    day,
    moment,
    money,
    number,
    text,
)
from flows.audit_report.period import Period
from flows.audit_report.verification import Verification
from sinks.ledger.report_rows import Cost, ReportData, Version

ISOLATION = {"isolation_netns": "network namespace without interfaces (isolation_netns)"}
"""What the codes of a hand-over to a local engine mean."""

NOT_HERE = (
    "The text of documents, prompts and answers. The ledger holds counts, codes, ids and keyed digests of them.",
    "What a detector matched. Evidence is an entity, a count, a score and the detector's name.",
    "Names of files, sources and people, but for the actors of overrides and releases.",
    "Names of records. They lie in a separate map that can be erased, and this report does not read it.",
    "Keys, passwords and unkeyed digests of content.",
    "The endpoint registry and the prices. Only a hash of them is sealed, together with the policy's.",
    "What was sent round Waybill by other means, and what a provider did with what it received.",
    "What no detector recognised: a class is what was found, and CLEAN is what is left. Reviews of samples bound how much that is.",
)


def summary(data: ReportData, period: Period, verification: Verification) -> Section:
    """The report in ten lines."""
    extent, totals = data.extent, data.totals
    waiting = sum(one.still_held + one.earlier for one in data.held)
    days = f"{extent.first_day} to {extent.last_day}" if extent.entries else "no entry in this period"
    spent, unpriced = sum((one.cost_usd for one in data.costs), Decimal(0)), sum(one.unpriced for one in data.costs)
    items = (
        ("Verification", text(verification.told)),
        ("Period", Cell(period.told)),
        ("Days with entries", Cell(days)),
        ("Entries in the period", Cell(f"{extent.entries:,} of {extent.tree_size:,}")),
        ("Different records decided", number(totals.decided)),
        ("Different records handed to cloud endpoints", number(totals.cloud)),
        ("Different records handed to local endpoints", number(totals.inside)),
        ("Different records held at some time", number(totals.held)),
        ("Still held, from this period or before", number(waiting)),
        ("Different records that failed at some time", number(totals.failed)),
        ("Ambiguous hand-overs", number(data.ambiguous_total)),
        ("Overridden records", number(data.overrides_total)),
        (f"Cost, US dollars; outcomes without a price, left out: {unpriced:,}" if unpriced else "Cost, US dollars", money(spent)),
    )
    return Section(name="summary", title="Summary", blocks=(Facts(items=items),))


def costs(data: ReportData) -> Section:
    """Dollars and tokens by endpoint, and by endpoint and day."""
    notes = ["US dollars as the outcomes state them, from the prices of the day; an outcome that is stated twice counts once."]
    unpriced = sum(one.unpriced for one in data.costs)
    if unpriced:
        notes.append(f"Not in these sums: {unpriced:,} outcomes of the cloud without reported usage, so that nobody knows their cost.")
    by_endpoint: dict[tuple[str | None, str | None], list[Cost]] = {}
    for cost in data.costs:
        by_endpoint.setdefault((cost.lane, cost.endpoint), []).append(cost)
    ends = sorted(by_endpoint, key=lambda end: (-_sums(by_endpoint[end])[3], -_sums(by_endpoint[end])[0], str(end[1]), str(end[0])))
    ordered = sorted(data.costs, key=lambda one: (one.day, str(one.endpoint), str(one.lane)), reverse=True)
    endpoints = Table(
        name="costs-endpoint",
        caption=f"Costs by endpoint, the dearest first ({len(ends):,})",
        columns=(Column("Endpoint"), Column("Lane"), *_COUNTED),
        rows=[(text(end[1]), text(end[0]), *_counted(*_sums(by_endpoint[end]))) for end in ends[:MOST_ROWS]],
        rest=_rest(len(ends), [cost for end in ends[MOST_ROWS:] for cost in by_endpoint[end]]),
    )
    days = Table(
        name="costs-day",
        caption=f"Costs by day and endpoint, the newest first ({len(ordered):,})",
        columns=(Column("Day"), Column("Endpoint"), *_COUNTED),
        rows=[(day(one.day), text(one.endpoint), *_counted(*_sums([one]))) for one in ordered[:MOST_ROWS]],
        rest=_rest(len(ordered), ordered[MOST_ROWS:]),
    )
    return Section(name="costs", title="Costs", notes=tuple(notes), blocks=(endpoints, days))


_COUNTED = tuple(Column(label, number=True) for label in ("Outcomes", "Tokens in", "Tokens out", "US dollars"))


def _sums(some: list[Cost]) -> tuple[int, int, int, Decimal]:
    counts = (sum(one.records for one in some), sum(one.tokens_in for one in some), sum(one.tokens_out for one in some))
    return *counts, sum((one.cost_usd for one in some), Decimal(0))


def _counted(records: int, tokens_in: int, tokens_out: int, cost_usd: Decimal) -> tuple[Cell, ...]:
    return number(records), number(tokens_in), number(tokens_out), money(cost_usd)


def _rest(rows: int, others: list[Cost]) -> tuple[Cell, ...]:
    return (Cell(f"{rows - MOST_ROWS:,} others"), Cell(""), *_counted(*_sums(others))) if others else ()


def local_engine(data: ReportData) -> Section:
    """What answered inside, with its digests and what kept it from the network."""
    rows = [
        (
            text(one.endpoint),
            text(one.model),
            text(one.revision),
            code(one.weights_digest),
            code(one.lora_digest, absent="none stated"),
            Cell(ISOLATION[one.isolation]) if one.isolation in ISOLATION else code(one.isolation),
            number(one.records),
            day(one.first_day),
            day(one.last_day),
        )
        for one in data.engines
    ]
    others = sum(one.records for one in data.engines[MOST_ROWS:])
    table = Table(
        name="engine",
        caption="Models that answered on local endpoints",
        columns=(
            *map(Column, ("Endpoint", "Model", "Revision", "Weights digest", "Adapter digest", "Isolation")),
            Column("Records", number=True),
            *map(Column, ("First day", "Last day")),
        ),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (*[None] * 6, others, None, None)),
        empty="No local endpoint completed a record in this period.",
    )
    note = (
        "Isolation is what the hand-over stated of the engine that took it. Engines that run inside the program, and servers, state none."
    )
    return Section(name="engine", title="Local engine", notes=(note,), blocks=(table,))


def versions(data: ReportData) -> Section:
    """Under which policies, and with which detectors, records were decided."""
    return Section(
        name="versions",
        title="Policies and detectors",
        notes=("The text of every policy is in the ledger under its hash. First and last use are those in this period.",),
        blocks=(_policies(data), _detectors(data)),
    )


def _policies(data: ReportData) -> Table:
    rows = [
        (
            code(one.digest),
            text((one.name or "").strip().strip("'\"") or None),
            moment(one.registered, absent="text not in the ledger"),
            *_used(one),
        )
        for one in data.policies
    ]
    return Table(
        name="policies",
        caption=f"Policies that decided ({len(rows):,})",
        columns=(*map(Column, ("Policy hash", "Version", "Registered")), *_USED),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (None, None, None, sum(one.decisions for one in data.policies[MOST_ROWS:]), None, None)),
    )


def _detectors(data: ReportData) -> Table:
    rows = [(code(one.digest), *_used(one)) for one in data.detectors]
    return Table(
        name="detectors",
        caption=f"Detector sets that scanned ({len(rows):,})",
        columns=(Column("Detector set hash"), *_USED),
        rows=rows[:MOST_ROWS],
        rest=cut(rows, (None, sum(one.decisions for one in data.detectors[MOST_ROWS:]), None, None)),
    )


_USED = (Column("Decisions", number=True), Column("First used"), Column("Last used"))


def _used(one: Version) -> tuple[Cell, ...]:
    return number(one.decisions), moment(one.first_used), moment(one.last_used)


def runs_and_entries(data: ReportData) -> Section:
    """The nights, and all entries by kind."""
    nights = [
        (
            text(one.run_id),
            moment(one.started),
            moment(one.ended, absent="not ended"),
            text(one.ended_as, absent="not ended"),
            Cell("yes" if one.finished else "no"),
            number(one.starts),
        )
        for one in data.runs
    ]
    missing = data.runs_total - len(nights)
    runs = Table(
        name="runs",
        caption=f"Runs that first started in the period, the newest first ({len(nights):,})",
        columns=(*map(Column, ("Run", "Started", "Last ended", "Ended as", "Finished")), Column("Starts", number=True)),
        rows=nights,
        rest=[Cell(f"{missing:,} others started, or started again, in the period"), *[Cell("")] * 5] if missing > 0 else (),
    )
    entries = Table(
        name="entries",
        caption="Entries by kind",
        columns=(Column("Event"), Column("Entries", number=True), Column("First day"), Column("Last day")),
        rows=[(text(one.event), number(one.entries), day(one.first_day), day(one.last_day)) for one in data.events],
    )
    return Section(name="runs", title="Runs and entries", blocks=(runs, entries))


def seal(data: ReportData, verification: Verification) -> Section:
    """Whether the log is what was signed, and the signed statement itself."""
    checkpoint, extent = data.checkpoint, data.extent
    how = ("every row was recomputed" if verification.deep else "signatures and file digests; not every row was recomputed", "not verified")
    facts = (
        ("Result", text(verification.told)),
        ("Depth", Cell(how[verification.intact is None])),
        ("Entries verified", number(verification.entries)),
        ("Key", Cell("pinned" if verification.pinned else "not pinned: whoever held the writer's host could have signed all of it anew")),
        ("Origin", code(checkpoint.origin)),
        ("Tree size", number(checkpoint.size)),
        ("Root", code(checkpoint.root)),
        ("Segment", number(checkpoint.segment)),
        ("Key hash", code(checkpoint.key_hash)),
        (
            "Entries of this period",
            Cell(f"{extent.first_seq:,} to {extent.last_seq:,}" if extent.first_seq and extent.last_seq else "none"),
        ),
        ("Last entry", moment(extent.last_at)),
    )
    note = (
        "This report is as of the checkpoint below. waybill audit verify checks the ledger again at any time, and docs/verify_ledger.py "
        "does so without the program that wrote it. The report itself is not signed: what counts is the ledger."
    )
    quote = Quote(label="The checkpoint, a C2SP signed note", text=checkpoint.note)
    return Section(name="seal", title="Verification and checkpoint", notes=(note,), blocks=(Facts(items=facts), quote))


def not_in_the_ledger() -> Section:
    """What no report of this ledger can say."""
    return Section(name="absent", title="What is not in the ledger", blocks=(Points(items=NOT_HERE),))
