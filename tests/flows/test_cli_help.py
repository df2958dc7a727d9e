"""Help is instant: nothing heavy is imported for it. Every command has it, and it agrees with the table of commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flows.cli.table import COMMANDS

HEAVY = {"spacy", "presidio_analyzer", "prefect", "duckdb", "pyarrow", "openai", "pydantic", "numpy", "rich", "jinja2", "lxml"}
SHOW_MODULES = """
import atexit, sys
atexit.register(lambda: sys.stderr.write(" ".join(sys.modules)))
from flows.cli import main
main(sys.argv[1:])
"""
SUBCOMMANDS = [
    ("held", "list"),
    ("held", "retry"),
    ("results", "export"),
    ("audit", "summary"),
    ("audit", "egress"),
    ("audit", "held"),
    ("audit", "doubtful"),
    ("audit", "costs"),
    ("audit", "document"),
    ("audit", "reconcile"),
    ("jobs", "cancel"),
    ("jobs", "resolve"),
    ("ledger", "relink"),
    ("ledger", "forget"),
    ("override", "raise"),
    ("override", "request"),
    ("override", "lower"),
    ("policy", "check"),
    ("policy", "test"),
    ("detectors", "list"),
    ("detectors", "test"),
]


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("scan", "--help"), ("audit", "summary", "--help")], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", SHOW_MODULES, *arguments], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("Usage: waybill")
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "click" in loaded
    assert loaded & HEAVY == set()


def test_help_lists_the_commands_in_the_order_of_the_table(cli: Callable[..., Any]) -> None:
    lines = cli("--help").out.partition("Commands:")[2].strip().splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)


@pytest.mark.parametrize("arguments", [*((name,) for name in COMMANDS), *SUBCOMMANDS], ids=" ".join)
def test_every_command_has_help(arguments: tuple[str, ...], cli: Callable[..., Any]) -> None:
    said = cli(*arguments, "--help")
    assert said.out.startswith(f"Usage: waybill {' '.join(arguments)}")
    assert said.err == ""


def test_version_is_said(cli: Callable[..., Any]) -> None:
    assert cli("--version").out.startswith("waybill, version ")
