"""The log followed file by file, from the key that its first entry states: footers, signatures, numbering, digests, hand-overs of the key.

Nothing that a file says is believed before a key in force has signed it. What only the rows can tell (`recompute`) is left to the caller,
except of the newest segment, whose digest no later one states, and of files that hand the key over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.ledger.entry import Event
from sinks.ledger.files import Archived, in_force
from sinks.ledger.note import NO_PREVIOUS, Checkpoint, NoteError, VerifierKey
from sinks.ledger.recompute import Fault, FaultError, Stretch, recompute
from sinks.ledger.schema import VERSIONS
from sinks.ledger.seal import Seal, SealError, opened, origin, unverified
from sinks.ledger.tree import Frontier

_STATEMENTS = ["seq", "event", "detail_code", "result_file", "result_digest", "before", "after"]
_STATING = pa.array([Event.SCHEMA.value, Event.KEY_ROTATED.value, Event.COMPACTED.value])


@dataclass(slots=True)
class Chain:
    """How far the log has been followed, and what was learned on the way."""

    segment: int = 0
    size: int = 0
    frontier: Frontier = field(default_factory=Frontier)
    ledger_id: str = ""
    key: VerifierKey | None = None
    version: int = VERSIONS[0]  # of the newest checkpoint: it never falls
    used: list[VerifierKey] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)  # by tree size, as they were signed
    stretches: list[Stretch] = field(default_factory=list)
    compacted: set[tuple[Any, ...]] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One file of the log, read but not believed."""

    path: Path
    seal: Seal
    rows: int
    digest: str


def follow(chain: Chain, segments: Sequence[tuple[int, Path]], archives: Sequence[Archived]) -> None:
    """Go through all files in order. Raises FaultError at the first that is not as it was signed; `chain` then says how far it got."""
    with ThreadPoolExecutor(2) as pool:
        hashing = pool.map(_digest, [*(one.path for one in archives), *(path for _, path in segments)])
        packed = [_packed(one, digest) for one, digest in zip(archives, hashing, strict=False)]
        digests = {number: digest for (number, _), digest in zip(segments, hashing, strict=False)}
    taken = {one.path for one in in_force(archives)}
    for file in packed:
        if file.path in taken:
            _go_through(chain, file, digests, scan=True)
    archived_to = chain.segment
    for number, path in segments:
        if number > archived_to:
            file = _read(chain.size + 1, path, digests[number])
            if file.seal.segment != number or file.seal.first_segment is not None:
                raise FaultError(chain.size + 1, f"{path.name}: its footer says segment {file.seal.segment}")
            _go_through(chain, file, digests, scan=bool(packed))
    if not segments or segments[-1][0] <= archived_to:
        raise FaultError(chain.size + 1, "the newest segment is not in `segments`")
    for file in packed:
        if (file.path.name, file.digest, str(file.seal.first_segment), str(file.seal.segment)) not in chain.compacted:
            raise FaultError(file.seal.first_seq, f"{file.path.name}: no `compacted` entry states this file with this digest")
        if file.path not in taken:
            _check_part(chain, file, [one for one in archives if one.path in taken])
    _believe(recompute(chain.stretches[-1]))
    _check_leftovers(chain, [(number, path) for number, path in segments if number <= archived_to])


