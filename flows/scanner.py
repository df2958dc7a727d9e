"""Where documents are scanned: in one watched process while they are few, in one a core once they are many.

Never in this process: only another one can be ended when a text makes a detector hang (invariant 1). Processes take a while to start, so
the first is started before the documents are read, and the others only when there is work for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from detectors.detector import DetectorSet
from detectors.document import Demand, Document, Evidence
from detectors.ner_choice import NerChoice
from detectors.participants import NOBODY, Participants
from detectors.scan import DEFAULT_LIMITS, Limits
from flows.scan_workers import ScanWorkers
from policies.demand import demand_for
from policies.policy import Policy

FEW_CHARACTERS = 1_000_000
"""In a run. Scanned by one process in about the time that others take to start."""
TOPOLOGY = Path("/sys/devices/system/cpu")
QUOTA = Path("/sys/fs/cgroup/cpu.max")


class Scanner:
    """Scans for one run or command; use as a context manager. processes: how many; by itself it takes one, and one a core for many.

    warm_up: scanned before the first document, so that models and name lists are loaded by then.
    """

    def __init__(
        self,
        detectors: DetectorSet,
        demand: Demand,
        *,
        ner: NerChoice | None,
        participants: Participants = NOBODY,
        processes: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        warm_up: tuple[Document, ...] = (),
    ) -> None:
        self._most = processes or usable_cores()
        self._characters = 0
        self._workers = ScanWorkers(
            ner=ner,
            participants=participants,
            demand=demand,
            detectors_hash=detectors.hash,
            processes=processes or 1,
            limits=limits,
            warm_up=warm_up,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._workers.close()

    def start(self) -> Self:
        """Have a process load while the documents are being read."""
        self._workers.start()
        return self

    def scan(self, documents: Sequence[Document]) -> Iterator[Evidence]:
        """One evidence per document, in order: the same in however many processes it is found."""
        if not documents:
            return iter(())
        self._characters += sum(len(value) for document in documents for value in document.parts.values())
        if self._characters > FEW_CHARACTERS:
            self._workers.grow(self._most)
        return self._workers.scan(documents)


def usable_cores() -> int:
    """Physical cores that this process may use: two threads of one core scan hardly faster than one. At least 1."""
    threads = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = {_siblings(thread) for thread in threads}
    return max(1, min(len(cores), _quota()))


def _siblings(thread: int) -> str:
    """What names a thread's core: its siblings where the system tells them, else itself."""
    with suppress(OSError):
        return (TOPOLOGY / f"cpu{thread}" / "topology" / "thread_siblings_list").read_text(encoding="ascii").strip()
    return str(thread)


def _quota() -> int:
    """Whole cores that a container may use (cgroup v2, cpu.max)."""
    with suppress(OSError, ValueError):
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    return os.cpu_count() or 1


def scanner_of(policy: Policy, detectors: DetectorSet, processes: int | None) -> Scanner:
    """What scans under this policy, as its nights ask: planned, unless the policy wants complete evidence."""
    return Scanner(detectors, demand_for(policy), ner=policy.ner, participants=policy.participants, processes=processes)
