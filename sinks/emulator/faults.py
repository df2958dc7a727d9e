"""Faults on demand: a plan says which call of which operation goes wrong, and how.

A plan is a JSON list of objects with the fields of `Fault`. Operations are `files.create`, `files.list`, `files.retrieve`,
`files.content`, `files.delete`, `batches.create`, `batches.list`, `batches.retrieve`, `batches.cancel`, and
`lifecycle.STATE` for a batch that enters a state. Calls are counted from 1 since the emulator started.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sinks.errors import EmulatorError

Kind = Literal["drop_before", "drop_after", "drop_middle", "status", "html", "lag", "stuck", "expire"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    at, call, times: the operation, its first faulty call, and how many calls in a row. fault: drop_before and drop_after cut the
    connection before and after the request took effect, drop_middle in the middle of the answer; status answers with
    `status` (and `retry_after_s`), before the effect or, with after_commit, after it; html is a page with status 200 and no
    effect; lag hides batches younger than `seconds` from a listing; stuck keeps a batch in the state; expire ends it after `rows` rows.
    """

    at: str
    fault: Kind
    call: int = 1
    times: int = 1
    status: int = 500
    after_commit: bool = False
    retry_after_s: int | None = None
    seconds: int = 3600
    rows: int = 0


class FaultPlan:
    """Counts the calls and hands out the fault that is due."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._faults = faults
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path) -> FaultPlan:
        """The plan of a file. Raises EmulatorError when it is none."""
        try:
            return cls(TypeAdapter(tuple[Fault, ...]).validate_python(json.loads(path.read_bytes())))
        except (OSError, ValueError, ValidationError, TypeError) as error:
            names = ", ".join(field.name for field in fields(Fault))
            raise EmulatorError(f"{path}: expected a JSON list of faults with the fields {names}; {error.__class__.__name__}") from None

    def due(self, at: str) -> Fault | None:
        """Count one call of an operation and return the fault it meets, if any."""
        with self._lock:
            self._calls[at] += 1
            call = self._calls[at]
        return next((fault for fault in self._faults if fault.at == at and fault.call <= call < fault.call + fault.times), None)
