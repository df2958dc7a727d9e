"""The rows of an audit report, as the ledger gives them. Ids, codes, counts, times and digests: no entry holds content, so no row does.

Days are UTC. A record that went to the same place on two days counts on both, wherever days are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What part of the log the period is; without entries in it, numbers and days are None. tree_size and last_at: of the whole log."""

    entries: int
    first_seq: int | None
    last_seq: int | None
    first_day: date | None
    last_day: date | None
    tree_size: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The newest signed statement of the log as of the rows that were read. `note`: all of it, as signed."""

    origin: str
    size: int
    root: str
    segment: int
    key_hash: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Different records in the period."""

    decided: int
    cloud: int
    inside: int
    held: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Records of one class that went to one destination. lane: cloud, local or held. partial: None when the record was never judged."""

    data_class: str
    partial: bool | None
    lane: str
    endpoint: str | None
    records: int
    payload_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Different records on one day, by destination."""

    day: date
    cloud: int
    local: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """What one cloud endpoint was handed, uncertain and rejected hand-overs included."""

    endpoint: str | None
    records: int
    hand_overs: int
    shards: int
    payload_bytes: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReason:
    """Why records were held. earlier: still held, from before the period. oldest: since when the oldest that is still held waits."""

    reason: str | None
    held: int
    still_held: int
    earlier: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRecord:
    """One record that is still held."""

    record_id: str
    reason: str | None
    data_classes: tuple[str, ...] | None
    partial: bool | None
    since: datetime
    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A person changed what the policy said."""

    moment: datetime
    record_id: str | None
    actor: str
    reason: str | None
    before: str | None
    after: str | None
    expiry: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """A hand-over of which nobody could tell whether it was taken. state: what is known by now."""

    intent_id: str
    endpoint: str | None
    moment: datetime
    records: int
    code: str | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Tokens and dollars of one endpoint on one day; an outcome stated twice counts once.

    unpriced: outcomes of the cloud that nobody knows the cost of.
    """

    day: date
    lane: str | None
    endpoint: str | None
    records: int
    tokens_in: int
    tokens_out: int
    cost_usd: Decimal
    unpriced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What answered inside, and what kept it from the network. isolation: a code of the hand-over; None where none was stated."""

    endpoint: str | None
    model: str | None
    revision: str | None
    weights_digest: str | None
    lora_digest: str | None
    isolation: str | None
    records: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """What a model inside said of records; data_class None: it named no class."""

    endpoint: str | None
    model: str | None
    weights_digest: str | None
    data_class: str | None
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Different records that a strategy assigned to an endpoint for one reason. score: the mean of what it went by, if anything."""

    strategy: str | None
    lane: str
    endpoint: str | None
    reason: str | None
    records: int
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """Different records of the strategy `waterfall`, step by step.

    answered: inside. doubtful: with too little confidence; of these, kept: the answer stands, marked for review, and escalated: assigned
    anew to the cloud. settled: completed there.
    """

    assigned: int
    answered: int
    doubtful: int
    kept: int
    escalated: int
    settled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What people and look-backs found afterwards. event: reviewed, lookback or rescanned."""

    event: str
    reason: str | None
    before: str | None
    after: str | None
    records: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A policy or a set of detectors, and when it decided. name and registered: of a policy whose text is in the ledger."""

    digest: str | None
    name: str | None
    registered: datetime | None
    decisions: int
    first_used: datetime
    last_used: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCount:
    """How many entries of a kind the period has."""

    event: str
    entries: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that started in the period. finished: it has ended, and owes no result."""

    run_id: str
    started: datetime
    ended: datetime | None
    ended_as: str | None
    finished: bool
    starts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that a report says, as of one head of the log. The lists that could be long are cut; `…_total` says how long they are."""

    extent: Extent
    checkpoint: Checkpoint
    totals: Totals
    flows: tuple[Flow, ...]
    volumes: tuple[Volume, ...]
    egress: tuple[Egress, ...]
    held: tuple[HeldReason, ...]
    held_records: tuple[HeldRecord, ...]
    overrides: tuple[Override, ...]
    overrides_total: int
    ambiguous: tuple[Ambiguous, ...]
    ambiguous_total: int
    costs: tuple[Cost, ...]
    engines: tuple[Engine, ...]
    second_looks: tuple[SecondLook, ...]
    routes: tuple[Route, ...]
    funnel: Funnel
    findings: tuple[Finding, ...]
    policies: tuple[Version, ...]
    detectors: tuple[Version, ...]
    events: tuple[EventCount, ...]
    runs: tuple[Run, ...]
    runs_total: int
