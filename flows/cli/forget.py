"""`waybill ledger forget`: erase what records are called outside. The sealed log stays as it is, and still verifies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from flows.cli.question import DEFAULT_LEDGER


@click.command()
@click.option("--record", "records", multiple=True, help="This record: its id, or the beginning of one. May be given several times.")
@click.option("--source", help="Every record of this source (a path or table, in full), the members of a mail among them.")
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), help="Every record of which the ledger's newest entry is older (UTC).")
@click.option("--ledger", type=click.Path(path_type=Path), default=DEFAULT_LEDGER, show_default=True, help="The ledger folder.")
@click.option("--keys", type=click.Path(path_type=Path), help="The ledger's key folder, where the job names one.")
@click.option("--job", "jobs", multiple=True, type=click.Path(dir_okay=False), help="A job whose `legal_hold` is to be observed.")
@click.option("--actor", envvar="USER", default="operator", show_default="the user's name", help="Who forgets: an entry in the ledger.")
@click.option("--reason", required=True, help="Why: a code, such as erasure_request. No sentence: it goes into the ledger.")
def forget(
    *,
    records: tuple[str, ...],
    source: str | None,
    before: datetime | None,
    ledger: Path,
    keys: Path | None,
    jobs: tuple[str, ...],
    actor: str,
    reason: str,
) -> int:
    """Erase the names of records from the map beside the log. Exit 1 when there is no such record, or a legal hold keeps one."""
    if sum(map(bool, (records, source, before))) != 1:
        raise click.UsageError("expected one of --record, --source and --before")
    from flows.forgetting import Request, forget_names  # noqa: PLC0415 - heavy; `--help` must stay instant

    wanted = Request(
        records=records, source=source, before=before.date() if before else None, actor=actor, reason=reason, jobs=tuple(map(Path, jobs))
    )
    done = forget_names(ledger, wanted, keys=keys, now=datetime.now(UTC))
    click.echo(f"{done.forgotten} records forgotten, {done.rows} rows erased; the log is unchanged and says that they were")
    for name in done.unknown:
        click.echo(f"waybill: {name} names no record of {ledger}", err=True)
    if done.kept:
        click.echo(f"waybill: {done.kept} records are under legal hold: their names stay", err=True)
    return 1 if done.unknown or done.kept else 0
