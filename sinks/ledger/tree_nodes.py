"""Nodes of the tree over a whole ledger, made from its files without hashing all of them.

The footer of every file states the frontier after it. A left-hand node whose end lies near a file's end is in that frontier as it is; of
any other node the part before the last end of a file follows from the frontier there, and only the leaves after it, which lie in one file,
are hashed. So a proof over ten million entries reads the file of its entry and a piece of a few others. What is read here need not be
believed: a proof holds against a signed root, or it does not.
"""

from __future__ import annotations

import multiprocessing
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.canonical import CanonicalError, leaf_hashes
from sinks.ledger.note import Checkpoint
from sinks.ledger.seal import Seal, SealError, unverified
from sinks.ledger.tree import Frontier, node_hash

BATCH_ROWS = 65_536
PROCESSES = 2
WORTH_A_PROCESS = 500_000
"""So many leaves: starting processes costs a second or so."""

Span = tuple[int, int]
"""The leaves under a node: from the first, counted from 0, up to the last, not included."""


def split_of(span: Span) -> int:
    """Where RFC 6962 divides a node: the largest power of two below its size, after its first leaf."""
    return span[0] + (1 << (span[1] - span[0] - 1).bit_length() - 1)


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The nodes of the audit path of leaf `index` in the tree of this size, in the order of the proof (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"expected a leaf below {size}, got {index}")
    path: list[Span] = []
    node = (0, size)
    while node[1] - node[0] > 1:
        middle = split_of(node)
        left, right = (node[0], middle), (middle, node[1])
        path.append(right if index < middle else left)
        node = left if index < middle else right
    return path[::-1]


