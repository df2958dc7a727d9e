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
