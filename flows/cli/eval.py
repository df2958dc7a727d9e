"""`waybill eval FILE…`: what detection and policy would have done with labelled documents."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("eval")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), help="Policy file; the bundled one when absent.")
@click.option("--planned", is_flag=True, help="Stop when the route is settled, as a planned night does; spans are then not measured.")
@click.option("--misses", is_flag=True, help="List every document that went wrong: id, rule, evidence in short; never text.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def evaluate(*, files: tuple[Path, ...], policy: Path | None, planned: bool, misses: bool, as_json: bool) -> None:
    """Count leaks and over-blocks on labelled documents, one JSON object a line, with 95% bounds. Sends nothing, writes nothing."""
    from flows.evaluation_report import as_json as tree  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.evaluation_report import miss_lines, misses_json, tables  # noqa: PLC0415
    from flows.evaluation_run import evaluate_files  # noqa: PLC0415

    run = evaluate_files(files, policy, planned=planned)
    under = {"policy": run.policy.version, "policy_hash": run.policy.hash, "detectors_hash": run.detectors_hash, "planned": run.planned}
    if as_json:
        click.echo(json.dumps(tree(run.evaluation) | under | ({"misses": misses_json(run.outcomes)} if misses else {})))
        return
    click.echo(tables(run.evaluation))
    mode = "planned" if run.planned else "complete"
    click.echo(f"policy {run.policy.version} ({run.policy.hash[:12]}), detectors {run.detectors_hash[:12]}, {mode} evidence")
    if misses:
        lines = list(miss_lines(run.outcomes))
        click.echo("\n" + "\n".join(lines or ["no document went wrong"]))
