# ruff: noqa: INP001 - a script to take along, not part of a package
"""Verifies a Waybill ledger from its written format alone: shares no code with the program that wrote it.

    python verify_ledger.py LEDGER [--key FILE] [--anchor PATH]...

Needs Python 3.11, pyarrow 18 and cryptography, or later ones. Read it beside `ledger-format.md`, from top to bottom: the tree, an entry's
bytes, checkpoints and keys, one file, the log, the folder. It recomputes every leaf and the root at every checkpoint, and checks signatures
and hand-overs of keys, numbering, footers, digests of files, archive files, the copy of the checkpoint, and anchors. Nothing in the folder
is trusted but what a signature covers, and no signature but of the key in force. What is not signed is not checked: names (`sources/`), and
the views (`ledger.duckdb`, `views.sql`): make those anew with `waybill ledger relink` before you believe what they show.

Prints one line. Exit status: 0 intact; 1 anything else, with the first bad entry and why; 2 wrong arguments.

    --key FILE      the verifier key that the auditor keeps (what `waybill ledger key` prints). Without it the most that can be said is
                    "self-consistent": whoever holds the host could have signed all of it anew
    --anchor PATH   a folder of `*.note` files, or one such file, kept elsewhere. Without one, a tail that was cut off is not seen
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import io
import json
import mmap
import os
import re
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PROCESSES = 2
ROWS_AT_ONCE = 1 << 16
BYTES_AT_ONCE = 1 << 28  # of values, of several rows: a dictionary makes a small file unfold into a large table
NOTE_BYTES = 1 << 16
ATTEMPTS = 3  # a ledger is verified while it is written, and compaction removes files that were just listed

SEGMENT_NAME = re.compile(r"(?!0{8})([0-9]{8}|[1-9][0-9]{8,17})\.parquet")
ARCHIVE_NAME = re.compile(r"[0-9]{4}-[0-9]{2}\.((?!0{8})[0-9]{8}|[1-9][0-9]{8,17})-([0-9]{8}|[1-9][0-9]{8,17})\.parquet")
NUMBER = re.compile("[1-9][0-9]{0,17}")  # decimal, without sign or leading zeros, no more digits than fit 64 bits
CHECKPOINT = re.compile(
    rf"(?P<origin>waybill/[0-9a-f]{{16}})\n(?P<size>{NUMBER.pattern})\n(?P<root>[A-Za-z0-9+/]{{43}}=)\n"
    rf"segment (?P<segment>{NUMBER.pattern})\n"
    r"previous (?P<previous>[0-9a-f]{64})\nkey_id (?P<key_id>[0-9a-f]{32})\nschema (?P<schema>[23])\n"
)
SIGNATURE = re.compile(r"— (?P<name>[^ \n]+) (?P<base64>[A-Za-z0-9+/]+=*)\n")

# Footer keys and columns, in the order of the page. The columns that are not strings are listed with their types.
KEYS = "schema_version ledger_id segment last_segment first_seq last_seq tree_size key_id frontier checkpoint verifier_key"
NAMES = (  # noqa: SIM905 - reads as the page does
    "seq entry_id event at run_id record_id actor detail_code job logical_date template_hash policy_text data_classes partial "
    "evidence rule lanes cloud_requires policy_hash detectors_hash document_hmac family lane endpoint strategy reason score "
    "clearance_id payload_hmac payload_bytes attempt intent_id shard_hmac provider_job_id state result_file result_row "
    "result_digest model revision weights_digest lora_digest tokens_in tokens_out cost_usd finish_reason error_code confidence "
    "before after expiry approval cost_centre"
).split()
ADDED = {"2": [], "3": ["cost_centre"]}  # the columns that came with each version of the format, always at the end
STRINGS, TIME = pa.list_(pa.string()), pa.timestamp("us", "UTC")
EVIDENCE = pa.list_(pa.struct([("entity", pa.string()), ("count", pa.int32()), ("max_score", pa.float64()), ("detector", pa.string())]))
TYPES = {
    **dict.fromkeys(["seq", "payload_bytes", "tokens_in", "tokens_out"], pa.int64()),
    **dict.fromkeys(["attempt", "result_row"], pa.int32()),
    **dict.fromkeys(["score", "confidence"], pa.float64()),
    **dict.fromkeys(["at", "expiry"], TIME),
    **dict.fromkeys(["data_classes", "lanes", "cloud_requires"], STRINGS),
    "partial": pa.bool_(),
    "evidence": EVIDENCE,
    "cost_usd": pa.decimal128(18, 9),
}
ALWAYS = {"seq", "entry_id", "event", "at", "actor"}  # the columns that are never null
SCHEMA = pa.schema([pa.field(name, TYPES.get(name, pa.string()), nullable=name not in ALWAYS) for name in NAMES])
SCHEMAS = {
    version: pa.schema(list(SCHEMA)[: len(NAMES) - sum(len(names) for later, names in ADDED.items() if later > version)])
    for version in ADDED
}
REPEATING = [name for name in NAMES if name not in TYPES and name != "entry_id"]  # read as a dictionary and codes
SPEAKING = ["seq", "event", "detail_code", "result_file", "result_digest", "before", "after"]  # what the log says of itself


class BrokenError(Exception):
    """The ledger is not what was signed: why, and the first entry in doubt."""

    def __init__(self, why: str, seq: int | None = None) -> None:
        super().__init__(why)
        self.why, self.seq = why, seq


# --- The tree: RFC 6962 -----------------------------------------------------------------------------------------------------------------

Subtree = tuple[int, int, bytes]  # of a perfect subtree: its first leaf, its number of leaves, its root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def push(subtrees: list[Subtree], new: Subtree) -> None:
    """Append a subtree, and join neighbours that are the two halves of a larger one."""
    subtrees.append(new)
    while len(subtrees) > 1:
        (start, size, left), (_, right_size, right) = subtrees[-2:]
        if size != right_size or start % (2 * size):
            return
        subtrees[-2:] = [(start, 2 * size, _node(left, right))]


def push_leaves(subtrees: list[Subtree], start: int, leaves: Sequence[bytes]) -> None:
    """Append leaves, of which the first is number `start`, as the largest perfect subtrees that they can be cut into."""
    sha256, done = hashlib.sha256, 0
    while done < len(leaves):
        size = 1 << (len(leaves) - done).bit_length() - 1
        if start + done:
            size = min(size, (start + done) & -(start + done))
        level = leaves[done : done + size]
        while len(level) > 1:
            pairs = iter(level)
            level = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
        push(subtrees, (start + done, size, level[0]))
        done += size


def root(frontier: Sequence[Subtree]) -> bytes:
    """The root of the whole tree, from the roots of its perfect subtrees."""
    result = frontier[-1][2]
    for _, _, left in reversed(frontier[:-1]):
        result = _node(left, result)
    return result


# --- The canonical bytes of an entry, for whole columns at a time -----------------------------------------------------------------------


def _framed(prefix: bytes, values: pa.Array, suffix: bytes) -> pa.Array:
    """Prefix, length, colon, value, suffix of each value; null where it is null."""
    lengths = pc.binary_length(values)
    low, high = pc.min_max(lengths).values()
    length = lengths.cast(pa.string()).cast(pa.binary()) if low != high else pa.scalar(str(low).encode())
    return pc.binary_join_element_wise(pa.scalar(prefix), length, pa.scalar(b":"), values, pa.scalar(suffix), pa.scalar(b""))


def _netstrings(values: pa.Array) -> pa.Array:
    if values.null_count:
        raise BrokenError("a null inside a list has no canonical form")
    return _framed(b"", _values(values), b",")


def _values(values: pa.Array) -> pa.Array:
    """The canonical value of each element, as binary; null where it is null."""
    kind = values.type
    if pa.types.is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(values), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, _netstrings(values.flatten())), b"")
        return pc.if_else(values.is_valid(), joined, pa.scalar(None, pa.binary()))
    if pa.types.is_struct(kind):
        return pc.binary_join_element_wise(*map(_netstrings, values.flatten()), pa.scalar(b""))
    if pa.types.is_decimal(kind):
        values = values.view(pa.decimal128(18, 0)).cast(pa.int64())  # the unscaled integer
    elif pa.types.is_floating(kind) or pa.types.is_timestamp(kind):
        values = values.view(pa.int64())  # the bits; the microseconds
    return values.cast(pa.string()).cast(pa.binary())


def _lines(name: str, values: pa.Array) -> pa.Array:
    """Name, length, value and newline of each element. Of a column with a dictionary, each distinct value is written once."""
    prefix = f"{name}:".encode()
    if pa.types.is_dictionary(values.type):
        if len(values.dictionary) <= len(values):
            return _framed(prefix, _values(values.dictionary), b"\n").take(values.indices)
        values = values.dictionary_decode()
    return _framed(prefix, _values(values), b"\n")


def leaf_hashes(rows: pa.RecordBatch) -> list[bytes]:
    """SHA-256 of 0x00 and the canonical bytes of each row."""
    folded = [column for column in rows.columns if pa.types.is_dictionary(column.type)]
    unfolded = rows.nbytes + sum(pc.sum(pc.binary_length(each.dictionary).take(each.indices)).as_py() or 0 for each in folded)
    if rows.num_rows > 1 and unfolded > BYTES_AT_ONCE:
        half = rows.num_rows // 2
        return leaf_hashes(rows.slice(0, half)) + leaf_hashes(rows.slice(half))
    columns = sorted(zip(rows.schema.names, rows.columns, strict=True), key=lambda pair: pair[0])
    lines = [_lines(name, column) for name, column in columns if column.null_count < rows.num_rows]
    entries = pc.binary_join_element_wise(pa.scalar(b"\x00"), *lines, pa.scalar(b""), null_handling="skip")
    _, offsets, data = entries.buffers()
    ends = memoryview(offsets).cast("i")[entries.offset : entries.offset + len(entries) + 1].tolist()
    view, sha256 = memoryview(data), hashlib.sha256
    return [sha256(view[start:end]).digest() for start, end in pairwise(ends)]


# --- Checkpoints and keys ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """A checkpoint as a signed note, taken apart; not yet believed."""

    note: str
    text: str  # what is signed
    signatures: tuple[tuple[str, bytes], ...]  # key name; key hash and signature
    origin: str
    size: int
    root: bytes
    segment: int
    previous: str
    key_id: str
    version: str  # of the format


def parse_note(note: str) -> Note:
    """Take a note apart, strictly: what is not exactly of the form is no checkpoint."""
    text, separator, tail = note.partition("\n\n")
    lines = CHECKPOINT.fullmatch(text + "\n")
    signatures = list(SIGNATURE.finditer(tail))
    if not separator or not lines or not signatures or "".join(match[0] for match in signatures) != tail:
        raise BrokenError("a checkpoint is not in the form of a signed note")
    signed = tuple((match["name"], _base64(match["base64"])) for match in signatures)
    size, segment = int(lines["size"]), int(lines["segment"])
    own = lines["previous"], lines["key_id"], lines["schema"]
    return Note(note, text + "\n", signed, lines["origin"], size, _base64(lines["root"]), segment, *own)


def _base64(text: str) -> bytes:
    with suppress(binascii.Error):
        data = base64.b64decode(text, validate=True)
        if base64.b64encode(data).decode() == text:
            return data
    raise BrokenError("a value is not base64 in its one proper form")


@dataclass(frozen=True)
class Key:
    """A verifier key: `name+hash+base64(0x01 || public key)`."""

    text: str
    name: str
    key_hash: bytes
    public: bytes

    def signed(self, note: Note) -> bool:
        """One of the note's signatures is by this key."""
        for name, signature in note.signatures:
            if name == self.name and signature[:4] == self.key_hash:
                with suppress(InvalidSignature, ValueError):
                    Ed25519PublicKey.from_public_bytes(self.public).verify(signature[4:], note.text.encode())
                    return True
        return False


