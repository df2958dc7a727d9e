"""What a process takes while it runs: resident memory at the peak, CPU time. From /proc, so on Linux only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_S = 0.05
MIB = 2**20


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watched(pid: int) -> Iterator[dict[str, float]]:
    """The peak of a process and what it started, in MiB, looked at twenty times a second."""
    peak, ended = {"mib": 0.0}, threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_S):
            peak["mib"] = max(peak["mib"], resident(pid) / MIB)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def resident(pid: int) -> int:
    """Bytes of a process and its descendants; those that have ended count nothing."""
    total = 0
    try:
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except (OSError, IndexError):
        return total
    return total + sum(resident(int(child)) for child in children)
