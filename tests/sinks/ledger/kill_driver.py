"""Kills writers of a ledger, at every step or at random moments, and checks each time what is left.

`python kill_driver.py create|commit|rotate|random FOLDER COUNT SEED`; COUNT: of `random`, how many deaths; of the others, every how
manieth step (1: all of them). SEED is for `random`.

Writers and checkers are forked from this process, which imports once and opens nothing, so that thousands of deaths take minutes.
Prints how many died, and how often an unacknowledged commit was found to stand (that is allowed; the reverse is not).
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from docs import verify_ledger as independent
from sinks.ledger import files
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify

AT = datetime(2026, 11, 22, tzinfo=UTC)
STEPS = ("open", "write", "fsync", "link", "unlink", "replace", "rename", "mkdir", "chmod")
HOWS = ("before", "after", "half")
SMALL = 12  # segments
WRITE = os.write
SAVED = {name: getattr(os, name) for name in STEPS}


def die_at(step: int, how: str, names: Sequence[str] = STEPS) -> None:
    """Have this process killed at its `step`-th call of a function that changes files; `half`: with half of what it writes written."""
    counter = itertools.count(1)

    def wrap(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(counter) != step:
                return function(*arguments, **options)
            if how == "half" and name == "write":
                function(arguments[0], memoryview(arguments[1])[: len(arguments[1]) // 2])
            elif how == "after":
                function(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return call

    for name in names:
        setattr(os, name, wrap(SAVED[name], name))


def entries(name: str, count: int) -> list[Entry]:
    return [Entry(event=Event.HELD, at=AT, run_id="n", record_id=f"{name}-{row}", reason="budget") for row in range(count)]


def forked(work: Callable[[Callable[[str], None]], None], *, kill_after_s: float | None = None) -> tuple[bool, list[str]]:
    """Run `work` in a child that may tell this process lines; returns whether it ended by itself, and the lines."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            work(lambda line: [WRITE(writing, f"{line}\n".encode())].clear())
            status = 0
        except BaseException as error:  # noqa: BLE001 - told to the parent, then the child is gone
            WRITE(writing, f"! {type(error).__name__} {error}\n".encode())
        os._exit(status)
    os.close(writing)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    errors = [line for line in lines if line.startswith("!")]
    if errors:
        raise SystemExit(f"a child failed: {errors[0]}")
    return os.WIFEXITED(status), lines


def check(ledger: Path, acknowledged: set[str], *, last: bool = False) -> int:
    """What every death must leave: each acknowledged commit whole, nothing torn, the seal intact. Returns how many nobody acknowledged."""

    def work(tell: Callable[[str], None]) -> None:
        opened = Ledger.open(ledger)
        opened.commit(entries("after", 1))
        verdict = verify(ledger, deep=True)
        # The log only grows, so that what every death left is still in it later: the independent verifier need not read it all each time.
        status, said = independent.verify(ledger) if last or opened.head() < SMALL else (0, "")
        if status:
            raise SystemExit(said)
        if verdict.fault or list((ledger / files.SEGMENTS).glob(".tmp-*")):
            raise SystemExit(f"not intact: {verdict.fault}")
        found: dict[str, int] = {}
        for _, path in files.numbered(ledger / files.SEGMENTS):
            for record_id in pq.read_table(path, columns=["record_id"], use_threads=False)["record_id"].to_pylist():
                if record_id and not record_id.startswith("after"):
                    name = record_id.rsplit("-", 1)[0]
                    found[name] = found.get(name, 0) + 1
        for name, count in found.items():
            tell(f"{name} {count}")

    _, lines = forked(work)
    found = dict(line.split() for line in lines)
    lost = acknowledged - found.keys()
    torn = [name for name, count in found.items() if int(count) != int(name.split("x")[1])]
    if lost or torn:
        raise SystemExit(f"lost: {sorted(lost)}, torn: {torn}")
    return len(found.keys() - acknowledged)


def create(folder: Path, tell: Callable[[str], None], arm: Callable[[], None]) -> None:
    arm()
    Ledger.open(folder).commit(entries("bx7", 7))
    tell("bx7")


def commit(folder: Path, tell: Callable[[str], None], arm: Callable[[], None]) -> None:
    ledger = Ledger.open(folder)
    name = f"b{ledger.head()}x2500"
    arm()
    ledger.commit(entries(name, 2500))
    tell(name)


def rotate(folder: Path, tell: Callable[[str], None], arm: Callable[[], None]) -> None:
    ledger = Ledger.open(folder)
    arm()
    ledger.rotate_key()
    name = f"b{ledger.head()}x1"
    ledger.commit(entries(name, 1))
    tell(name)


def every_step(work: Callable[..., None], folder: Path, stride: int) -> tuple[int, int]:
    """Kill `work` at each of its steps (or every `stride`-th) in each way, until a step is reached that it does not have."""
    deaths = unacknowledged = 0
    acknowledged: set[str] = set()
    for step in itertools.count(1, stride):
        alive = []
        for how in HOWS:
            if work is create:
                folder, acknowledged = folder.with_name(f"{folder.name}-{step}-{how}"), set()
            ended, lines = forked(lambda tell: work(folder, tell, lambda: die_at(step, how)))  # noqa: B023 - run before the loop goes on
            acknowledged |= set(lines)
            deaths += not ended
            alive.append(ended)
            unacknowledged = unacknowledged + check(folder, acknowledged) if work is create else check(folder, acknowledged)
            if work is create:
                shutil.rmtree(folder)
                folder = folder.with_name(folder.name.rsplit("-", 2)[0])
        if all(alive):
            if work is not create:
                check(folder, acknowledged, last=True)
            return deaths, unacknowledged
    raise AssertionError


def at_random(folder: Path, count: int, chance: random.Random) -> tuple[int, int]:
    acknowledged: set[str] = set()
    unacknowledged = 0
    for trial in range(count):

        def work(tell: Callable[[str], None]) -> None:
            ledger = Ledger.open(folder)
            for batch in itertools.count():
                size = chance.choice([1, 5, 60, 2500])
                name = f"t{trial}.{batch}x{size}"  # noqa: B023 - run before the loop goes on
                ledger.commit(entries(name, size))
                tell(name)

        # A killed child tells nothing of its own chance: the parent's goes on.
        _, lines = forked(work, kill_after_s=chance.random() * 0.12)
        acknowledged |= set(lines)
        if trial % 5 == 4 or trial == count - 1:
            unacknowledged = check(folder, acknowledged, last=trial == count - 1)
    return count, unacknowledged


def main(mode: str, folder: Path, count: int, seed: int) -> None:
    if mode == "random":
        deaths, unacknowledged = at_random(folder, count, random.Random(seed))
    else:
        deaths, unacknowledged = every_step({"create": create, "commit": commit, "rotate": rotate}[mode], folder, count)
    print(f"deaths {deaths} unacknowledged {unacknowledged}")  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
