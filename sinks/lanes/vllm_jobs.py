"""A vLLM job in the spool: a share of its rows for each device, and within it the rows that must run alone.

    JOB.job.json           the job: its shares, and the device that each of them belongs to. It is there last: without it there is no job
    JOB.N.in.jsonl         the rows of share N;  JOB.N.out.jsonl  the answers;  JOB.N.started  ids, each before the engine saw its row
    JOB.N-alone.*          likewise for the rows of share N that were in flight when a worker died

A row is in one batch only: first it is added to those that run alone, then it leaves the others; a kill in between is made good.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sinks import durable
from sinks.lanes.vllm_batch import Batch, Counts, Row
from sinks.shard import LaneResult

ENGINE_DIED = "engine_died"


class Share:
    """The rows of a job that belong to one device. tokens: of all its rows, estimated."""

    def __init__(self, folder: Path, job_id: str, number: int, *, device: str, tokens: int, rows: Sequence[Row] | None = None) -> None:
        self.device, self.tokens = device, tokens
        self.batch = Batch(folder, f"{job_id}.{number}", rows)
        self.alone = Batch(folder, f"{job_id}.{number}-alone")

    @property
    def ids(self) -> frozenset[str]:
        """The ids of its rows."""
        return self.batch.ids | self.alone.ids

    @property
    def counts(self) -> Counts:
        """What its answers come to."""
        total = Counts()
        for batch in (self.batch, self.alone):
            total.add(batch.counts)
        return total

    @property
    def unanswered(self) -> int:
        """How many rows have no answer yet."""
        return self.batch.unanswered + self.alone.unanswered

    @property
    def load(self) -> int:
        """The tokens still to come, estimated."""
        return self.tokens * self.unanswered // max(1, len(self.ids))

    def read(self) -> None:
        """Take in the answers since the last look."""
        for batch in (self.batch, self.alone):
            if batch.unanswered:
                batch.read()

    def reload(self) -> None:
        """Read again where its rows are: another process may have moved some."""
        self.alone.reload()
        self.batch.reload()

    def results(self) -> Iterator[LaneResult]:
        """Every answer."""
        yield from self.batch.results()
        yield from self.alone.results()

    def isolate(self) -> None:
        """Judge the death of the worker before, if it left rows in flight. Only while no worker has this share.

        In flight among others: from now on it runs alone. In flight alone, which takes a second death: it has killed the engine.
        """
        for batch in (self.batch, self.alone):
            batch.cut()
        suspects = [row_id for row_id in self.batch.in_flight() if row_id not in self.alone.ids]
        accused = self.alone.in_flight()
        if suspects:
            self.alone.write([*self.alone.rows(), *(row for row in self.batch.rows() if row.row_id in suspects)])
        elif accused:
            self.alone.fail(accused[-1], ENGINE_DIED)
        if self.batch.ids & self.alone.ids:
            self.batch.write([row for row in self.batch.rows() if row.row_id not in self.alone.ids])
        self.forget_started()

    def forget_started(self) -> None:
        """Nothing of it is in flight."""
        for batch in (self.batch, self.alone):
            batch.forget_started()


@dataclass(slots=True, kw_only=True)
class Job:
    """A job in the spool. before: what was answered when it was opened, by workers of an earlier process."""

    folder: Path
    job_id: str
    shares: tuple[Share, ...]
    cancelled: bool = False
    before: Counts = field(default_factory=Counts)

    @classmethod
    def create(cls, folder: Path, job_id: str, divided: Mapping[str, Sequence[Row]]) -> Job:
        """Put the rows of each device into the spool; afterwards the job exists."""
        folder.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        shares = tuple(
            Share(folder, job_id, number, device=device, tokens=sum(row.tokens for row in rows), rows=rows)
            for number, (device, rows) in enumerate(divided.items())
        )
        job = cls(folder=folder, job_id=job_id, shares=shares)
        job.save()
        return job

    @classmethod
    def open(cls, folder: Path, job_id: str) -> Job | None:
        """The job as it lies in the spool, if it does."""
        try:
            form = json.loads(_manifest(folder, job_id).read_bytes())
        except FileNotFoundError:
            return None
        shares = tuple(Share(folder, job_id, number, **facts) for number, facts in enumerate(form["shares"]))
        job = cls(folder=folder, job_id=job_id, shares=shares, cancelled=form["cancelled"])
        job.read()
        job.before = job.counts
        return job

    @property
    def exists(self) -> bool:
        """Whether it still lies in the spool."""
        return _manifest(self.folder, self.job_id).exists()

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(len(share.ids) for share in self.shares)

    @property
    def counts(self) -> Counts:
        """What its answers come to."""
        total = Counts()
        for share in self.shares:
            total.add(share.counts)
        return total

    @property
    def unanswered(self) -> int:
        """How many rows have no answer yet."""
        return sum(share.unanswered for share in self.shares)

    @property
    def answered_at(self) -> float | None:
        """When the last answer came (seconds since the epoch)."""
        times = [batch.answered_at for share in self.shares for batch in (share.batch, share.alone)]
        return max((at for at in times if at is not None), default=None)

    def read(self) -> None:
        """Take in the answers since the last look."""
        for share in self.shares:
            share.read()

    def save(self) -> None:
        """Write down whose its shares are."""
        form = {"cancelled": self.cancelled, "shares": [{"device": share.device, "tokens": share.tokens} for share in self.shares]}
        durable.replace(_manifest(self.folder, self.job_id), json.dumps(form).encode(), mode=durable.PRIVATE_FILE)


def job_exists(folder: Path, job_id: str) -> bool:
    """Whether the job lies in the spool."""
    return _manifest(folder, job_id).exists()


def delete_job(folder: Path, job_id: str) -> list[str]:
    """Remove the job's files, first of all what makes it one; the frozen shard beside them is not ours. Returns the names."""
    frozen = f"{job_id}.jsonl"
    paths = [_manifest(folder, job_id), *folder.glob(f"{job_id}.*")]
    removed = [path for path in dict.fromkeys(paths) if path.name != frozen and path.exists()]
    for path in removed:
        path.unlink(missing_ok=True)
    return [path.name for path in removed]


def divide(rows: Sequence[Row], loads: Sequence[int]) -> list[list[Row]]:
    """Rows for workers that already have so many tokens to do each: the longest first, each to the one with least (Graham's LPT rule)."""
    heap = [(load, worker) for worker, load in enumerate(loads)]
    heapq.heapify(heap)
    given: list[list[int]] = [[] for _ in loads]
    for position in sorted(range(len(rows)), key=lambda position: -rows[position].tokens):
        load, worker = heap[0]
        given[worker].append(position)
        heapq.heapreplace(heap, (load + rows[position].tokens, worker))
    return [[rows[position] for position in sorted(positions)] for positions in given]


def _manifest(folder: Path, job_id: str) -> Path:
    return folder / f"{job_id}.job.json"
