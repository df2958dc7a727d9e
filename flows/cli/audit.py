"""`waybill audit …`: what the ledger says. Reads only; safe while a night runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.brief import SPARE, brief
from flows.cli.output import FORMATS, show

DEFAULT_LEDGER = "out/ledger"


def with_ledger(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options every question shares."""
    command = click.option(
        "--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the answer."
    )(command)
    return click.option("--ledger", type=click.Path(path_type=Path), default=DEFAULT_LEDGER, show_default=True, help="The ledger folder.")(
        command
    )


def with_filter(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that narrow a question."""
    day = click.DateTime(["%Y-%m-%d"])
    command = click.option("--endpoint", help="Only this endpoint.")(command)
    command = click.option("--class", "data_class", help="Only records of this data class.")(command)
    command = click.option("--until", type=day, help="Up to this day (UTC), not included.")(command)
    return click.option("--since", type=day, help="From this day on (UTC).")(command)


@click.group()
def audit() -> None:
    """Ask the ledger. For SQL, open LEDGER/ledger.duckdb with any DuckDB client."""


def _answer(question: str, *, ledger: Path, fmt: str, since: datetime | None, until: datetime | None, **narrow: str | None) -> None:
    from sinks.ledger import audit as questions  # noqa: PLC0415 - heavy; `--help` must stay instant

    wanted = questions.AuditFilter(since=since.date() if since else None, until=until.date() if until else None, **narrow)
    answer(question, getattr(questions, question)(ledger, wanted), ledger, fmt)


def answer(question: str, table: Any, ledger: Path, fmt: str) -> None:
    """Print an answer: what a person needs of it as a table, all of it in every other format."""
    show(brief(question, table, ledger) if fmt == "table" else table, fmt, spare=SPARE)


@audit.command()
@with_filter
@with_ledger
def summary(**options: Any) -> None:
    """Class by destination by day."""
    _answer("summary", **options)


@audit.command()
@with_filter
@with_ledger
def egress(**options: Any) -> None:
    """Every record handed to a cloud endpoint, with decision, assignment and clearance."""
    _answer("egress", **options)


@audit.command()
@with_filter
@with_ledger
def held(**options: Any) -> None:
    """Every time a record was held, why, and whether it still is."""
    _answer("held", **options)


@audit.command()
@with_filter
@with_ledger
def costs(**options: Any) -> None:
    """Tokens and dollars by day, run, endpoint and model."""
    _answer("costs", **options)


@audit.command()
@click.argument("record")
@with_ledger
def document(record: str, ledger: Path, fmt: str) -> int:
    """The history of one record. RECORD is a record id, the beginning of one, or a source name as `waybill scan` prints it."""
    from sinks.ledger.audit import document as history  # noqa: PLC0415
    from sinks.ledger.audit import records_named  # noqa: PLC0415

    record_ids = records_named(ledger, record)
    if len(record_ids) > 1:
        click.echo(f"waybill: {len(record_ids)} records have that name; name one of: {', '.join(record_ids)}", err=True)
        return 1
    if not record_ids:
        click.echo(f"waybill: the ledger {ledger} knows no such record", err=True)
        return 1
    answer("document", history(ledger, record_ids[0]), ledger, fmt)
    return 0
