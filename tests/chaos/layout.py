"""The files of a night: inbox, job, registry, policy, prices. Laid out before the first start; documents anew with each day."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY
from policies.registry import rulebook_hash
from tests.chaos.documents import Documents
from tests.chaos.story import Story

PRICES = """version: 2026-11-22
currency: USD
prices:
  - {provider: emulator, models: [extractive-emulator], feature: batch, input: "100.00", output: "1000.00",
     valid_from: 2026-01-01, review_by: 2099-12-31, source: invented}
"""
FIXED = (
    "name: chaos",
    "source: {path: inbox}",
    "registry: endpoints.yaml",
    "policy: policy.yaml",
    "prices: prices.yaml",
    "output: unused",
    "ledger: unused-ledger",
    "poll_s: 3600",
)
RULEBOOK = ("policy.yaml", "endpoints.yaml", "prices.yaml")


def write(told: Story, folder: Path, *, base_url: str, s3: Mapping[str, str], inside: str) -> Path:
    """Lay the night's files out; returns the job file. inside: the address of the server inside, if there is one."""
    write_documents(told.days[0], folder)
    cloud: dict[str, Any] = {
        "lane": "cloud",
        "engine": f"{told.provider}_batch",
        "provider": "emulator",
        "model": "extractive-emulator",
        "region": "us-east-1",
        "base_url": base_url,
        "facts": {"baa": False, "dpa": True, "training_use": False, "zero_data_retention": False, "human_review": False},
        "evidence_link": "README.md",
        "review_by": "2099-12-31",
        "settings": {"emulator": True, **told.settings, **s3},
    }
    local: dict[str, Any] = {
        "lane": "local",
        "engine": "openai_compatible",
        "provider": "tests",
        "model": "judge",
        "base_url": inside,
        "settings": {"max_model_len": 4096, "timeout_s": 5},
    }
    entries = {"chaos-cloud": cloud, **({"inside": local} if inside else {})}
    if told.routing is not None:
        named = {"chaos-cloud": cloud, "chaos-other": cloud, "inside": local}
        entries = {name: _with(entry, told.routing.facts[name]) for name, entry in named.items()}
    lines = "".join(f"  {name}: {json.dumps(entry)}\n" for name, entry in entries.items()).replace('"2099-12-31"', "2099-12-31")
    (folder / "endpoints.yaml").write_text(f"{DEFAULT_REGISTRY.read_text()}\n{lines}")
    (folder / "policy.yaml").write_text(DEFAULT_POLICY.read_text())
    (folder / "prices.yaml").write_text(PRICES)
    (folder / "plan.json").write_text(json.dumps(told.plan))
    job = folder / "job.yaml"
    job.write_text("\n".join((*FIXED, *told.job, "")))
    return job


def _with(entry: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, **facts, "settings": {**entry["settings"], **facts.get("settings", {})}}


def write_documents(documents: Documents, folder: Path) -> None:
    """The inbox of a day, instead of what is there. An attachment lies in its e-mail."""
    shutil.rmtree(folder / "inbox", ignore_errors=True)
    for name, text in documents.items():
        if "#" not in name:
            path = folder / "inbox" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.content.encode())


def revise_the_policy(folder: Path) -> None:
    """Make the policy another, and note under which hash it was known, and how much had been received by then."""
    note = folder / "revised.json"
    if note.exists():
        return
    log = folder / "emulator" / "received.jsonl"
    received = len(log.read_bytes().splitlines()) if log.exists() else 0
    replaced = rulebook_hash(*(folder / name for name in RULEBOOK))
    note.write_text(json.dumps({"received": received, "policy_hash": replaced}))
    with (folder / "policy.yaml").open("a") as lines:
        lines.write("# revised\n")
