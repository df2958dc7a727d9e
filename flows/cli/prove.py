"""`waybill audit prove`: one record, or one class and one lane, for somebody who has not the ledger; and the check of such a file."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.question import LEDGER

WIDTH = 120
"""Of a pipe, which has none: prose is read in lines of this length."""
FILE = click.Path(path_type=Path, dir_okay=False)
DAY = click.DateTime(["%Y-%m-%d"])
OF_A_CLASS = ("lane", "since", "until", "endpoint", "keys", "deep", "anchor")


@click.command()
@click.option("--record", help="A record id, the beginning of one, or a source name.")
@click.option("--class", "data_class", help="A data class; needs --lane.")
@click.option("--check", type=FILE, help="Check this proof or statement. No ledger is read.")
@click.option("--lane", type=click.Choice(("cloud", "local")), help="Where its records were handed over.")
@click.option("--since", type=DAY, help="Handed over from this day on (UTC), included.")
@click.option("--until", type=DAY, help="Handed over up to this day (UTC), not included.")
@click.option("--endpoint", help="Only this endpoint.")
@click.option("--key", type=FILE, help="The pinned key, as `waybill ledger key` prints it.")
@click.option(
    "--keys", type=click.Path(path_type=Path, file_okay=False), help="The keys' folder, where it is not LEDGER.keys: a statement is signed."
)
@click.option("--deep", is_flag=True, help="Recompute every entry before a statement is signed.")
@click.option(
    "--anchor", type=click.Path(path_type=Path, exists=True, file_okay=False), multiple=True, help="A folder of anchored checkpoints."
)
@click.option("--with-source", is_flag=True, help="What the record is called outside, too (needs the right to read LEDGER/sources).")
@click.option("--out", "--output", "output", type=FILE, help="Write the JSON to this file, for its owner only.")
@click.option("--format", "fmt", type=click.Choice(("text", "json")), default="text", show_default=True, help="What to print.")
@LEDGER
def prove(**given: Any) -> int:
    """Prove one record, or state what of a class went where, so that it can be checked without the ledger.

    --record ID makes a proof: its entries, each with its place in the signed tree. --class PHI --lane cloud makes a signed statement,
    over a ledger that verifies. --check FILE checks either. Exit 1: no such record, a ledger that is not intact, a file that does not hold.
    """
    _refuse_what_does_not_fit(given)
    if given["check"]:
        return _check(given["check"], given["key"], given["fmt"])
    return _record(given) if given["record"] else _class(given)


def _refuse_what_does_not_fit(given: dict[str, Any]) -> None:
    wanted = [name for name in ("record", "data_class", "check") if given[name]]
    if len(wanted) != 1:
        raise click.UsageError("name one of --record ID, --class CLASS with --lane LANE, and --check FILE")
    allowed = {"record": {"with_source", "output", "key"}, "data_class": {*OF_A_CLASS, "key", "output"}, "check": {"key"}}[wanted[0]]
    for name in (*OF_A_CLASS, "key", "with_source", "output"):
        if given[name] and name not in allowed:
            flag = {"output": "out", "data_class": "class"}.get(name, name.replace("_", "-"))
            raise click.UsageError(f"--{flag} does not go with --{'class' if wanted == ['data_class'] else wanted[0]}")
    if given["data_class"] and not given["lane"]:
        raise click.UsageError("--class needs --lane cloud or --lane local")
    if given["since"] and given["until"] and given["since"] >= given["until"]:
        raise click.UsageError("--until is not after --since: no day is asked about (--since is included, --until is not)")


def _record(given: dict[str, Any]) -> int:
    from flows.proving import record_proof  # noqa: PLC0415 - heavy; `--help` must stay instant

    ledger, record = given["ledger"], given["record"]
    asked = {"with_source": given["with_source"], "pinned": _pinned(given["key"])}
    made = record_proof(ledger, record, **asked)
    if made is None:
        named = _named(ledger, record)
        if len(named) > 1:
            click.echo(f"waybill: {len(named)} records have that name; name one of: {', '.join(named)}", err=True)
            return 1
        made = record_proof(ledger, named[0], **asked) if named else None
    if made is None:
        click.echo(f"waybill: the ledger {ledger} has no entry about such a record: there is nothing to prove", err=True)
        return 1
    _show(made, [*made.summary, "", *made.limits], given)
    return 0


def _named(ledger: Path, name: str) -> list[str]:
    from sinks.ledger.audit import records_named  # noqa: PLC0415

    try:
        return records_named(ledger, name)
    except PermissionError:  # who may not read what records are called names them by their ids
        return []


def _class(given: dict[str, Any]) -> int:
    from flows.cli.question import check_names  # noqa: PLC0415
    from flows.proving import StatementOptions, state  # noqa: PLC0415
    from flows.statement_words import record_lines  # noqa: PLC0415

    options = StatementOptions(
        **{name: given[name] for name in ("ledger", "data_class", "lane", "endpoint", "keys", "deep")},
        since=given["since"].date() if given["since"] else None,
        until=given["until"].date() if given["until"] else None,
        pinned=_pinned(given["key"]),
        anchors=given["anchor"],
    )
    made = state(options, now=datetime.now(UTC))
    statement = made.statement
    if not statement.answer["records"]:
        check_names(options.ledger, options.data_class, options.endpoint)  # nothing of it, or a name that nobody knows?
    _show(made, [*statement.text, *record_lines(statement.answer), "", *statement.limits], given)
    return 0


def _check(file: Path, key: Path | None, fmt: str) -> int:
    import json  # noqa: PLC0415

    from flows.proving import check_file  # noqa: PLC0415
    from sinks.errors import ProofError  # noqa: PLC0415

    if not file.exists():
        raise click.UsageError(f"--check: {file}: no such file; name what `waybill audit prove --out` wrote")
    try:
        found = check_file(file, _pinned(key))
    except ProofError as error:
        click.echo(json.dumps({"holds": False, "why": str(error)}) if fmt == "json" else f"DOES NOT HOLD: {error}")
        return 1
    if fmt == "json":
        said = {"holds": True, "pinned": found.pinned, "summary_checked": not found.own_words, "key": str(found.key)}
        click.echo(json.dumps({**said, "text": list(found.text)}))
        return 0
    _print([*found.text, "", *found.limits, ""])
    if found.own_words:
        _print(["The summary in the file is of another version and was not checked; the one above follows from what is proven."])
    click.echo(
        f"holds: signed by {found.key}"
        if found.pinned
        else f"holds by itself, KEY NOT PINNED: whoever made it could have made the key {found.key}"
    )
    return 0


def _pinned(key: Path | None) -> tuple[Any, ...]:
    from sinks.ledger.signing import verifier_keys  # noqa: PLC0415

    if key is None:
        return ()
    try:
        keys = tuple(verifier_keys(key.read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        raise click.UsageError(f"--key: {key} cannot be read ({error.strerror})") from None
    if not keys:
        raise click.UsageError(f"{key}: no key in it; pin the line that `waybill ledger key` prints")
    return keys


def _show(made: Any, lines: list[str], given: dict[str, Any]) -> None:
    data = made.model_dump_json(indent=1) + "\n"
    if given["output"]:
        _write(given["output"], data)
    if given["fmt"] == "json" and not given["output"]:
        click.echo(data, nl=False)
        return
    _print(lines)
    if given["output"]:
        click.echo(f"\n{given['output']}: the same as JSON, to be checked with `waybill audit prove --check`")
    else:
        click.echo("\nThis text proves nothing by itself: --out FILE writes what can be checked.")


def _print(lines: Sequence[str]) -> None:
    """Lines of prose, folded where the terminal ends."""
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    for line in lines:
        click.echo("\n".join(textwrap.wrap(line, width, subsequent_indent="    ", break_on_hyphens=False)) if line else "")


def _write(path: Path, data: str) -> None:
    from sinks.durable import PRIVATE_FILE, replace  # noqa: PLC0415

    try:
        replace(path, data.encode(), mode=PRIVATE_FILE)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror}); name a file in a folder that is there") from None
