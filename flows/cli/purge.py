"""`waybill purge`: delete what is past the job's retention, and say what a legal hold keeps."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click

WHAT = {"result": "result files", "explicit_rows": "files of held and failed rows", "spool": "spool files", "remote": "remote jobs"}


@click.command()
@click.option("--job", required=True, type=click.Path(dir_okay=False), help="The job file; its keys `retention` and `legal_hold` decide.")
@click.option("--out", type=click.Path(file_okay=False), help="As given to `waybill run`.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; delete and record nothing.")
@click.option("--actor", envvar="USER", default="operator", show_default="the user's name", help="Who purges: an entry in the ledger.")
def purge(*, job: str, out: str | None, dry_run: bool, actor: str) -> int:
    """Delete results, spool and remote files past their retention; nothing under legal hold. Exit 1: a provider did not answer."""
    from flows.job import load_job  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.purging import purge as purge_job  # noqa: PLC0415

    loaded = load_job(Path(job), out=Path(out) if out else None)
    report = purge_job(loaded, now=datetime.now(UTC), actor=actor, dry_run=dry_run)
    counts = Counter(one.kind for one in report.deleted)
    rows = sum(len(one.record_ids) for one in report.deleted if one.kind == "result")
    verb = "would be deleted" if dry_run else "deleted"
    for kind, name in WHAT.items():
        if counts[kind]:
            click.echo(f"{counts[kind]} {name} {verb}" + (f" ({rows} results)" if kind == "result" else ""))
    if not report.deleted:
        click.echo("nothing is past its retention" if not report.kept else f"nothing {verb}")
    for one in report.kept:
        what = one.file or (one.path.name if one.path else f"job of hand-over {one.intent.intent_id}" if one.intent else one.kind)
        click.echo(f"kept under legal hold: {what}")
    if report.unreachable:
        click.echo(f"waybill: {report.unreachable} remote jobs could not be deleted now; purge again later", err=True)
    return 1 if report.unreachable else 0
