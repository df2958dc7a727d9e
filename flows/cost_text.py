"""The cost report as text for people, and as plain values for JSON. Amounts for people are rounded to cents; JSON has them whole."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from flows.cost_report import CostReport, CostRow
from flows.counted_words import counted

COLUMNS = ("records", "failed", "tokens in", "tokens out", "settled $", "hosts $", "charged $", "unpriced")
WIDTH = 140
_CENT = Decimal("0.01")
ROUNDED = "Each amount is rounded by itself, so rows need not add up to the total; exact in --format json."
_SMALL = Decimal("0.000001")


def report_text(report: CostReport) -> str:
    """The whole report, in lines of at most WIDTH where names are short enough."""
    version, digest = report.prices
    lines = [
        f"Costs from {report.since} to {report.until} (not included), by {report.by.replace('_', ' ')}. US dollars.",
        f"Prices: version {version}, SHA-256 {digest[:12]}…; the nights went by policies {_hashes(report.policies)}, each with its prices.",
        "",
        *table((report.by.replace("_", " "), *COLUMNS), [_cells(row) for row in (*report.rows, report.total)], ruled=1),
    ]
    if report.hosts:
        lines += ["", "Machines inside", *_hosts(report)]
    lines += ["", "Restricted data kept inside", *_premium(report), "", "The same nights otherwise", *_comparisons(report)]
    return shown("\n".join([*lines, "", "Notes", *(line for note in (ROUNDED, *report.notes) for line in bullet(note))]) + "\n")


def report_values(report: CostReport) -> dict[str, Any]:
    """Everything, for JSON."""
    version, digest = report.prices
    values = asdict(report) | {"prices": {"version": version, "sha256": digest}}
    values["premium"] |= {"usd": report.premium.usd}
    for host, value in zip(report.hosts, values["hosts"], strict=True):
        value |= {name: getattr(host, name) for name in ("utilisation", "gpu_hours", "usd_per_million", "tokens_per_s", "idle_usd")}
    return values


def _cells(row: CostRow) -> tuple[str, ...]:
    counts = (row.records, row.failed, row.tokens_in, row.tokens_out)
    return (row.group, *(f"{count:,}" for count in counts), usd(row.settled_usd), usd(row.host_usd), usd(row.usd), f"{row.unpriced:,}")


def _hosts(report: CostReport) -> Iterator[str]:
    names = ("host", "GPUs", "hours", "busy hours", "utilisation", "cost $", "of it idle $", "tokens", "$ per million", "tokens/s, busy")
    yield from table(
        names,
        [
            (
                host.name,
                str(host.gpus),
                f"{host.hours:,}",
                f"{host.busy_hours:,.2f}",
                f"{host.utilisation:.1%}",
                usd(host.usd),
                usd(host.idle_usd),
                f"{host.tokens:,}",
                "" if host.usd_per_million is None else usd(host.usd_per_million),
                "" if host.tokens_per_s is None else f"{host.tokens_per_s:,.0f}",
            )
            for host in report.hosts
        ],
    )
    for endpoint, hours in report.busy_hours.items():
        yield f"  {endpoint} was busy for {hours:,.2f} hours"


def _premium(report: CostReport) -> Iterator[str]:
    found = report.premium
    if not found.records:
        yield "  No restricted record was answered in these days."
        return
    yield f"  {counted(found.records, 'record')} cost {usd(found.local_usd)} inside."
    if found.cloud_usd is None or found.usd is None:
        yield "  What they would have cost outside is not known."
    else:
        yield f"  Outside they would have cost {usd(found.cloud_usd)}: the premium paid for keeping them inside is {usd(found.usd)}."
    if found.uncounted:
        yield f"  Not in that comparison, without token counts or a price: {counted(found.uncounted, 'record')}."
    for said in found.assumptions:
        yield from bullet(said)


def _comparisons(report: CostReport) -> Iterator[str]:
    for found in report.comparisons:
        yield f"  {found.name:10}  {'not known' if found.usd is None else usd(found.usd):>14}"
        for said in found.assumptions:
            yield from bullet(said, indent=6)
        if found.uncounted:
            yield from bullet(f"Left out, without token counts or a price: {counted(found.uncounted, 'record')}.", indent=6)


def usd(amount: Decimal) -> str:
    """Dollars and cents; where that would be nothing but noughts, millionths of a dollar."""
    small = amount and abs(amount) < 1
    return f"{amount.quantize(_SMALL if small else _CENT):,}"


def table(names: Sequence[str], rows: Sequence[Sequence[str]], *, ruled: int = 0) -> list[str]:
    """A table in plain text, the first column to the left. ruled: so many rows at its end stand under a line."""
    widths = [max(len(row[place]) for row in (names, *rows)) for place in range(len(names))]
    lines = [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (names, *rows)
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    body = [*lines[1 : len(lines) - ruled], *([rule] if ruled else []), *lines[len(lines) - ruled :]]
    return [f"  {line}".rstrip() for line in (lines[0], rule, *body)]


def bullet(text: str, *, indent: int = 2) -> list[str]:
    """A remark, folded."""
    lead = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=f"{lead}- ", subsequent_indent=f"{lead}  ", break_on_hyphens=False)


def shown(text: str) -> str:
    """What steers a terminal (in a name in somebody's ledger, say) is shown, not obeyed."""
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in text)


def _hashes(policies: Sequence[str]) -> str:
    return ", ".join(f"{one[:12]}…" for one in policies) or "that nobody stated"
