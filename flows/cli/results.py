"""`waybill results export`: one current row per document."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click


@click.group()
def results() -> None:
    """Results of finished nights."""


@results.command()
@click.argument("job", type=click.Path(dir_okay=False))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False), help="As given to `waybill run`.")
@click.option("--run", "run_id", help="Only this run; otherwise the latest row of each document over all runs of the job.")
def export(job: str, target: Path, out: str | None, run_id: str | None) -> None:
    """Write one current row per document of JOB to TARGET (.parquet, .csv or .jsonl; mode 0600, it holds every class)."""
    from flows.explicit import explicit_result_rows  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.job import load_job  # noqa: PLC0415
    from sinks.export import ExportFormat, export_current  # noqa: PLC0415
    from sinks.ledger.outcomes import current_results  # noqa: PLC0415

    kind = target.suffix.removeprefix(".")
    if kind not in set(ExportFormat):
        raise click.UsageError(f"TARGET: expected a name ending in {', '.join('.' + one for one in ExportFormat)}, found {target.name}")
    loaded = load_job(Path(job), out=Path(out) if out else None)
    current = current_results(loaded.ledger.path, run_id=run_id, job=None if run_id else loaded.name)
    explicit = partial(explicit_result_rows, loaded.ledger.path, task=loaded.task.kind)
    rows = export_current(current, loaded.output, target, ExportFormat(kind), explicit=explicit)
    purged = current["status"].to_pylist().count("purged")
    click.echo(f"{rows} rows in {target}" + (f", {purged} of them purged by retention" if purged else ""))
