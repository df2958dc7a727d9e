"""`waybill advise`: API, own machines or both, for each workload, with the rule that decided. Reads only."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from flows.cli.costs import CLOUD, DAY, FILE, PRICES, REGISTRY
from flows.cli.output import plain


@click.command()
@click.argument("source", metavar="LEDGER|FILE", type=click.Path(path_type=Path), required=False)
@click.option("--job", type=FILE, help="The ledger, prices and endpoints of this job file.")
@click.option("--from", "since", type=DAY, help="From this day on (UTC), included; the last 30 days with an outcome.")
@click.option("--to", "until", type=DAY, help="Up to this day (UTC), not included.")
@click.option("--format", "fmt", type=click.Choice(("text", "json")), default="text", show_default=True, help="How to print it.")
@CLOUD
@PRICES
@REGISTRY
def advise(
    *,
    source: Path | None,
    job: Path | None,
    since: datetime | None,
    until: datetime | None,
    fmt: str,
    cloud: str | None,
    prices: Path | None,
    registry: Path | None,
) -> int:
    """Say where each workload should run: of a month of LEDGER, or as FILE describes them (examples/economics/)."""
    from flows.advice_text import advice_text, advice_values  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.advising import question_of_ledger  # noqa: PLC0415 - as above
    from flows.cost_sources import cost_sources  # noqa: PLC0415 - as above
    from policies.economics.advice import advise as answer  # noqa: PLC0415 - as above
    from policies.economics.workloads import parse_questionnaire  # noqa: PLC0415 - as above
    from policies.load import read_source  # noqa: PLC0415 - as above

    if source is not None and not source.is_dir():
        if any((job, since, until, cloud, prices, registry)):
            raise click.UsageError("FILE has all its figures in it: the other options are for a ledger, which is a folder")
        question = parse_questionnaire(read_source(source))
    else:
        sources = cost_sources(source, job=job, prices=prices, registry=registry, cloud=cloud)
        days = {name: at.date() if at else None for name, at in (("since", since), ("until", until))}
        found = question_of_ledger(sources, **days)
        if found is None or not found.workloads:
            click.echo("waybill: no outcome with token counts in these days: there is nothing to advise on", err=True)
            return 1
        question = found
    advice = answer(question)
    click.echo(advice_text(advice) if fmt == "text" else json.dumps(advice_values(advice), default=plain), nl=fmt != "text")
    return 0
