"""Faults on demand: a plan says which call of which operation goes wrong, and how.

A plan file holds a JSON list of objects with the fields of `Fault`, or an object: `{"faults": [...], "random": {...}}`, where
`random` has the fields of `sinks.emulator.chance.Chance`. Which operations and faults there are: `sinks/emulator/catalogue.py`.
Calls of planned faults are counted from 1 since the emulator started. What was injected is noted in `injected.jsonl`.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sinks.emulator import catalogue
from sinks.emulator.disk import append
from sinks.errors import EmulatorError


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Fault:
    """One fault.

    at, call, times: the operation, its first faulty call, and how many calls in a row. fault: its kind. The rest is for some kinds.
    status, after_commit, retry_after_s: of `status`, which answers before the effect, or after it. seconds: how long (`slow` and
    `slow_body`, wall clock; `stuck`, `early_output`), how young (`lag`), how far off (`skew`). rows: how many rows of the results are
    touched, or done before an expiry. state: what `state` shows; empty: one that nobody knows; `backwards`: the one before.
    """

    at: str
    fault: str
    call: int = 1
    times: int = 1
    status: int = 500
    after_commit: bool = False
    retry_after_s: int | None = None
    seconds: float | None = None
    rows: int = 0
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Chance:
    """Faults by chance: see `sinks/emulator/chance.py`.

    rate: the share of calls that meet one. most: how many there are at all; most_each: of one kind at one operation. at, kinds: only
    these, if any are named; never: not these. Names may hold `*`. stuck_s, slow_s: how long those last at most, virtual and wall clock.
    """

    seed: int
    rate: float = 0.1
    most: int = 50
    most_each: int = 2
    at: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    stuck_s: float = 3600.0
    slow_s: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class _Plan:
    faults: tuple[Fault, ...] = ()
    random: Chance | None = None


class FaultPlan:
    """Counts the calls, hands out the fault that is due, and notes it."""

    def __init__(self, faults: tuple[Fault, ...] = (), *, log: Path | None = None) -> None:
        self._faults = tuple(replace(fault, at=catalogue.check(fault.at, fault.fault)) for fault in faults)
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._log = log
        self._draw: Callable[[str], Fault | None] = lambda _at: None

    def add(self, faults: tuple[Fault, ...]) -> None:
        """Plan more, while running: their calls are counted from now. Raises EmulatorError for what there is not."""
        checked = [replace(fault, at=catalogue.check(fault.at, fault.fault)) for fault in faults]
        with self._lock:
            self._faults += tuple(replace(fault, call=fault.call + self._calls[fault.at]) for fault in checked)

    def draw_from(self, draw: Callable[[str], Fault | None]) -> None:
        """Where nothing is planned, ask `draw`, under this plan's lock."""
        self._draw = draw

    def due(self, at: str, about: str = "") -> Fault | None:
        """Count one call of an operation and return the fault it meets, if any. about: the job, for the log."""
        at = catalogue.operation(at)
        with self._lock:
            self._calls[at] += 1
            call = self._calls[at]
            planned = next((fault for fault in self._faults if fault.at == at and fault.call <= call < fault.call + fault.times), None)
            fault = planned or self._draw(at)
            if fault is not None:
                self._note(fault, call, about, drawn=planned is None)
        return fault

    def _note(self, fault: Fault, call: int, about: str, *, drawn: bool) -> None:
        if self._log is None:
            return
        entry = {field.name: getattr(fault, field.name) for field in fields(Fault)} | {"call": call, "about": about, "drawn": drawn}
        del entry["times"]
        append(self._log, entry)


def parse(planned: object) -> tuple[Fault, ...]:
    """Faults from JSON. Raises pydantic's ValidationError."""
    return TypeAdapter(tuple[Fault, ...]).validate_python(planned)


def read_plan(path: Path) -> tuple[tuple[Fault, ...], Chance | None]:
    """The planned faults of a file, and its `random` part. Raises EmulatorError when it is no plan."""
    try:
        tree = json.loads(path.read_bytes())
        plan = TypeAdapter(_Plan).validate_python(tree if isinstance(tree, dict) else {"faults": tree})
        for fault in plan.faults:
            catalogue.check(fault.at, fault.fault)
    except (OSError, ValueError, TypeError) as error:
        names = ", ".join(field.name for field in fields(Fault))
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) if isinstance(error, ValidationError) else type(error).__name__
        raise EmulatorError(f"{path}: expected a JSON list of faults with the fields {names}; wrong: {where}") from None
    except EmulatorError as error:
        raise EmulatorError(f"{path}: expected a JSON list of faults that there are; {error}") from None
    return plan.faults, plan.random
