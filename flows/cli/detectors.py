"""`waybill detectors list`: what is installed and what it can tell."""

from __future__ import annotations

import json

import click


@click.group()
def detectors() -> None:
    """The detectors and what they provide."""


@detectors.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a detector.")
def list_detectors(*, as_json: bool) -> None:
    """Name, cost and evidence of every installed detector, cheapest first."""
    from detectors import load  # noqa: PLC0415 - heavy; `--help` must stay instant

    loaded = load()
    for detector in sorted(loaded.detectors, key=lambda one: (one.cost, one.name)):
        kinds = sorted(detector.provides)
        if as_json:
            click.echo(json.dumps({"name": detector.name, "version": detector.version, "cost": detector.cost, "provides": kinds}))
        else:
            click.echo(f"{detector.name:28} cost {detector.cost:<5} {', '.join(kinds)}")
    if not as_json:
        click.echo(f"{len(loaded.detectors)} detectors, {len(loaded.kinds)} kinds of evidence, set {loaded.hash[:12]}")
