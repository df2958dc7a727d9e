"""Processes around a ledger that is being compacted: some are killed at every step, some write and read all the while.

`python compaction_driver.py kill|race FOLDER`. What it finds wrong ends it with one line; else it prints what it did.

Workers are forked from this process, which imports once and opens nothing, so that many deaths take seconds.
"""

from __future__ import annotations

import itertools
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from docs import verify_ledger as independent
from sinks.ledger import files
from sinks.ledger.compaction import compact
from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify
from tests.sinks.ledger import kill_driver

START = datetime(2100, 10, 30, 22, tzinfo=UTC)  # later than the first entry, whose time is that of the clock
HOUR = timedelta(hours=1)
LEAST = 2
COUNTS = """
    SELECT count(*), count(DISTINCT seq), max(seq), (SELECT count(*) FROM checkpoints), (SELECT max(segment) FROM checkpoints) FROM entries
"""

Moment = Callable[[], datetime]


def tell(ledger: Ledger, night: int, segments: int = 3) -> None:
    """One night's commits, `segments` of them."""
    at = START + night * 24 * HOUR
    for number in range(segments):
        record = f"r-{night}-{number}"
        ledger.commit(
            [Entry(event=Event.HELD, at=at, run_id=f"n-{night}", record_id=f"{record}-{row}", reason="budget") for row in range(3)]
        )


def hours(count: float) -> Moment:
    """So many hours after the start."""
    return lambda: START + count * HOUR


PASSES = (1, 25, 49, 74, 75)
"""When compaction runs. At 49 hours everything comes together: the first night's guard is gone, the rest of it is deleted, and the second
night's guard; the third night is copied, and the month, which is over, is merged. At 74 the third guard goes, at 75 all the rest."""
KILLED = (49, 75)
STEPS = ("link", "unlink", "replace")
"""Between these calls nothing changes that another process sees."""


