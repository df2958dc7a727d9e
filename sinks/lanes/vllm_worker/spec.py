"""What the lane tells the worker: the spec file at the start, then one line per job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One worker's settings. `window`: calls in flight. `cache_salt`: whoever does not know it shares no prefix cache."""

    model: str
    model_path: Path
    lora_path: Path | None
    device: str
    window: int
    cache_salt: str
    isolation: str
    lock_fd: int | None
    ready: Path
    engine: Mapping[str, Any]
    long_documents: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """One job's files. `window`: its own window, which it shares with no other job."""

    job: str
    input: Path
    output: Path
    started: Path
    window: int | None


def read_spec(path: Path) -> Spec:
    """The spec of this file."""
    form = json.loads(path.read_bytes())
    lora = form.get("lora_path")
    return Spec(
        model=form["model"],
        model_path=Path(form["model_path"]),
        lora_path=None if lora is None else Path(lora),
        device=form.get("device", ""),
        window=max(1, int(form["window"])),
        cache_salt=form["cache_salt"],
        isolation=form["isolation"],
        lock_fd=form.get("lock_fd"),
        ready=Path(form["ready"]),
        engine=form["engine"],
        long_documents=bool(form.get("long_documents", True)),
    )


def read_order(line: bytes) -> JobOrder:
    """The job of this line. Raises ValueError, KeyError or TypeError when it is none."""
    form = json.loads(line)
    window = form.get("window")
    return JobOrder(
        job=str(form["job"]),
        input=Path(form["input"]),
        output=Path(form["output"]),
        started=Path(form["started"]),
        window=None if window is None else max(1, int(window)),
    )
