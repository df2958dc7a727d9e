"""The life of a batch: validating → in_progress → finalizing → completed, or failed, expired, cancelled.

One thread runs the batches in the order of their creation. A batch that a killed emulator left behind is run again from its start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Queue
from typing import Any

from sinks.emulator.answers import CANCELLED, EXPIRED, AnsweredRow, RowProblem, answer_row, constants, read_rows, shuffled, unexecuted_row
from sinks.emulator.faults import Fault, FaultPlan
from sinks.emulator.store import Store
from sinks.emulator.wire import MAX_ROWS, TERMINAL, Tree, WireError, batch_usage

_COUNT_EVERY = 100
_TRANSITIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """delay_s: how long a batch takes at least, spread over its states. output_expires_s: how long its result files are kept."""

    delay_s: float = 0.0
    output_expires_s: int | None = None


class Processor:
    """Runs batches in a thread of its own."""

    def __init__(self, store: Store, plan: FaultPlan, timing: Timing) -> None:
        self._store, self._plan, self._timing = store, plan, timing
        self._queue: Queue[str] = Queue()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)

    def start(self) -> None:
        """Take up what an earlier process left, then whatever is submitted."""
        for batch in reversed(self._store.batches()):
            if batch["status"] not in TERMINAL:
                self._queue.put(batch["id"])
        self._thread.start()

    def submit(self, batch_id: str) -> None:
        """Run a batch when its turn comes; one that is being cancelled does not wait out its delay."""
        self._queue.put(batch_id)
        self._wake.set()

    def _work(self) -> None:
        while True:
            batch_id = self._queue.get()
            try:
                self._run(batch_id)
            except WireError:  # its input file is gone
                self._fail(batch_id, [RowProblem(code="missing_input_file", line=0, message="The input file no longer exists.")])

    def _run(self, batch_id: str) -> None:
        batch = self._store.batch(batch_id)
        if batch["status"] in TERMINAL:  # submitted again by a cancellation that came too late
            return
        if self._stuck(batch_id, "validating"):
            return
        rows, problems = read_rows(self._store.content(batch["input_file_id"]), endpoint=batch["endpoint"], max_rows=MAX_ROWS)
        if problems:
            self._fail(batch_id, problems)
            return
        self._enter(batch_id, "in_progress", total=len(rows))
        fault = self._plan.due("lifecycle.in_progress")
        if fault is not None and fault.fault == "stuck":
            return
        self._pause(batch_id)
        answered = self._answer(batch_id, rows, most=fault.rows if fault is not None and fault.fault == "expire" else len(rows))
        if self._cancelling(batch_id):
            self._finish(batch_id, "cancelled", rows, answered, reason=CANCELLED)
        elif fault is not None and fault.fault == "expire":
            self._finish(batch_id, "expired", rows, answered, reason=EXPIRED)
        else:
            self._enter(batch_id, "finalizing", total=len(rows))
            if not self._stuck(batch_id, "finalizing"):
                self._finish(batch_id, "completed", rows, answered, reason=EXPIRED)

    def _answer(self, batch_id: str, rows: Sequence[Mapping[str, Any]], *, most: int) -> list[AnsweredRow]:
        template = constants(rows)
        answered: list[AnsweredRow] = []
        for number, row in enumerate(rows[:most], start=1):
            if self._cancelling(batch_id):
                break
            answered.append(answer_row(row, template))
            if number % _COUNT_EVERY == 0:
                self._store.change_batch(batch_id, lambda batch: batch.update(request_counts=_counts(len(rows), answered)))
        return answered

    def _finish(
        self, batch_id: str, state: str, rows: Sequence[Mapping[str, Any]], answered: list[AnsweredRow], *, reason: tuple[str, str]
    ) -> None:
        """Write the two files, then the final state: whoever sees the state finds the files."""
        done = {row.custom_id for row in answered}
        all_rows = shuffled([*answered, *(unexecuted_row(row, reason) for row in rows if row["custom_id"] not in done)])
        output = self._write(batch_id, "output", [row for row in all_rows if row.ok])
        errors = self._write(batch_id, "error", [row for row in all_rows if not row.ok])

        def change(batch: Tree) -> None:
            batch.update(
                status=state,
                output_file_id=output,
                error_file_id=errors,
                request_counts=_counts(len(rows), all_rows),
                usage=batch_usage(sum(row.tokens_in for row in answered), sum(row.tokens_out for row in answered)),
                model=rows[0]["body"].get("model"),
            )
            batch[f"{state}_at"] = int(time.time())

        self._store.change_batch(batch_id, change)

    def _write(self, batch_id: str, kind: str, rows: Sequence[AnsweredRow]) -> str | None:
        if not rows:
            return None
        content = b"".join(row.line for row in rows)
        expires_s = self._timing.output_expires_s
        name = f"{batch_id}_{kind}.jsonl"
        file_id: str = self._store.add_file(content, name=name, purpose="batch_output", expires_s=expires_s)["id"]
        return file_id

    def _enter(self, batch_id: str, state: str, *, total: int) -> None:
        def change(batch: Tree) -> None:
            if batch["status"] != "cancelling":
                batch["status"] = state
            batch[f"{state}_at"] = int(time.time())
            batch["request_counts"]["total"] = total

        self._store.change_batch(batch_id, change)

    def _fail(self, batch_id: str, problems: Sequence[RowProblem]) -> None:
        data = [{"code": p.code, "line": p.line or None, "message": p.message, "param": None} for p in problems]

        def change(batch: Tree) -> None:
            batch.update(status="failed", failed_at=int(time.time()), errors={"object": "list", "data": data})

        self._store.change_batch(batch_id, change)

    def _stuck(self, batch_id: str, state: str) -> bool:
        """Spend this state's share of the delay; true when the plan keeps the batch there for good."""
        fault: Fault | None = self._plan.due(f"lifecycle.{state}")
        self._pause(batch_id)
        return fault is not None and fault.fault == "stuck" and not self._cancelling(batch_id)

    def _pause(self, batch_id: str) -> None:
        until = time.monotonic() + self._timing.delay_s / _TRANSITIONS
        while (left := until - time.monotonic()) > 0 and not self._cancelling(batch_id):
            self._wake.wait(left)
            self._wake.clear()

    def _cancelling(self, batch_id: str) -> bool:
        return bool(self._store.batch(batch_id)["status"] == "cancelling")


def _counts(total: int, answered: Sequence[AnsweredRow]) -> dict[str, int]:
    completed = sum(row.ok for row in answered)
    return {"total": total, "completed": completed, "failed": len(answered) - completed}
