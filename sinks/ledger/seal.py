"""What makes a segment part of the sealed log: its footer, and the making of a segment that goes on from the one before.

The footer carries the signed checkpoint as of this commit, and the frontier, so that the next writer, whoever it is, needs only the newest
file to go on. Everything in a footer that is not itself signed is checked against the signed lines.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.ledger.canonical import leaf_hashes
from sinks.ledger.note import NO_PREVIOUS, Checkpoint, NoteError, VerifierKey, text_of, verify
from sinks.ledger.schema import DICTIONARY_COLUMNS, SCHEMA_VERSION, VERSIONS
from sinks.ledger.signing import Signer
from sinks.ledger.tree import Frontier

ROW_GROUP_ROWS = 65_536
_THREAD_ROWS = 2_000  # below this, starting a thread costs more than it saves


class SealError(ValueError):
    """A footer that is not in its form, or does not say what was signed. Says which part."""


class FormatError(SealError):
    """A file of another version of the format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The footer of a segment, or of an archive file: then `first_segment` and `checkpoints` speak of all segments in it.

    version: of the format; of an archive file, that of the last segment in it.
    """

    ledger_id: str
    segment: int
    first_seq: int
    key_id: str
    frontier: Frontier
    checkpoint: str
    verifier_key: VerifierKey
    first_segment: int | None = None
    checkpoints: tuple[str, ...] = ()
    version: int = SCHEMA_VERSION

    @property
    def last_seq(self) -> int:
        """The last entry in the file: the size of the tree after it."""
        return self.frontier.size

    @property
    def notes(self) -> tuple[str, ...]:
        """The signed notes of every segment in the file, in order."""
        return self.checkpoints or (self.checkpoint,)

    def metadata(self) -> dict[str, str]:
        """The footer's key-value metadata."""
        values: dict[str, object] = {
            "schema_version": self.version,
            "ledger_id": self.ledger_id,
            "segment": self.segment,
            "last_segment": self.segment,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "tree_size": self.frontier.size,
            "key_id": self.key_id,
            "frontier": ",".join(root.hex() for root in self.frontier.roots),
            "checkpoint": self.checkpoint,
            "verifier_key": self.verifier_key,
        }
        if self.first_segment is not None:
            values |= {"first_segment": self.first_segment, "checkpoints": json.dumps(self.checkpoints, ensure_ascii=False)}
        return {f"waybill.{name}": str(value) for name, value in values.items()}

    @classmethod
    def parse(cls, footer: dict[bytes, bytes]) -> Seal:
        """The seal in a footer, each part in its form. Raises SealError."""
        found = {key.removeprefix(b"waybill.").decode(): value for key, value in footer.items() if key.startswith(b"waybill.")}
        version = found.get("schema_version", b"none").decode("ascii", "replace")
        if version not in map(str, VERSIONS):
            raise FormatError(f"written in ledger format {version[:9]}, expected format {' or '.join(map(str, VERSIONS))}")
        try:
            text = {name: value.decode() for name, value in found.items()}
            roots = tuple(bytes.fromhex(root) for root in text["frontier"].split(",")) if text["frontier"] else ()
            archive = "first_segment" in text
            seal = cls(
                ledger_id=text["ledger_id"],
                segment=int(text["segment"]),
                first_seq=int(text["first_seq"]),
                key_id=text["key_id"],
                frontier=Frontier(int(text["tree_size"]), roots),
                checkpoint=text["checkpoint"],
                verifier_key=VerifierKey.parse(text["verifier_key"]),
                first_segment=int(text["first_segment"]) if archive else None,
                checkpoints=tuple(map(str, json.loads(text["checkpoints"]))) if archive else (),
                version=int(version),
            )
        except (KeyError, ValueError, TypeError, RecursionError):
            raise SealError("the footer lacks a part of the seal, or has one that is not in its form") from None
        if seal.metadata() != text_keys(text):
            raise SealError("the footer does not agree with itself")
        return seal

    def signed(self, key: VerifierKey) -> Checkpoint:
        """The newest checkpoint of the file, once it is signed by `key` and the footer says what it says. Raises SealError."""
        checkpoint = opened(self.checkpoint, key)
        stated = replace(
            checkpoint,
            origin=origin(self.ledger_id),
            size=self.frontier.size,
            root=self.frontier.root,
            segment=self.segment,
            key_id=self.key_id,
            schema=self.version,
        )
        if stated != checkpoint:
            raise SealError("the footer does not say what was signed")
        if self.notes[-1] != self.checkpoint:
            raise SealError("the last of its checkpoints is not its own")
        return checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where the log ends: all that the next commit builds on. `next_key`: the key that must sign it."""

    number: int
    ledger_id: str
    frontier: Frontier
    digest: str
    next_key: VerifierKey
    note: str = ""


def text_keys(text: dict[str, str]) -> dict[str, str]:
    """Footer values under their full names."""
    return {f"waybill.{name}": value for name, value in text.items()}


def origin(ledger_id: str) -> str:
    """The first line of every checkpoint of a ledger, and the name of its key."""
    return f"waybill/{ledger_id}"


def opened(note: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint in a note that `key` signed. Raises SealError."""
    try:
        return Checkpoint.parse(verify(note, key))
    except NoteError as error:
        raise SealError(f"its checkpoint is {error}" if str(error).startswith(("a ", "not ")) else f"of its checkpoint, {error}") from None