def before_pass(ledger: Ledger, when: int) -> None:
    """What is written before a pass."""
    if when in {1, 25, 49}:
        tell(ledger, when // 24)


def whole(ledger: Path, at_least: int) -> None:
    """Everything is there once, for people, for the program, and for both verifiers."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{ledger / 'ledger.duckdb'}' AS log (READ_ONLY)")
        connection.execute("USE log")
        ((rows, distinct, last, notes, segment),) = connection.sql(COUNTS).fetchall()
    with reading(ledger) as reader:
        ((seen,),) = reader.connection.sql("SELECT count(*) FROM entries").fetchall()
    if not rows == distinct == last == seen >= at_least or not notes == segment == files.head(ledger):
        raise SystemExit(f"not once each: {rows} {distinct} {last} {seen}, at least {at_least}; {notes} notes, segment {segment}")
    verdict = verify(ledger, deep=True)
    status, line = independent.verify(ledger, None, [])
    if verdict.fault or status:
        raise SystemExit(f"not intact: {verdict.fault}, {line}")


def kill(folder: Path) -> str:
    """Kill a pass at each of its steps, look at what is left, go on with it, and look again."""
    ledger = folder / "ledger"
    deaths = 0
    for when in PASSES:
        kill_driver.forked(lambda _: before_pass(Ledger.open(ledger), when))  # noqa: B023 - run before the loop goes on
        begun = shutil.copytree(folder, folder.with_name(f"{folder.name}-{when}"))
        for step in itertools.count(1) if when in KILLED else (1_000_000,):
            ended = killed_at(ledger, when, step)
            deaths += not ended
            if ended:
                break
            shutil.rmtree(folder)
            shutil.copytree(begun, folder)
    names = [one.path.name for one in files.archived(ledger)]
    return f"deaths {deaths} archive {' '.join(names)} segments {len(files.numbered(ledger / files.SEGMENTS))}"


def killed_at(ledger: Path, when: int, step: int) -> bool:
    """One death, and what came after it; whether it was survived."""

    def work(tell_parent: Callable[[str], None]) -> None:
        opened = Ledger.open(ledger)
        tell_parent(str(entries_in(ledger)))
        kill_driver.die_at(step, "before", STEPS)
        compact(opened, clock=hours(when), least=LEAST)

    ended, lines = kill_driver.forked(work)

    def look(_: Callable[[str], None]) -> None:
        whole(ledger, int(lines[0]))  # by the views that the dead left
        opened = Ledger.open(ledger)
        compact(opened, clock=hours(when + 0.1), least=LEAST)
        whole(ledger, int(lines[0]))
        if list((ledger / files.ARCHIVE).glob(".tmp-*")):
            raise SystemExit("a temporary was left")

    kill_driver.forked(look)
    return ended


def entries_in(ledger: Path) -> int:
    with reading(ledger) as reader:
        ((rows,),) = reader.connection.sql("SELECT count(*) FROM entries").fetchall()
    return int(rows)


def lapse(begun: float) -> datetime:
    """A clock that goes through a month each second."""
    return START + timedelta(days=31) * (time.time() - begun)


def write(ledger: Path, begun: float, until: float) -> None:
    """Commit as fast as it goes."""
    opened = Ledger.open(ledger)
    for number in itertools.count():
        opened.commit([Entry(event=Event.HELD, at=lapse(begun), run_id="n", record_id=f"r-{number}", reason="budget")])
        if time.time() > until:
            return
        time.sleep(0.005)


def pack(ledger: Path, begun: float, until: float) -> None:
    """Compact and delete as fast as it goes, with a grace of a tenth of a second."""
    opened = Ledger.open(ledger)
    while time.time() < until:
        compact(opened, clock=lambda: lapse(begun), grace=timedelta(days=3), least=LEAST)


def read(ledger: Path, until: float, keep_open_s: float, answers: multiprocessing.Queue[tuple[int, int] | str]) -> None:
    """Ask again and again over one connection, then over the next: every row once, none that was committed before missing, or an error."""
    right = refused = 0
    while time.time() < until:
        closing = time.time() + keep_open_s
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{ledger / 'ledger.duckdb'}' AS log (READ_ONLY)")
            connection.execute("USE log")
            while time.time() < min(closing, until):
                committed = int((ledger / "checkpoint").read_text(encoding="utf-8").split("\n")[1])
                try:
                    ((rows, distinct, last, notes, segment),) = connection.sql(COUNTS).fetchall()
                except duckdb.IOException:
                    refused += 1
                    break
                if not rows == distinct == last >= committed or notes != segment:
                    answers.put(f"{rows} rows, {distinct} distinct, last {last}, committed {committed}, {notes} notes of {segment}")
                    return
                right += 1
                time.sleep(0.05)
    answers.put((right, refused))


def race(folder: Path) -> str:
    """A writer, two compacting processes, and readers with old and new connections."""
    ledger = folder / "ledger"
    context = multiprocessing.get_context("fork")
    kill_driver.forked(lambda _: tell(Ledger.open(ledger), 0))
    answers: multiprocessing.Queue[tuple[int, int] | str] = context.Queue()
    begun = time.time()
    until = begun + 5
    workers = [context.Process(target=one, args=(ledger, begun, until)) for one in (write, pack, pack)]
    readers = [context.Process(target=read, args=(ledger, until, keep, answers)) for keep in (0.0, 0.3, 60.0)]
    for process in (*workers, *readers):
        process.start()
    found = [answers.get(timeout=60) for _ in readers]
    for process in (*workers, *readers):
        process.join()
    if any(process.exitcode for process in (*workers, *readers)) or any(isinstance(one, str) for one in found):
        raise SystemExit(f"{found}, {[process.exitcode for process in workers]}")
    kill_driver.forked(lambda _: whole(ledger, 1))
    right, refused = (sum(counts) for counts in zip(*found, strict=True))
    return f"right {right} refused {refused} archives {len(files.archived(ledger))}"


if __name__ == "__main__":
    print({"kill": kill, "race": race}[sys.argv[1]](Path(sys.argv[2])))  # noqa: T201 - its answer
