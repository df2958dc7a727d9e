"""`waybill ledger …`: looking after a ledger folder."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.forget import forget

KEYS = click.option("--keys", type=click.Path(path_type=Path, file_okay=False), help="The keys' folder, where it is not LEDGER.keys.")


@click.group()
def ledger() -> None:
    """Look after a ledger folder."""


ledger.add_command(forget)


@ledger.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
def relink(path: Path) -> None:
    """Point the views of a moved or copied ledger at its present place."""
    from sinks.ledger.views import relink as write_views  # noqa: PLC0415 - heavy; `--help` must stay instant

    write_views(path)
    click.echo(f"{path / 'ledger.duckdb'} now reads {path.resolve()}")


@ledger.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
def key(path: Path) -> None:
    """Print the public key that signs the ledger: what an auditor keeps, and pins with `waybill audit verify --key`."""
    from sinks.ledger.segments import newest_key  # noqa: PLC0415 - heavy; `--help` must stay instant

    click.echo(str(newest_key(path)))


@ledger.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@KEYS
@click.option(
    "--grace", type=click.FloatRange(min=0), default=12.0, show_default=True, metavar="HOURS", help="How long what was copied is kept."
)
def compact(path: Path, keys: Path | None, grace: float) -> int:
    """Copy segments into archive files, once there are many, and delete the copied ones after the grace. Every run does it at its end."""
    from datetime import timedelta  # noqa: PLC0415

    from sinks.ledger.compaction import compact as do  # noqa: PLC0415 - heavy; `--help` must stay instant
    from sinks.ledger.files import head  # noqa: PLC0415
    from sinks.ledger.segments import Ledger  # noqa: PLC0415

    if not head(path):
        click.echo(f"waybill: {path}: no ledger here (no segments); name the folder that holds `segments`", err=True)
        return 1
    done = do(Ledger.open(path, keys=keys), grace=timedelta(hours=grace))
    if done is None:
        click.echo("waybill: another process is compacting this ledger", err=True)
        return 1
    for name in done.written:
        click.echo(f"wrote archive/{name}")
    click.echo(f"{len(done.written)} archive files written, {done.deleted} superseded files deleted")
    return 0


@ledger.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@KEYS
@click.option("--actor", required=True, help="Who rotates the key; it is entered in the ledger.")
def rotate_key(path: Path, keys: Path | None, actor: str) -> int:
    """Hand the signing over to a new key, by an entry that the old one signs."""
    from sinks.ledger.files import head  # noqa: PLC0415
    from sinks.ledger.segments import Ledger  # noqa: PLC0415

    if not head(path):
        click.echo(f"waybill: {path}: no ledger here (no segments); name the folder that holds `segments`", err=True)
        return 1
    click.echo(str(Ledger.open(path, keys=keys).rotate_key(actor=actor)))
    click.echo("Auditors who pinned the old key need not do anything; new ones pin the line above.", err=True)
    return 0


@ledger.command()
@click.argument("job", type=click.Path(dir_okay=False))
def anchor(job: str) -> int:
    """Copy the newest checkpoint to the anchors that JOB names, now. Exit code 1 when one of them does not take it."""
    from flows.anchoring import anchor_ledger  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.job import load_job  # noqa: PLC0415

    loaded = load_job(Path(job))
    if not loaded.ledger.anchors:
        click.echo(f"waybill: {job}: ledger.anchors: expected a folder or a bucket to anchor in, found none; see docs/anchors.md", err=True)
        return 2
    states = anchor_ledger(loaded)
    for state in states:
        if state.anchored:
            what = "took" if state.anchored.added else "has"
            click.echo(f"{state.place} {what} the checkpoint of {state.anchored.size} entries")
            if state.anchored.concern:
                click.echo(f"waybill: {state.place}: {state.anchored.concern}", err=True)
        else:
            click.echo(f"waybill: {state.refusal}", err=True)
    return 1 if any(state.refusal for state in states) else 0
