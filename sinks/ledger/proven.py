"""Proofs as they leave the ledger: entries with their place in the tree, and the keys that signed it. Made here, and checked here.

A proof is checked with nothing but itself and, better, a pinned key: no ledger is read. Whoever hands it over is not believed: what the
JSON shows of an entry must give the very bytes that were hashed, and a checkpoint counts once a key in force is seen to have signed it.
`docs/proving.md` says the same in words, enough to write another checker.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from sinks.errors import ProofError
from sinks.ledger.canonical import CanonicalError, canonical_rows
from sinks.ledger.entry import Event
from sinks.ledger.note import Checkpoint, NoteError, VerifierKey
from sinks.ledger.schema import ENTRY_SCHEMA
from sinks.ledger.seal import SealError, opened
from sinks.ledger.tree import HASH_BYTES, is_included, leaf_hash
from sinks.ledger.tree_nodes import LogTree, inclusion_spans

_FLOAT, _BITS = struct.Struct(">d"), struct.Struct(">q")


class Strict(BaseModel):
    """Outside data: no key too many, no value of another type, nothing changed afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Strict)


class ProvenEntry(Strict):
    """One entry, the canonical bytes that were hashed, and its audit path. index: of the leaf, from 0. Bytes are base64."""

    index: int
    leaf_hash: str
    canonical: str
    path: list[str]
    entry: dict[str, Any]


class Rotation(Strict):
    """A hand-over of the key: the entry that names the next one, in the tree of the checkpoint that the old one signed at this commit."""

    checkpoint: str
    handover: ProvenEntry


class KeyChain(Strict):
    """The key that signed the newest checkpoint, the one that signed the first, and how the one came from the other."""

    verifier_key: str
    first: str
    rotations: list[Rotation]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKeys:
    """The keys of a chain that holds, in order. pinned: one of them is a key that the checker brought along."""

    keys: tuple[VerifierKey, ...]
    rotated_at: int
    pinned: bool

    def opened(self, note: str, what: str) -> Checkpoint:
        """The checkpoint in a note that the newest key signed. Raises ProofError."""
        checkpoint = _opened(note, self.keys[-1], what)
        if checkpoint.size <= self.rotated_at:
            raise ProofError(f"{what}: it is older than the key that signed it")
        return checkpoint

    def opened_by_any(self, note: str, what: str) -> Checkpoint:
        """The checkpoint in a note that one of the keys signed. Raises ProofError."""
        for key in self.keys[:-1]:
            try:
                return opened(note, key)
            except SealError:
                continue
        return _opened(note, self.keys[-1], what)


def rows_as_entries(table: pa.Table) -> pa.Table:
    """Rows of a query over all columns, with the ledger's own types again."""
    return table.select(ENTRY_SCHEMA.names).cast(ENTRY_SCHEMA)


def proven(tree: LogTree, table: pa.Table, *, size: int | None = None) -> list[ProvenEntry]:
    """These entries (`rows_as_entries`) in the tree of this size; of its own commit each where no size is named."""
    numbers = [int(seq) for seq in table["seq"].to_pylist()]
    paths = [inclusion_spans(seq - 1, size or seq) for seq in numbers]
    nodes = tree.nodes(span for path in paths for span in path)
    return [
        ProvenEntry(
            index=seq - 1,
            leaf_hash=encoded(leaf_hash(canonical)),
            canonical=encoded(canonical),
            path=[encoded(nodes[span]) for span in path],
            entry=shown,
        )
        for seq, canonical, path, shown in zip(numbers, canonical_rows(table), paths, map(shown_entry, table.to_pylist()), strict=True)
    ]


def key_chain(tree: LogTree, first: str, rotations: pa.Table) -> KeyChain:
    """The chain of keys. first: the key that entry 1 states. rotations: the `key_rotated` entries, in order."""
    notes = tree.notes(rotations["seq"].to_pylist())
    handovers = [Rotation(checkpoint=notes[one.index + 1], handover=one) for one in proven(tree, rotations)]
    return KeyChain(verifier_key=handovers[-1].handover.entry["after"] if handovers else first, first=first, rotations=handovers)


