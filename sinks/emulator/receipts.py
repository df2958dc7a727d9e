"""What arrived and what came of it: the provider's own word on what left the building, for tests and for whoever wants to see it.

- `received.jsonl`: every request, its body byte for byte in `received/`; Bedrock's input objects too, as `S3 GET`. Written before
  anything else happens.
- `created.jsonl`: every batch that was created, and, once its input was read, its row ids' common intent and their number.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sinks import durable
from sinks.emulator.disk import append, keep


class Receipts:
    """Append-only logs; a restart goes on counting."""

    def __init__(self, folder: Path) -> None:
        self._log, self._created, self._bodies = folder / "received.jsonl", folder / "created.jsonl", folder / "received"
        self._bodies.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._count = len(self._log.read_bytes().splitlines()) if self._log.exists() else 0
        self._lock = threading.Lock()

    def add(self, *, method: str, path: str, query: str, body: bytes, operation: str | None = None, whole: bool = True) -> None:
        """Note one request. Headers are left out: they carry the key. whole: whether the sender stayed to the end."""
        with self._lock:
            self._count += 1
            name = f"{self._count:04d}.bin" if body else None
            if name is not None:
                keep(self._bodies / name, body)
            entry = {
                "number": self._count,
                "method": method,
                "path": path,
                "query": query,
                "operation": operation,
                "whole": whole,
                "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
                "body": name and f"received/{name}",
            }
            append(self._log, entry)

    def created(self, *, provider: str, job_id: str, label: str, twin: bool) -> None:
        """Note a new batch. label: what the create calls it, if anything (metadata, token, name). twin: the fault plan made it."""
        append(self._created, {"provider": provider, "job": job_id, "label": label, "twin": twin})

    def rows(self, *, provider: str, job_id: str, row_ids: Sequence[str]) -> None:
        """Note the rows of a batch."""
        intents = sorted({intent_of(row_id) for row_id in row_ids})
        append(self._created, {"provider": provider, "job": job_id, "rows": len(row_ids), "intents": intents[:10]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one provider got.

    creates: batches that a client made; twins: those that a `duplicate` fault added, which are left out of the rest. rows: of all batches.
    intents: batches by intent, see `intent_of` (before the rows were read: the label of the create). duplicates: intents with more
    than one batch.
    """

    requests: int
    bytes: int
    creates: int
    twins: int
    rows: int
    intents: dict[str, int]
    duplicates: dict[str, int]


def intent_of(row_id: str) -> str:
    """What the rows of one hand-over have in common: the part before the last dash, or the first twelve characters."""
    return row_id.rpartition("-")[0] or row_id[:12]


def tally(folder: Path) -> dict[str, Tally]:
    """What the providers of a state folder got, by provider."""
    requests, size = Counter[str](), Counter[str]()
    for entry in _entries(folder / "received.jsonl"):
        provider = str(entry.get("operation") or "").partition(".")[0] or "unknown"
        requests[provider] += 1
        size[provider] += entry["bytes"]
    jobs: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in _entries(folder / "created.jsonl"):
        jobs.setdefault(entry["provider"], {}).setdefault(entry["job"], {}).update(entry)
    return {provider: _tally(jobs.get(provider, {}), requests[provider], size[provider]) for provider in sorted({*requests, *jobs})}


def received(folder: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Every request in order, with its body."""
    for entry in _entries(folder / "received.jsonl"):
        yield entry, (folder / entry["body"]).read_bytes() if entry["body"] else b""


def _tally(jobs: dict[str, dict[str, Any]], requests: int, size: int) -> Tally:
    twins = sum(job["twin"] for job in jobs.values())
    jobs = {name: job for name, job in jobs.items() if not job["twin"]}
    intents = Counter(intent for job in jobs.values() for intent in job.get("intents") or [job["label"]])
    return Tally(
        requests=requests,
        bytes=size,
        creates=len(jobs),
        twins=twins,
        rows=sum(job.get("rows", 0) for job in jobs.values()),
        intents=dict(intents),
        duplicates={intent: count for intent, count in intents.items() if count > 1},
    )


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                yield json.loads(line)
