"""Results of local lanes in the spool: one JSON line per row, the fields of `LaneResult` by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from sinks.shard import LaneResult

_NAMES = tuple(field.name for field in fields(LaneResult))


def encode_result(result: LaneResult) -> bytes:
    """One line. Lone surrogates survive as escapes."""
    values = {name: getattr(result, name) for name in _NAMES}
    return json.dumps({name: value for name, value in values.items() if value is not None}, allow_nan=False).encode() + b"\n"


def decode_results(path: Path) -> Iterator[LaneResult]:
    """The complete lines of a file. A last line without its newline was torn by a crash and is no result."""
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield decode_result(line)


def decode_result(line: bytes) -> LaneResult:
    """The result of one whole line."""
    values = json.loads(line)
    if values.get("chunks") is not None:
        values["chunks"] = tuple((start, end) for start, end in values["chunks"])
    return LaneResult(**{name: values[name] for name in _NAMES if name in values})