def parse_key(text: str) -> Key:
    """Take a verifier key apart; its hash must be the hash of its name and its public key."""
    name, _, rest = text.partition("+")
    digits, _, encoded = rest.partition("+")
    public = _base64(encoded)  # 0x01 for Ed25519, and the 32 bytes of the key
    expected = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    if not re.fullmatch(r"waybill/[0-9a-f]{16}", name) or len(public) != 33 or public[0] != 1 or digits != expected.hex():  # noqa: PLR2004
        raise BrokenError("a verifier key is not in its form")
    return Key(text, name, expected, public[1:])


# --- One file ---------------------------------------------------------------------------------------------------------------------------


@dataclass
class File:
    """What one Parquet file says, and what its rows come to. `fault` is set when it says nothing usable."""

    name: str  # "segments/00000001.parquet", "archive/2026-10.00000001-00000312.parquet"
    first: int  # segment in it, as its name says
    last: int
    digest: str = ""
    footer: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)  # one for each segment in it
    subtrees: list[list[Subtree]] = field(default_factory=list)  # likewise: its rows
    sayings: list[dict[str, Any]] = field(default_factory=list)  # entries of the log about itself
    fault: tuple[str, int | None] | None = None

    @property
    def archive(self) -> bool:
        """Holds several segments, compacted."""
        return self.name.startswith("archive/")


