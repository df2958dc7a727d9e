"""One ledger entry: a flat, content-free row. Which columns an event fills is the table in `docs/ledger-format.md`.

Invariant 5: no column holds document text, a source name or an unkeyed hash of content. `detail_code`, `reason` and
`error_code` are codes from closed lists, never messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Event(StrEnum):
    """Everything that can happen to a run, a record or a hand-over."""

    RUN_STARTED = "run_started"
    RUN_ENDED = "run_ended"
    POLICY_REGISTERED = "policy_registered"
    DECIDED = "decided"
    ASSIGNED = "assigned"
    CLEARED = "cleared"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    AMBIGUOUS = "ambiguous"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    CANCEL_ASKED = "cancel_asked"
    JOB_ENDED = "job_ended"
    COMPLETED = "completed"
    FAILED = "failed"
    HELD = "held"
    RELEASED = "released"
    OVERRIDDEN = "overridden"
    QUARANTINED = "quarantined"
    RESCANNED = "rescanned"
    JUDGED = "judged"
    REVIEWED = "reviewed"
    LOOKBACK = "lookback"
    DELETED_REMOTE = "deleted_remote"
    PURGED = "purged"
    FORGOTTEN = "forgotten"
    KEY_ROTATED = "key_rotated"
    ALERTED = "alerted"
    STOPPED = "stopped"
    COMPACTED = "compacted"
    SCHEMA = "schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCount:
    """One line of a decision's evidence: how often an entity, topic or marker was found, its best score, and by what."""

    entity: str
    count: int
    max_score: float
    detector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row. `seq` and `entry_id` are given by the ledger at commit; everything absent is None (null in Parquet)."""

    event: Event
    at: datetime
    run_id: str | None = None
    record_id: str | None = None
    actor: str = "waybill"
    detail_code: str | None = None
    # run_started, run_ended, policy_registered
    job: str | None = None
    logical_date: str | None = None
    template_hash: str | None = None
    policy_text: str | None = None
    # decided; judged: data_classes, document_hmac
    data_classes: tuple[str, ...] | None = None
    partial: bool | None = None
    evidence: tuple[EvidenceCount, ...] | None = None
    rule: str | None = None
    lanes: tuple[str, ...] | None = None
    cloud_requires: tuple[str, ...] | None = None  # "dpa=true"
    policy_hash: str | None = None
    detectors_hash: str | None = None
    document_hmac: str | None = None
    family: str | None = None
    # assigned, cleared, submitting
    lane: str | None = None
    endpoint: str | None = None
    strategy: str | None = None
    reason: str | None = None
    score: float | None = None
    clearance_id: str | None = None
    payload_hmac: str | None = None
    payload_bytes: int | None = None
    attempt: int | None = None
    # submitting and the life of a hand-over
    intent_id: str | None = None
    shard_hmac: str | None = None  # keyed digest of the whole frozen file, on every `submitting` entry of the intent
    provider_job_id: str | None = None
    state: str | None = None
    # completed, failed; judged: the model and its digests
    result_file: str | None = None
    result_row: int | None = None
    result_digest: str | None = None
    model: str | None = None
    revision: str | None = None
    weights_digest: str | None = None
    lora_digest: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: Decimal | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    confidence: float | None = None
    # held, released, overridden, …
    before: str | None = None
    after: str | None = None
    expiry: datetime | None = None
    approval: str | None = None  # overridden: who approved the lowering, and the signature
    # from format version 3 on
    cost_centre: str | None = None  # run_started: who is charged
