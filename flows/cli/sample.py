"""`waybill audit sample` and `waybill audit review`: people read again what was sent, and what follows for all of it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import click

from flows.cli.output import FORMATS, show

DEFAULT_LEDGER = "out/ledger"
LEDGER = click.option("--ledger", type=click.Path(path_type=Path), default=DEFAULT_LEDGER, show_default=True, help="The ledger folder.")
DAY = click.DateTime(["%Y-%m-%d"])
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--n", "size", type=click.IntRange(1, 1_000_000), default=300, show_default=True, help="How many texts.")
@click.option("--since", type=DAY, help="Sent from this day on (UTC), included.")
@click.option("--until", type=DAY, help="Sent up to this day (UTC), not included.")
@click.option("--class", "data_class", help="Only texts that were decided to be of this data class.")
@click.option("--seed", help="Letters, digits and hyphens; a random one when absent. The same seed and range give the same sample.")
@click.option("--names", is_flag=True, help="With the names of the sources (needs the right to read LEDGER/sources).")
@click.option("--format", "fmt", type=click.Choice(("csv", "parquet")), help="By the file's name when absent, else csv.")
@click.option("--output", type=FILE, help="The file for the reviewers, for its owner only; never one that is there. Stdout when absent.")
@LEDGER
def sample(*, ledger: Path, fmt: str | None, output: Path | None, names: bool, seed: str | None, **given: Any) -> int:
    """Draw a random sample of the texts that went to a cloud endpoint, for people to read again. Writes nothing to the ledger."""
    from flows.sampling import draw, new_spec, rows_of  # noqa: PLC0415 - heavy; `--help` must stay instant

    if output is not None and output.exists():
        raise click.UsageError(f"--output: {output} is there already, and may hold verdicts; name another file")
    since, until = (day.date() if day else None for day in (given["since"], given["until"]))
    spec = new_spec(ledger, seed=seed or secrets.token_hex(8), size=given["size"], since=since, until=until, data_class=given["data_class"])
    drawn = draw(ledger, spec)
    if not drawn.items:
        click.echo(f"waybill: {ledger}: no such text was sent in that range; there is nothing to draw from", err=True)
        return 1
    rows = rows_of(drawn, _names(ledger, [one.record_id for one in drawn.items]) if names else None)
    show(_table(rows), fmt or ("parquet" if output is not None and output.suffix == ".parquet" else "csv"), output=output)
    click.echo(f"{len(drawn.items):,} of {drawn.population:,} texts that were sent, drawn at random; seed {spec.seed}", err=True)
    click.echo(f"named {spec.text}; fill in the column verdict, then: waybill audit review FILE --reviewer NAME", err=True)
    return 0


def _names(ledger: Path, record_ids: list[str]) -> Any:
    from sinks.ledger.sources import lookup  # noqa: PLC0415

    try:
        return lookup(ledger, record_ids)
    except PermissionError:
        raise click.ClickException(f"{ledger}/sources: you may not read what records are called; ask again without --names") from None


def _table(rows: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in rows[0]})


@click.command()
@click.argument("file", type=FILE)
@click.option("--reviewer", required=True, help="Whose verdicts these are; a name in the column reviewer goes before it.")
@click.option("--keys", type=click.Path(path_type=Path), help="The ledger's key folder, where it is not beside the ledger.")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the bounds.")
@LEDGER
def review(file: Path, *, reviewer: str, keys: Path | None, fmt: str, ledger: Path) -> int:
    """Enter the verdicts of FILE, a filled-in sample: data classes, CLEAN or UNSURE. Then say how many leaks there can be at most.

    Every line must be good, or nothing is entered. Entering a file again changes nothing.
    """
    from flows.leak_rate import rates_table  # noqa: PLC0415 - heavy
    from flows.reviewing import enter_review  # noqa: PLC0415

    found = enter_review(ledger, file, reviewer=reviewer, keys=keys)
    show(rates_table(found.rates), fmt)
    for line in _words(found):
        click.echo(line, err=fmt != "table")
    return 0


def _words(found: Any) -> list[str]:
    whole, spec = found.rates[0], found.spec
    covered = f"texts sent to a cloud endpoint {spec.since or 'from the first'} up to {spec.until or 'the sample'}"
    of_class = f" and decided to be {spec.data_class}" if spec.data_class else ""
    read = f"{whole.reviewed:,} of {whole.population:,} {covered}{of_class}, drawn at random, read by {', '.join(found.reviewers)}"
    bad = f"{whole.leaks:,} should not have left, {whole.unsure:,} unsure (counted as if they should not have)"
    if whole.reviewed == whole.population:
        says = f"all were read, so it is {whole.most:,} of {whole.population:,}, and no estimate"
    else:
        says = (
            f"with 95% confidence at most {whole.bound:.2%} of these {whole.population:,} texts, {whole.most:,} of them, should not have "
            "left (one-sided Clopper-Pearson bound; drawn without replacement, so it errs on the high side)"
        )
    scope = "each line above holds by itself; nothing follows for other days, or for what the readers overlooked"
    more = f"{found.missed_classes:,} were of a class that was not found, and were permitted all the same"
    lines = [read, f"{bad}; {more}", says, scope, f"{found.entered:,} verdicts entered"]
    if whole.leaks:
        lines.append(
            "a verdict changes no decision: keep each such record from being sent again, `waybill override raise --record ID --to CLASS`"
        )
    return lines
