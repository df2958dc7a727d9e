"""A whole night over Message Batches: the answer to the create is lost, and the next start finds what became of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from policies.load import DEFAULT_REGISTRY
from sinks.clients.anthropic_client import AnthropicBatches
from sinks.clients.connection import OpenAIOptions
from sinks.emulator.clock import advance
from sinks.emulator.process import start_emulator
from sinks.emulator.receipts import tally

LOST = {"at": "anthropic.batches.create", "fault": "drop_after"}
RUNS_ON = {"at": "anthropic.lifecycle.in_progress", "fault": "stuck", "seconds": 600}
INSTEAD = {
    "engine: openai_batch\n    provider: emulator": "engine: anthropic_batch\n    provider: emulator",
    "{emulator: true}": "{emulator: true, prompt_cache: true, emulator_faults: plan.json}",
}


@pytest.fixture
def registry() -> str:
    text = DEFAULT_REGISTRY.read_text(encoding="utf-8")
    for bundled, ours in INSTEAD.items():
        assert bundled in text
        text = text.replace(bundled, ours)
    return text


def end_batches(state: Path) -> None:
    """Run the provider by itself, an hour later, until everything that it was given has ended."""
    advance(state, 3600)
    with start_emulator(state) as running:
        options = OpenAIOptions(name="emulator", base_url=running.anthropic_url, api_key="any", local=True)
        with closing(AnthropicBatches(options)) as client:
            deadline = time.monotonic() + 60
            while any(batch.state != "ended" for batch in client.batch_page(None)[0]):
                assert time.monotonic() < deadline, "the emulator did not get there"
                time.sleep(0.05)


def test_a_night_whose_create_was_lost_ends_with_one_batch_and_all_results(
    make_night: Callable[..., Any], cli: Callable[..., Any], registry: str
) -> None:
    night = make_night(extra="registry: registry.yaml\n")
    folder = night.job.parent
    (folder / "registry.yaml").write_text(registry, encoding="utf-8")
    (folder / "plan.json").write_text(json.dumps([LOST, RUNS_ON]))

    def run() -> dict[str, int]:
        report: dict[str, Any] = json.loads(cli("run", night.job, "--out", night.out, "--json").out.splitlines()[-1])
        return {name: report[name] for name in ("documents", "results", "held", "failed", "pending")}

    waiting = {"documents": 8, "results": 5, "held": 3, "failed": 0, "pending": 0}
    assert run() == waiting
    assert run() == waiting  # the batch runs, and nobody can tell whose it is
    (folder / "plan.json").write_text("[]")
    (log,) = night.out.rglob("created.jsonl")
    end_batches(log.parent)
    assert run() == waiting | {"results": 7, "held": 1}
    sent = tally(log.parent)["anthropic"]
    assert (sent.duplicates, sum(sent.intents.values())) == ({}, sent.creates)