def named(name: str) -> File | None:
    """The file of this name, unread; None where a ledger has no such name."""
    part, _, base = name.partition("/")
    match = (ARCHIVE_NAME if part == "archive" else SEGMENT_NAME).fullmatch(base)
    found = File(name, int(match[1]), int(match[match.re.groups])) if match else None
    return found if found and found.first <= found.last else None


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file descriptor of a plain file: nothing is followed, and nothing is waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BrokenError("is not a plain file")
        yield descriptor
    finally:
        os.close(descriptor)


def examine(folder: str, file: File) -> File:
    """Read one file wholly; runs in a process of its own, and lets nothing escape but the report."""
    try:
        with opened(Path(folder, file.name)) as descriptor:
            data = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        file.digest = hashlib.sha256(data).hexdigest()
        there = set(pq.read_schema(pa.BufferReader(pa.py_buffer(data))).names)  # an older version has fewer columns
        reader = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data)), read_dictionary=[name for name in REPEATING if name in there])
        _read_footer(file, reader.metadata, data)
        _read_rows(file, reader, data)
    except BrokenError as error:
        file.fault = (error.why, error.seq)
    except Exception as error:  # noqa: BLE001 - whatever a hostile file makes the Parquet reader do, the answer is the same
        file.fault = (f"cannot be read ({type(error).__name__})", None)
    return file


