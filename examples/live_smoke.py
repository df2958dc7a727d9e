"""A tiny job at a real provider, for cents: `make live-openai`, `live-anthropic`, `live-bedrock`. See docs/cloud/live.md.

It writes invented, harmless documents and a job over them, says what they may cost at the most, and calls `waybill run`, the same as any
night. It does nothing unless WAYBILL_LIVE=1 is set and the endpoint's key is there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

from flows.errors import FlowError
from flows.job import load_job
from flows.lanes import check_usable
from flows.night import NightOptions
from flows.planning import make_plan
from policies.errors import PolicyError
from policies.load import DEFAULT_REGISTRY
from policies.model import Lane
from policies.registry import load_registry
from sinks.errors import SinkError
from sinks.packing import ShardLimits

REFUSED = 2
LEAST_DOCUMENTS = 2
MOST_DOLLARS = "0.25"
EXAMPLE_BUCKET = "example-waybill-batch"
PLACES = ("harbour", "orchard", "museum", "library", "quarry", "lighthouse", "market hall", "observatory", "mill", "railway station")
NEWS = (
    "was repaired over the winter and opens again in spring",
    "has a new roof of slate, laid by hand",
    "shows a collection of maps from four centuries",
    "is closed on the first day of every month",
    "can be reached by the morning ferry",
    "has planted apple trees along the old wall",
    "keeps a record of rain and wind since long ago",
    "opens a path along the river for walkers",
    "is lit by lamps that need no electricity",
    "has a bell that rings at noon",
)


class RefusedError(Exception):
    """The smoke test is not begun."""


def documents(count: int) -> list[str]:
    """Invented notes, each of its own."""
    return [f"The {place} {news}. Visitors of all ages are welcome, and admission is free." for news, place in product(NEWS, PLACES)][
        :count
    ]


def prepare(provider: str, endpoint: str, registry: Path, folder: Path) -> Path:
    """Write documents and a job; its file. Raises RefusedError where the endpoint is not ready."""
    entry = load_registry(registry).get(endpoint)
    if entry is None or entry.lane is not Lane.CLOUD:
        raise RefusedError(f"{registry}: expected a cloud endpoint {endpoint}; name one with ENDPOINT=…, REGISTRY=…")
    if entry.settings.get("bucket") == EXAMPLE_BUCKET:
        raise RefusedError(f"{endpoint} is the bundled example; copy the registry, put your bucket and role there, and say REGISTRY=FILE")
    inbox = folder / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(documents(max(LEAST_DOCUMENTS, ShardLimits.of(entry).min_rows))):
        (inbox / f"note-{number:03d}.txt").write_text(text + "\n", encoding="utf-8")
    job = {
        "name": f"live-{provider}",
        "source": {"path": "inbox"},
        "task": {"kind": "summarize", "max_tokens": 32},
        "registry": str(registry.absolute()),
        "lanes": {"cloud": endpoint, "local": "extractive"},
        "budget_usd": {"night": MOST_DOLLARS},
        "output": "results",
        "ledger": "ledger",
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(job), encoding="utf-8")  # JSON is YAML
    check_usable(entry, load_job(path))
    return path


def estimate(job: Path, endpoint: str) -> str:
    """What the job may cost at the most."""
    plan = make_plan(NightOptions(job=str(job)))
    place = plan.places.get(f"cloud: {endpoint}")
    if place is None or place.documents != plan.documents:
        there = place.documents if place is not None else 0
        raise RefusedError(f"only {there} of {plan.documents} documents may go to {endpoint} by the bundled policy: see waybill plan {job}")
    if place.usd_most is None:
        raise RefusedError(f"{endpoint} has no price, so nobody can say what this costs; state one in the price file")
    return f"{place.documents} invented documents to {endpoint}, {place.usd_most * 100:.3f} US cents at the most"


def main() -> int:
    """Run the smoke test; the exit code of `waybill run`, or 2 where it was not begun."""
    parser = argparse.ArgumentParser(description="a tiny job at a real provider")
    parser.add_argument("provider", choices=["openai", "anthropic", "bedrock"])
    parser.add_argument("--endpoint", help="of the registry; PROVIDER-batch when absent")
    parser.add_argument("--registry", type=Path, default=DEFAULT_REGISTRY)
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    endpoint = given.endpoint or f"{given.provider}-batch"
    if os.environ.get("WAYBILL_LIVE") != "1":
        print(f"live-{given.provider}: this sends to a real provider and costs money; set WAYBILL_LIVE=1 to do so", file=sys.stderr)
        return REFUSED
    try:
        job = prepare(given.provider, endpoint, given.registry, given.out / f"live-{given.provider}")
        print(f"live-{given.provider}: {estimate(job, endpoint)}", flush=True)
    except (RefusedError, FlowError, PolicyError, SinkError) as error:
        print(f"live-{given.provider}: {error}", file=sys.stderr)
        return REFUSED
    print(f"It waits for the batch; interrupt it whenever you like, and go on with: waybill collect {job} --wait", flush=True)
    waybill = Path(sys.executable).with_name("waybill")
    return subprocess.run([str(waybill), "run", str(job)], check=False).returncode  # noqa: S603 - our own command


if __name__ == "__main__":
    sys.exit(main())
