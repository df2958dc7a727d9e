"""The deep half of verification: the leaves of one file made anew from its rows, and the roots they give.

Files are independent of each other once their checkpoints are known to be signed: each starts from the frontier before it, whose root was
signed. So they are recomputed in several processes.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.ledger.canonical import CanonicalError, leaf_hashes
from sinks.ledger.entry import Event
from sinks.ledger.schema import SCHEMA_VERSION, schema_of
from sinks.ledger.stated import Bounds, MisleadingError, check_columns, check_form
from sinks.ledger.tree import Frontier

BATCH_ROWS = 16_384
PROCESSES = 2
_WORTH_A_PROCESS = 200_000
"""Starting processes costs a second or so."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and the first entry that it concerns."""

    seq: int
    reason: str


class FaultError(Exception):
    """The log is not what was signed."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(seq, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One file to recompute: the tree before it, the checkpoints in it as tree size and signed root, in order, and its format."""

    path: Path
    before: Frontier
    signed: tuple[tuple[int, bytes], ...]
    version: int = SCHEMA_VERSION


def first_fault(stretches: Sequence[Stretch]) -> Fault | None:
    """The first fault in any of these files; None when every root comes out as it was signed."""
    entries = sum(stretch.signed[-1][0] - stretch.before.size for stretch in stretches)
    if entries < _WORTH_A_PROCESS or len(stretches) < PROCESSES:
        return _first(map(recompute, stretches))
    # Spawned, not forked: the caller may have threads of Arrow, DuckDB or Prefect.
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return _first(pool.map(recompute, stretches))
        finally:
            pool.shutdown(cancel_futures=True)


def recompute(stretch: Stretch) -> Fault | None:
    """Whether the rows of a file give the roots that were signed."""
    try:
        _recompute(stretch)
    except FaultError as error:
        return error.fault
    return None


def _recompute(stretch: Stretch) -> None:
    frontier, name = stretch.before, stretch.path.name
    signed = deque(stretch.signed)
    begun = frontier.size  # where the segment at hand begins
    for leaves, handovers in _leaves(stretch.path, frontier.size + 1, stretch.version):
        rest = leaves
        while rest:
            if not signed:
                raise FaultError(frontier.size + 1, f"{name}: more rows than its checkpoints cover")
            size, root = signed[0]
            part, rest = rest[: size - frontier.size], rest[size - frontier.size :]
            frontier = frontier.extended(part)
            if size - begun > 1 and any(begun < seq <= size for seq in handovers):
                raise FaultError(begun + 1, f"{name}: a key_rotated entry that is not alone in its segment")
            if frontier.size == size:
                if frontier.root != root:
                    raise FaultError(begun + 1, f"{name}: entries {begun + 1} to {size} are not what was signed")
                signed.popleft()
                begun = size
    if signed:
        raise FaultError(frontier.size + 1, f"{name}: ends with entry {frontier.size}, expected {signed[-1][0]}")


def _first(found: Iterable[Fault | None]) -> Fault | None:
    return next((fault for fault in found if fault is not None), None)


def _leaves(path: Path, first: int, version: int) -> Iterator[tuple[list[bytes], list[int]]]:
    """The leaf hashes of a file, batch by batch, and the places of `key_rotated` entries. `first`: the `seq` that it must begin with."""
    start = first
    try:
        with pq.ParquetFile(path) as file:
            found, expected = file.schema_arrow, schema_of(version)
            if found.names != expected.names or found.types != expected.types:
                raise FaultError(first, f"{path.name}: its columns are not those of the format")
            check_form(path, file.metadata, version)
            for group in range(file.num_row_groups):
                bounds, begun = Bounds(), first
                for batch in file.iter_batches(BATCH_ROWS, row_groups=[group]):
                    _check_numbers(path, batch.column("seq"), first)
                    bounds.add(batch)
                    yield leaf_hashes(pa.Table.from_batches([batch])), _handovers(batch.column("event"), first)
                    first += batch.num_rows
                _compare(path, bounds, file.metadata.row_group(group), file.schema, begun)
            check_columns(path, file.metadata)
    except MisleadingError as error:
        raise FaultError(start, f"{path.name}: {error}") from None
    except CanonicalError as error:
        raise FaultError(first, f"{path.name}: {error}") from None
    except (pa.ArrowException, UnicodeError):
        raise FaultError(first, f"{path.name}: cannot be read to its end") from None
    except OSError as error:
        if error.errno is not None:
            raise  # the disk or the permissions, not the file
        raise FaultError(first, f"{path.name}: cannot be read to its end") from None


def _compare(path: Path, bounds: Bounds, group: pq.RowGroupMetaData, schema: pq.ParquetSchema, first: int) -> None:
    try:
        bounds.compare(group, schema)
    except MisleadingError as error:
        raise FaultError(first, f"{path.name}: {error}") from None


def _check_numbers(path: Path, numbers: pa.Int64Array, first: int) -> None:
    wrong = np.flatnonzero(numbers.fill_null(0).to_numpy(zero_copy_only=False) != np.arange(first, first + len(numbers)))
    if len(wrong):
        seq = first + int(wrong[0])
        raise FaultError(seq, f"{path.name}: the row in the place of entry {seq} is numbered {numbers[int(wrong[0])].as_py()}")


def _handovers(events: pa.StringArray, first: int) -> list[int]:
    codes = events.dictionary_encode()
    names = codes.dictionary.to_pylist()
    if Event.KEY_ROTATED.value not in names:
        return []
    places = np.flatnonzero(codes.indices.fill_null(-1).to_numpy(zero_copy_only=False) == names.index(Event.KEY_ROTATED.value))
    return [first + int(place) for place in places]
