"""Scanning in processes of their own: the same evidence in the same order as `detectors.scan.scan`, and a watchdog over each.

- Never lost, never "nothing found" (invariant 1): the documents of a process that died or took too long are scanned again, each alone, in
  a fresh one. Whatever ends its process a second time gets a failure code, which makes it UNSCANNABLE.
- Memory is bounded by the batch: documents are taken when a process can take them, and no further ahead than `AHEAD` batches a process.
- What scans is what was decided on: a process whose detectors have another hash than the parent's is refused.
- Text passes through anonymous pipes between two processes of one user, never through a file, a log or an exception (invariant 5).

Processes are started afresh rather than forked: a night runs beside Prefect's threads. They end with `close`, and when the parent dies.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

from detectors.document import Demand, Document, Evidence
from detectors.ner_choice import NerChoice
from detectors.participants import NOBODY, Participants
from detectors.scan import DEFAULT_LIMITS, Limits, batches
from flows.errors import ScanWorkerError
from flows.scan_messages import Answer, Started, Terms, Work

LOGGER = logging.getLogger(__name__)
SCAN_TIMEOUT = "scan_timeout"
SCAN_WORKER_DIED = "scan_worker_died"
AHEAD = 3
"""Batches read for each process, scanned or waiting for an earlier one: what a slow batch may hold up."""
CLOSING_S = 2.0
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
"""Linear algebra in a process of many must not take the others' cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a process may take: generous, because only a hang should reach it. A million characters take seconds, minutes with NER."""

    start_s: float = 300.0
    batch_s: float = 120.0
    megacharacter_s: float = 600.0
    most_s: float = 900.0
    # A document is tried twice, so one that hangs holds a process for half an hour at most, whatever its length: by its length alone, 20
    # million characters would hold it for most of a night. A longer one that is merely slow fails as well, and stays inside.

    def of(self, documents: Iterable[Document]) -> float:
        """Seconds for these documents."""
        characters = sum(len(value) for document in documents for value in document.parts.values())
        return min(self.most_s, self.batch_s + self.megacharacter_s * characters / 1e6)


PATIENCE = Patience()


@dataclass(slots=True)
class _Task:
    """Documents of one batch on their way through a process. place: where in the batch's evidence the first of them belongs."""

    batch: int
    place: int
    documents: tuple[Document, ...] = field(repr=False)
    again: bool = False


@dataclass(slots=True)
class _Worker:
    """A process and our end of its pipe. deadline: on the monotonic clock, of what it does now. ready: its detectors are ours."""

    child: subprocess.Popen[bytes]
    connection: Connection
    deadline: float
    ready: bool = False
    task: _Task | None = None


