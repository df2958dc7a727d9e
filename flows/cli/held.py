"""`waybill held …`: what waits, and letting it try again. Nothing held is ever lost."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from flows.cli.question import answer, with_ledger
from flows.counted_words import counted


@click.group()
def held() -> None:
    """List held records, or release them for another try."""


@held.command("list")
@click.option("--reason", help="Only this reason code.")
@with_ledger
def list_held(reason: str | None, ledger: Path, fmt: str, output: Path | None) -> None:
    """Every record that is held now, and why."""
    from flows.holding import held_now  # noqa: PLC0415 - heavy; `--help` must stay instant

    names = fmt == "table" and os.access(ledger / "sources", os.R_OK)  # an operator wants to know what to look at
    answer("held now", held_now(ledger, reason=reason), ledger, fmt, names=names, output=output)


@held.command()
@click.argument("records", nargs=-1)
@click.option("--reason", help="Release every record held for this reason code.")
@click.option("--all", "everything", is_flag=True, help="Release every held record.")
@click.option("--failed", is_flag=True, help="Release failed records too.")
@click.option("--actor", envvar="USER", default="operator", show_default="the user's name", help="Who releases: an entry in the ledger.")
@click.option("--ledger", type=click.Path(path_type=Path), default="out/ledger", show_default=True, help="The ledger folder.")
@click.option("--keys", type=click.Path(path_type=Path), help="The ledger's key folder, where the job names one (`ledger.keys`).")
def retry(
    *, records: tuple[str, ...], reason: str | None, everything: bool, failed: bool, actor: str, ledger: Path, keys: Path | None
) -> int:
    """Release RECORDS (ids, or beginnings of ids), so that their job takes them in its next run or collection, under its policy of then."""
    from flows.holding import release  # noqa: PLC0415

    if not (records or reason or everything):
        raise click.UsageError("name record ids, or use --reason CODE or --all")
    released, unknown = release(ledger, records=records, reason=reason, failed=failed, actor=actor, now=datetime.now(UTC), keys=keys)
    if released:
        click.echo(f"{counted(released, 'record')} released; the job's next `waybill run` or `waybill collect` takes what was released")
    elif not records:
        click.echo(f"nothing is held{' or has failed' if failed else ''}{f' for {reason}' if reason else ''} in {ledger}")
    for record in unknown:
        click.echo(f"waybill: {record} is not held in {ledger}", err=True)
    return 1 if unknown else 0
