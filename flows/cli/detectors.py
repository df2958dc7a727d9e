"""`waybill detectors …`: what is installed, what it can tell, and how it does on its examples."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def detectors() -> None:
    """The detectors and what they provide."""


POLICY = click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), help="Policy file; the bundled one when absent.")


@detectors.command("list")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="One JSON object a detector.")
def list_detectors(*, policy: Path | None, as_json: bool) -> None:
    """Name, cost and evidence of every detector that runs under a policy, cheapest first."""
    from detectors import load  # noqa: PLC0415 - heavy; `--help` must stay instant
    from policies.load import DEFAULT_POLICY, load_policy  # noqa: PLC0415

    rules = load_policy(policy or DEFAULT_POLICY)
    loaded = load(ner=rules.ner, participants=rules.participants)
    for detector in sorted(loaded.detectors, key=lambda one: (one.cost, one.name)):
        kinds = sorted(detector.provides)
        if as_json:
            click.echo(json.dumps({"name": detector.name, "version": detector.version, "cost": detector.cost, "provides": kinds}))
        else:
            click.echo(f"{detector.name:28} cost {detector.cost:<5} {', '.join(kinds)}")
    if not as_json:
        click.echo(f"{len(loaded.detectors)} detectors, {len(loaded.kinds)} kinds of evidence, set {loaded.hash[:12]}")


@detectors.command("test")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@POLICY
@click.option("--examples", type=click.Path(dir_okay=False, path_type=Path), help="Example file; the bundled one of that name when absent.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a detector.")
def examine(*, names: tuple[str, ...], policy: Path | None, examples: Path | None, as_json: bool) -> int:
    """Run each detector NAME over its labelled examples; every bundled one when none is named.

    Exit 1 when an example comes out otherwise than its file says.
    """
    from flows.detector_trial import as_json as tree  # noqa: PLC0415
    from flows.detector_trial import lines, try_detectors  # noqa: PLC0415

    if examples is not None and len(names) != 1:
        raise click.UsageError("--examples: expected exactly one NAME, whose examples these are")
    wrong = 0
    for result in try_detectors(names, examples, policy_path=policy):
        wrong += sum(not one.as_recorded for one in result.results)
        click.echo(json.dumps(tree(result)) if as_json else "\n".join(lines(result)))
    if not as_json:
        click.echo(
            "every example comes out as recorded"
            if not wrong
            else f"{wrong} {'example comes' if wrong == 1 else 'examples come'} out otherwise than recorded"
        )
    return 1 if wrong else 0
