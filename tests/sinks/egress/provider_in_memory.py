"""A provider that lives in a dict, behind the interface of its client, and the real lane on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO

from sinks.clients.openai_client import BatchJob
from sinks.errors import EndpointError
from sinks.lanes.openai_batch import OpenAIBatchLane
from sinks.shard import ClearedShard

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


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

    def file_name(self, file_id: str) -> str | None:
        return self.files[file_id][0] if file_id in self.files else None

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
