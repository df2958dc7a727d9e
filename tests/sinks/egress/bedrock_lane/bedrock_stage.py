"""The Bedrock lane on its control plane and a bucket: alone, and in a scene with a real gate and ledger."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.model import Endpoint
from sinks import egress
from sinks.clients.bedrock_client import BedrockJobs
from sinks.clients.s3_client import S3Store
from sinks.handover import HandOverState
from sinks.ingest import CompletedRow, IngestReport, ResultPlace, ingest
from sinks.lanes.bedrock_batch import BedrockBatchLane
from sinks.ledger.queries import open_intents
from sinks.reconcile import ReconcileReport, reconcile
from sinks.shard import ClearedShard
from tests.sinks.bedrock_control import Control
from tests.sinks.egress.small_night import RUN

RECORDS = ("r-ada", "r-bob", "r-cyd")


@dataclass
class Bare:
    """The lane without a ledger: shards come as the gate issues them."""

    lane: BedrockBatchLane
    control: Control
    store: S3Store
    endpoint: Endpoint
    jobs: BedrockJobs

    def issued(self) -> ClearedShard:
        intent_id = secrets.token_hex(16)
        row = {"recordId": f"{intent_id[:12]}000000", "modelInput": {}}
        shard = ClearedShard(
            intent_id=intent_id,
            run_id=RUN,
            endpoint=self.endpoint,
            attempt=1,
            content=json.dumps(row).encode() + b"\n",
            row_ids=(f"{intent_id[:12]}-000000",),
            digest="d",
        )
        egress._issued[intent_id] = shard
        return shard

    def keys(self) -> list[str]:
        return [found.key for found in self.store.keys("")]


@dataclass
class Cloud:
    """A scene whose provider is the control plane and a bucket."""

    scene: Any
    control: Control
    store: S3Store
    endpoint: Endpoint
    jobs: BedrockJobs
    rows: dict[str, CompletedRow] = field(default_factory=dict)

    def frozen(self) -> Any:
        return self.scene.frozen(endpoint=self.endpoint)

    def submitted(self) -> Any:
        assert self.scene.hand_over(self.frozen()).state is HandOverState.SUBMITTED
        (intent,) = open_intents(self.scene.ledger)
        return intent

    def recover(self, **options: Any) -> ReconcileReport:
        return reconcile(self.scene.ledger, {self.endpoint.name: self.scene.lane}, self.scene.registry, now=self.scene.now, **options)

    def keys(self) -> list[str]:
        return [found.key for found in self.store.keys("")]

    def finish(self, lines: Sequence[bytes] | None, *, state: str = "Completed", manifest: bytes | None = None) -> None:
        """End the only job; its output comes first, as at the provider."""
        (job,) = self.control.jobs.values()
        folder = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix(f"s3://{self.store.bucket}/") + job["jobArn"][-12:]
        name = job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].rpartition("/")[2]
        if lines is not None:
            self.store.put(f"{folder}/{name}.out", b"".join(lines))
        if manifest is not None:
            self.store.put(f"{folder}/manifest.json.out", manifest)
        job["status"] = state

    def take_in(self) -> IngestReport:
        (intent,) = open_intents(self.scene.ledger)
        options = {"endpoint": self.endpoint, "prompt": self.scene.prompt, "write": self.write}
        return ingest(self.scene.ledger, self.scene.lane, intent, spool=self.scene.spool, now=self.scene.now, **options)

    def write(self, rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        self.rows |= {row.record_id: row for row in rows}
        return {row.record_id: ResultPlace(file="f.parquet", row=n, digest="d") for n, row in enumerate(rows)}

    def states(self) -> dict[str, str]:
        states: dict[str, str] = self.scene.states()
        return states

    def answers(self, **replaced: dict[str, Any]) -> list[bytes]:
        """One output line for each row of the input, in another order."""
        (job,) = self.control.jobs.values()
        key = job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix(f"s3://{self.store.bucket}/")
        rows = [json.loads(row) for row in self.store.read(key).decode().split("\n") if row]
        good = {"output": {"message": {"content": [{"text": "A summary."}]}}, "stopReason": "end_turn"}
        lines = []
        for row, record_id in zip(rows, RECORDS, strict=True):
            usage = {"usage": {"inputTokens": 10, "outputTokens": 5}}
            lines.append(json.dumps({**row, **replaced.get(record_id[2:], {"modelOutput": {**good, **usage}})}).encode() + b"\n")
        return lines[::-1]
