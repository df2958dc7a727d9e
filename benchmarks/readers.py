"""Eight auditors ask the whole cookbook, again and again, while a night commits: what does the night lose beyond the CPU they use?

The same commits are timed alone, beside readers, and beside processes that only count, one for each thread of the readers: what these cost
is the price of the CPU, in waiting for it and in cold caches. The kernel's count of the writer's waiting for a CPU
(`/proc/thread-self/schedstat`; Linux) is taken off: what is left is its own work and its waiting for anything else, locks and disk among
them. Every reader also checks that it sees each entry exactly once. `python benchmarks/readers.py --rounds 1` is a shorter version.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from report import Figure, write

from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.segments import Ledger

PAGE = Path(__file__).parents[1] / "docs" / "auditors.md"
READERS = 8
ROUNDS = 3
COMMITS, RECORDS = 25, 100
BEFORE = 20
"""Commits that are there before anything is timed: a reader has something to read from the start."""
MOST_SLOWER = 20.0
ONCE = "SELECT count(*) = count(DISTINCT seq) AND count(*) = max(seq) - min(seq) + 1 FROM entries"
NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
RUN = "bench-2026-11-22"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the readers of one round came to."""

    queries: int = 0
    failures: int = 0
    twice: int = 0


def commit(ledger: Ledger, number: int) -> None:
    """One batch of a night: decided, assigned, cleared and handed over."""
    entries: list[Entry] = []
    for ordinal in range(RECORDS):
        record = f"r{number:012x}{ordinal:012x}"
        clean = ordinal % 3 > 0
        lane, endpoint = ("cloud", "emulator") if clean else ("local", "extractive")
        found = () if clean else (EvidenceCount(entity="US_SSN", count=1, max_score=0.85, detector="us_ssn"),)
        common: dict[str, Any] = {"at": NOW, "run_id": RUN, "record_id": record}
        clearance: dict[str, Any] = {"clearance_id": f"c{record}", "payload_hmac": f"p{record}", "payload_bytes": 900, "attempt": 1}
        entries += [
            Entry(
                event=Event.DECIDED,
                **common,
                data_classes=("CLEAN",) if clean else ("PHI",),
                partial=False,
                evidence=found,
                rule="routes[1]",
                lanes=(lane,),
                policy_hash="policy",
                detectors_hash="detectors",
                document_hmac=f"d{record}",
            ),
            Entry(event=Event.ASSIGNED, **common, lane=lane, endpoint=endpoint, strategy="cloud_first", reason="preferred"),
            Entry(event=Event.CLEARED, **common, lane=lane, endpoint=endpoint, **clearance),
            Entry(event=Event.SUBMITTING, **common, lane=lane, endpoint=endpoint, **clearance, intent_id=f"i{number}"),
        ]
    ledger.commit(entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds for the commits of one round: by the clock, without those in which the writer waited for a CPU, and of these: not working."""

    wall: float
    own: float
    blocked: float


def timed(ledger: Ledger, first: int) -> Took:
    """The commits of one round. They are small, so that all of their work is done by this one thread."""
    waited, worked, began = waiting(), time.thread_time(), time.perf_counter()
    for number in range(first, first + COMMITS):
        commit(ledger, number)
    wall = time.perf_counter() - began
    own = wall - (waiting() - waited)
    return Took(wall=wall, own=own, blocked=own - (time.thread_time() - worked))


def waiting() -> float:
    """Seconds that this thread was ready to run, and something else ran: the second field of schedstat, in ns."""
    return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


def read(ledger: Path) -> None:
    """A reader, until its input is closed: the cookbook in a loop on one connection. Prints what it came to."""
    queries = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    done = failures = twice = 0
    with duckdb.connect(ledger / "ledger.duckdb", read_only=True) as auditor:
        print("ready", flush=True)
        while not stopped():
            for query in (*queries, ONCE):
                try:
                    rows = auditor.execute(query).fetchall()
                except duckdb.Error:
                    failures += 1
                    continue
                done += 1
                twice += query == ONCE and rows != [(True,)]
                if stopped():
                    break
    print(done, failures, twice, flush=True)


def count() -> None:
    """A process that only uses its share of the CPU, until its input is closed."""
    print("ready", flush=True)
    number = 0
    while number % 100_000 or not stopped():
        number += 1
    print(0, 0, 0, flush=True)


def stopped() -> bool:
    """Whether the benchmark has closed our input."""
    import select  # noqa: PLC0415 - only the children ask

    return bool(select.select([sys.stdin], [], [], 0)[0])


@contextmanager
def beside(what: str, ledger: Path) -> Iterator[list[Said]]:
    """Processes that read or count; what they said is in the list afterwards."""
    command = [sys.executable, __file__, "--as", what, "--ledger", str(ledger)]
    number = READERS * (1 if what == "read" else os.cpu_count() or 1)  # DuckDB reads with a thread for each core
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)]
    said: list[Said] = []
    try:
        for process in started:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                sys.exit(f"a process that should {what} did not start")
        yield said
    finally:
        for process in started:
            if process.stdin is not None:
                process.stdin.close()  # all of them stop at once
        for process in started:
            queries, failures, twice = map(int, process.stdout.read().split() if process.stdout else (0, 0, 0))
            process.wait()
            said.append(Said(queries=queries, failures=failures, twice=twice))


def main() -> None:
    """Time the rounds, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--as", dest="role", choices=["read", "count"], help=argparse.SUPPRESS)
    parser.add_argument("--ledger", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        return read(options.ledger) if options.role == "read" else count()
    with tempfile.TemporaryDirectory() as folder:
        measure(Ledger.open(Path(folder) / "ledger"), options.rounds)
    return None


def measure(ledger: Ledger, rounds: int) -> None:
    """The three ways take turns, so that what else the machine does meets all of them."""
    for number in range(BEFORE):
        commit(ledger, number)
    took: dict[str, list[Took]] = {"alone": [], "count": [], "read": []}
    heard: list[Said] = []
    number = BEFORE
    for _ in range(rounds):
        for what, times in took.items():
            if what == "alone":
                times.append(timed(ledger, number))
            else:
                with beside(what, ledger.path) as said:
                    times.append(timed(ledger, number))
                heard += said
            number += COMMITS
    report(took, heard)


def report(took: dict[str, list[Took]], heard: Sequence[Said]) -> None:
    """Write the figures, and end badly where a reader was answered badly."""
    own = {what: statistics.median(one.own for one in times) for what, times in took.items()}
    wall = {what: statistics.median(one.wall for one in times) for what, times in took.items()}
    blocked = {what: statistics.median(one.blocked for one in times) for what, times in took.items()}
    ways = {"alone": "alone", "count": "beside as many that count", "read": f"beside {READERS} readers"}
    slower = 100 * (own["read"] / own["count"] - 1)
    failures, twice = sum(one.failures for one in heard), sum(one.twice for one in heard)
    write(
        "readers",
        {
            **{f"entries/s, {way}": Figure(value=COMMITS * RECORDS * 4 / wall[what], unit="1/s") for what, way in ways.items()},
            **{f"a commit, {way}, CPU waits off": Figure(value=1000 * own[what] / COMMITS, unit="ms") for what, way in ways.items()},
            **{f"of that, disk and locks, {way}": Figure(value=1000 * blocked[what] / COMMITS, unit="ms") for what, way in ways.items()},
            "slower beyond the CPU they use": Figure(value=slower, unit="%", target=f"<= {MOST_SLOWER:.0f}", met=slower <= MOST_SLOWER),
            "queries answered meanwhile": Figure(value=sum(one.queries for one in heard), unit=""),
            "queries that failed": Figure(value=failures, unit="", target="0", met=not failures),
            "readings with a row twice or missing": Figure(value=twice, unit="", target="0", met=not twice),
        },
    )
    if failures or twice:
        sys.exit("a reader failed, or saw a row twice")


if __name__ == "__main__":
    main()
