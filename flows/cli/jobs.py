"""`waybill jobs …`: what is out at providers, and what a person can do about it. `docs/cloud/jobs.md` is the manual for the night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from flows.cli.output import FORMATS, show
from flows.cli.question import DEFAULT_LEDGER

COLUMNS = (
    "intent",
    "endpoint",
    "provider_job_id",
    "state",
    "provider",
    "age",
    "done",
    "deadline",
    "attempt",
    "settled",
    "reserved",
    "note",
)
SPARE = ("attempt", "settled", "deadline", "reserved", "provider_job_id")
SHOWN_DIGITS = 12


@click.group(invoke_without_command=True)
@click.option("--job", type=click.Path(dir_okay=False, path_type=Path), help="The job whose hand-overs are meant; its providers are asked.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="As given to `waybill run`.")
@click.option("--ledger", type=click.Path(path_type=Path), help=f"Instead of a job: all of this ledger, nobody asked. [{DEFAULT_LEDGER}]")
@click.option("--offline", is_flag=True, help="Ask no provider: what the ledger knows.")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the answer.")
@click.pass_context
def jobs(context: click.Context, *, job: Path | None, out: Path | None, ledger: Path | None, offline: bool, fmt: str) -> None:
    """List open hand-overs: age, the provider's state now, rows done, deadline, cost. `cancel` and `resolve` act on one of them."""
    if context.invoked_subcommand is not None:
        return
    from flows.job import load_job  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.open_jobs import open_jobs  # noqa: PLC0415
    from sinks.errors import LedgerError  # noqa: PLC0415
    from sinks.ledger import files  # noqa: PLC0415

    if job is not None and ledger is not None:
        raise click.UsageError("name a job or a ledger, not both")
    loaded = load_job(job, out=out) if job else None
    path = loaded.ledger.path if loaded else ledger or Path(DEFAULT_LEDGER)
    if not files.head(path):
        raise LedgerError(f"{path}: no ledger here (no segments); name the folder that holds `segments`, or a job that has run")
    found = open_jobs(path, loaded, offline=offline, now=datetime.now(UTC))
    table = found.table()
    show(_brief(table) if fmt == "table" else table, fmt, spare=SPARE)
    for endpoint, why in (found.silent or {}).items():
        click.echo(f"waybill: endpoint {endpoint} could not be asked: {why}", err=True)


def _brief(table: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    rows = [_row(entry) for entry in table.to_pylist()]
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in COLUMNS})


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    done = "?" if entry["done"] is None else entry["done"]
    deadline = entry["deadline"]
    return {
        **{name: entry[name] for name in ("endpoint", "provider_job_id", "state", "provider", "note")},
        "intent": entry["intent_id"][:SHOWN_DIGITS],
        "age": f"{entry['age_h']:.1f} h",
        "done": f"{done} of {entry['rows']}",
        "deadline": f"{deadline:%m-%d %H:%M}" if deadline else None,
        "attempt": str(entry["attempt"]),
        "settled": f"${entry['settled_usd']:.4f}",
        "reserved": "?" if entry["reserved_usd"] is None else f"${entry['reserved_usd']:.4f}",
    }


def _deciding(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every decision needs."""
    command = click.option("--reason", required=True, help="Why: a code, such as wrong_template. No sentence: it goes into the ledger.")(
        command
    )
    command = click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="As given to `waybill run`.")(command)
    command = click.option("--job", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The job that it belongs to.")(
        command
    )
    return click.argument("intent")(command)


@jobs.command()
@_deciding
@click.option(
    "--rest", type=click.Choice(["hold", "resend"]), default="hold", show_default=True, help="What becomes of rows that are not done."
)
@click.option("--actor", envvar="USER", default="operator", show_default="the user's name", help="Who decides: stands in the ledger.")
def cancel(*, intent: str, job: Path, out: Path | None, reason: str, rest: str, actor: str) -> int:
    """Ask the provider to cancel the job of INTENT. It stays open until it has ended there; what was done is paid, and is collected."""
    from flows.job import load_job  # noqa: PLC0415 - heavy
    from flows.jobs_by_hand import Person, cancel  # noqa: PLC0415

    done = cancel(load_job(job, out=out), intent, rest=rest, person=Person(actor=actor, reason=reason))
    if done.refused is not None:
        click.echo(f"waybill: the provider did not take the cancellation: {done.refused}", err=True)
    state = "could not be asked what it is now" if done.after is None else f"now {done.after.state}"
    click.echo(f"{done.intent_id}: was {done.before.state}, {state}; {_paid(done.after or done.before)}")
    if done.after is not None and not done.after.ended:
        click.echo("It is open until it has ended: providers may finish what they have begun. `waybill collect` takes in what is done.")
    else:
        click.echo("`waybill collect` takes in what is done.")
    rows = "held as cancelled_by_hand (`waybill held retry`)" if rest == "hold" else "sent again, as a new attempt"
    click.echo(f"Rows that are not done are then {rows}.")
    return 0 if done.refused is None else 1


def _paid(shown: Any) -> str:
    done = "an unknown number" if shown.completed is None else f"{shown.completed}"
    return f"{done} of {'?' if shown.total is None else shown.total} rows are done, which are paid"


@jobs.command()
@_deciding
@click.option("--as", "verdict", required=True, metavar="VERDICT", help="submitted:PROVIDER_JOB_ID, or not-submitted.")
@click.option("--actor", required=True, help="Who decides: stands in the ledger.")
@click.option("--unsafe-unlisted", is_flag=True, help="not-submitted although the provider's list cannot tell: may pay twice.")
def resolve(*, intent: str, job: Path, out: Path | None, verdict: str, actor: str, reason: str, unsafe_unlisted: bool) -> int:
    """Decide what became of INTENT, a hand-over in doubt: which job it is, or that there is none."""
    from flows.job import load_job  # noqa: PLC0415 - heavy
    from flows.jobs_by_hand import Person, adopt, release  # noqa: PLC0415

    kind, _, provider_job_id = verdict.partition(":")
    loaded, person = load_job(job, out=out), Person(actor=actor, reason=reason)
    if kind == "submitted" and provider_job_id:
        done = adopt(loaded, intent, provider_job_id, person=person)
        said = f"its job is {provider_job_id}; `waybill collect` takes the results in"
    elif verdict == "not-submitted":
        done = release(loaded, intent, person=person, unsafe_unlisted=unsafe_unlisted)
        said = (
            f"its {done.records} records may be sent anew by the next run. Should the provider have taken it after all, they are paid "
            "twice: for two days every run looks for that, and stops it"
        )
    else:
        raise click.UsageError("--as: expected submitted:PROVIDER_JOB_ID or not-submitted")
    for doubt in done.doubts:
        click.echo(f"waybill: {doubt}", err=True)
    for stopped in done.stopped:
        click.echo(f"waybill: {stopped} carried it too and was cancelled; what it did is paid", err=True)
    click.echo(f"{done.intent_id}: {said}")
    return 0
