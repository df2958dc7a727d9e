"""`waybill audit report`: a period of the ledger as one HTML file, for people who do not write SQL."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import click

from flows.cli.question import LEDGER

READABLE = 0o640
"""As the ledger's own files: ids and counts, no content."""

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--month", type=click.DateTime(["%Y-%m"]), help="This month (UTC), as 2026-10.")
@click.option("--since", type=_DAY, help="From this day on (UTC).")
@click.option("--until", type=_DAY, help="Up to this day (UTC), not included.")
@LEDGER
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; `-` for stdout.  [waybill-audit-PERIOD.html]"
)
@click.option(
    "--registry", type=click.Path(path_type=Path, dir_okay=False), help="The endpoint registry of the job; the bundled one when absent."
)
@click.option("--deep", is_flag=True, help="Verify every row, not only signatures and digests.")
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The pinned key, as `waybill ledger key` prints it."
)
@click.option(
    "--anchor", type=click.Path(path_type=Path, exists=True, file_okay=False), multiple=True, help="A folder of anchored checkpoints."
)
@click.option(
    "--economics",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Figures as for `waybill costs breakeven`: their chart is then in the report.",
)
def report(
    *,
    month: datetime | None,
    since: datetime | None,
    until: datetime | None,
    ledger: Path,
    output: Path | None,
    registry: Path | None,
    deep: bool,
    key: Path | None,
    anchor: tuple[Path, ...],
    economics: Path | None,
) -> int:
    """One HTML file about a period. Exit 1 when the ledger is not intact: the report is written nevertheless, and says so on top."""
    from flows.audit_report.period import days_between, month_of  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.audit_report.writing import audit_report  # noqa: PLC0415
    from sinks.ledger.signing import verifier_keys  # noqa: PLC0415

    begin, end = _day(since), _day(until)
    if month and (begin or end):
        raise click.UsageError("name either --month, or --since and --until")
    if begin and end and end <= begin:
        raise click.UsageError(f"--until {end} is not after --since {begin}")
    period = month_of(month.date()) if month else days_between(begin, end)
    keys = verifier_keys(key.read_text(encoding="utf-8", errors="replace")) if key else ()
    if key and not keys:
        raise click.UsageError(f"{key}: no key in it; pin the line that `waybill ledger key` prints")
    made = audit_report(ledger, period, now=datetime.now(UTC), registry=registry, deep=deep, keys=keys, anchors=anchor, economics=economics)
    file = output or Path(f"waybill-audit-{period.name}.html")
    if str(file) == "-":
        sys.stdout.buffer.write(made.html.encode())
    else:
        _write(file, made.html)
        click.echo(f"{file}: {made.verification.told}")
    return 0 if made.verification.intact else 1


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _write(file: Path, html: str) -> None:
    from sinks import durable  # noqa: PLC0415

    try:
        durable.replace(file, html.encode(), mode=READABLE)
    except OSError as error:
        raise click.FileError(str(file), f"the report cannot be written ({error.strerror}); name another file with --output") from error
