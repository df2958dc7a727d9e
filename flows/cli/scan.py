"""`waybill scan PATH…`: classify files and say which rule decided. Sends nothing, writes nothing; no text unless told to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), help="Policy file; the bundled one when absent.")
@click.option("--planned", is_flag=True, help="Stop when the route is settled, as a planned night does; classes may then be incomplete.")
@click.option("--explain", is_flag=True, help="Say why: class ← condition ← evidence with offsets.")
@click.option(
    "--unsafe-show-text", is_flag=True, help="With --explain: print the matched text too. It will be in your terminal and its logs."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a document.")
def scan(*, paths: tuple[Path, ...], policy: Path | None, planned: bool, explain: bool, unsafe_show_text: bool, as_json: bool) -> None:
    """Classify every document under PATHS, and name the lanes that a policy permits it to."""
    from flows.explanation_text import explanation_lines  # noqa: PLC0415
    from flows.scanning import scan_paths  # noqa: PLC0415 - heavy; `--help` must stay instant

    if unsafe_show_text:
        if not explain:
            raise click.UsageError("--unsafe-show-text: expected --explain beside it; without an explanation there is no text to show")
        click.echo(
            "waybill: warning: --unsafe-show-text prints text of these documents to stdout; keep it out of logs and tickets", err=True
        )
    lanes: Counter[str] = Counter()
    for verdict in scan_paths(paths, policy, planned=planned, explain=explain, unsafe_show_text=unsafe_show_text):
        lanes[_permitted(verdict)] += 1
        if as_json:
            click.echo(json.dumps(verdict))
        else:
            click.echo("\n".join(explanation_lines(verdict)) if explain else _line(verdict))
    if not as_json:
        click.echo(f"{lanes.total()} documents: " + ", ".join(f"{count} {lane}" for lane, count in sorted(lanes.items())))


def _permitted(verdict: dict[str, Any]) -> str:
    """All lanes that the policy permits; which of them a night uses is its strategy's business."""
    return " or ".join(verdict["lanes"]) or "held"


def _line(verdict: dict[str, Any]) -> str:
    name = verdict["source"] + (f" [{verdict['source_id']}]" if verdict["source_id"] else "")
    classes = "+".join(verdict["data_classes"]) or "-"
    entities = Counter(finding["entity"] for finding in verdict["findings"])
    evidence = [f"{entity}×{count}" for entity, count in entities.most_common(4)] + verdict["markers"][:3] + verdict["failures"][:2]
    why = verdict["reason"] or verdict["rule"]
    return f"{_permitted(verdict):14}  {classes:28}  {name}  ({why}; {', '.join(evidence) or 'no evidence'})"
