"""The offline lane on a bench: a spool, device locks, and a scripted worker whose journal says what it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from policies.model import Endpoint
from sinks.lanes.vllm_offline import VllmOfflineLane
from sinks.shard import JobStatus
from tests.sinks.vllm_lane import vllm_lane_driver as driver

INTENT = "b1b2c3d4e5f60718293a4b5c6d7e8f90"
NEXT = "c9b2c3d4e5f60718293a4b5c6d7e8f90"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


class Bench:
    """A folder with a spool and device locks, the lanes made on it, and what their workers wrote into their journal."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spool = folder, folder / "spool"
        self.lanes: list[VllmOfflineLane] = []
        self.settings: dict[str, Any] = {}

    def endpoint(self) -> Endpoint:
        return driver.endpoint(**self.settings)

    def lane(self, **settings: Any) -> VllmOfflineLane:
        self.settings = settings
        made = driver.make_lane(self.folder, self.endpoint())
        self.lanes.append(made)
        return made

    def hand_over(self, lane: VllmOfflineLane, *texts: str, intent: str = INTENT) -> str:
        return lane.hand_over(driver.cleared(lane, self.endpoint(), list(texts), intent=intent))

    def journal(self, word: str) -> list[list[str]]:
        path = self.spool / "journal"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line.split() for line in lines if line.startswith(f"{word} ")]

    def starts(self) -> int:
        return len(self.journal("start"))

    def pid(self) -> int:
        return int(self.journal("start")[-1][-1])

    def go(self, name: str = "go") -> Path:
        return self.folder / name

    def lines(self) -> Counter[str]:
        """How often each row has a line in an output."""
        outputs = self.spool.glob("*.out.jsonl")
        return Counter(json.loads(line)["row_id"] for output in outputs for line in output.read_bytes().splitlines())


def eventually(reached: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := reached()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def ended(lane: VllmOfflineLane, intent: str = INTENT) -> JobStatus:
    def poll() -> JobStatus | None:
        status = lane.poll(intent)
        return status if status.ended else None

    found: JobStatus = eventually(poll)
    return found


def outcomes(lane: VllmOfflineLane, intent: str = INTENT) -> list[str | None]:
    """Error codes by row number, None for a result."""
    ended(lane, intent)
    found = {int(result.row_id.partition("-")[2]): result for result in lane.collect(intent)}
    for result in found.values():
        assert (result.output is None) == (result.error_code is not None)
    return [found[number].error_code for number in range(len(found))]


def run_until(bench: Bench, texts: list[str], reached: Callable[[], Any], **settings: Any) -> None:
    """Run a night in a process of its own until something is reached, then kill it."""
    bench.settings = settings
    facts = bench.folder / "facts.json"
    facts.write_text(json.dumps({"folder": str(bench.folder), "settings": settings, "texts": texts, "intent": INTENT}))
    command = [sys.executable, driver.__file__, str(facts)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as night:
        try:
            eventually(lambda: night.poll() is not None or reached())
            assert night.poll() is None
        finally:
            night.kill()
