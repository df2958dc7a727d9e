"""The local lane over offline vLLM: long-lived workers, one for each replica; rows and answers in the spool.

Invariants kept here:
- Local means local (8): the model is a folder on this machine; the worker's environment is made by us (`vllm_process`), and with
  `isolation: netns` it has no network interfaces or does not start.
- A row is answered once: a worker holds the locks of its devices, whoever started it; who comes later waits for them and goes on from
  the files. Killed at any moment, workers and we alike, nothing is lost and nothing answered twice.
- No record can stop the others: one that kills the engine is found by running it alone, and becomes a failed row.
- What cannot be answered because the engine cannot be had goes back; nothing is tried for ever (`vllm_replica`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from policies.model import Endpoint
from sinks.egress import redeem
from sinks.errors import EndpointError, RejectedError
from sinks.lanes import Sought
from sinks.lanes.chat_body import chat_body
from sinks.lanes.vllm_batch import Row
from sinks.lanes.vllm_fleet import CLOSE_S, Fleet, FleetPlan, LaneProgress
from sinks.lanes.vllm_jobs import Job, delete_job, job_exists
from sinks.lanes.vllm_locks import device_locks
from sinks.lanes.vllm_settings import NETNS, read_settings
from sinks.request import Message, Prompt, TaskKind
from sinks.shard import ClearedShard, JobStatus, LaneResult

ENGINE_UNAVAILABLE = "engine_unavailable"
CANCELLED = "batch_cancelled"

# `-P` keeps the folder of the worker's program off the front of the path, where a file named like a package would hide it.
_RUN = "import sys, runpy; sys.path.append(sys.argv[1]); runpy.run_module('vllm_worker', run_name='__main__', alter_sys=True)"
WORKER = ("-P", "-c", _RUN, str(Path(__file__).parent))


class VllmOfflineLane:
    """Offline vLLM. The endpoint's settings are those of `vllm_settings`; its `python` comes before the job's.

    worker: arguments of that interpreter that run the worker, the path of its spec added. locks: the folder of the device locks.
    """

    def __init__(self, spool: Path, python: Path, endpoint: Endpoint, *, worker: Sequence[str] = WORKER, locks: Path | None = None) -> None:
        settings = read_settings(endpoint)
        self._spool, self._endpoint = spool.absolute(), endpoint
        self._fleet = Fleet(
            FleetPlan(
                endpoint=endpoint.name,
                settings=settings,
                spool=self._spool,
                command=(settings.python or str(python), *worker),
                locks=locks or device_locks(),
            )
        )
        self.isolation = NETNS if settings.isolation == NETNS else ""

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """A chat. Every part is a content element of its own, so that the gate can look at it alone; the worker joins them."""
        return {**chat_body(messages, prompt, endpoint), "schema": prompt.schema if prompt.kind is TaskKind.EXTRACT else None}

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:  # noqa: ARG002 - the protocol's signature
        """One line of the shard file."""
        return {"custom_id": row_id, "body": body}

    def hand_over(self, shard: ClearedShard) -> str:
        """Divide the checked rows between the replicas, put them into the spool, and tell the workers. The intent id is the job id."""
        redeem(shard)
        if shard.endpoint != self._endpoint:
            raise EndpointError(f"vllm_offline: this lane serves endpoint {self._endpoint.name!r} as it was when the night began")
        self._attend()
        if self._fleet.unavailable:
            raise RejectedError(ENGINE_UNAVAILABLE)
        # Split at newlines only: text may hold U+2028 and its like.
        rows = [Row.of(line + b"\n") for line in shard.content.split(b"\n") if line]
        try:
            job = Job.create(self._spool, shard.intent_id, self._fleet.divide(rows))
        except OSError:
            delete_job(self._spool, shard.intent_id)
            raise RejectedError("spool_unwritable") from None
        self._fleet.add(job)
        with contextlib.suppress(EndpointError):  # the job exists: what is wrong now is for `poll` to say
            self._attend()
        return shard.intent_id

    def find(self, sought: Sought) -> Sequence[str]:
        """The intent itself once all of its rows are in the spool: `poll` sees to it that they are worked on."""
        return [sought.intent_id] if job_exists(self._spool, sought.intent_id) else []

    def poll(self, provider_job_id: str) -> JobStatus:
        """How far the workers are. One that died is started again; nothing is waited for."""
        job = self._job(provider_job_id)
        if job is None:
            return JobStatus(provider_job_id=provider_job_id, state="absent", ended=False)
        self._attend()
        ended, counts = self._fleet.is_over(job), job.counts
        if job.cancelled:
            state = "cancelled"
        elif job.unanswered:
            state = "failed" if ended else "running"
        else:
            state = "completed"
        return JobStatus(
            provider_job_id=provider_job_id,
            state=state,
            ended=ended,
            total=job.rows,
            completed=counts.done - counts.failed,
            failed=counts.failed,
        )

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """The answers, then the rows without one: they go back."""
        job = self._job(provider_job_id)
        if job is None:
            raise EndpointError(f"vllm_offline: job {provider_job_id} is not in the spool; its records need a new attempt")
        for share in job.shares:
            answered: set[str] = set()
            for result in share.results():
                answered.add(result.row_id)
                yield result
            for row_id in sorted(share.ids - answered):
                yield LaneResult(row_id=row_id, error_code=CANCELLED if job.cancelled else ENGINE_UNAVAILABLE)

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Delete the job's files. One that is not over is stopped before: no worker may write where nobody looks any more."""
        job = self._job(provider_job_id)
        if job is not None and not job.cancelled and job.unanswered:
            self.cancel(provider_job_id)
        self._fleet.forget(provider_job_id)
        with self._files_usable():
            return delete_job(self._spool, provider_job_id)

    def cancel(self, provider_job_id: str) -> None:
        """Answer no more rows of this job."""
        job = self._job(provider_job_id)
        if job is not None:
            with self._files_usable():
                job.read()
                job.cancelled = True
                job.save()
                self._fleet.stop(job)

    def close(self, *, patience_s: float = CLOSE_S) -> None:
        """End idle workers, so that their devices are free; let the others finish what they were told. A later lane takes it in."""
        self._fleet.close(patience_s=patience_s)

    def progress(self) -> LaneProgress:
        """How far all of it is, as of the last look."""
        return self._fleet.progress()

    def _job(self, job_id: str) -> Job | None:
        job = self._fleet.job(job_id)
        if job is not None and job.exists:
            return job
        with self._files_usable():
            job = Job.open(self._spool, job_id)
        if job is not None:
            self._fleet.add(job)
        return job

    def _attend(self) -> None:
        with self._files_usable():
            self._fleet.attend()

    @contextlib.contextmanager
    def _files_usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EndpointError(f"vllm_offline: {self._spool}: the spool or a device lock cannot be used ({error.strerror})") from None
