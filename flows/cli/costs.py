"""`waybill costs …`: where the money went, and when own machines are cheaper. Reads only; safe while a night runs."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.output import plain, show

if TYPE_CHECKING:
    from flows.cost_report import CostReport

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DAY = click.DateTime(["%Y-%m-%d"])
BY = ("record", "job", "class", "lane", "endpoint", "day", "cost_centre")
FORMATS = ("text", "json", "csv")
CHARTS = (".png", ".svg")
CHART_MODE = 0o644  # figures of a file that is given: nothing of a document or a ledger is in it
PRICES = click.option("--prices", type=FILE, help="The price file; the job's, or the bundled one.")
REGISTRY = click.option("--registry", type=FILE, help="The endpoint registry; the job's, or the bundled one.")
CLOUD = click.option("--cloud", help="Compare with this cloud endpoint of the registry, not with the one that each job used.")


@click.group()
def costs() -> None:
    """Where the money went, and when own machines are cheaper."""


@costs.command()
@click.argument("ledger", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--job", type=FILE, help="The ledger, prices and endpoints of this job file.")
@click.option("--from", "since", type=DAY, help="From this day on (UTC), included; the first with an outcome.")
@click.option("--to", "until", type=DAY, help="Up to this day (UTC), not included; the day after the last with an outcome.")
@click.option("--by", type=click.Choice(BY), default="endpoint", show_default=True, help="One row for each of these.")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="text", show_default=True, help="CSV has the rows alone.")
@CLOUD
@PRICES
@REGISTRY
def report(
    *,
    ledger: Path | None,
    job: Path | None,
    since: datetime | None,
    until: datetime | None,
    by: str,
    fmt: str,
    cloud: str | None,
    prices: Path | None,
    registry: Path | None,
) -> int:
    """Say what the nights in LEDGER cost: providers as settled, machines inside over their utilisation, each with what it was for."""
    from flows.cost_report import make_report  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.cost_sources import cost_sources  # noqa: PLC0415 - as above

    if since and until and since >= until:
        raise click.UsageError("--to is not after --from: no day is asked about (--from is included, --to is not)")
    sources = cost_sources(ledger, job=job, prices=prices, registry=registry, cloud=cloud)
    asked = sources.asked(by=by, since=_day(since), until=_day(until))
    made = make_report(sources.ledger, sources.prices, sources.registry, asked, today=datetime.now(UTC).date())
    if made is None:
        click.echo("waybill: no outcome in these days: nothing was spent", err=True)
        return 0
    _show(made, fmt)
    return 0


def _day(at: datetime | None) -> date | None:
    return at.date() if at else None


def _show(made: CostReport, fmt: str) -> None:
    from flows.cost_text import report_text, report_values  # noqa: PLC0415 - as above

    if fmt == "text":
        click.echo(report_text(made), nl=False)
    elif fmt == "json":
        click.echo(json.dumps(report_values(made), default=plain))
    else:
        show(_rows(made), "csv")


def _rows(made: CostReport) -> Any:
    from dataclasses import asdict  # noqa: PLC0415 - as above

    import pyarrow as pa  # noqa: PLC0415 - as above

    return pa.Table.from_pylist(
        [{made.by: row.group, **{name: value for name, value in asdict(row).items() if name != "group"}} for row in made.rows]
    )


@costs.command()
@click.argument("file", type=FILE)
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), help="Draw it: a file ending in .png or .svg.")
@click.option("--format", "fmt", type=click.Choice(("text", "json")), default="text", show_default=True, help="How to print the tables.")
def breakeven(*, file: Path, chart: Path | None, fmt: str) -> None:
    """Say from which volume and utilisation own machines are cheaper than each model in FILE, at list and at batch price."""
    from flows.breakeven import break_even_text, break_even_values, load_break_even  # noqa: PLC0415 - as above

    if chart is not None and chart.suffix not in CHARTS:
        raise click.UsageError(f"--chart: expected a name ending in {' or '.join(CHARTS)}, found {chart.name}")
    found = load_break_even(file)
    click.echo(break_even_text(found) if fmt == "text" else json.dumps(break_even_values(found), default=plain), nl=fmt != "text")
    if chart is not None:
        from flows.economics_chart import break_even_chart  # noqa: PLC0415 - as above
        from sinks.durable import replace  # noqa: PLC0415 - as above

        data = break_even_chart(found, kind="svg" if chart.suffix == ".svg" else "png")
        try:
            replace(chart, data, mode=CHART_MODE)
        except OSError as error:
            raise click.ClickException(f"{chart}: cannot be written ({error.strerror}); name a file in a folder that is there") from None