def unverified(note: str) -> Checkpoint:
    """The checkpoint in a note, whoever signed it. Raises SealError."""
    try:
        return Checkpoint.parse(text_of(note))
    except NoteError as error:
        raise SealError(str(error)) from None


def start_of(ledger_id: str, key: VerifierKey) -> Tip:
    """The tip of a ledger that has no segment yet."""
    return Tip(number=0, ledger_id=ledger_id, frontier=Frontier(), digest=NO_PREVIOUS, next_key=key)


def sealed_segment(
    table: pa.Table, tip: Tip, signer: Signer, *, key_id: str, next_key: VerifierKey | None = None
) -> tuple[memoryview, Tip]:
    """The bytes of the segment that adds `table` to the log as of `tip`, and the tip after it. Raises CanonicalError.

    next_key: the key that later segments must be signed with, where this one hands over to it. The rows are compressed in a thread while
    they are hashed; the seal goes into the footer when both are done.
    """
    sink = pa.BufferOutputStream()
    writer = pq.ParquetWriter(sink, table.schema, compression="zstd", use_dictionary=DICTIONARY_COLUMNS)
    if table.num_rows < _THREAD_ROWS:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        leaves = leaf_hashes(table)
    else:
        with ThreadPoolExecutor(1) as thread:
            written = thread.submit(writer.write_table, table, row_group_size=ROW_GROUP_ROWS)
            leaves = leaf_hashes(table)
            written.result()
    frontier = tip.frontier.extended(leaves)
    checkpoint = Checkpoint(
        origin=origin(tip.ledger_id),
        size=frontier.size,
        root=frontier.root,
        segment=tip.number + 1,
        previous=tip.digest,
        key_id=key_id,
        schema=SCHEMA_VERSION,
    )
    seal = Seal(
        ledger_id=tip.ledger_id,
        segment=tip.number + 1,
        first_seq=tip.frontier.size + 1,
        key_id=key_id,
        frontier=frontier,
        checkpoint=signer.sign(checkpoint.text()),
        verifier_key=signer.verifier,
        version=checkpoint.schema,
    )
    writer.add_key_value_metadata(seal.metadata())
    writer.close()
    data = memoryview(sink.getvalue())
    digest = hashlib.sha256(data).hexdigest()
    return data, replace(
        tip, number=seal.segment, frontier=frontier, digest=digest, next_key=next_key or signer.verifier, note=seal.checkpoint
    )
