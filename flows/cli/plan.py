"""`waybill plan JOB`: what would go where, how much, until when; and how a finished night compares. No side effects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flows.night import NightOptions

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("job", type=click.Path(dir_okay=False))
@click.option("--out", type=click.Path(file_okay=False), help="As given to `waybill run`: where the ledger of earlier nights is.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="Take only the first N documents; a family (a mail with its files) counts as one."
)
@click.option("--reprocess", is_flag=True, help="As `waybill run --reprocess`: unchanged documents too.")
@click.option("--against", type=DAY, metavar="YYYY-MM-DD", help="Hold the plan of that night (its logical date) against what it came to.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def plan(*, job: str, out: str | None, limit: int | None, reprocess: bool, against: object, as_json: bool) -> None:
    """Say what JOB would send where, what it costs, and whether it ends before its deadline. Nothing is sent, written or recorded.

    What would stop `waybill run` stops this too, with the same words and exit code.
    """
    from flows.night import NightOptions  # noqa: PLC0415 - heavy; `--help` must stay instant

    options = NightOptions(job=job, out=out, limit=limit, reprocess=reprocess)
    if against is None:
        _plan(options, as_json=as_json)
    else:
        _against(options, f"{against:%Y-%m-%d}", as_json=as_json)


def _plan(options: NightOptions, *, as_json: bool) -> None:
    from flows.cli.plan_view import plan_lines, plan_tables  # noqa: PLC0415
    from flows.plan_tree import plan_tree  # noqa: PLC0415
    from flows.planning import make_plan  # noqa: PLC0415

    made = make_plan(options)
    if as_json:
        click.echo(json.dumps(plan_tree(made)))
    else:
        _print(plan_tables(made), plan_lines(made))


def _against(options: NightOptions, date: str, *, as_json: bool) -> None:
    from flows.cli.plan_view import comparison_lines, comparison_table  # noqa: PLC0415
    from flows.plan_against import compare  # noqa: PLC0415
    from flows.plan_tree import comparison_tree  # noqa: PLC0415

    made = compare(options, date)
    if as_json:
        click.echo(json.dumps(comparison_tree(made)))
    else:
        _print([comparison_table(made)], comparison_lines(made))


def _print(tables: list[object], lines: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy

    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    for table in tables:
        console.print(table)
    for line in lines:
        console.print(line)
