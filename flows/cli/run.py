"""`waybill run JOB`: the whole night now. Killed and run again, it goes on from the ledger."""

from __future__ import annotations

import json
import sys

import click

EXIT_HELD = 3


@click.command()
@click.argument("job", type=click.Path(dir_okay=False))
@click.option(
    "--out", type=click.Path(file_okay=False), help="Put results, ledger and spool under this folder instead of the job's own places."
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="Take only the first N documents; a family (a mail with its files) counts as one."
)
@click.option("--no-wait", is_flag=True, help="Do not wait for cloud batches: `waybill collect` fetches them later (exit 4).")
@click.option("--reprocess", is_flag=True, help="Process unchanged documents again, in a new run.")
@click.option(
    "--scan-processes", type=click.IntRange(1, 256), help="Scan in so many processes; by default one a core, and one for a small run."
)
@click.option("--fail-on-held", is_flag=True, help="Exit 3 when any record is held.")
@click.option("--date", help="The logical date, YYYY-MM-DD, UTC; today when absent. A run is a job on a date.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
def run(
    *,
    job: str,
    out: str | None,
    limit: int | None,
    no_wait: bool,
    reprocess: bool,
    scan_processes: int | None,
    fail_on_held: bool,
    date: str | None,
    as_json: bool,
) -> int:
    """Run JOB now: read, classify, route, collect, write results and ledger. Run it again to resume."""
    from flows.prefect_settings import quiet_at_the_terminal  # noqa: PLC0415 - `--help` must stay instant

    quiet_at_the_terminal()
    from flows.night import NightOptions  # noqa: PLC0415 - heavy
    from flows.nightly import run_now  # noqa: PLC0415
    from flows.progress import closing_table, watching  # noqa: PLC0415

    options = NightOptions(job=job, out=out, date=date, limit=limit, reprocess=reprocess, wait=not no_wait, scan_processes=scan_processes)
    with watching(sys.stderr) as progress:
        report = run_now(options, progress)
    closing_table(report, stream=sys.stderr if as_json else sys.stdout, job=job, out=out)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    if report.exit_code == 0 and fail_on_held and report.held:
        return EXIT_HELD
    return report.exit_code
