"""Rows that one vLLM worker is told of at once, as files in the spool; and counting their answers as they come.

- What was in flight at a death is read from the files (begun, not answered), so that it is known whoever was alive to see it.
- Counting reads only what was added since the last look, and keeps ids and numbers, never text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sinks import durable
from sinks.lanes.spool_results import decode_results, encode_result
from sinks.shard import LaneResult

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a shard. tokens: what it costs at the most, its prompt (roughly) and all that it may write."""

    row_id: str
    tokens: int
    line: bytes = field(repr=False)

    @classmethod
    def of(cls, line: bytes) -> Row:
        """Read a line."""
        tree = json.loads(line)
        return cls(row_id=tree["custom_id"], tokens=len(line) // _CHARACTERS_PER_TOKEN + int(tree["body"]["max_tokens"]), line=line)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the answers of some rows come to."""

    done: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, other: Counts, sign: int = 1) -> None:
        """Add another count, or with sign -1 take it away."""
        self.done += sign * other.done
        self.failed += sign * other.failed
        self.tokens_in += sign * other.tokens_in
        self.tokens_out += sign * other.tokens_out


class Batch:
    """Rows that one worker is told of at once, as files."""

    def __init__(self, folder: Path, name: str, rows: Sequence[Row] | None = None) -> None:
        """The batch as it lies there, or with these rows."""
        self.name = name
        self.input, self.output, self.started = (folder / f"{name}.{suffix}" for suffix in ("in.jsonl", "out.jsonl", "started"))
        self.counts = Counts()
        self.answered: set[str] = set()
        self._offset = 0
        self.ids: frozenset[str]
        if rows is None:
            self.reload()
        else:
            self.write(rows)

    @property
    def answered_at(self) -> float | None:
        """When the last answer came (seconds since the epoch)."""
        try:
            return self.output.stat().st_mtime
        except FileNotFoundError:
            return None

    @property
    def unanswered(self) -> int:
        """How many rows have no answer yet, as far as was read."""
        return len(self.ids - self.answered)

    def rows(self) -> Iterator[Row]:
        """The rows."""
        if self.input.exists():
            with self.input.open("rb") as file:
                yield from map(Row.of, file)

    def reload(self) -> None:
        """Read again which rows it has."""
        self.ids = frozenset(row.row_id for row in self.rows())

    def write(self, rows: Sequence[Row]) -> None:
        """Make these the rows, in one step."""
        durable.replace(self.input, b"".join(row.line for row in rows), mode=durable.PRIVATE_FILE)
        self.ids = frozenset(row.row_id for row in rows)

    def read(self) -> None:
        """Take in the answers since the last look. A line that is no whole answer ends the file, for the worker as well."""
        if not self.output.exists():
            return
        with self.output.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                values = _answer(line)
                if values is None:
                    return
                self._offset += len(line)
                self._count(values)

    def results(self) -> Iterator[LaneResult]:
        """Every answer."""
        if self.output.exists():
            yield from decode_results(self.output)

    def in_flight(self) -> list[str]:
        """The rows that a worker began and did not answer, in the order in which it began them."""
        self.read()
        if not self.started.exists():
            return []
        whole = self.started.read_bytes().rpartition(b"\n")[0].decode().split("\n")
        return [row_id for row_id in dict.fromkeys(whole) if row_id in self.ids and row_id not in self.answered]

    def forget_started(self) -> None:
        """Nothing is in flight: its worker is gone, and what that means was written down, or it was we who ended it."""
        self.started.unlink(missing_ok=True)

    def cut(self) -> None:
        """Remove what a crash left behind the last whole answer. Only while no worker has this batch."""
        self.read()
        if self.output.exists() and self.output.stat().st_size > self._offset:
            os.truncate(self.output, self._offset)

    def fail(self, row_id: str, error_code: str) -> None:
        """Answer a row in the worker's place, durably. Only while no worker has this batch."""
        self.cut()
        descriptor = os.open(self.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE)
        with os.fdopen(descriptor, "ab") as file:
            file.write(encode_result(LaneResult(row_id=row_id, error_code=error_code)))
            file.flush()
            os.fsync(file.fileno())
        self.read()

    def _count(self, values: Mapping[str, Any]) -> None:
        if values["row_id"] in self.answered:
            return
        self.answered.add(values["row_id"])
        self.counts.add(
            Counts(
                done=1,
                failed=int(values.get("error_code") is not None),
                tokens_in=values.get("tokens_in") or 0,
                tokens_out=values.get("tokens_out") or 0,
            )
        )


def _answer(line: bytes) -> dict[str, Any] | None:
    """The fields of a whole line; None for one that a crash tore, or that a power cut left as zeros."""
    try:
        values = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return values if isinstance(values, dict) and isinstance(values.get("row_id"), str) else None
