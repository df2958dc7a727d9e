"""`waybill collect JOB`: fetch what the cloud batches have finished."""

from __future__ import annotations

import json
import sys

import click


@click.command()
@click.argument("job", type=click.Path(dir_okay=False))
@click.option("--out", type=click.Path(file_okay=False), help="As given to `waybill run`.")
@click.option("--wait", is_flag=True, help="Wait until everything has come, or the job's deadline has passed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run.")
def collect(*, job: str, out: str | None, wait: bool, as_json: bool) -> int:
    """Fetch the results of JOB's open cloud batches, of every run. Exit 4 while some are still out.

    The bundled emulator runs only as long as the command, so what is at the emulator is always waited for.
    """
    from flows.prefect_settings import quiet_at_the_terminal  # noqa: PLC0415 - `--help` must stay instant

    quiet_at_the_terminal()
    from flows.collect import collect_job  # noqa: PLC0415 - heavy
    from flows.job import load_job  # noqa: PLC0415
    from flows.ledger_at_hand import check_there  # noqa: PLC0415
    from flows.night import NightOptions  # noqa: PLC0415
    from flows.progress import closing_table, watching  # noqa: PLC0415

    options = NightOptions(job=job, out=out, wait=wait)
    loaded = load_job(options.path, out=options.out_path)
    check_there(loaded)
    with watching(sys.stderr) as progress:
        reports = collect_job(options, progress=progress)
    for report in reports:
        if as_json:
            click.echo(json.dumps(report.as_json()))
        else:
            closing_table(report, stream=sys.stdout, job=job, out=out)
    if not reports:
        click.echo(f"nothing is out: every hand-over of this job in {loaded.ledger.path} has been collected", err=True)
    return max((report.exit_code for report in reports), default=0)
