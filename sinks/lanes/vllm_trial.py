"""One tiny generation through the real worker, for `waybill doctor`: does this engine load here, and does it answer?

The question is a constant of this file. No record is asked about, so there is nothing for the gate to clear, and nothing is recorded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from policies.model import Endpoint
from sinks.lanes.vllm_batch import Row
from sinks.lanes.vllm_fleet import Fleet, FleetPlan
from sinks.lanes.vllm_jobs import Job
from sinks.lanes.vllm_locks import device_locks
from sinks.lanes.vllm_offline import WORKER
from sinks.lanes.vllm_replica import ReplicaState
from sinks.lanes.vllm_settings import read_settings
from sinks.shard import LaneResult

QUESTION = "Answer with the single word: ready."
TOKENS = 8
PATIENCE_S = 1800.0
"""Of loading: seventy billion parameters from a slow disk take a quarter of an hour."""
_LOOK_S = 0.1
_JOB = "trial"
_SPOKEN = "vllm_worker: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How it went. result: None when no engine came up, and `reason` says why. busy: another worker has the device."""

    result: LaneResult | None
    seconds: float
    busy: bool = False
    reason: str = ""


def try_engine(
    endpoint: Endpoint,
    python: Path,
    spool: Path,
    *,
    worker: Sequence[str] = WORKER,
    locks: Path | None = None,
    patience_s: float = PATIENCE_S,
) -> Trial:
    """Start the endpoint's first worker with its files in `spool`, an empty folder, ask once, and see it end. Raises EndpointError."""
    settings = read_settings(endpoint)
    fleet = Fleet(
        FleetPlan(
            endpoint=endpoint.name,
            settings=replace(settings, devices=settings.devices[:1]),
            spool=spool,
            command=(settings.python or str(python), *worker),
            locks=locks or device_locks(),
        )
    )
    job = Job.create(spool, _JOB, fleet.divide([Row.of(_row(endpoint))]))
    fleet.add(job)
    began = time.monotonic()
    try:
        while not fleet.is_over(job) and time.monotonic() - began < patience_s:
            fleet.attend()
            if fleet.progress().state == ReplicaState.WAITING:
                return Trial(result=None, seconds=0.0, busy=True)
            time.sleep(_LOOK_S)
        seconds = time.monotonic() - began
        result = next((result for share in job.shares for result in share.results()), None)
        return Trial(result=result, seconds=seconds, reason="" if result else _reason(spool))
    finally:
        fleet.stop(job)
        fleet.close()


def _row(endpoint: Endpoint) -> bytes:
    content = [{"type": "text", "text": QUESTION}]
    body = {
        "model": endpoint.model,
        "kind": "summarize",
        "messages": [{"role": "user", "content": content}],
        "max_tokens": TOKENS,
        "temperature": 0.0,
        "seed": 0,
        "schema": None,
    }
    return json.dumps({"custom_id": f"{_JOB}-000000", "body": body}).encode() + b"\n"


def _reason(spool: Path) -> str:
    """What the worker said last; its own lines hold no content."""
    for log in sorted(spool.glob("*/vllm.0.log*")):
        said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith(_SPOKEN)]
        if said:
            return said[-1].removeprefix(_SPOKEN)
    return "the worker said nothing; see whether its interpreter is one with vLLM"
