"""A small night in memory: a real ledger, real freezing and gate, the real lane, and a provider that lives in a dict."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from policies.clearance import clearance_id
from policies.model import Clearance, Endpoint, Lane
from sinks.clients.openai_client import BatchJob
from sinks.egress import pass_gate
from sinks.errors import AmbiguousError, EndpointError
from sinks.freeze import FreezeItem, Frozen, freeze, payload
from sinks.handover import HandOverOutcome, hand_over
from sinks.lanes.openai_batch import OpenAIBatchLane, OpenAIBatchOptions
from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.packing import ShardLimits
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard, FrozenShard

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
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
class Provider:
    """Files and batches in memory, behind the interface of `OpenAIBatches`. Faults are functions that run around `create`."""

    name: str = "cloud-test"
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    jobs: dict[str, BatchJob] = field(default_factory=dict)
    uploads: int = 0
    creates: int = 0
    cancelled: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    before_create: Callable[[], None] = lambda: None
    after_create: Callable[[], None] = lambda: None
    on_delete: Callable[[], None] = lambda: None
    listing: Callable[[list[BatchJob]], list[BatchJob]] = lambda jobs: jobs

    def upload(self, name: str, content: bytes, *, expires_after_s: int = 0) -> str:
        self.uploads += 1
        file_id = f"file_{len(self.files) + 1}"
        self.files[file_id] = (name, content)
        return file_id

    def create(self, file_id: str, *, url: str, metadata: Mapping[str, str], expires_after_s: int = 0) -> str:
        self.creates += 1
        self.before_create()
        job_id = self.add(file_id, metadata)
        self.after_create()
        return job_id

    def add(self, file_id: str, metadata: Mapping[str, str], *, at: datetime = NOW) -> str:
        job_id = f"batch_{len(self.jobs) + 1}"
        self.jobs[job_id] = BatchJob(
            job_id=job_id,
            state="in_progress",
            created_at=int(at.timestamp()) + len(self.jobs),
            input_file_id=file_id,
            file_ids=(),
            metadata=dict(metadata),
            total=None,
            completed=None,
            failed=None,
        )
        return job_id

    def finish(self, job_id: str, lines: Sequence[bytes], *, errors: Sequence[bytes] | None = None, state: str = "completed") -> None:
        file_ids = []
        for content in (lines, errors):
            if content is not None:
                file_ids.append(f"file_{len(self.files) + 1}")
                self.files[file_ids[-1]] = ("output", b"".join(content))
        self.jobs[job_id] = replace(self.jobs[job_id], state=state, file_ids=tuple(file_ids))

    def batch(self, job_id: str) -> BatchJob:
        if job_id not in self.jobs:
            raise EndpointError("the batch is gone")
        return self.jobs[job_id]

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)
        self.jobs[job_id] = replace(self.jobs[job_id], state="cancelled")

    def batch_page(self, after: str | None) -> tuple[list[BatchJob], bool]:
        newest_first = self.listing(sorted(self.jobs.values(), key=lambda job: -job.created_at))
        start = next((index + 1 for index, job in enumerate(newest_first) if job.job_id == after), 0)
        return newest_first[start : start + 2], len(newest_first) > start + 2

    def files_named(self, name: str) -> list[str]:
        return [file_id for file_id, (filename, _) in self.files.items() if filename == name]

    def download(self, file_id: str, target: IO[bytes]) -> int:
        return target.write(self.files[file_id][1])

    def delete_file(self, file_id: str) -> bool:
        self.on_delete()
        self.deleted.append(file_id)
        return self.files.pop(file_id, None) is not None


class CountingLane(OpenAIBatchLane):
    """The real lane, counting what reaches it."""

    handed: int = 0

    def hand_over(self, shard: ClearedShard) -> str:
        self.handed += 1
        return super().hand_over(shard)


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


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    provider = Provider()
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    lane = CountingLane(provider, OpenAIBatchOptions(spool=spool, model=CLOUD.model))  # type: ignore[arg-type]
    made = Scene(
        ledger=Ledger.open(tmp_path / "ledger"),
        spool=spool,
        provider=provider,
        lane=lane,
        registry={CLOUD.name: CLOUD, LOCAL.name: LOCAL},
    )
    made.start()
    return made


@pytest.fixture
def cloud() -> Endpoint:
    return CLOUD


@pytest.fixture
def local() -> Endpoint:
    return LOCAL


@pytest.fixture
def drop() -> Callable[[], None]:
    def connection_lost() -> None:
        raise AmbiguousError("connection_lost")

    return connection_lost
