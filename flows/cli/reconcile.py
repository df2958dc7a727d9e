"""`waybill audit reconcile`: is what lies at the provider what we sent, and is what we sent there?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from flows.cli.output import FORMATS, show
from flows.counted_words import counted

DEFAULT_DAYS = 28
COLUMNS = ("code", "endpoint", "subject", "intent", "state", "rows", "what")
SPARE = ("state", "rows")


@click.command()
@click.option(
    "--job", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The job whose ledger and providers are compared."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="As given to `waybill run`.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help=f"From this day on (UTC); {DEFAULT_DAYS} days ago when absent.")
@click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another ledger that sends from the same account.",
)
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the answer.")
def reconcile(*, job: Path, out: Path | None, since: datetime | None, beside: tuple[Path, ...], fmt: str) -> int:
    """Compare the ledger with the provider's own lists, both ways. Changes nothing. Exit code 0: all agrees; 1: it does not."""
    from flows.account_audit import audit_account  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.job import load_job  # noqa: PLC0415
    from flows.ledger_at_hand import check_there  # noqa: PLC0415

    loaded = load_job(job, out=out)
    check_there(loaded)  # before the providers are opened: the emulator makes folders
    begin = since.replace(tzinfo=UTC) if since else datetime.now(UTC) - timedelta(days=DEFAULT_DAYS)
    audit = audit_account(loaded, since=begin, beside=beside)
    table = audit.table()
    if audit.findings or fmt != "table":
        show(_brief(table) if fmt == "table" else table, fmt, spare=SPARE)
    looked = f"{counted(audit.hand_overs, 'hand-over')} since {begin:%Y-%m-%d}"
    looked += f" against {counted(audit.jobs, 'job')} and {counted(audit.files, 'file')} there"
    click.echo(f"{looked}: {'they agree' if audit.agrees else 'they do NOT agree'}", err=True)
    return 0 if audit.agrees else 1


def _brief(table: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    from flows.account_audit import MEANING  # noqa: PLC0415

    rows = [
        {
            **{name: entry[name] for name in ("code", "endpoint", "subject", "state")},
            "intent": (entry["intent_id"] or "")[:12],
            "rows": "" if entry["rows_ledger"] is None else f"{entry['rows_ledger']} / {entry['rows_provider'] or '?'}",
            "what": entry["detail"] or MEANING[entry["code"]],
        }
        for entry in table.to_pylist()
    ]
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in COLUMNS})