def _read_footer(file: File, metadata: pq.FileMetaData, data: mmap.mmap) -> None:
    """The footer, and its checkpoints, in their form."""
    pairs = dict(metadata.metadata or {})
    file.footer = {key.decode(): value.decode() for key, value in pairs.items() if key != b"ARROW:schema"}
    more = ["first_segment", "checkpoints"] if file.archive else []
    if file.footer.keys() != {f"waybill.{name}" for name in KEYS.split() + more}:
        raise BrokenError("does not have the footer keys of the format")
    raw = _raw_footer(data)
    if any(raw.count(b"\x18" + bytes([len(key)]) + key + b"\x18") != 1 for key in pairs):  # as Thrift writes a key
        raise BrokenError("has a footer key twice: readers differ in which they believe")
    if any(not NUMBER.fullmatch(file.footer[f"waybill.{name}"]) for name in ("first_seq", "last_seq")):
        raise BrokenError("has something else than a number in its footer")
    first_seq = int(file.footer["waybill.first_seq"])
    notes = json.loads(file.footer["waybill.checkpoints"]) if file.archive else [file.footer["waybill.checkpoint"]]
    file.notes = [parse_note(note) for note in notes]
    if len(notes) != file.last - file.first + 1:
        raise BrokenError("does not hold the segments that its name says", first_seq)
    sizes = [first_seq - 1, *(note.size for note in file.notes)]
    if any(size <= before for before, size in pairwise(sizes)) or metadata.num_rows != sizes[-1] - sizes[0]:
        raise BrokenError(f"holds {metadata.num_rows} entries, and signed were others: some were dropped or added", first_seq)
    schema = SCHEMAS[file.notes[-1].version]  # of an archive file, the last segment's
    if metadata.schema.to_arrow_schema().remove_metadata() != schema:
        raise BrokenError("does not have the columns of the format", first_seq)
    # Readers differ in what they make of a footer that says a thing twice, or more than it should: there is one way to say it.
    front, back = _frame_of_footers(schema)
    if not raw.startswith(front) or not raw.endswith(back) or raw != _written_again(metadata):
        raise BrokenError("has a footer that says more than the format has: readers may differ in what they see", first_seq)
    second = pa.ipc.read_schema(pa.py_buffer(_base64(pairs[b"ARROW:schema"].decode())))
    if second.metadata or second != schema:
        raise BrokenError("has a second schema in its footer that is another", first_seq)


def _raw_footer(data: bytes | mmap.mmap) -> bytes:
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


def _written_again(metadata: pq.FileMetaData) -> bytes:
    written = io.BytesIO()
    metadata.write_metadata_file(written)
    return _raw_footer(written.getvalue())


def _frame_of_footers(schema: pa.Schema) -> tuple[bytes, bytes]:
    """How every footer begins, with the columns, and how it ends, with how their bounds are to be read: as in a file without rows."""
    blank = io.BytesIO()
    pq.ParquetWriter(blank, schema).close()
    raw, author = _raw_footer(blank.getvalue()), pq.read_metadata(blank).created_by.encode()
    return raw.partition(b"\x16\x00\x19\x0c")[0], raw.rpartition(author)[2]  # between them: no rows, no groups, footer keys


