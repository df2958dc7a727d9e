"""`waybill ledger …`: looking after a ledger folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def ledger() -> None:
    """Look after a ledger folder."""


@ledger.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
def relink(path: Path) -> None:
    """Point the views of a moved or copied ledger at its present place."""
    from sinks.ledger.views import relink as write_views  # noqa: PLC0415 - heavy; `--help` must stay instant

    write_views(path)
    click.echo(f"{path / 'ledger.duckdb'} now reads {path.resolve()}")
