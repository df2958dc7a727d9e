"""All replicas of an endpoint: who gets which rows, who is still alive, how far they are, and an orderly end.

It runs when it is asked something: `attend` looks after every replica, without waiting for any. There is one runner for each job
(`sinks/ledger/lock.py`); with several jobs on one device, the lock of the device says whose turn it is.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sinks.lanes.vllm_batch import Counts, Row
from sinks.lanes.vllm_jobs import Job, Share, divide
from sinks.lanes.vllm_locks import DeviceLocks, end_holder, lock_path, open_locks_folder
from sinks.lanes.vllm_process import WorkerFiles, worker_environment
from sinks.lanes.vllm_replica import Replica, ReplicaPlan, ReplicaState
from sinks.lanes.vllm_settings import EngineSettings

CLOSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneProgress:
    """How far a lane is with all rows that it was given or took over. done: answered since. seconds_working: with an engine loaded."""

    rows: int
    done: int
    tokens_in: int
    tokens_out: int
    seconds_working: float
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What a fleet is made of. command: the worker's program, to which the path of its spec is added. locks: folder of the device locks."""

    endpoint: str
    settings: EngineSettings
    spool: Path
    command: tuple[str, ...]
    locks: Path


class Fleet:
    """The replicas of one endpoint, and the open jobs that they work on."""

    def __init__(self, plan: FleetPlan) -> None:
        self._locks = open_locks_folder(plan.locks)
        self._replicas = [Replica(_replica_plan(plan, number)) for number in range(len(plan.settings.devices))]
        self._folder = _folder(plan)
        self._jobs: dict[str, Job] = {}
        self._past, self._past_rows = Counts(), 0
        self._seconds = self._given_at = 0.0
        self._since: float | None = None

    @property
    def unavailable(self) -> bool:
        """Whether every replica was given up."""
        return all(replica.unavailable for replica in self._replicas)

    def divide(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """Who of those that work gets which rows, by device."""
        working = [replica for replica in self._replicas if not replica.unavailable]
        divided = divide(rows, [self._load(replica) for replica in working])
        return {replica.device: share for replica, share in zip(working, divided, strict=True) if share}

    def add(self, job: Job) -> None:
        """Work on this job from now on."""
        if not self._has_work():
            self._given_at = time.time()
        self._jobs[job.job_id] = job

    def job(self, job_id: str) -> Job | None:
        """The job, if it is one of the open ones here."""
        return self._jobs.get(job_id)

    def forget(self, job_id: str) -> None:
        """Work on this job no more; what it came to is still counted."""
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._past.add(job.counts)
            self._past.add(job.before, sign=-1)
            self._past_rows += job.rows - job.before.done

    def attend(self) -> None:
        """Look after every replica once."""
        for job in list(self._jobs.values()):
            if not job.exists:  # another process has taken it in
                self.forget(job.job_id)
        had_work = self._has_work()
        self._adopt()
        for replica in self._replicas:
            replica.attend(self._shares(replica))
        self._keep_time(had_work=had_work)

    def is_over(self, job: Job) -> bool:
        """Whether nothing more will be answered: all is, or who should is given up."""
        given_up = {replica.device for replica in self._replicas if replica.unavailable}
        return job.cancelled or all(not share.unanswered or share.device in given_up for share in job.shares)

    def stop(self, job: Job) -> None:
        """End the workers that work on this job. Their other jobs are gone on with by `attend`."""
        for share in job.shares:
            if not share.unanswered:
                continue
            for replica in self._replicas:
                if replica.works_on(share):
                    replica.stop(patience_s=0)
            end_holder(lock_path(self._locks, share.device), self._folder)

    def close(self, *, patience_s: float = CLOSE_S) -> None:
        """End idle workers and see their devices free; let the others finish what they were told."""
        deadline = time.monotonic() + patience_s
        for job in self._jobs.values():
            job.read()
        for replica in self._replicas:
            if any(share.unanswered for share in self._shares(replica)) and not replica.unavailable:
                replica.leave()
            else:
                replica.stop(patience_s=max(0.0, deadline - time.monotonic()))
                replica.tidy()

    def progress(self) -> LaneProgress:
        """How far all of it is, as far as was looked."""
        counts = Counts()
        counts.add(self._past)
        for job in self._jobs.values():
            counts.add(job.counts)
            counts.add(job.before, sign=-1)
        running = time.time() - self._since if self._since is not None else 0.0
        return LaneProgress(
            rows=self._past_rows + sum(job.rows - job.before.done for job in self._jobs.values()),
            done=counts.done,
            tokens_in=counts.tokens_in,
            tokens_out=counts.tokens_out,
            seconds_working=self._seconds + max(0.0, running),
            state=self._state().value,
        )

    def _has_work(self) -> bool:
        return not all(self.is_over(job) for job in self._jobs.values())

    def _state(self) -> ReplicaState:
        """The state that says most: something works, else something will."""
        states = {replica.state(self._shares(replica)) for replica in self._replicas}
        if any(share.unanswered for share in self._foreign()):
            states.add(ReplicaState.WAITING)
        order = (ReplicaState.WORKING, ReplicaState.LOADING, ReplicaState.WAITING, ReplicaState.IDLE)
        return next((state for state in order if state in states), ReplicaState.FAILED)

    def _shares(self, replica: Replica) -> list[Share]:
        return [share for job in self._jobs.values() if not job.cancelled for share in job.shares if share.device == replica.device]

    def _foreign(self) -> list[Share]:
        ours = {replica.device for replica in self._replicas}
        return [share for job in self._jobs.values() if not job.cancelled for share in job.shares if share.device not in ours]

    def _load(self, replica: Replica) -> int:
        return sum(share.load for share in self._shares(replica))

    def _adopt(self) -> None:
        """Take over shares of devices that the endpoint no longer has, as soon as no worker is left on those."""
        for share in self._foreign():
            share.read()
            locks = DeviceLocks.acquire([lock_path(self._locks, share.device)]) if share.unanswered else None
            if locks is None:
                continue
            try:
                share.isolate()
                share.device = min(self._replicas, key=lambda replica: (replica.unavailable, self._load(replica))).device
                next(job for job in self._jobs.values() if share in job.shares).save()
            finally:
                locks.release()

    def _keep_time(self, *, had_work: bool) -> None:
        """Count from when an engine was loaded and had work until the last answer."""
        loaded = [at for replica in self._replicas if (at := replica.loaded_at) is not None]
        if self._since is None and had_work and loaded:
            self._since = max(min(loaded), self._given_at)
        if self._since is not None and not self._has_work():
            last = max((at for job in self._jobs.values() if (at := job.answered_at) is not None), default=time.time())
            self._seconds += max(0.0, last - self._since)
            self._since = None


def _folder(plan: FleetPlan) -> Path:
    """The endpoint's own folder in the spool: two endpoints of one night have workers of the same numbers."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", plan.endpoint)[:32]
    return plan.spool / f"vllm-{name}-{hashlib.sha256(plan.endpoint.encode()).hexdigest()[:8]}"


def _replica_plan(plan: FleetPlan, number: int) -> ReplicaPlan:
    settings = plan.settings
    devices = settings.devices[number]
    environment = worker_environment(settings.device)
    if settings.device != "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    return ReplicaPlan(
        name=f"endpoint {plan.endpoint!r}: worker {number}",
        devices=devices,
        locks=plan.locks,
        files=WorkerFiles(folder=_folder(plan), number=number),
        command=plan.command,
        environment=environment,
        spec={
            "model": settings.model,
            "model_path": settings.model_path,
            "lora_path": settings.lora_path,
            "device": settings.device,
            "window": settings.window,
            # New for every night: nobody can find out by its speed what another job's prompts began with.
            "cache_salt": secrets.token_hex(16),
            "isolation": settings.isolation,
            "engine": dict(settings.engine),
            "long_documents": settings.long_documents,
        },
    )