def _read_rows(file: File, reader: pq.ParquetFile, data: mmap.mmap) -> None:
    """The subtrees of each segment's rows, in batches; nothing of the rows is kept but what the log says of itself."""
    file.subtrees = [[] for _ in file.notes]
    done, segment = int(file.footer["waybill.first_seq"]) - 1, 0
    for group in range(reader.num_row_groups):
        chunks: list[Chunk] = []
        for rows in reader.iter_batches(ROWS_AT_ONCE, row_groups=[group], use_threads=False):
            rows.validate(full=True)
            _check_numbers(rows.column(0), done + 1)
            file.sayings += _sayings(rows)
            seen = [chunk for column in rows.columns for chunk in chunks_of(column)]
            chunks = [old + new for old, new in zip(chunks, seen, strict=True)] if chunks else seen
            leaves, used = leaf_hashes(rows), 0
            while used < len(leaves):
                if segment == len(file.notes):
                    raise BrokenError("holds more entries than were signed", done + 1)
                part = leaves[used : used + file.notes[segment].size - done]
                push_leaves(file.subtrees[segment], done, part)
                done, used = done + len(part), used + len(part)
                segment += done == file.notes[segment].size
        for index, chunk in enumerate(chunks):
            column = reader.metadata.row_group(group).column(index)
            if column.physical_type != reader.metadata.schema.column(index).physical_type:  # asking it for bounds would end the process
                raise BrokenError("states a column of another type than its schema")
            chunk.check(column)
    if segment < len(file.notes):
        raise BrokenError("holds fewer entries than were signed", done + 1)
    _check_layout(reader.metadata, data)


def _check_numbers(column: pa.Array, first: int) -> None:
    if column.null_count or not column.equals(pa.array(range(first, first + len(column)), pa.int64())):
        bad = next(index for index, seq in enumerate(column.to_pylist()) if seq != first + index)
        raise BrokenError("entries do not count by one: one was dropped, added or moved", first + bad)


