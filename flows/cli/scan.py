"""`waybill scan PATH…`: classify files and say which rule decided. Sends nothing, writes nothing, shows no text."""

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
@click.option("--json", "as_json", is_flag=True, help="One JSON object a document.")
def scan(*, paths: tuple[Path, ...], policy: Path | None, planned: bool, as_json: bool) -> None:
    """Classify every document under PATHS under a policy."""
    from flows.scanning import scan_paths  # noqa: PLC0415 - heavy; `--help` must stay instant

    lanes: Counter[str] = Counter()
    for verdict in scan_paths(paths, policy, planned=planned):
        lanes[verdict["lane"]] += 1
        click.echo(json.dumps(verdict) if as_json else _line(verdict))
    if not as_json:
        click.echo(f"{lanes.total()} documents: " + ", ".join(f"{count} {lane}" for lane, count in sorted(lanes.items())))


def _line(verdict: dict[str, Any]) -> str:
    name = verdict["source"] + (f" [{verdict['source_id']}]" if verdict["source_id"] else "")
    classes = "+".join(verdict["data_classes"]) or "-"
    entities = Counter(finding["entity"] for finding in verdict["findings"])
    evidence = [f"{entity}×{count}" for entity, count in entities.most_common(4)] + verdict["markers"][:3] + verdict["failures"][:2]
    why = verdict["reason"] or verdict["rule"]
    return f"{verdict['lane']:5}  {classes:28}  {name}  ({why}; {', '.join(evidence) or 'no evidence'})"
