"""Freezing: rendered requests become the request file of one provider job, byte for byte as it will be sent.

Invariants kept here:
- No record data in ids or file names (invariant 5): the intent id is a hash over ids and keyed digests, the file is named by it alone.
- The file is canonical: one request has one byte sequence, so that the gate can compare bytes instead of meanings (invariant 2).
- The spool has no authority: a frozen file says nothing about whether it may leave. The gate decides that from the ledger.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from policies.model import Clearance, Endpoint
from sinks import durable, moulds
from sinks.lanes import Lane
from sinks.moulds import Moulds
from sinks.packing import ShardLimits, Weight, pack
from sinks.request import Prompt
from sinks.shard import FrozenShard, ShardRow
from sinks.tokens import CountTokens, input_tokens

OVER_LIMIT = "over_limit"
UNENCODABLE = "unencodable_text"

# Row ids have a fixed length (12 + 1 + 6), so a row's size is known before its shard's intent id is.
_ROW_ID_PLACEHOLDER = "0" * 12 + "-000000"
_OURS = re.compile(r"[0-9a-f]{32}\.|\.tmp-")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeItem:
    """One cleared record: its sendable parts, the clearance to spend, the keyed digests of all its scanned parts."""

    record_id: str
    parts: Mapping[str, str] = field(repr=False)
    clearance: Clearance
    part_hmacs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedItem:
    """A record that fits no shard: it becomes a failed row with this code."""

    record_id: str
    error_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What freezing gives: shards ready for the gate, records that can be in none, and those too few for one of their own.

    short: the last of `items`, in order, where the provider takes no job as small as that. Nothing of them was written.
    """

    shards: tuple[FrozenShard, ...]
    refused: tuple[RefusedItem, ...]
    short: tuple[FreezeItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sized:
    """An item and what its row weighs."""

    item: FreezeItem
    weight: Weight


canonical = moulds.canonical
"""The one byte form of a JSON tree; it lives where rows are filled and read."""


def payload(lane: Lane, prompt: Prompt, endpoint: Endpoint, parts: Mapping[str, str]) -> bytes:
    """The canonical wire body of one record, as the lane builds it: what `Moulds.payload` gives for many records of one form."""
    return canonical(lane.body(prompt.fill(parts), prompt, endpoint))


def intent_id_of(run_id: str, endpoint: Endpoint, attempt: int, rows: Sequence[tuple[str, str]]) -> str:
    """The id of one attempt to hand these rows over; rows are (record_id, payload_hmac) in file order.

    Record ids are hashed in because two records of equal text have equal payload digests: alone in two shards of one run they
    would otherwise share an intent, and recovery would adopt the first job for the second.
    """
    return hashlib.sha256(canonical([run_id, endpoint.name, endpoint.model, attempt, [list(row) for row in rows]])).hexdigest()[:32]


def row_id_of(intent_id: str, ordinal: int) -> str:
    """The id of a row at the provider: unique, at most 64 characters of `[0-9a-f-]`, without record data."""
    return f"{intent_id[:12]}-{ordinal:06d}"


def spool_path(spool: Path, intent_id: str) -> Path:
    """Where the frozen file of an intent lies."""
    return spool / f"{intent_id}.jsonl"


def freeze(
    spool: Path,
    *,
    run_id: str,
    endpoint: Endpoint,
    attempt: int,
    lane: Lane,
    prompt: Prompt,
    items: Sequence[FreezeItem],
    limits: ShardLimits,
    count: CountTokens | None = None,
) -> Frozen:
    """Write `items`, in order, into as many shards as `limits` ask for. The same items give the same files.

    count: the endpoint's tokenizer, where it names one.
    """
    forms = Moulds(lane, prompt, endpoint)
    sized: list[_Sized] = []
    refused: list[RefusedItem] = []
    for item in items:
        measured = _measure(item, forms, limits, count)
        if measured is None:
            refused.append(RefusedItem(record_id=item.record_id, error_code=UNENCODABLE))
        elif not limits.admit(measured.weight):
            refused.append(RefusedItem(record_id=item.record_id, error_code=OVER_LIMIT))
        else:
            sized.append(measured)
    groups = pack([entry.weight for entry in sized], limits)
    shards = [
        _write_shard(spool, run_id, [entry.item for entry in sized[group.start : group.stop]], forms, attempt=attempt) for group in groups
    ]
    packed = groups[-1].stop if groups else 0
    return Frozen(shards=tuple(shards), refused=tuple(refused), short=tuple(entry.item for entry in sized[packed:]))


def clean_spool(spool: Path, keep: Collection[str]) -> int:
    """Delete what lies in the spool for intents not in `keep`, the open ones, and what a kill left half written; returns how many files.

    Call it where nothing else freezes, under the job's lock: content stays in the spool no longer than its hand-over is open. A file that
    is not named as ours are stays: a link in the spool's place may lead anywhere, to the inbox for one.
    """
    stale = [path for path in spool.glob("*") if path.is_file() and _OURS.match(path.name) and path.name.partition(".")[0] not in keep]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def _measure(item: FreezeItem, forms: Moulds, limits: ShardLimits, count: CountTokens | None) -> _Sized | None:
    try:
        row = forms.row(_ROW_ID_PLACEHOLDER, item.parts)
    except UnicodeEncodeError:  # a lone surrogate: there is no UTF-8 for it, so it cannot be sent as it was scanned
        return None
    # Counting tokens is dear, and only a provider's quota of them asks for it.
    tokens = input_tokens(forms.prompt, item.parts, count).expected if limits.max_tokens else 0
    return _Sized(item=item, weight=Weight(size=len(row) + 1, tokens=tokens))


def _write_shard(spool: Path, run_id: str, items: Sequence[FreezeItem], forms: Moulds, *, attempt: int) -> FrozenShard:
    intent_id = intent_id_of(run_id, forms.endpoint, attempt, [(item.record_id, item.clearance.payload_hmac) for item in items])
    rows = tuple(
        ShardRow(
            row_id=row_id_of(intent_id, ordinal),
            record_id=item.record_id,
            clearance_id=item.clearance.clearance_id,
            part_hmacs=item.part_hmacs,
            reserved_usd=item.clearance.reserved_usd,
        )
        for ordinal, item in enumerate(items)
    )
    content = b"".join(forms.row(row.row_id, item.parts) + b"\n" for row, item in zip(rows, items, strict=True))
    path = spool_path(spool, intent_id)
    spool.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
    spool.chmod(durable.PRIVATE_FOLDER)  # it may have been made by hand
    durable.replace(path, content, mode=durable.PRIVATE_FILE)
    repair = forms.prompt.repairing
    return FrozenShard(intent_id=intent_id, run_id=run_id, endpoint=forms.endpoint, attempt=attempt, path=path, rows=rows, repair=repair)
