"""What passes between freezing, the gate and a lane: frozen shards, cleared shards, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from policies.model import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRow:
    """One row of a frozen shard: its id in the file, the record it stands for, the clearance it will spend.

    part_hmacs: keyed digest of every scanned part of the record by slot name; the gate believes it only because it must
    hash to the decision's `document_hmac`. reserved_usd: the most that it may cost at its endpoint; None where nobody can say.
    """

    row_id: str
    record_id: str
    clearance_id: str
    part_hmacs: Mapping[str, str]
    reserved_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenShard:
    """The request file of one job, written to the spool, before the gate has seen it.

    repair: its rows are in the template's repair form (`Prompt.as_repair`), which the gate compares them with.
    """

    intent_id: str
    run_id: str
    endpoint: Endpoint
    attempt: int
    path: Path
    rows: tuple[ShardRow, ...]
    repair: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedShard:
    """What the gate lets through: the very bytes it checked, held in memory so that the file cannot change afterwards.

    digest: keyed digest of `content`, hex. Only `sinks.egress` makes one, after the `submitting` entries are durable.
    """

    intent_id: str
    run_id: str
    endpoint: Endpoint
    attempt: int
    content: bytes = field(repr=False)
    row_ids: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneResult:
    """What a lane answers for one row. Exactly one of `output` and `error_code` is set.

    output: the model's text (for extract: JSON text). finish_reason: the provider's word, `stop` when it ended by itself.
    confidence: mean token log-probability, where the engine gives one. chunks: where a long document was split, as offsets in
    characters of its text, [start, end); None when it was read in one piece.

    tokens_in: all input tokens as billed, those read from and written to a prompt cache included (a provider that counts them apart
    has them added here). tokens_cached: of these, read from a cache. tokens_cache_written: of these, written to a cache, for whatever
    time; tokens_cache_written_1h: of those, kept for an hour. None: not reported. What it cost is not a lane's to say: `sinks/pricing.py`.
    """

    row_id: str
    output: str | None = field(default=None, repr=False)
    error_code: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    revision: str | None = None
    weights_digest: str | None = None
    lora_digest: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_cache_written: int | None = None
    tokens_cache_written_1h: int | None = None
    confidence: float | None = None
    chunks: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A provider job's state in the provider's own word; `ended` says whether results can be collected.

    known False: a state that this version has never heard of. The job is polled on, and a person should look at it.
    """

    provider_job_id: str
    state: str
    ended: bool
    known: bool = True
    total: int | None = None
    completed: int | None = None
    failed: int | None = None
