"""`waybill override …`: a person says that a record is more than the detectors found, or, with an approval, less."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.question import DEFAULT_LEDGER

DAY = click.DateTime(["%Y-%m-%d"])


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every override needs."""
    command = click.option("--keys", type=click.Path(path_type=Path), help="The ledger's key folder, where the job names one.")(command)
    command = click.option(
        "--ledger", type=click.Path(path_type=Path), default=DEFAULT_LEDGER, show_default=True, help="The ledger folder."
    )(command)
    command = click.option("--reason", required=True, help="Why: a code, such as misread_form. No sentence: it goes into the ledger.")(
        command
    )
    return click.option("--record", required=True, help="The record: its id, the beginning of one, or its source name.")(command)


def _lowers(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a lowering needs besides."""
    policy = click.Path(dir_okay=False, path_type=Path)
    command = click.option("--policy", type=policy, help="The policy that must allow it; that of the ledger's latest run when absent.")(
        command
    )
    command = click.option("--expires", required=True, type=DAY, help="The day (UTC) on which it ends, itself not included.")(command)
    return click.option("--from", "data_class", required=True, help="The class to take out.")(command)


def _who(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--actor", envvar="USER", default="operator", show_default="the user's name", help="Who enters it: stands in the ledger."
    )(command)


@click.group()
def override() -> None:
    """Raise a record's class, or lower it where the policy allows that, with an approver's signature."""


@override.command("raise")
@_shared
@_who
@click.option("--to", "data_class", required=True, help="The class to add.")
def raise_(*, record: str, data_class: str, reason: str, actor: str, ledger: Path, keys: Path | None) -> None:
    """Declare that a record is of a class, from its next decision on."""
    from flows.override_entry import Wish, raise_class  # noqa: PLC0415 - heavy; `--help` must stay instant

    wish = Wish(record=record, data_class=data_class, reason=reason, actor=actor)
    record_id = raise_class(_opened(ledger, keys), wish, now=datetime.now(UTC))
    click.echo(f"{record_id} is {data_class} from its next decision on; what was sent before stays sent")


@override.command()
@_shared
@_lowers
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the statement to this file instead of stdout.")
def request(
    *, record: str, data_class: str, reason: str, expires: datetime, policy: Path | None, ledger: Path, keys: Path | None, out: Path | None
) -> None:
    r"""Print the statement that an approver signs to let a class be taken out of a record. Enters nothing.

    Sign it byte for byte, as it is:

    \b
      waybill override request … --out statement.txt
      openssl pkeyutl -sign -rawin -inkey approver.pem -in statement.txt -out approval.sig
      waybill override lower … --approval approval.sig
    """
    from flows.override_entry import Wish, policy_of, statement  # noqa: PLC0415

    opened = _opened(ledger, keys)
    wish = Wish(record=record, data_class=data_class, reason=reason)
    text = statement(opened, wish, policy_of(opened, policy), expires=expires.date()).text()
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_bytes(text.encode())
        click.echo(f"{out}: to be signed by an approver that the policy lists")


@override.command()
@_shared
@_lowers
@_who
@click.option("--approval", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The approver's signature.")
def lower(
    *,
    record: str,
    data_class: str,
    reason: str,
    expires: datetime,
    policy: Path | None,
    approval: Path,
    actor: str,
    ledger: Path,
    keys: Path | None,
) -> None:
    """Take a class out of a record's next decisions: for this very text, until it expires, as an approver signed."""
    from flows.override_entry import Wish, lower_class, policy_of  # noqa: PLC0415

    opened = _opened(ledger, keys)
    wish = Wish(record=record, data_class=data_class, reason=reason, actor=actor)
    entered = lower_class(opened, wish, policy_of(opened, policy), expires=expires.date(), approval=approval, now=datetime.now(UTC))
    click.echo(f"{entered.record_id}: without {data_class} until {expires.date()}, override {entered.override_id}")


def _opened(ledger: Path, keys: Path | None) -> Any:
    from sinks.ledger.reader import reading  # noqa: PLC0415
    from sinks.ledger.segments import Ledger  # noqa: PLC0415

    with reading(ledger):  # says so where there is no ledger: this must not make one
        pass
    return Ledger.open(ledger, keys=keys)
