"""The `waybill` command: one thin file per group, imported only when its command is called, so that `--help` is instant.

Exit codes: 0 done, 1 failed, 2 usage or job file, 3 held rows under `--fail-on-held`, 4 cloud work pending, 130 Ctrl-C, 143 SIGTERM;
`docs/cloud/jobs.md` has them for people.
An expected error is one line on stderr; an unexpected one is its type and place, never its message, which may quote a document
(invariant 5). `WAYBILL_TRACEBACK=1` shows everything, for developers with invented documents.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

import click

from flows.cli.stopping import Terminated, heeding_termination, say_stopped
from flows.cli.table import COMMANDS


class LazyGroup(click.Group):
    """A group that knows its commands by name and one line of help, and imports the module only to run one."""

    def __init__(self, *args: Any, commands_at: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table: the way a night goes, not the alphabet."""
        del ctx
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one module that implements the command."""
        del ctx
        if cmd_name not in self.commands_at:
            return None
        module, _, attribute = self.commands_at[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help lines come from the table, so that listing commands imports none of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.commands_at.items()])


@click.group(cls=LazyGroup, commands_at=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="waybill")
def waybill() -> None:
    """Nightly LLM batches that keep restricted documents inside, and prove what left."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and turn every error into one clear line and an exit code."""
    with heeding_termination() as told:
        status = _ended(arguments, told)
    sys.exit(status)


def _ended(arguments: list[str] | None, told: list[int]) -> int:
    """The exit code of one command. told: the signal that ended it, if one did (`heeding_termination`)."""
    try:
        status = waybill.main(args=arguments, prog_name="waybill", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt, Terminated) as stop:
        # To click the end of a file is an interruption too; where we ask nobody anything it is an error like any other.
        return report(stop.__cause__) if isinstance(stop.__cause__, EOFError) else say_stopped(told)
    except click.UsageError as error:  # with how the command is called
        error.show()
        status = error.exit_code
    except click.ClickException as error:
        click.echo(f"waybill: {error.format_message()}", err=True)
        status = error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: foreign messages may quote a document
        return say_stopped(told) if _is_interruption(error) else report(error)
    return status if isinstance(status, int) else 0


def _is_interruption(error: Exception) -> bool:
    from flows.boundary import is_interruption  # noqa: PLC0415 - keeps `--help` instant

    return is_interruption(error)


def report(error: Exception) -> int:
    """One line for an error that got this far; returns the exit code."""
    from flows.boundary import explain  # noqa: PLC0415 - keeps `--help` instant
    from flows.errors import JobError, RenderError  # noqa: PLC0415
    from policies.errors import PolicyFileError  # noqa: PLC0415

    if os.environ.get("WAYBILL_TRACEBACK"):
        traceback.print_exception(error)
    else:
        click.echo(f"waybill: {explain(error)}", err=True)
    return 2 if isinstance(error, (JobError, RenderError, PolicyFileError)) else 1
