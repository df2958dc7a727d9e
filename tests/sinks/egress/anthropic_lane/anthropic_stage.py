"""Message batches in memory, a scene on them, and the lines in which they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import IO, Any

from anthropic.types.messages import MessageBatchIndividualResponse

from policies.model import Endpoint
from sinks.clients.anthropic_client import MessageBatch
from sinks.errors import EndpointError
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.ledger.queries import open_intents
from sinks.reconcile import ReconcileReport, reconcile

RECORDS = ("r-ada", "r-bob", "r-cyd")
WAITS = timedelta(minutes=3)
"""A little longer than two listings are apart."""
FOREIGN = "f" * 32


@dataclass
class Workspace:
    """Message batches in memory, behind the interface of `AnthropicBatches`. Faults are functions that run around `create`."""

    now: Callable[[], datetime]
    name: str = "claude"
    batches: dict[str, MessageBatch] = field(default_factory=dict)
    posted: list[bytes] = field(default_factory=list)
    results: dict[str, bytes] = field(default_factory=dict)
    looked_into: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    before_create: Callable[[], None] = lambda: None
    after_create: Callable[[], None] = lambda: None
    listing: Callable[[list[MessageBatch]], list[MessageBatch]] = lambda batches: batches

    def create(self, rows: bytes) -> str:
        self.posted.append(rows)
        self.before_create()
        job_id = self.add(rows.count(b"\n"))
        self.after_create()
        return job_id

    def add(self, total: int | None, *, at: datetime | None = None, **changes: Any) -> str:
        job_id = f"msgbatch_{len(self.batches) + 1}"
        plain: dict[str, Any] = {"state": "in_progress", "succeeded": 0, "unsuccessful": 0, "archived": False}
        seconds = int((at or self.now()).timestamp()) + len(self.batches)
        self.batches[job_id] = MessageBatch(job_id=job_id, created_at=seconds, total=total, **{**plain, **changes})
        return job_id

    def end(self, job_id: str, lines: Sequence[bytes], *, state: str = "ended") -> None:
        self.results[job_id] = b"".join(lines)
        self.batches[job_id] = replace(self.batches[job_id], state=state)

    def batch(self, job_id: str) -> MessageBatch:
        return self.batches[job_id]

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    def batch_page(self, after: str | None) -> tuple[list[MessageBatch], bool]:
        newest_first = self.listing(sorted(self.batches.values(), key=lambda batch: -batch.created_at))
        start = next((index + 1 for index, batch in enumerate(newest_first) if batch.job_id == after), 0)
        return newest_first[start : start + 2], len(newest_first) > start + 2

    def download(self, job_id: str, target: IO[bytes], *, most: int | None = None) -> int:
        self.looked_into.append(job_id)
        if job_id not in self.results:
            raise EndpointError("no results there")
        return target.write(self.results[job_id][:most])

    def delete(self, job_id: str) -> bool:
        self.results.pop(job_id, None)
        return self.batches.pop(job_id, None) is not None


@dataclass
class Stage:
    """A scene whose provider is a workspace."""

    scene: Any
    workspace: Workspace
    endpoint: Endpoint
    outputs: dict[str, str] = field(default_factory=dict)

    def hand_over(self, *record_ids: str) -> str:
        """Hand the records over; returns the intent."""
        shard = self.scene.frozen(*record_ids, endpoint=self.endpoint)
        self.scene.hand_over(shard)
        return str(shard.intent_id)

    def recover(self) -> ReconcileReport:
        return reconcile(self.scene.ledger, {self.endpoint.name: self.scene.lane}, self.scene.registry, now=self.scene.now)

    def take_in(self) -> IngestReport:
        (intent,) = open_intents(self.scene.ledger)
        options = {"endpoint": self.endpoint, "prompt": self.scene.prompt, "spool": self.scene.spool, "now": self.scene.now}
        return ingest(self.scene.ledger, self.scene.lane, intent, write=self.write, **options)

    def write(self, rows: Sequence[CompletedRow]) -> Mapping[str, ResultPlace]:
        self.outputs |= {row.record_id: row.result.output or "" for row in rows}
        return {row.record_id: ResultPlace(file="f.parquet", row=n, digest="d") for n, row in enumerate(rows)}

    def states(self) -> set[str]:
        return set(self.scene.states().values())


def line(intent_id: str, ordinal: int, result: dict[str, Any] | None = None, *, text: str = "Said.") -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-20260101",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    tree = {"custom_id": f"{intent_id[:12]}-{ordinal:06d}", "result": result or {"type": "succeeded", "message": message}}
    MessageBatchIndividualResponse.model_validate(tree)
    return json.dumps(tree).encode() + b"\n"


def lines(intent_id: str, count: int = 3) -> list[bytes]:
    return [line(intent_id, ordinal, text=f"Row {ordinal}.") for ordinal in range(count)]
