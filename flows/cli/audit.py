"""`waybill audit …`: what the ledger says. Reads only; safe while a night runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.audit_report import report
from flows.cli.lookback import lookback
from flows.cli.prove import prove
from flows.cli.question import DEFAULT_LEDGER, LEDGER, NAMES, ask, with_filter, with_ledger
from flows.cli.reconcile import reconcile
from flows.cli.sample import review, sample


@click.group()
def audit() -> None:
    """Ask the ledger. For SQL, open LEDGER/ledger.duckdb with any DuckDB client."""


audit.add_command(report)
audit.add_command(reconcile)


@audit.command()
@with_filter
@with_ledger
def summary(**options: Any) -> None:
    """Class by destination by day."""
    ask("summary", **options)


@audit.command()
@with_filter
@NAMES
@with_ledger
def egress(**options: Any) -> None:
    """Every record handed to a cloud endpoint, uncertain hand-overs included, with decision, assignment and clearance."""
    ask("egress", **options)


@audit.command()
@with_filter
@NAMES
@with_ledger
def held(**options: Any) -> None:
    """Every time a record was held, why, and whether it still is."""
    ask("held", **options)


@audit.command()
@with_filter
@NAMES
@with_ledger
def doubtful(**options: Any) -> None:
    """Answers from inside kept with too little confidence (strategy waterfall), for a person to review, and what reviewers said."""
    ask("doubtful", **options)


@audit.command()
@with_filter
@with_ledger
def costs(**options: Any) -> None:
    """Tokens and dollars by day, run, endpoint and model: settled, reserved for them before, and how many are unpriced."""
    ask("costs", **options)


@audit.command()
@click.argument("record")
@with_filter
@NAMES
@with_ledger
def document(record: str, ledger: Path, **options: Any) -> int:
    """The history of one record. RECORD is a record id, the beginning of one, or a source name as `waybill scan` prints it."""
    from sinks.ledger.audit import records_named  # noqa: PLC0415 - heavy; `--help` must stay instant

    record_ids = records_named(ledger, record)
    if len(record_ids) > 1:
        click.echo(f"waybill: {len(record_ids)} records have that name; name one of: {', '.join(record_ids)}", err=True)
        return 1
    if not record_ids:
        click.echo(f"waybill: the ledger {ledger} knows no such record", err=True)
        return 1
    ask("document", ledger=ledger, record_id=record_ids[0], **options)
    return 0


@audit.command()
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The folder to make; nothing is overwritten.")
@NAMES
@LEDGER
def export(output: Path, ledger: Path, *, names: bool) -> None:
    """Copy the whole ledger for an outside auditor: sealed files, views, and how to open and verify them. No keys."""
    from sinks.ledger.audit_export import export as copy  # noqa: PLC0415 - heavy; `--help` must stay instant

    copied = copy(ledger, output, now=datetime.now(UTC), names=names)
    click.echo(
        f"{copied.entries} entries, as of segment {copied.segment}, in {copied.path}; its README.md says how to open and verify them"
    )


@audit.command()
@click.option("--deep", is_flag=True, help="Recompute every entry's leaf, not the files' digests alone.")
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The pinned key, as `waybill ledger key` prints it."
)
@click.option("--anchor", multiple=True, help="A folder of anchored checkpoints, or with --job one of the job's s3:// anchors.")
@click.option("--job", type=click.Path(dir_okay=False), help="Compare with the anchors of this job: all, or those that --anchor names.")
@click.option(
    "--ledger", type=click.Path(path_type=Path, exists=True, file_okay=False), help=f"The ledger folder; the job's, or {DEFAULT_LEDGER}."
)
def verify(ledger: Path | None, key: Path | None, anchor: tuple[str, ...], job: str | None, *, deep: bool) -> int:
    """Whether the ledger is what was signed. Exit code 0: intact; 1: not, with the first entry that is wrong, and why."""
    from flows.anchoring import anchors_to_compare  # noqa: PLC0415
    from sinks.ledger.signing import verifier_keys  # noqa: PLC0415
    from sinks.ledger.verify import verify as check  # noqa: PLC0415
    from sinks.ledger.views_as_written import are_as_written  # noqa: PLC0415

    pinned = verifier_keys(key.read_text(encoding="utf-8", errors="replace")) if key else []
    if key and not pinned:
        raise click.UsageError(f"{key}: no key in it; pin the line that `waybill ledger key` prints")
    compared = anchors_to_compare(anchor, job)
    path = ledger or compared.ledger or Path(DEFAULT_LEDGER)
    verdict = check(path, deep=deep, pinned=pinned, anchors=compared.folders, copies=[(kept.name, kept.text) for kept in compared.kept])
    if verdict.temporaries:
        click.echo(f"{verdict.temporaries} unfinished commits are ignored")
    for kept in compared.concerns:
        click.echo(f"warning: {kept.name}: {kept.concern}")
    if verdict.fault:
        click.echo(f"NOT INTACT, entry {verdict.fault.seq}: {verdict.fault.reason}")
        return 1
    what = "every entry recomputed" if deep else "files and signatures; `--deep` recomputes every entry"
    click.echo(f"intact: {verdict.entries} entries in {verdict.segments} segments ({what})")
    if verdict.compared:
        places = [*map(str, compared.folders), *(["the job's anchors"] if compared.kept else [])]
        click.echo(f"{verdict.compared} anchored checkpoints agree with it, up to entry {verdict.covered}, from {', '.join(places)}")
    else:
        click.echo("compared with no anchor: a log whose end was cut off would look the same; --anchor FOLDER or --job JOB compares")
    click.echo(f"signed by {verdict.keys[-1]}" if verdict.pinned else f"self-consistent, key not pinned: signed by {verdict.keys[-1]}")
    if deep and not are_as_written(path):
        click.echo("warning: ledger.duckdb does not hold the views that `waybill ledger relink` would write; relink before you query it")
    return 0


audit.add_command(lookback)
audit.add_command(sample)
audit.add_command(review)
audit.add_command(prove)
