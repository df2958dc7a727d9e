"""`waybill doctor`: what is installed, reachable, misconfigured."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--job", type=click.Path(dir_okay=False, path_type=Path), help="Check this job's policy, endpoints, places and ledger too.")
def doctor(job: Path | None) -> int:
    """Check this machine, the policy, and a job. Exit 1 when something would stop a night."""
    from flows.checkup import Health, examine  # noqa: PLC0415 - heavy; `--help` must stay instant

    bad = 0
    for check in examine(job):
        bad += check.health is Health.BAD
        click.echo(f"{check.health:4}  {check.what:18} {check.detail}")
    return 1 if bad else 0
