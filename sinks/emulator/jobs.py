"""The batches of all providers, on disk: one JSON file each, replaced in one step, and read back by the next start.

A file holds the job as kept here and, under `object`, as the provider shows it, for whoever reads the folder.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sinks import durable
from sinks.emulator.disk import keep

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One batch. Times are the emulator's, in seconds since the epoch.

    state: in the provider's own words; since: when it began. asked: what the create asked for. counts: rows by their end, under the
    provider's names. results: what the provider shows of the outcome (file ids, errors, usage). notes: what the fault plan has
    in store for it.
    """

    job_id: str
    provider: str
    state: str
    created_at: float
    since: float
    expires_at: float | None = None
    total: int = 0
    ended: bool = False
    moments: dict[str, float] = field(default_factory=dict)
    asked: Tree = field(default_factory=dict, repr=False)
    counts: dict[str, int] = field(default_factory=dict)
    results: Tree = field(default_factory=dict)
    notes: Tree = field(default_factory=dict)


Show = Callable[[Job], Tree]


class JobStore:
    """Jobs in the order of their creation. Safe to use from several threads of one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "batches"
        for path in (folder, self._folder):
            path.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
            path.chmod(durable.PRIVATE_FOLDER)
        self._lock = threading.RLock()
        self._shows: dict[str, Show] = {}
        kept = [json.loads(path.read_bytes()) for path in self._folder.glob("*.json")]
        kept.sort(key=lambda record: record["sequence"])
        self._next = kept[-1]["sequence"] + 1 if kept else 1
        self._sequences: dict[str, int] = {record["job"]["job_id"]: record["sequence"] for record in kept}
        self._jobs: dict[str, Job] = {record["job"]["job_id"]: Job(**record["job"]) for record in kept}

    def register(self, provider: str, show: Show) -> None:
        """How a provider shows its jobs."""
        self._shows[provider] = show

    def add(self, job: Job) -> None:
        """Keep a new job."""
        with self._lock:
            self._sequences[job.job_id], self._next = self._next, self._next + 1
            self._keep(job)

    def find(self, provider: str, job_id: str) -> Job | None:
        """A job of this provider."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.provider == provider else None

    def get(self, job_id: str) -> Job | None:
        """A job of any provider."""
        return self._jobs.get(job_id)

    def __getitem__(self, job_id: str) -> Job:
        return self._jobs[job_id]

    def newest_first(self, provider: str | None = None) -> list[Job]:
        """All jobs, or all of a provider."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if provider in {None, job.provider}]

    def change(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        """Change a job in one step, whatever other threads do."""
        with self._lock:
            job = change(self._jobs[job_id])
            self._keep(job)
        return job

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        with self._lock:
            (self._folder / f"{job_id}.json").unlink(missing_ok=True)
            del self._jobs[job_id]

    def _keep(self, job: Job) -> None:
        record = {"sequence": self._sequences[job.job_id], "object": self._shows[job.provider](job), "job": asdict(job)}
        keep(self._folder / f"{job.job_id}.json", json.dumps(record).encode())
        self._jobs[job.job_id] = job
