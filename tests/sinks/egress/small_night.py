"""A small night in memory: a real ledger, real freezing and gate, the real lane; every step is the program's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from policies.clearance import clearance_id
from policies.model import Clearance, Endpoint, Lane
from sinks.egress import pass_gate
from sinks.freeze import FreezeItem, Frozen, freeze, payload
from sinks.handover import HandOverOutcome, hand_over
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import run_state
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.packing import ShardLimits
from sinks.reconcile import ReconcileReport, reconcile
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard, FrozenShard
from tests.sinks.egress.provider_in_memory import NOW, CountingLane, Provider

RUN = "nightly-2026-11-22"
CLOUD = Endpoint(
    name="cloud-test",
    lane=Lane.CLOUD,
    engine="openai_batch",
    provider="openai",
    model="gpt-test",
    base_url="https://api.invalid/v1",
    facts={"dpa": True, "training_use": False},
    review_by=date(2027, 1, 1),
)
LOCAL = Endpoint(name="local-test", lane=Lane.LOCAL, engine="extractive", provider="waybill", model="lexrank")
PROMPT = Prompt(
    kind=TaskKind.SUMMARIZE,
    messages=(
        Message(role="system", parts=(Part(text="Summarize in two sentences."),)),
        Message(role="user", parts=(Part(text="Subject: "), Part(slot="metadata.subject"), Part(text="\n\n"), Part(slot="text"))),
    ),
)
TEXTS = {
    "r-ada": "Ada Quill writes about beekeeping in the garden.",
    "r-bob": "Bob Marsh lists the parts of a bicycle.",
    "r-cyd": 'Cyd Vane describes tide pools. \u2028 Line separator, \u0000 NUL, "quotes" and \\ survive.',
}


@dataclass
class Scene:
    """One run with a few documents; every step is the program's own."""

    ledger: Ledger
    spool: Path
    provider: Provider
    lane: CountingLane
    registry: dict[str, Endpoint]
    prompt: Prompt = PROMPT
    now: datetime = NOW
    attempts: dict[str, int] = field(default_factory=dict)

    def start(self, template_hash: str | None = None) -> None:
        self.ledger.commit(
            [
                Entry(
                    event=Event.RUN_STARTED,
                    at=self.now,
                    run_id=RUN,
                    job="nightly",
                    logical_date="2026-11-22",
                    template_hash=template_hash or self.prompt.hash,
                )
            ]
        )

    def parts(self, record_id: str) -> dict[str, str]:
        return {"text": TEXTS[record_id], "metadata.subject": f"About {record_id}"}

    def decide(self, record_id: str, *, lanes: Sequence[str] = ("local", "cloud"), requires: Sequence[str] = ("dpa=true",)) -> None:
        document_hmac = self.ledger.keys.document_hmac(self.ledger.keys.part_hmacs(self.parts(record_id)))
        self.ledger.commit(
            [
                Entry(
                    event=Event.DECIDED,
                    at=self.now,
                    run_id=RUN,
                    record_id=record_id,
                    data_classes=("CLEAN",),
                    rule="route_1",
                    lanes=tuple(lanes),
                    cloud_requires=tuple(requires),
                    document_hmac=document_hmac,
                )
            ]
        )

    def assign(self, record_id: str, endpoint: Endpoint = CLOUD) -> None:
        self.ledger.commit(
            [Entry(event=Event.ASSIGNED, at=self.now, run_id=RUN, record_id=record_id, lane=endpoint.lane.value, endpoint=endpoint.name)]
        )

    def clear(self, record_id: str, endpoint: Endpoint = CLOUD, *, attempt: int = 1, commit: bool = True) -> FreezeItem:
        keys = self.ledger.keys
        body = payload(self.lane, self.prompt, endpoint, self.parts(record_id))
        digest = keys.hmac("payload", body)
        clearance = Clearance(
            clearance_id=clearance_id(RUN, record_id, endpoint.name, digest, attempt),
            record_id=record_id,
            endpoint=endpoint.name,
            lane=endpoint.lane,
            payload_hmac=digest,
            payload_bytes=len(body),
            attempt=attempt,
        )
        if commit:
            self.ledger.commit(
                [
                    Entry(
                        event=Event.CLEARED,
                        at=self.now,
                        run_id=RUN,
                        record_id=record_id,
                        lane=clearance.lane.value,
                        endpoint=clearance.endpoint,
                        clearance_id=clearance.clearance_id,
                        payload_hmac=clearance.payload_hmac,
                        payload_bytes=clearance.payload_bytes,
                        attempt=attempt,
                    )
                ]
            )
        part_hmacs = keys.part_hmacs(self.parts(record_id))
        return FreezeItem(record_id=record_id, parts=self.parts(record_id), clearance=clearance, part_hmacs=part_hmacs)

    def carry(self, *record_ids: str, endpoint: Endpoint = CLOUD) -> list[FreezeItem]:
        """Decide, assign, clear."""
        for record_id in record_ids:
            self.decide(record_id)
            self.assign(record_id, endpoint)
        return [self.clear(record_id, endpoint) for record_id in record_ids]

    def freeze_all(self, items: Sequence[FreezeItem], *, endpoint: Endpoint = CLOUD, limits: ShardLimits | None = None) -> Frozen:
        return freeze(
            self.spool,
            run_id=RUN,
            endpoint=endpoint,
            attempt=items[0].clearance.attempt,
            lane=self.lane,
            prompt=self.prompt,
            items=items,
            limits=limits or ShardLimits(),
        )

    def frozen(self, *record_ids: str, endpoint: Endpoint = CLOUD) -> FrozenShard:
        (shard,) = self.freeze_all(self.carry(*(record_ids or tuple(TEXTS)), endpoint=endpoint), endpoint=endpoint).shards
        return shard

    def gate(self, shard: FrozenShard, **changes: Any) -> ClearedShard:
        return pass_gate(shard, **{**self._common(), **changes})

    def hand_over(self, shard: FrozenShard, **changes: Any) -> HandOverOutcome:
        return hand_over(shard, **{**self._common(), **changes})

    def again(self) -> FrozenShard:
        """Every record cleared and frozen once more."""
        (shard,) = self.freeze_all([self.clear(record_id, attempt=2) for record_id in TEXTS]).shards
        return shard

    def recover(self, **options: Any) -> ReconcileReport:
        lanes = dict.fromkeys((CLOUD.name, LOCAL.name), self.lane)
        return reconcile(self.ledger, lanes, self.registry, now=self.now, **options)

    def states(self) -> dict[str, str]:
        """By record, of those that the run knows."""
        table = run_state(self.ledger, RUN)
        return {record_id: found.state for record_id in TEXTS if (found := table.get(record_id)) is not None}

    def _common(self) -> dict[str, Any]:
        return {
            "prompt": self.prompt,
            "lane": self.lane,
            "ledger": self.ledger,
            "keys": self.ledger.keys,
            "registry": self.registry,
            "now": self.now,
        }

    def events(self, *events: Event) -> list[dict[str, Any]]:
        with reading(self.ledger) as reader:
            rows: list[dict[str, Any]] = reader.table("SELECT * FROM entries ORDER BY seq").to_pylist()
        return [row for row in rows if row["event"] in events]

    def answer(self, shard_id: str, texts: Mapping[int, str]) -> list[bytes]:
        """Output lines of a provider for row ordinals."""
        return [
            json.dumps(
                {
                    "custom_id": f"{shard_id[:12]}-{ordinal:06d}",
                    "response": {
                        "status_code": 200,
                        "body": {
                            "model": "gpt-test-2026",
                            "choices": [{"finish_reason": "stop", "message": {"content": text}}],
                            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
                        },
                    },
                    "error": None,
                }
            ).encode()
            + b"\n"
            for ordinal, text in texts.items()
        ]

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)