def _go_through(chain: Chain, file: _File, digests: dict[int, str], *, scan: bool) -> None:
    """Check one file, and move on past it."""
    seal, name, expected, before = file.seal, file.path.name, chain.size + 1, chain.frontier
    first_segment = seal.segment if seal.first_segment is None else seal.first_segment
    if first_segment != chain.segment + 1:
        raise FaultError(expected, f"{name}: begins with segment {first_segment}, expected {chain.segment + 1}")
    if seal.first_seq != expected or file.rows != seal.last_seq - seal.first_seq + 1:
        raise FaultError(
            expected, f"{name}: {file.rows} rows from entry {seal.first_seq} to {seal.last_seq}, expected to begin at {expected}"
        )
    statements = _statements(file.path, expected) if scan or file.rows == 1 else []
    if chain.key is None:
        chain.ledger_id, chain.key = seal.ledger_id, _first_key(seal, statements)
    compacted = [one for one in statements if one["event"] == Event.COMPACTED]
    chain.compacted |= {(one["result_file"], one["result_digest"], one["before"], one["after"]) for one in compacted}
    stretch = Stretch(path=file.path, before=before, signed=_signed(name, seal, expected), version=seal.version)
    handed_over = {one["seq"]: one["after"] for one in statements if one["event"] == Event.KEY_ROTATED}
    last_key = chain.key
    for note in seal.notes:
        last_key = chain.key
        checkpoint = _next_checkpoint(chain, chain.key, name, note, digests)
        if checkpoint.size in handed_over:
            # Believed only once the key in force is seen to have signed these very rows.
            _believe(recompute(stretch))
            chain.key = _next_key(name, handed_over.pop(checkpoint.size), checkpoint)
    if handed_over:
        raise FaultError(expected, f"{name}: a key_rotated entry that is not alone in its segment")
    try:
        seal.signed(last_key)
    except SealError as error:
        raise FaultError(expected, f"{name}: {error}") from None
    if seal.verifier_key != last_key or seal.segment != chain.segment:
        raise FaultError(expected, f"{name}: the footer does not say what was signed")
    chain.stretches.append(stretch)
    chain.frontier = seal.frontier


def _next_checkpoint(chain: Chain, key: VerifierKey, name: str, note: str, digests: dict[int, str]) -> Checkpoint:
    expected = chain.size + 1
    try:
        checkpoint = opened(note, key)
    except SealError as error:
        raise FaultError(expected, f"{name}: {error}") from None
    if checkpoint.origin != origin(chain.ledger_id) or checkpoint.schema not in VERSIONS or checkpoint.schema < chain.version:
        raise FaultError(expected, f"{name}: its checkpoint is of another ledger or format")
    if checkpoint.segment != chain.segment + 1 or checkpoint.size <= chain.size:
        raise FaultError(expected, f"{name}: its checkpoint is of segment {checkpoint.segment}, expected {chain.segment + 1}")
    before = digests.get(chain.segment) if chain.segment else NO_PREVIOUS
    if before is not None and before != checkpoint.previous:
        first = chain.checkpoints[-2].size + 1 if len(chain.checkpoints) > 1 else 1
        raise FaultError(first, f"segment {chain.segment} is not the file after which segment {checkpoint.segment} was signed")
    chain.segment, chain.size, chain.version = checkpoint.segment, checkpoint.size, checkpoint.schema
    chain.checkpoints.append(checkpoint)
    chain.notes[checkpoint.size] = note
    if key not in chain.used:
        chain.used.append(key)
    return checkpoint


def _first_key(seal: Seal, statements: Sequence[dict[str, Any]]) -> VerifierKey:
    """The key that the first entry states; whether it is the right one, only a pinned key can tell."""
    first = next((one for one in statements if one["seq"] == 1 and one["event"] == Event.SCHEMA), None)
    try:
        version = unverified(seal.notes[0]).schema
    except SealError as error:
        raise FaultError(1, f"its first checkpoint is {error}") from None
    if first is None or first["detail_code"] != f"version_{version}":
        raise FaultError(1, "the first entry does not state the version of the format that its checkpoint does")
    return _ledgers_key(1, "the first entry states no verifier key of this ledger", first["after"], origin(seal.ledger_id))


def _next_key(name: str, text: str | None, checkpoint: Checkpoint) -> VerifierKey:
    return _ledgers_key(checkpoint.size, f"{name}: the key is handed over to what is no key of this ledger", text, checkpoint.origin)


