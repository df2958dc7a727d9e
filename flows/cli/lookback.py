"""`waybill audit lookback`: what was sent and would not be sent now. Reads sources and ledger, enters what it finds; sends nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.output import FORMATS, show

SPARE = ("rule", "hand_overs", "last_sent")
DIGITS = 8
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option(
    "--job", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The job that sent them: where its sources are."
)
@click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), help="Judge by this policy instead of the job's.")
@click.option("--since", type=DAY, help="Sent from this day on (UTC).")
@click.option("--until", type=DAY, help="Sent up to this day (UTC), not included.")
@click.option("--ledger", type=click.Path(path_type=Path), help="The ledger folder; the job's when absent.")
@click.option("--keys", type=click.Path(path_type=Path), help="The ledger's key folder, where it is not beside the ledger.")
@click.option("--actor", envvar="USER", default="operator", show_default="the user's name", help="Who looks back: stated in the ledger.")
@click.option("--names", is_flag=True, help="Say what records are called outside, too (needs the right to read LEDGER/sources).")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the rows.")
def lookback(*, fmt: str, names: bool, since: datetime | None, until: datetime | None, **given: Any) -> int:
    """Judge again what a job sent to a cloud endpoint, with today's detectors and policy. Nothing is sent.

    One row for each text and endpoint that would now be held, kept inside or sent elsewhere. Exit 1 if there is any.
    """
    from flows.looking_back import LookBackOptions, look_back  # noqa: PLC0415 - heavy; `--help` must stay instant

    options = LookBackOptions(since=since.date() if since else None, until=until.date() if until else None, **given)
    found = look_back(options)
    rows = _named(found.restricted, found.ledger) if names else found.restricted
    if fmt != "table":
        show(_table(rows, names=names), fmt)
    elif rows:
        show(_for_people(rows), fmt, spare=SPARE)
    for line in _totals(found):
        click.echo(line, err=fmt != "table")
    return 1 if found.restricted else 0


COLUMNS = {
    "record_id": "string",
    "endpoint": "string",
    "first_sent": "time",
    "last_sent": "time",
    "hand_overs": "number",
    "before": "string",
    "after": "string",
    "reason": "string",
    "rule_then": "string",
    "rule_now": "string",
    "lanes_now": "list",
    "policy_then": "string",
    "document_hmac": "string",
    "run_id": "string",
    "lookback_seq": "number",
}

NAMES = {"source": "string", "source_id": "string"}


def _table(rows: list[dict[str, Any]], *, names: bool) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    types = {"string": pa.string(), "time": pa.timestamp("us", tz="UTC"), "number": pa.int64(), "list": pa.list_(pa.string())}
    schema = pa.schema([(name, types[kind]) for name, kind in {**COLUMNS, **(NAMES if names else {})}.items()])
    return pa.Table.from_pylist(rows, schema=schema)


def _for_people(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    from flows.cli.brief import RECORD_DIGITS  # noqa: PLC0415

    return pa.Table.from_pylist(
        [
            {
                "first_sent": f"{row['first_sent']:%Y-%m-%d %H:%M}",
                "last_sent": f"{row['last_sent']:%Y-%m-%d %H:%M}",
                "hand_overs": row["hand_overs"],
                "record": row["record_id"][:RECORD_DIGITS],
                "source": _called(row),
                "endpoint": row["endpoint"],
                "then": row["before"].replace("+", ", "),
                "classes": row["after"].replace("+", ", "),
                "rule": row["rule_now"],
                "reason": row["reason"],
            }
            for row in rows
        ]
    )


def _called(row: dict[str, Any]) -> str | None:
    return f"{row['source']} #{row['source_id']}" if row.get("source_id") else row.get("source")


def _named(rows: list[dict[str, Any]], ledger: Path) -> list[dict[str, Any]]:
    from sinks.ledger.sources import lookup  # noqa: PLC0415

    found = lookup(ledger, [row["record_id"] for row in rows])
    return [row | {column: getattr(found.get(row["record_id"]), column, None) for column in NAMES} for row in rows]


def _totals(found: Any) -> list[str]:
    from flows.looking_back import JUDGED, NOT_JUDGED  # noqa: PLC0415

    judged = sum(found.by_reason[reason] for reason in JUDGED)
    under = f"policy {found.policy_hash[:DIGITS]}, detectors {found.detectors_hash[:DIGITS]}"
    lines = [
        f"{found.restricted_records:,} of {found.records:,} records that were sent would not go there now ({under})",
        f"judged: {judged:,} of {sum(found.by_reason.values()):,} texts sent ({_counted(found, JUDGED)})",
    ]
    missing = _counted(found, NOT_JUDGED)
    if missing:
        lines.append(f"not judged, so nothing is known of them now: {missing}")
    if found.elsewhere:
        lines.append(f"{found.elsewhere:,} records were sent by other jobs of this ledger: look back with their job files")
    return [*lines, f"{found.written:,} entries written; nothing was sent"]


def _counted(found: Any, reasons: tuple[str, ...]) -> str:
    return ", ".join(f"{reason} {found.by_reason[reason]:,}" for reason in reasons if found.by_reason[reason])
