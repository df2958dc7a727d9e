"""`waybill policy diff OLD NEW`: what a change of policy would have done to past nights. Reads the ledger alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.output import FORMATS, show

DAY = click.DateTime(["%Y-%m-%d"])
SPARE = ("rule_old", "rule_new", "cost_old", "cost_new")


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--since", type=DAY, help="Decided from this day on (UTC), included.")
@click.option("--until", type=DAY, help="Decided up to this day (UTC), not included.")
@click.option("--ledger", type=click.Path(path_type=Path), default="out/ledger", show_default=True, help="The ledger folder.")
@click.option("--registry", type=click.Path(dir_okay=False, path_type=Path), help="Endpoint registry; the bundled one when absent.")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the rows.")
def diff(*, old: str, new: str, since: datetime | None, until: datetime | None, ledger: Path, registry: Path | None, fmt: str) -> None:
    """Decide past records under OLD and NEW: policy files, or hashes of policies in the ledger. Says what would have gone elsewhere.

    From the counts of evidence in the ledger; no source is read. What these cannot tell is counted apart.
    """
    from flows.policy_diff import compare  # noqa: PLC0415 - heavy; `--help` must stay instant
    from policies.load import DEFAULT_REGISTRY  # noqa: PLC0415

    days = {"since": since.date() if since else None, "until": until.date() if until else None}
    found = compare(ledger, old, new, **days, registry=registry or DEFAULT_REGISTRY)
    rows = _rows(found)
    show(_for_people(rows) if fmt == "table" else _table(rows), fmt, spare=SPARE)
    for line in _totals(found):
        click.echo(line, err=fmt != "table")


def _rows(found: Any) -> list[dict[str, Any]]:
    order = {"moved": 0, "cannot tell": 1, "other classes": 2, "same": 3}
    groups = sorted(found.by_group.items(), key=lambda item: (order[item[0].change], -item[1].records, str(item[0])))
    return [
        {
            "change": group.change,
            "records": tally.records,
            "classes_old": list(group.old.classes),
            "lane_old": group.old.lane,
            "endpoint_old": group.old.endpoint or None,
            "rule_old": group.old.rule,
            "classes_new": list(group.new.classes),
            "lane_new": group.new.lane,
            "endpoint_new": group.new.endpoint or None,
            "rule_new": group.new.rule or None,
            "cost_old": tally.cost_old,
            "cost_new": tally.cost_new,
        }
        for group, tally in groups
    ]


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    columns = [("change", pa.string()), ("records", pa.int64())]
    for side in ("old", "new"):
        columns += [(f"classes_{side}", pa.list_(pa.string())), *((f"{name}_{side}", pa.string()) for name in ("lane", "endpoint", "rule"))]
    return pa.Table.from_pylist(rows, schema=pa.schema([*columns, ("cost_old", pa.float64()), ("cost_new", pa.float64())]))


def _for_people(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    shown = ("change", "records", "from", "rule_old", "to", "rule_new", "cost_old", "cost_new")
    told = [
        row
        | {"from": _place(row, "old"), "to": _place(row, "new")}
        | {name: "unknown" if row[name] is None else f"${row[name]:.4f}" for name in ("cost_old", "cost_new")}
        for row in rows
    ]
    return pa.table({name: pa.array([row[name] for row in told]) for name in shown})


def _place(row: dict[str, Any], side: str) -> str:
    where = row[f"endpoint_{side}"] or row[f"lane_{side}"]
    return f"{', '.join(row[f'classes_{side}']) or 'no class'} → {where}" if where != "?" else "cannot tell"


def _totals(found: Any) -> list[str]:
    changes = found.by_change
    told = f"{changes['same']:,} the same, {changes['moved']:,} would have gone elsewhere"
    other = f"{changes['other classes']:,} to the same place with other classes, {changes['cannot tell']:,} cannot be told"
    lines = [f"{changes.total():,} records decided: {told}, {other}"]
    lines += [f"cannot be told: {count:,} ({reason})" for reason, count in sorted(found.why.items())]
    costs = [_sum(found, side) for side in ("cost_old", "cost_new")]
    lines.append(f"cost: {costs[0]} under OLD, {costs[1]} under NEW (tokens as recorded; unknown where an endpoint has no recorded cost)")
    return lines


def _sum(found: Any, side: str) -> str:
    costs = [getattr(tally, side) for group, tally in found.by_group.items() if group.change != "cannot tell"]
    return "unknown" if None in costs else f"${sum(costs):.4f}"