def _ledgers_key(seq: int, otherwise: str, text: str | None, name: str) -> VerifierKey:
    try:
        key = VerifierKey.parse(text or "")
    except NoteError:
        key = None
    if key is None or key.name != name:
        raise FaultError(seq, otherwise)
    return key


def _signed(name: str, seal: Seal, expected: int) -> tuple[tuple[int, bytes], ...]:
    """Tree sizes and roots in the file's notes; whether they are signed is checked one by one."""
    try:
        return tuple((one.size, one.root) for one in map(unverified, seal.notes))
    except SealError as error:
        raise FaultError(expected, f"{name}: one of its checkpoints is {error}") from None


def _believe(fault: Fault | None) -> None:
    if fault is not None:
        raise FaultError(fault.seq, fault.reason)


def _packed(named: Archived, digest: str) -> _File:
    """An archive file that says of itself what its name says."""
    file = _read(1, named.path, digest)
    if file.seal.first_segment is None:
        raise FaultError(file.seal.first_seq, f"{named.path.name}: an archive file without its checkpoints")
    if (file.seal.first_segment, file.seal.segment) != (named.first, named.last):
        raise FaultError(
            file.seal.first_seq, f"{named.path.name}: its footer says segments {file.seal.first_segment} to {file.seal.segment}"
        )
    return file


def _check_part(chain: Chain, part: _File, taken: Sequence[Archived]) -> None:
    """A file that was merged into another and waits to be deleted: views that are older than the merger still read it."""
    first, last = part.seal.first_segment or 0, part.seal.segment
    if not any(one.first <= first and last <= one.last for one in taken):
        raise FaultError(part.seal.first_seq, f"{part.path.name}: neither part of the log nor within one file that is")
    notes = tuple(chain.notes[one.size] for one in chain.checkpoints[first - 1 : last])
    if part.seal.notes != notes or part.rows != part.seal.last_seq - part.seal.first_seq + 1:
        raise FaultError(part.seal.first_seq, f"{part.path.name}: not the segments {first} to {last} that it was merged with")


def _check_leftovers(chain: Chain, leftovers: Sequence[tuple[int, Path]]) -> None:
    """Segments that are in the archive as well, and wait to be deleted: the next one's checkpoint states their digest."""
    for number, path in leftovers:
        checkpoint = chain.checkpoints[number - 1]
        try:
            same = unverified(_read(checkpoint.size, path, "").seal.checkpoint) == checkpoint
        except SealError:
            same = False
        if not same:
            raise FaultError(checkpoint.size, f"{path.name}: not the segment {number} that is in the archive")


def _read(expected: int, path: Path, digest: str) -> _File:
    try:
        metadata = pq.read_metadata(path)
        return _File(path=path, seal=Seal.parse(metadata.metadata or {}), rows=metadata.num_rows, digest=digest)
    except SealError as error:
        raise FaultError(expected, f"{path.name}: {error}") from None
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise _unreadable(error, expected, path) from None


def _statements(path: Path, expected: int) -> list[dict[str, Any]]:
    """The entries that say something about the ledger itself."""
    found: list[dict[str, Any]] = []
    try:
        with pq.ParquetFile(path, read_dictionary=["event"]) as file:
            for group in range(file.num_row_groups):
                events = file.read_row_group(group, columns=["event"])["event"]
                if any(pc.any(pc.is_in(one.dictionary, value_set=_STATING)).as_py() for one in events.chunks):
                    rows = pq.ParquetFile(path).read_row_group(group, columns=_STATEMENTS)
                    found += rows.filter(pc.is_in(rows["event"], value_set=_STATING)).to_pylist()
    except (pa.ArrowException, OSError, KeyError, AttributeError, UnicodeError) as error:
        raise _unreadable(error, expected, path) from None
    return found


def _unreadable(error: Exception, expected: int, path: Path) -> Exception:
    if isinstance(error, OSError) and error.errno is not None:
        return error  # the disk or the permissions, not the file
    return FaultError(expected, f"{path.name}: not a readable Parquet file of the format")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