def shown_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as JSON shows it: what is null is left out; times, decimals and odd floats are strings."""
    return {name: _shown(value) for name, value in row.items() if value is not None}


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:.9f}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(_BITS.unpack(_FLOAT.pack(value))[0])  # JSON has no word for it: the 64 bits, as in the canonical bytes
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return {name: _shown(item) for name, item in value.items()} if isinstance(value, dict) else value


def _canonical_of(shown: Mapping[str, Any]) -> bytes:
    """The canonical bytes of an entry that JSON shows. Raises ProofError where it is shown in another way than ours."""
    unknown = shown.keys() - set(ENTRY_SCHEMA.names)
    if unknown:
        raise ProofError("an entry has a column that the format does not know")
    try:
        row = {name: _read(ENTRY_SCHEMA.field(name).type, value) for name, value in shown.items()}
        table = pa.Table.from_pylist([row], schema=ENTRY_SCHEMA)
        if _dumped(shown_entry(table.to_pylist()[0])) == _dumped(shown):
            return canonical_rows(table)[0]
    except (
        pa.ArrowException,
        CanonicalError,
        InvalidOperation,
        struct.error,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ):
        pass
    raise ProofError("an entry is not shown in the form of the format")


def _read(kind: pa.DataType, value: Any) -> Any:
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(value)
    if pa.types.is_decimal(kind):
        return Decimal(value)
    if pa.types.is_floating(kind) and isinstance(value, str):
        return _FLOAT.unpack(_BITS.pack(int(value)))[0]
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return [{field.name: _read(field.type, item[field.name]) for field in kind.value_type} for item in value]
    return value


def _dumped(shown: Mapping[str, Any]) -> str:
    return json.dumps(shown, sort_keys=True)


def check_entry(one: ProvenEntry, checkpoint: Checkpoint) -> Mapping[str, Any]:
    """What a proven entry says, once it is seen to be in the tree of this checkpoint. Raises ProofError."""
    what = f"entry {one.index + 1}"
    canonical = decoded(one.canonical, what)
    if leaf_hash(canonical) != decoded(one.leaf_hash, what):
        raise ProofError(f"{what}: its leaf hash is not that of its bytes")
    path = [decoded(node, what) for node in one.path]
    if any(len(node) != HASH_BYTES for node in path) or not is_included(
        leaf_hash(canonical), one.index, checkpoint.size, path, checkpoint.root
    ):
        raise ProofError(f"{what}: its path does not lead to the root that was signed")
    if _canonical_of(one.entry) != canonical:
        raise ProofError(f"{what}: what is shown of it is not what was hashed")
    if one.entry.get("seq") != one.index + 1:
        raise ProofError(f"{what}: it has the number of another entry")
    return one.entry


def check_keys(chain: KeyChain, pinned: Sequence[VerifierKey]) -> TrustedKeys:
    """Follow the hand-overs from the first key to the newest. pinned: of these, the ones of this ledger must be in the chain."""
    keys, size = [_key(chain.first)], 0
    for rotation in chain.rotations:
        what = f"hand-over of the key {keys[-1].hash.hex()}"
        checkpoint = _opened(rotation.checkpoint, keys[-1], what)
        entry = check_entry(rotation.handover, checkpoint)
        if entry["event"] != Event.KEY_ROTATED or entry["seq"] != checkpoint.size or checkpoint.size <= size:
            raise ProofError(f"{what}: the entry is not the one with which the key was handed over")
        if entry.get("before") != keys[-1].hash.hex():
            raise ProofError(f"{what}: the entry speaks of another key")
        keys, size = [*keys, _key(entry.get("after") or "", name=keys[0].name)], checkpoint.size
    if _key(chain.verifier_key) != keys[-1]:
        raise ProofError("the verifier key is not the one that the hand-overs lead to")
    wanted = [key for key in pinned if key.name == keys[0].name]
    if pinned and not wanted:
        raise ProofError(f"this is about the ledger {keys[0].name}; the pinned key is of another")
    for key in wanted:
        if key not in keys:
            raise ProofError(f"the pinned key {key.hash.hex()} is none of the keys that vouch for this")
    return TrustedKeys(keys=tuple(keys), rotated_at=size, pinned=bool(wanted))


def parsed(text: str, model: type[Model]) -> Model:
    """A proof from outside. Raises ProofError that names the place, and quotes nothing."""
    try:
        return model.model_validate(json_of(text))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"][:4])
        raise ProofError(f"{where or 'the file'}: not in the form of the format") from None


def json_of(text: str) -> Any:
    """JSON in which no key is there twice, of which one reader would see the first and another the last. Raises ProofError."""
    try:
        document = json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_number)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair has no bytes
    except (ValueError, RecursionError):
        raise ProofError("not a JSON file of the format") from None
    return document


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_number(_text: str) -> NoReturn:
    raise ValueError


def encoded(data: bytes) -> str:
    """Bytes as they stand in a proof."""
    return base64.b64encode(data).decode()


def decoded(text: str, what: str) -> bytes:
    """The bytes; only the one way to write them is accepted. Raises ProofError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if encoded(data) != text:
        raise ProofError(f"{what}: holds something that is not base64")
    return data


def _key(text: str, *, name: str | None = None) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except NoteError as error:
        raise ProofError(f"a key of the chain is {error}") from None
    if str(key) != text or name not in {None, key.name}:
        raise ProofError("a key of the chain is of another ledger, or not written in the one way")
    return key


def _opened(note: str, key: VerifierKey, what: str) -> Checkpoint:
    try:
        checkpoint = opened(note, key)
    except SealError as error:
        raise ProofError(f"{what}: {error}") from None
    if checkpoint.origin != key.name:
        raise ProofError(f"{what}: a checkpoint of another ledger")
    return checkpoint