def consistency_spans(old_size: int, size: int) -> list[Span]:
    """The nodes of the proof that the older tree is a prefix of the newer, in its order (RFC 6962 section 2.1.2)."""
    if not 0 < old_size <= size:
        raise ValueError(f"expected an older size from 1 to {size}, got {old_size}")
    proof: list[Span] = []
    node = (0, size)
    while old_size < node[1]:
        middle = split_of(node)
        left, right = (node[0], middle), (middle, node[1])
        proof.append(right if old_size <= middle else left)
        node = left if old_size <= middle else right
    return [*([node] if node[0] else []), *proof[::-1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _LogFile:
    path: Path
    before: int
    seal: Seal


@dataclass(slots=True)
class _Part:
    """A node whose last leaves are still to be hashed. known: what is known of its front; it grows up to the whole."""

    span: Span
    known: Frontier

    @property
    def next_leaf(self) -> int:
        return self.span[0] + self.known.size


_Job = tuple[Path, int, Sequence[_Part]]
"""A file, the entries before it, and the nodes whose last leaves are in it."""


@dataclass(frozen=True, slots=True)
class LogTree:
    """The files of a ledger as they were listed, in order, each with its seal."""

    files: tuple[_LogFile, ...]
    _ends: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, ledger: Path) -> LogTree:
        """The tree as of now. Raises LedgerError where no ledger is, LedgerUnavailableError where its files do not follow on each other."""
        head, paths = files.snapshot(ledger)
        if not head:
            raise LedgerError(f"{ledger}: no ledger here (no segments); name the folder that holds `segments`")
        seals = sorted(((_seal(path), path) for path in paths), key=lambda one: one[0].first_seq)
        found: list[_LogFile] = []
        for seal, path in seals:
            if not (found[-1].seal.last_seq if found else 0) + 1 == seal.first_seq <= seal.last_seq:
                raise _unsound(path, f"begins with entry {seal.first_seq}, which does not follow on the file before")
            found.append(_LogFile(path=path, before=seal.first_seq - 1, seal=seal))
        return cls(tuple(found), tuple(one.seal.last_seq for one in found))

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self._ends[-1]

    @property
    def newest(self) -> Seal:
        """The seal of the last commit."""
        return self.files[-1].seal

    def notes(self, sizes: Iterable[int]) -> dict[int, str]:
        """The signed notes of the commits that end with these entries, by tree size. Raises LedgerUnavailableError when there is none."""
        found: dict[int, str] = {}
        for size in sorted(set(sizes)):
            file = self.files[min(bisect_left(self._ends, size), len(self.files) - 1)]
            note = next((note for note in reversed(file.seal.notes) if _checkpoint(note, file.path).size == size), None)
            if note is None:
                raise _unsound(file.path, f"has no checkpoint of {size} entries")
            found[size] = note
        return found

    def commit_of(self, seq: int) -> int:
        """The tree size at the commit that brought this entry."""
        file = self.files[bisect_left(self._ends, seq)]
        return next(size for note in file.seal.notes if (size := _checkpoint(note, file.path).size) >= seq)

    def nodes(self, wanted: Iterable[Span]) -> dict[Span, bytes]:
        """The hashes of these nodes. Raises LedgerUnavailableError when a file cannot be read or hashed."""
        spans = sorted(set(wanted))
        found: dict[Span, bytes] = {}
        parts: dict[Span, _Part] = {}
        for span in spans:
            self._plan(span, spans, found, parts)
        by_file: defaultdict[int, list[_Part]] = defaultdict(list)
        for part in parts.values():
            by_file[bisect_left(self._ends, part.span[1])].append(part)
        jobs = [(self.files[number].path, self.files[number].before, by_file[number]) for number in sorted(by_file)]
        found |= {part.span: part.known.root for part in _hashed(jobs)}
        return {span: _joined(span, found) for span in spans}

    def _plan(self, span: Span, wanted: Sequence[Span], found: dict[Span, bytes], parts: dict[Span, _Part]) -> None:
        """Look the node up in a frontier, or divide it where another wanted node lies in it, or note which leaves are to be hashed."""
        if span in found or span in parts:
            return
        known = self._front(span)
        if known.size == span[1] - span[0]:
            found[span] = known.root
        elif (whole := self._in_a_later_frontier(span)) is not None:
            found[span] = whole
        elif span[1] - span[0] > 1 and _holds_another(span, wanted):
            middle = split_of(span)
            self._plan((span[0], middle), wanted, found, parts)
            self._plan((middle, span[1]), wanted, found, parts)
        else:
            parts[span] = _Part(span, known)

    def _front(self, span: Span) -> Frontier:
        """The tree over the first leaves of the node, up to the last end of a file in it."""
        first, after = span
        # A full right-hand node is in no frontier: with its last leaf it became one with its sibling.
        place = (bisect_left if _is_right_hand(span) else bisect_right)(self._ends, after) - 1
        if place < 0 or self._ends[place] <= first:
            return Frontier()
        frontier = self.files[place].seal.frontier
        # What lies before the node are the high bits of the size; the rest of them is the node's own.
        size = frontier.size - first
        return Frontier(size, frontier.roots[frontier.size.bit_count() - size.bit_count() :])

    def _in_a_later_frontier(self, span: Span) -> bytes | None:
        """A perfect left-hand node is in each frontier until its sibling is full."""
        first, after = span
        size = after - first
        place = bisect_left(self._ends, after)
        if size & (size - 1) or _is_right_hand(span) or place == len(self._ends) or self._ends[place] >= after + size:
            return None
        frontier = self.files[place].seal.frontier
        return frontier.roots[(frontier.size >> size.bit_length() - 1).bit_count() - 1]


def _is_right_hand(span: Span) -> bool:
    """Whether a node is full and its sibling lies before it."""
    size = span[1] - span[0]
    return not size & (size - 1) and bool(span[0] // size & 1)


def _holds_another(span: Span, wanted: Sequence[Span]) -> bool:
    """Whether a smaller wanted node lies in this one. `wanted` is sorted."""
    for other in wanted[bisect_left(wanted, (span[0], 0)) :]:
        if other[0] >= span[1]:
            return False
        if other != span and other[1] <= span[1]:
            return True
    return False


def _joined(span: Span, found: dict[Span, bytes]) -> bytes:
    if span not in found:
        middle = split_of(span)
        found[span] = node_hash(_joined((span[0], middle), found), _joined((middle, span[1]), found))
    return found[span]


def _hashed(jobs: Sequence[_Job]) -> list[_Part]:
    """The same nodes, whole. Large ones are hashed in two processes: an archive file may hold most of a ledger."""
    missing = sum(part.span[1] - part.next_leaf for _, _, parts in jobs for part in parts)
    if missing < WORTH_A_PROCESS:
        return [part for job in jobs for part in _hash(job)]
    # Spawned, not forked: the caller may have threads of Arrow, DuckDB or Prefect.
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [part for parts in pool.map(_hash, [half for job in jobs for half in _divided(job)]) for part in parts]


def _divided(job: _Job) -> list[_Job]:
    """About the same number of leaves for each process."""
    path, before, parts = job
    shares: list[list[_Part]] = [[] for _ in range(PROCESSES)]
    sizes = [0] * PROCESSES
    for part in sorted(parts, key=lambda part: part.span[0] - part.span[1]):
        least = sizes.index(min(sizes))
        shares[least].append(part)
        sizes[least] += part.span[1] - part.next_leaf
    return [(path, before, share) for share in shares if share]


def _hash(job: _Job) -> Sequence[_Part]:
    """Hash the leaves that these nodes still lack, batch by batch; row groups that hold none of them are not read."""
    path, first, parts = job
    try:
        with pq.ParquetFile(path) as opened:
            for group in range(opened.num_row_groups):
                rows = opened.metadata.row_group(group).num_rows
                if any(part.next_leaf < first + rows and part.span[1] > first for part in parts):
                    _hash_group(opened, group, first, parts)
                first += rows
    except CanonicalError as error:
        raise _unsound(path, str(error)) from None
    except (pa.ArrowException, UnicodeError):
        raise _unsound(path, "cannot be read to its end") from None
    if any(part.next_leaf != part.span[1] for part in parts):
        raise _unsound(path, "holds fewer entries than its footer says")
    return parts


def _hash_group(opened: pq.ParquetFile, group: int, first: int, parts: Sequence[_Part]) -> None:
    for batch in opened.iter_batches(BATCH_ROWS, row_groups=[group]):
        due = [part for part in parts if first <= part.next_leaf < first + batch.num_rows]
        if due:
            begin, end = min(part.next_leaf for part in due), max(part.span[1] for part in due)
            leaves = leaf_hashes(pa.Table.from_batches([batch.slice(begin - first, end - begin)]))
            for part in due:
                part.known = part.known.extended(leaves[part.next_leaf - begin : part.span[1] - begin])
        first += batch.num_rows


def _seal(path: Path) -> Seal:
    try:
        return Seal.parse(files.footer(path))
    except SealError as error:
        raise _unsound(path, str(error)) from None


def _checkpoint(note: str, path: Path) -> Checkpoint:
    try:
        return unverified(note)
    except SealError as error:
        raise _unsound(path, f"one of its checkpoints is {error}") from None


def _unsound(path: Path, what: str) -> LedgerUnavailableError:
    return LedgerUnavailableError(f"{path}: {what}; run `waybill audit verify --deep`, restore the ledger from a copy")