def _sayings(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    events = rows.column(NAMES.index("event")).cast(pa.string())
    chosen = pc.or_(pc.is_in(events, pa.array(["key_rotated", "compacted"])), pc.equal(rows.column(0), 1))
    return rows.select(SPEAKING).filter(chosen).to_pylist() if pc.any(chosen).as_py() else []


def _check_layout(metadata: pq.FileMetaData, data: mmap.mmap) -> None:
    """From the first byte to the footer, nothing lies in the file but the columns that the footer names, one after another."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    spans = [(column.dictionary_page_offset or column.data_page_offset, column.total_compressed_size) for column in columns]
    place = 4
    for start, length in sorted(spans):
        place = place + length if start == place and length > 0 else -1
    if data[:4] != b"PAR1" or place != len(data) - 8 - metadata.serialized_size or any(group.num_rows == 0 for group in groups):
        raise BrokenError("has something between its columns, or lacks something there")
    if any(group.sorting_columns for group in groups) or any(
        column.file_path or column.file_offset or column.metadata for column in columns
    ):
        raise BrokenError("says of its columns what the format does not have: readers may look for entries elsewhere")


@dataclass
class Chunk:
    """What one stored column of a row group holds. Query engines leave out row groups by what the metadata says of these."""

    low: Any
    high: Any
    nulls: int
    slots: int

    def __add__(self, other: Chunk) -> Chunk:
        lows, highs = ([one for one in pair if one is not None] for pair in ((self.low, other.low), (self.high, other.high)))
        ends = min(lows, default=None), max(highs, default=None)
        return Chunk(*ends, self.nulls + other.nulls, self.slots + other.slots)

    def check(self, column: pq.ColumnChunkMetaData) -> None:
        """Compare with what is stated. Only after reading: pyarrow ends the process over metadata that reading would refuse."""
        stated = column.statistics if column.is_stats_set else None
        if column.has_column_index or column.has_offset_index or getattr(column, "bloom_filter_offset", None) is not None:
            raise BrokenError("carries an index or a filter, which the format does not have: it may hide entries from queries")
        if stated and stated.has_min_max and (self.low is None or not stated.min <= self.low <= self.high <= stated.max):
            raise BrokenError("states bounds that hide entries from queries")
        counts = (stated.null_count, stated.has_distinct_count) if stated and stated.has_null_count else (self.nulls, False)
        if (column.num_values, *counts) != (self.slots, self.nulls, False):
            raise BrokenError("states numbers of values or of nulls that hide entries from queries")


def chunks_of(column: pa.Array, slots: int | None = None, nulls: int = 0) -> list[Chunk]:
    """The columns that Parquet stores for this one. In a list, an empty one and a null each take a slot that counts as null."""
    if pa.types.is_list(column.type):
        empty = len(column) - (pc.sum(pc.greater(pc.list_value_length(column), 0)).as_py() or 0)
        values = column.flatten()
        return chunks_of(values, len(values) + empty, empty)
    if pa.types.is_struct(column.type):
        return [chunk for values in column.flatten() for chunk in chunks_of(values, slots, nulls)]
    nulls, slots = nulls + column.null_count, len(column) if slots is None else slots
    if pa.types.is_dictionary(column.type):
        column = column.dictionary.take(column.indices.unique().drop_null())
    low, high = (None if end != end else end for end in (one.as_py() for one in pc.min_max(column).values()))  # noqa: PLR0124 - not NaN
    return [Chunk(low, high, nulls, slots)]


# --- The log ----------------------------------------------------------------------------------------------------------------------------


@dataclass
class Log:
    """The state of the walk over all segments in order: what has been shown to be signed so far."""

    keys: list[Key] = field(default_factory=list)  # the chain of signed hand-overs; the last is in force
    signers: set[str] = field(default_factory=set)  # those that have signed a checkpoint
    frontier: list[Subtree] = field(default_factory=list)
    notes: dict[int, Note] = field(default_factory=dict)  # by tree size
    size: int = 0  # entries so far
    began: dict[int, int] = field(default_factory=lambda: {0: 1})  # first seq of each segment
    digest: str | None = "0" * 64  # of the file of the segment before, where it is there
    taken_to: int = 0  # last segment of the archive file that queries read here
    compacted: set[tuple[Any, ...]] = field(default_factory=set)

    def follow(self, number: int, holders: list[File]) -> None:
        """Check one segment, wherever its rows are: in its own file, in archive files, or in both."""
        try:
            self.began[number] = self.size + 1
            self._check_ranges(number, holders)
            note, *others = [file.notes[number - file.first] for file in holders]
            heard = [saying for saying in holders[0].sayings if self.size < saying["seq"] <= note.size]
            if number == 1:
                self.keys = [_first_key(heard, note.version)]
            self._check_note(number, note, others)
            frontiers = [self._grown(note, file.subtrees[number - file.first]) for file in holders]
            for file in holders:
                if number == file.last:  # the footer of an archive file speaks of the last segment in it
                    self._check_footer(note, frontiers[0], file)
            self._hear(note, heard)
        except BrokenError as error:
            raise BrokenError(f"segment {number}: {error.why}", error.seq or self.size + 1) from None
        self.size, self.frontier, self.notes[note.size] = note.size, frontiers[0], note
        self.digest = next((file.digest for file in holders if not file.archive), None)

    def _check_ranges(self, number: int, holders: list[File]) -> None:
        """Queries read, as long as there is one, the archive file that reaches farthest of those that begin where the last ended."""
        if number == self.taken_to + 1:
            self.taken_to = max((file.last for file in holders if file.archive and file.first == number), default=self.taken_to)
        for file in holders:
            if file.archive and file.last > self.taken_to:
                raise BrokenError(f"{file.name} neither follows on the archive nor lies within one file of it: queries would not read it")
            if file.fault:
                raise BrokenError(f"{file.name} {file.fault[0]}", file.fault[1])

    def _check_note(self, number: int, note: Note, others: list[Note]) -> None:
        key = self.keys[-1]
        if self.notes and note.version < self.notes[self.size].version:
            raise BrokenError("goes back to an older version of the format")
        if any(other.note != note.note for other in others):
            raise BrokenError("its file and the archive hold different checkpoints")
        if note.segment != number or note.origin != key.name:
            raise BrokenError("its checkpoint is of another segment or another ledger")
        if len(note.signatures) != 1 or not key.signed(note):
            raise BrokenError("its checkpoint is not signed by the key in force: edited, or signed by somebody else")
        if self.digest not in (None, note.previous):
            raise BrokenError("the file of the segment before is not the one that was committed", self.began[number - 1])
        self.signers.add(key.text)

    def _grown(self, note: Note, subtrees: list[Subtree]) -> list[Subtree]:
        """The frontier after this segment: its root must be the one that was signed."""
        if subtrees[0][0] != self.size:
            raise BrokenError("does not go on where the segment before ended")
        frontier = self.frontier.copy()
        for subtree in subtrees:
            push(frontier, subtree)
        if root(frontier) != note.root:
            raise BrokenError(f"of entries {self.size + 1} to {note.size}, one is not as it was signed: changed, dropped, added or moved")
        return frontier

    def _check_footer(self, note: Note, frontier: list[Subtree], file: File) -> None:
        digests, name = ",".join(digest.hex() for _, _, digest in frontier), note.origin.removeprefix("waybill/")
        numbers = note.segment, note.segment, self.began[file.first], note.size, note.size
        signed = dict(zip(KEYS.split(), (note.version, name, *numbers, note.key_id, digests, note.note, self.keys[-1].text), strict=True))
        for key, value in (signed | ({"first_segment": file.first} if file.archive else {})).items():
            if file.footer[f"waybill.{key}"] != str(value):
                raise BrokenError(f"the footer value {key} of {file.name} is not what was signed")

    def _hear(self, note: Note, heard: list[dict[str, Any]]) -> None:
        """Follow what the log says of itself, now that it is shown to be signed."""
        for saying in heard:
            if saying["event"] == "compacted":
                self.compacted.add(tuple(saying[name] for name in ("result_file", "result_digest", "before", "after")))
            if saying["event"] == "key_rotated":
                new = parse_key(saying["after"] or "")
                if note.size != self.size + 1 or saying["before"] != self.keys[-1].key_hash.hex() or new.name != note.origin:
                    raise BrokenError("hands over from another key, to another ledger's, or not alone in its segment")
                self.keys.append(new)


def _first_key(heard: list[dict[str, Any]], version: str) -> Key:
    """The key that signs segment 1, as its first entry states it. Only a pinned key says whether it is the right one."""
    if not heard or (heard[0]["seq"], heard[0]["event"], heard[0]["detail_code"]) != (1, "schema", f"version_{version}"):
        raise BrokenError("the first entry does not state the version of the format that its checkpoint does")
    return parse_key(heard[0]["after"] or "")


def walk(files: list[File]) -> Log:
    """Follow the log from segment 1 to its end; then archive files must be those that it says it made."""
    log, holders = Log(), defaultdict[int, list[File]](list)
    for file in files:
        for number in range(file.first, min(file.last, file.first + len(file.notes)) + 1):
            holders[number].append(file)
    if not holders:
        raise BrokenError("there is no segment: everything was dropped, or this is no ledger", 1)
    for number in range(1, max(file.last for file in files) + 1):
        if number not in holders:
            raise BrokenError(f"segment {number} is missing", log.size + 1)
        log.follow(number, holders[number])
    if all(file.archive for file in holders[len(log.notes)]):
        raise BrokenError("the newest segment is missing: it always stays in segments/", log.size)
    for file in files:
        if file.archive and (file.name.removeprefix("archive/"), file.digest, str(file.first), str(file.last)) not in log.compacted:
            raise BrokenError(f"{file.name} is not the file that a `compacted` entry states: changed, or put there", log.began[file.first])
    return log


# --- The folder, anchors, and the answer ------------------------------------------------------------------------------------------------


def names_in(folder: Path) -> list[str]:
    """Every name in `archive/`, then `segments/`. In that order: what an archive file needs is committed before it appears."""
    found = []
    for part in (folder / "archive", folder / "segments"):
        if os.path.lexists(part):
            if part.is_symlink() or not part.is_dir():
                raise BrokenError(f"{part.name}/ is a link, or no folder")
            found += sorted(f"{part.name}/{name}" for name in os.listdir(part))  # noqa: PTH208 - names are all that is asked for
    return found


def files_named(names: list[str]) -> list[File]:
    """The files of the log among them, unread; raises for a name that has no place in a ledger."""
    for name in names:
        base = name.partition("/")[2]
        if not named(name) and (not base.startswith(".tmp-") or base.endswith(".parquet")):  # a glob in DuckDB would read the latter
            raise BrokenError(f"{name!a} has no place in a ledger: queries may read what nobody signed")
    return [file for name in names if (file := named(name))]


def read_note(path: Path, what: str) -> str:
    """The text of a small plain file."""
    with suppress(BrokenError, OSError, UnicodeError), opened(path) as descriptor:
        data = os.read(descriptor, NOTE_BYTES)
        if len(data) < NOTE_BYTES:
            return data.decode()
    raise BrokenError(f"{what} cannot be read as a checkpoint")


def anchor_notes(paths: Sequence[Path]) -> list[tuple[str, Note]]:
    """Every checkpoint that is kept elsewhere."""
    found = []
    for path in paths:
        files = sorted(path.glob("*.note")) if path.is_dir() else [path]
        if not files:
            raise BrokenError(f"anchor {str(path)!a} holds no checkpoint to compare with")
        found += [(f"anchor {str(file)!a}", read_note(file, f"anchor {str(file)!a}")) for file in files]
    return [(name, parse_note(note)) for name, note in found]


def check_anchor(log: Log, name: str, note: Note) -> None:
    """A checkpoint kept elsewhere must be one of the log's own."""
    if note.origin != log.keys[0].name:
        raise BrokenError(f"{name} is of another ledger, or this ledger took the place of the one anchored", 1)
    if note.size > log.size:
        raise BrokenError(f"{name} has seen {note.size} entries, the ledger ends at {log.size}: its tail was cut off", log.size + 1)
    own = log.notes.get(note.size)
    if own is None or own.text != note.text:
        raise BrokenError(f"{name} has another checkpoint at {note.size} entries: the log was rewritten up to there", note.size)
    if not any(key.signed(note) for key in log.keys):
        raise BrokenError(f"{name} is not signed by a key of this log")


def examine_all(folder: str, files: list[File], processes: int) -> list[File]:
    """Read files in processes of their own. When one dies over a file, the file is found by halves."""
    try:
        with ProcessPoolExecutor(min(processes, len(files) or 1), mp_context=get_context("spawn")) as pool:
            return list(pool.map(examine, [folder] * len(files), files, chunksize=1 + len(files) // 256))
    except BrokenProcessPool:
        if len(files) == 1:
            files[0].fault = ("makes the Parquet reader crash, or needs more memory than there is", None)
            return files
        half = len(files) // 2
        return examine_all(folder, files[:half], processes) + examine_all(folder, files[half:], processes)


def verify_once(folder: Path, pinned: Sequence[Key] | None, anchors: Sequence[Path], processes: int) -> str:
    """Say that the ledger is intact, or raise BrokenError. `processes` 0 reads the files in this one."""
    kept, copy = anchor_notes(anchors), folder / "checkpoint"  # both before the segments, whose number grows meanwhile
    text = read_note(copy, "the file `checkpoint`") if os.path.lexists(copy) else ""  # none, or an empty one, proves nothing
    names = names_in(folder)
    files = files_named(names)
    log = walk(examine_all(str(folder), files, processes) if processes else [examine(str(folder), file) for file in files])
    if text and text not in {note.note for note in log.notes.values()}:
        raise BrokenError("the file `checkpoint` is no checkpoint of this log: it was edited, or the log's tail was cut off", log.size + 1)
    for name, note in kept:
        check_anchor(log, name, note)
    if pinned is not None and log.signers.isdisjoint(key.text for key in pinned):
        raise BrokenError("the pinned key has signed no checkpoint of this log: somebody else has signed it anew", 1)
    kind = "intact" if pinned is not None else "self-consistent, key not pinned"
    temporary, newest = len(names) - len(files), log.notes[log.size]
    detail = f"{log.size} entries in {len(log.notes)} segments, root {newest.root.hex()}, {len(log.keys)} signing key(s)"
    seen = max((note.size for _, note in kept), default=0)
    compared = f"{len(kept)} anchored checkpoint(s) up to entry {seen}" if kept else "no anchor: a tail that was cut off would not be seen"
    return f"{kind}: {detail}, {compared}" + (f", {temporary} temporary file(s) ignored" if temporary else "")


def verify(folder: Path, pinned: Sequence[Key] | None = None, anchors: Sequence[Path] = (), processes: int = 0) -> tuple[int, str]:
    """The exit status and the line to print."""
    answer = ""
    for _ in range(ATTEMPTS):
        before = _listing(folder)
        try:
            return 0, verify_once(folder, pinned, anchors, processes)
        except BrokenError as error:
            answer = f"{f'seq {error.seq}: ' if error.seq else ''}{error.why}"
        except Exception as error:  # noqa: BLE001 - hostile input has one answer, whatever it broke
            answer = f"the ledger cannot be read ({type(error).__name__})"
        if before == _listing(folder):
            break
    return 1, f"NOT INTACT: {answer}"


def _listing(folder: Path) -> list[str]:
    with suppress(BrokenError, OSError):
        return names_in(folder)
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Verify a Waybill ledger, independently of Waybill.")
    parser.add_argument("ledger", type=Path, help="the ledger's folder")
    parser.add_argument("--key", type=Path, help="file with the verifier key that you keep")
    parser.add_argument("--anchor", type=Path, action="append", default=[], help="folder of *.note files, or one file; repeatable")
    given = parser.parse_args(arguments)
    pinned: list[Key] | None = None
    if not given.ledger.is_dir():
        parser.error("the ledger is no folder")
    if not all(map(os.path.exists, given.anchor)):
        parser.error("an anchor is not there (one in S3 must be copied to a folder first)")
    if given.key:
        with suppress(BrokenError, OSError, UnicodeError):
            pinned = [parse_key(line) for line in given.key.read_text(encoding="utf-8").splitlines()]
        if not pinned:
            parser.error("the key file does not hold a verifier key (the line that `waybill ledger key` prints)")
    status, line = verify(given.ledger, pinned, given.anchor, PROCESSES)
    print(line)  # noqa: T201 - this is its output
    return status


if __name__ == "__main__":
    sys.exit(main())
