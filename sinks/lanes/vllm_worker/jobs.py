"""Jobs: orders from standard input, rows read one at a time, answers and starts appended.

- An answer is one write of one whole line; a line that a crash tore, and what lies behind it, is cut off at the next start.
- A row's id is in the `started` file before the engine has the row: what was in flight is what was started and has no answer.
- Memory holds the ids of a job's answered rows and the rows in flight, never the job.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from .errors import EngineFailedError
from .spec import JobOrder, read_order
from .words import say

_READ_BYTES = 1 << 16


class Orders:
    """The orders of a file descriptor, read by a thread of their own: the lane never waits for the engine."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._queue: SimpleQueue[JobOrder | None] = SimpleQueue()
        self.ended = False
        Thread(target=self._read, name="orders", daemon=True).start()

    def next(self, *, wait: bool) -> JobOrder | None:
        """The next order. None when there are no more (`ended`), or none yet."""
        if self.ended:
            return None
        try:
            order = self._queue.get(block=wait)
        except Empty:
            return None
        self.ended = order is None
        return order

    def _read(self) -> None:
        # os.read, not sys.stdin: a thread inside a buffered reader stops the interpreter from ending.
        rest = b""
        try:
            while data := os.read(self._descriptor, _READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._tell(line)
        except OSError as error:
            say(f"standard input cannot be read ({type(error).__name__}); the jobs told so far are finished")
        if rest:
            say("the last job's line is not whole; the lane will tell of that job again")
        self._queue.put(None)

    def _tell(self, line: bytes) -> None:
        try:
            self._queue.put(read_order(line))
        except (ValueError, KeyError, TypeError):
            say("expected a job, found a line that is none; it is left out")


class Job:
    """One job: its rows without an answer, and the file for their answers."""

    def __init__(self, order: JobOrder) -> None:
        """Open the files. Raises OSError."""
        self.window = order.window
        self.open_rows = 0
        self._input = order.input.open("rb")
        self._finished = _finished(order.output)
        self._output = _open_for_append(order.output)
        self._started = _open_for_append(order.started)
        self._exhausted = False

    def next_row(self) -> dict[str, Any] | None:
        """The next row that has no answer yet, written down as started."""
        while line := self._input.readline():
            row = _row(line)
            if row is None:
                say("a line of a job's input is no row; it is left out")
            elif row["custom_id"] not in self._finished:
                _append(self._started, f"{row['custom_id']}\n".encode())
                self.open_rows += 1
                return row
        self._exhausted = True
        self._close_if_done()
        return None

    def write(self, result: Mapping[str, Any]) -> None:
        """Add one answer and count its row as done."""
        line = {name: value for name, value in result.items() if value is not None}
        _append(self._output, json.dumps(line, allow_nan=False).encode() + b"\n")
        self.open_rows -= 1
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._exhausted and not self.open_rows:
            self._input.close()
            os.close(self._output)
            os.close(self._started)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("custom_id"), str) else None


def _finished(path: Path) -> frozenset[str]:
    """The rows that have a line. The file is cut behind the last line that is whole."""
    if not path.exists():
        return frozenset()
    ids, whole = set(), 0
    for line, row_id in _answers(path):
        ids.add(row_id)
        whole += len(line)
    if whole < path.stat().st_size:
        os.truncate(path, whole)
    return frozenset(ids)


def _answers(path: Path) -> Iterator[tuple[bytes, str]]:
    with path.open("rb") as file:
        for line in file:
            try:
                row_id = json.loads(line)["row_id"] if line.endswith(b"\n") else None
            except (ValueError, KeyError, TypeError):
                row_id = None
            if not isinstance(row_id, str):
                return
            yield line, row_id


def _open_for_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _append(descriptor: int, content: bytes) -> None:
    """Write all of it; a full disk may take a part."""
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    except OSError as error:
        raise EngineFailedError(f"an answer cannot be written: {type(error).__name__} {error.errno}") from None