class ScanWorkers:
    """Processes that scan. Use as a context manager; one `scan` at a time."""

    def __init__(
        self,
        *,
        ner: NerChoice | None,
        participants: Participants = NOBODY,
        demand: Demand,
        detectors_hash: str,
        processes: int,
        limits: Limits = DEFAULT_LIMITS,
        patience: Patience | None = None,
        warm_up: tuple[Document, ...] = (),
    ) -> None:
        self._terms = Terms(ner=ner, participants=participants, demand=demand, limits=limits, warm_up=warm_up)
        self._hash = detectors_hash
        self._processes = processes
        self._patience = patience or PATIENCE
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start the processes without waiting for them: they load while the caller does something else."""
        while len(self._workers) < self._processes:
            self._workers.append(self._started())

    def grow(self, processes: int) -> None:
        """Scan in so many processes from now on, if these are more."""
        self._processes = max(self._processes, processes)

    def scan(self, documents: Iterable[Document]) -> Iterator[Evidence]:
        """One evidence per document, in order, lazily. Raises ScanWorkerError when a process cannot be started as asked."""
        scan = _Scan(batches(documents, self._terms.limits))
        try:
            while True:
                yield from scan.ready()
                self._hand_out(scan)
                if scan.finished:
                    return
                self._watch(scan)
        finally:  # the caller may have left in the middle: what is still being scanned is nobody's then
            for worker in [worker for worker in self._workers if worker.task is not None]:
                self._end(worker)

    def close(self) -> None:
        """End every process."""
        for worker in self._workers:
            if not worker.ready:  # it is still loading, and would not hear
                worker.child.kill()
            with suppress(OSError):
                worker.connection.send(None)
            worker.connection.close()
        for worker in self._workers:
            try:
                worker.child.wait(CLOSING_S)
            except subprocess.TimeoutExpired:
                worker.child.kill()
                worker.child.wait()
        self._workers.clear()

    def _hand_out(self, scan: _Scan) -> None:
        self.start()
        for worker in self._workers:
            if not worker.ready or worker.task is not None:
                continue
            worker.task = scan.next_task(AHEAD * self._processes)
            if worker.task is None:
                return
            seconds = self._patience.of(worker.task.documents)
            worker.deadline = time.monotonic() + seconds
            with suppress(OSError):  # it has just died: `_watch` meets the end of its pipe
                worker.connection.send(Work(documents=worker.task.documents, patience_s=seconds * 2))

    def _started(self) -> _Worker:
        ours, theirs = Pipe()
        with theirs:
            child = subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
                [sys.executable, "-P", "-m", "flows.scan_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        worker = _Worker(child, ours, time.monotonic() + self._patience.start_s)
        with suppress(OSError):
            ours.send(self._terms)
        return worker

    def _watch(self, scan: _Scan) -> None:
        """Wait until a process says something or has had its time, and see to it."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None or not worker.ready}
        patience = min(worker.deadline for worker in busy.values()) - time.monotonic()
        for connection in wait(list(busy), max(0.0, patience)):
            if isinstance(connection, Connection):
                self._hear(busy[connection], scan)
        now = time.monotonic()
        for worker in [worker for worker in busy.values() if worker in self._workers and now >= worker.deadline]:
            if worker.task is not None or not worker.ready:
                self._lose(worker, SCAN_TIMEOUT, scan)

    def _hear(self, worker: _Worker, scan: _Scan) -> None:
        try:
            said = worker.connection.recv()
        except (EOFError, OSError):
            self._lose(worker, SCAN_WORKER_DIED, scan)
            return
        if isinstance(said, Started):
            self._admit(worker, said)
        elif isinstance(said, Answer) and worker.task is not None:
            for message in said.messages:
                LOGGER.warning("%s", message)
            scan.take(worker.task, said.evidence)
            worker.task = None

    def _admit(self, worker: _Worker, started: Started) -> None:
        if started.problem:
            raise ScanWorkerError(f"a scan process could not load the detectors: {started.problem}")
        if started.detectors_hash != self._hash:
            raise ScanWorkerError(
                f"a scan process has other detectors ({started.detectors_hash[:12]}) than this run began with ({self._hash[:12]}): "
                "the installed files were changed meanwhile; start the run again"
            )
        worker.ready = True

    def _lose(self, worker: _Worker, code: str, scan: _Scan) -> None:
        """A process is gone or hangs: end it, and take its documents back."""
        task, ready = worker.task, worker.ready
        self._end(worker)
        if not ready:
            raise ScanWorkerError(f"a scan process did not start ({code}, exit code {worker.child.returncode}): is there enough memory?")
        if task is not None:
            LOGGER.warning("scan process ended (%s) with %d documents; scanning them again one by one", code, len(task.documents))
            scan.give_back(task, code)

    def _end(self, worker: _Worker) -> None:
        worker.child.kill()
        worker.child.wait()
        worker.connection.close()
        self._workers.remove(worker)


class _Scan:
    """The documents of one scan: what is still to hand out, what is out, what has come back."""

    def __init__(self, source: Iterator[list[Document]]) -> None:
        self._source = source
        self._exhausted = False
        self._waiting: deque[_Task] = deque()
        self._found: dict[int, list[Evidence | None]] = {}
        self._read = 0
        self._given = 0

    @property
    def finished(self) -> bool:
        """Whether every document was read and answered."""
        return self._exhausted and not self._found

    def next_task(self, ahead: int) -> _Task | None:
        """What to scan next: what was given back first, then the next batch unless too many are waiting for an earlier one."""
        if self._waiting:
            return self._waiting.popleft()
        if self._exhausted or self._read - self._given >= ahead:
            return None
        batch = next(self._source, None)
        if batch is None:
            self._exhausted = True
            return None
        self._found[self._read] = [None] * len(batch)
        self._read += 1
        return _Task(self._read - 1, 0, tuple(batch))

    def take(self, task: _Task, evidence: Iterable[Evidence]) -> None:
        """Evidence has come."""
        for place, found in enumerate(evidence, task.place):
            self._found[task.batch][place] = found

    def give_back(self, task: _Task, code: str) -> None:
        """A task's process has ended: its documents go out again, each alone; one that was alone for the second time has failed."""
        if task.again:
            (document,) = task.documents
            self.take(task, [Evidence(failures=frozenset({code}), declared=document.declared)])
            return
        self._waiting.extend(_Task(task.batch, place, (document,), again=True) for place, document in enumerate(task.documents, task.place))

    def ready(self) -> Iterator[Evidence]:
        """The evidence of the batches that are complete, in order."""
        while self._found and None not in self._found[self._given]:
            yield from (found for found in self._found.pop(self._given) if found is not None)
            self._given += 1
