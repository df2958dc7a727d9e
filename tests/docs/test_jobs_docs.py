"""`docs/cloud/jobs.md` names every code, every final state and every option that there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from flows.account_audit import MEANING
from flows.cli.jobs import jobs
from flows.cli.reconcile import reconcile
from flows.open_jobs import NOT_ASKED, NOT_LISTED, RUNS_INSIDE, UNREACHABLE, UNTOLD
from sinks.lanes import anthropic_batch, bedrock_batch, openai_batch

PAGE = (Path(__file__).parents[2] / "docs" / "cloud" / "jobs.md").read_text(encoding="utf-8")


def column(heading: str) -> set[str]:
    """The words in backticks in the first column of the table that begins so."""
    table = PAGE.partition(f"\n| {heading} | what it means |")[2].partition("\n\n")[0]
    return {word for row in table.splitlines()[2:] for word in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_every_code_of_the_audit_is_explained() -> None:
    assert column("code") == set(MEANING)


def test_every_final_state_of_every_provider_is_explained() -> None:
    final = openai_batch.ENDED | bedrock_batch.ENDED | {anthropic_batch.ENDED}
    assert final <= column("provider")
    assert all(f"`{word}`" in PAGE for word in (NOT_ASKED, NOT_LISTED, UNREACHABLE, UNTOLD, RUNS_INSIDE))
    assert column("state") == {"submitted", "submitting", "ambiguous", "job_ended"}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (jobs.commands["cancel"], "waybill jobs cancel"),
        (jobs.commands["resolve"], "waybill jobs resolve"),
        (reconcile, "waybill audit reconcile"),
    ],
    ids=["cancel", "resolve", "reconcile"],
)
def test_the_commands_shown_are_ones_that_parse(command: click.Command, words: str) -> None:
    shown = re.findall(rf"^{words} (.+)$", PAGE, re.MULTILINE)
    assert shown
    for line in shown:
        command.make_context(words, line.partition("#")[0].split())
