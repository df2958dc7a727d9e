"""`waybill doctor`: what is installed, reachable, misconfigured."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--job", type=click.Path(dir_okay=False, path_type=Path), help="Check this job's policy, endpoints, places and ledger too.")
@click.option("--lane", type=click.Choice(["local", "cloud"]), help="Check the engine of this lane: local loads it and asks it once.")
def doctor(job: Path | None, lane: str | None) -> int:
    """Check this machine, the policy, and a job. Exit 1 when something would stop a night."""
    from flows.checkup import Health, examine  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.checkup_cloud import examine_cloud  # noqa: PLC0415 - as above
    from flows.checkup_local import examine_local  # noqa: PLC0415 - as above

    bad = 0
    for check in {None: examine, "local": examine_local, "cloud": examine_cloud}[lane](job):
        bad += check.health is Health.BAD
        click.echo(f"{check.health:4}  {check.what:18} {check.detail}")
    return 1 if bad else 0
