"""Where a run's documents are scanned: in this process while they are few, in several once they are many.

Processes take seconds to start, so a small inbox is done before they would be ready; and only a process can be ended when it hangs, so a
large one is never scanned without them.
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
from detectors.scan import DEFAULT_LIMITS, Limits, scan
from flows.scan_workers import ScanWorkers

FEW_CHARACTERS = 1_000_000
"""In a run. About as long as a process takes to start, and little enough that nothing in it can take long."""
TOPOLOGY = Path("/sys/devices/system/cpu")
QUOTA = Path("/sys/fs/cgroup/cpu.max")


class Scanner:
    """Scans for one run; use as a context manager. processes: how many; by itself it takes one a core, and none for few documents."""

    def __init__(
        self,
        detectors: DetectorSet,
        demand: Demand,
        *,
        ner: NerChoice | None,
        participants: Participants = NOBODY,
        processes: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._detectors = detectors
        self._demand = demand
        self._limits = limits
        self._always = processes is not None
        self._characters = 0
        self._workers = ScanWorkers(
            ner=ner,
            participants=participants,
            demand=demand,
            detectors_hash=detectors.hash,
            processes=processes or usable_cores(),
            limits=limits,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._workers.close()

    def scan(self, documents: Sequence[Document]) -> Iterator[Evidence]:
        """One evidence per document, in order: the same wherever it is found."""
        self._characters += sum(len(value) for document in documents for value in document.parts.values())
        if self._always or self._characters > FEW_CHARACTERS:
            return self._workers.scan(documents)
        return scan(documents, self._detectors, self._demand, limits=self._limits)


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
