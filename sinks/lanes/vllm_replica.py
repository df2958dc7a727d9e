"""One replica: a worker on its devices, started when there is work, started again when it died, and given up when that does not help.

How often can a worker die? Each death is one of these:

1. Before its engine was ready. Two of them in a row, and the replica is given up.
2. Later, with a row answered since its start. There are as many of these as there are rows, at the most; each row is answered once.
3. Later, with none answered. MAX_BARREN_DEATHS of them without one of the second kind in between, and the replica is given up. It takes
   one for each of several killers in a row, and one more for the moment when they were in flight together.

So with R rows there are never more than 2 × (MAX_BARREN_DEATHS × (R + 1) + 1) starts, and with an engine that does nothing at all,
never more than MAX_BARREN_DEATHS. A replica that was given up stays so for as long as its lane lives: its rows go back.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sinks.lanes.vllm_batch import Batch
from sinks.lanes.vllm_jobs import Share
from sinks.lanes.vllm_locks import DeviceLocks, lock_path
from sinks.lanes.vllm_process import WorkerFiles, WorkerProcess

LOGGER = logging.getLogger("waybill.vllm")
MAX_FAILED_LOADS = 2
MAX_BARREN_DEATHS = 5

# Ends that no record can be blamed for: somebody asked for it; the model's files or the isolation are not what they have to be.
_BLAMELESS = frozenset({-signal.SIGTERM, 128 + signal.SIGTERM, 3, 4})


class ReplicaState(StrEnum):
    """What a replica, or a fleet of them, is doing. waiting: another worker, of whichever job, has the device."""

    IDLE = "idle"
    WAITING = "waiting"
    LOADING = "loading"
    WORKING = "working"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPlan:
    """How to start a replica's worker. name: of its endpoint and itself, for messages."""

    name: str
    devices: tuple[str, ...]
    locks: Path
    files: WorkerFiles
    command: tuple[str, ...]
    environment: Mapping[str, str]
    spec: Mapping[str, Any]


class Replica:
    """A worker's place. `device`, the name of its first one, says which shares are its own."""

    def __init__(self, plan: ReplicaPlan) -> None:
        self._plan = plan
        self._lock_paths = [lock_path(plan.locks, device) for device in plan.devices]
        self._process: WorkerProcess | None = None
        self._told: set[str] = set()
        self._failed_loads = self._barren_deaths = 0
        self._waiting = self._blameless = self._fruitful = self._died = False
        self._seen: dict[str, int] = {}

    @property
    def device(self) -> str:
        """The name of its first device."""
        return self._plan.devices[0]

    @property
    def unavailable(self) -> bool:
        """Whether it was given up."""
        return self._failed_loads >= MAX_FAILED_LOADS or self._barren_deaths >= MAX_BARREN_DEATHS

    @property
    def loaded_at(self) -> float | None:
        """When the engine of the running worker was ready."""
        return self._process.loaded_at if self._process is not None else None

    def state(self, shares: Sequence[Share]) -> ReplicaState:
        """What it is doing about these shares, its own."""
        if self.unavailable:
            return ReplicaState.FAILED
        if not any(share.unanswered for share in shares):
            return ReplicaState.IDLE
        if self._process is None:
            return ReplicaState.WAITING if self._waiting else ReplicaState.LOADING
        return ReplicaState.LOADING if self.loaded_at is None else ReplicaState.WORKING

    def attend(self, shares: Sequence[Share]) -> None:
        """See how its worker is, and that it works on these shares, its own."""
        self._look(shares)
        if self._process is not None:
            code = self._process.exit_code()
            if code is None:
                self._failed_loads = 0 if self.loaded_at is not None else self._failed_loads
                self._tell(shares)
                return
            self._look(shares)  # what it answered between the first look and its end
            self._note_death(self._process, code)
            self._process = None
        if not self.unavailable and any(share.unanswered for share in shares):
            self._start(shares)

    def works_on(self, share: Share) -> bool:
        """Whether its worker was told of rows of this share."""
        return self._process is not None and not self._told.isdisjoint({share.batch.name, share.alone.name})

    def stop(self, *, patience_s: float) -> None:
        """End the worker: by itself within `patience_s`, then by force. What was in flight is under no suspicion."""
        if self._process is None:
            return
        code = self._process.stop(patience_s=patience_s)
        self._process, self._blameless = None, True
        if code == 0:
            self._plan.files.delete()

    def tidy(self) -> None:
        """Remove what a worker that finished without us left. The log of one that died is kept: it says why."""
        locks = None if self._process is not None or self._died else DeviceLocks.acquire(self._lock_paths)
        if locks is not None:
            self._plan.files.delete()
            locks.release()

    def leave(self) -> None:
        """Let the worker finish what it was told, without us."""
        if self._process is not None:
            self._process.leave()
            self._process = None

    def _look(self, shares: Sequence[Share]) -> None:
        for share in shares:
            share.read()
        done = {share.batch.name: share.counts.done for share in shares}
        self._fruitful = self._fruitful or any(count > self._seen.get(name, count) for name, count in done.items())
        self._seen = done

    def _note_death(self, process: WorkerProcess, code: int) -> None:
        if process.loaded_at is None:
            self._failed_loads += 1
            what = "could not load the engine"
        else:
            self._failed_loads = 0
            self._barren_deaths = 0 if self._fruitful else self._barren_deaths + 1
            what = "died"
        self._blameless, self._died = code in _BLAMELESS, True
        then = "it is given up" if self.unavailable else "it is started again when there is work"
        LOGGER.warning("%s %s (exit status %d), see the logs in %s; %s", self._plan.name, what, code, self._plan.files.folder, then)

    def _start(self, shares: Sequence[Share]) -> None:
        """Take the devices, judge what the worker before left in flight, and start one if there is still work."""
        locks = DeviceLocks.acquire(self._lock_paths)
        if locks is None:
            self._waiting = True
            return
        try:
            for share in shares:
                if self._waiting:  # whoever had the device may have moved rows
                    share.reload()
                if self._blameless:
                    share.forget_started()
                share.isolate()
            self._waiting = self._blameless = False
            self._look(shares)
            self._fruitful = False
            if any(share.unanswered for share in shares):
                self._launch(locks)
        finally:
            locks.release()
        if self._process is not None:
            self._told = set()
            self._tell(shares)

    def _launch(self, locks: DeviceLocks) -> None:
        plan = self._plan
        try:
            self._process = WorkerProcess.start(plan.command, plan.spec, files=plan.files, environment=plan.environment, locks=locks)
        except OSError as error:
            self._failed_loads, self._died = self._failed_loads + 1, True
            LOGGER.warning("%s cannot be started (%s)", plan.name, error.strerror)

    def _tell(self, shares: Sequence[Share]) -> None:
        """Tell the worker of what it was not told yet: last, and each in its turn, the rows that run alone."""
        if self._process is None:
            return
        self._process.flush()
        due = [share.batch for share in shares if share.batch.unanswered]
        window = None if due else 1
        for batch in due or [share.alone for share in shares if share.alone.unanswered]:
            if batch.name not in self._told:
                self._told.add(batch.name)
                self._process.tell(order(batch, window))


def order(batch: Batch, window: int | None) -> dict[str, object]:
    """What a worker is told of a batch. window: how many of its rows may be in flight, if not the worker's own number."""
    files = {"input": str(batch.input), "output": str(batch.output), "started": str(batch.started)}
    return {"job": batch.name, **files, "window": window}
