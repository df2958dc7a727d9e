"""The gate: the one way out.

Every shard of every lane passes here, at first hand-over, retry, fallback and resubmission alike. The gate reads the frozen file
once, into memory; what it checked is what a lane sends.

Invariants kept here:
- What is scanned is what is sent (2): `inspection` compares each row with the registered template, the registry's endpoint and the
  keyed digests of the record's scanned parts, which must be the ones that the decision was made on.
- One way out (3): permission comes from the durable ledger alone. The clearances are spent in the commit that states the intent, and that
  commit fails if anything was committed since the facts were read, so of two gates with one clearance one is refused.
- Ledger before egress (4): a lane gets a shard only after that commit. `redeem` gives each issued shard out once; a copy, a forgery, or
  a shard from another process is none that was issued.
- A refusal carries a code and a row number, never text (5), and is in the ledger as `quarantined`.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from policies.assign import permits
from policies.facts import FACTS, Fact
from policies.model import Decision, Endpoint
from policies.model import Lane as LaneName
from sinks.errors import GateError, HeadMovedError, LedgerError
from sinks.inspection import GateCode, InspectedRow, inspect
from sinks.lanes import Lane
from sinks.ledger.alike import Alike
from sinks.ledger.entry import Entry, Event
from sinks.ledger.facts import GateFacts, RecordFacts, gate_facts
from sinks.ledger.keys import Keys
from sinks.ledger.lookup import registered_template
from sinks.ledger.overrides import OverrideBook
from sinks.ledger.segments import Ledger
from sinks.request import Prompt
from sinks.shard import ClearedShard, FrozenShard

# Each round means that somebody else made progress. After so many the gate gives up, and its caller tries again later.
MAX_ROUNDS = 50

# What may have happened last to a record that is about to be sent. A refusal at this gate does not use its clearance up.
_READY = frozenset({Event.CLEARED, Event.QUARANTINED})

_issued: dict[str, ClearedShard] = {}
_issued_lock = threading.Lock()


def pass_gate(
    shard: FrozenShard,
    *,
    prompt: Prompt,
    lane: Lane,
    ledger: Ledger,
    keys: Keys,
    registry: Mapping[str, Endpoint],
    now: datetime,
    actor: str = "waybill",
    rulebook: str | None = None,
    overrides: OverrideBook | None = None,
) -> ClearedShard:
    """Check a frozen shard, spend its clearances, and issue what a lane may send.

    rulebook: the hash of policy, registry and prices as they are on disk now; a decision under others does not let anything go.
    overrides: of the ledger; a decision from before a class was raised lets nothing go to the cloud.
    Raises GateError (with a code of `GateCode`, or a refusal of `policies.assign.permits`) when the shard may not leave, and
    LedgerUnavailableError when the ledger cannot be read or written. Either way nothing was sent.
    """
    try:
        shard = replace(shard, endpoint=_registered(shard.endpoint, registry))
        content = _read(shard)
        rows = inspect(content, shard, prompt, lane, keys)
        digest = keys.hmac("shard", content)
        _spend(shard, rows, digest, prompt=prompt, ledger=ledger, keys=keys, now=now, actor=actor, rulebook=rulebook, overrides=overrides)
    except GateError as refusal:
        if refusal.code != GateCode.CONTENDED:
            _record_refusal(refusal, shard, ledger, now, actor)
        raise
    return _issue(shard, rows, content, digest)


def redeem(cleared: ClearedShard) -> None:
    """Called by every lane before it sends: accepts each shard that this gate issued, in this process, exactly once.

    Raises GateError for a forged, copied, changed or already used shard.
    """
    with _issued_lock:
        if _issued.get(cleared.intent_id) is not cleared:
            raise GateError(GateCode.NOT_ISSUED)
        del _issued[cleared.intent_id]


def _issue(shard: FrozenShard, rows: tuple[InspectedRow, ...], content: bytes, digest: str) -> ClearedShard:
    cleared = ClearedShard(
        intent_id=shard.intent_id,
        run_id=shard.run_id,
        endpoint=shard.endpoint,
        attempt=shard.attempt,
        content=content,
        row_ids=tuple(found.row.row_id for found in rows),
        digest=digest,
    )
    with _issued_lock:
        _issued[cleared.intent_id] = cleared
    return cleared


def _registered(endpoint: Endpoint, registry: Mapping[str, Endpoint]) -> Endpoint:
    """The registry's own entry: equal is not the same, since 1 equals True and a fact must be True."""
    registered = registry.get(endpoint.name)
    if registered is None or registered != endpoint:
        raise GateError(GateCode.ENDPOINT)
    return registered


def _read(shard: FrozenShard) -> bytes:
    """The file's bytes, once. A link or a device in its place is not followed."""
    try:
        descriptor = os.open(shard.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise GateError(GateCode.UNREADABLE)
            return file.read()
    except OSError:
        raise GateError(GateCode.UNREADABLE) from None


def _spend(
    shard: FrozenShard,
    rows: tuple[InspectedRow, ...],
    digest: str,
    *,
    prompt: Prompt,
    ledger: Ledger,
    keys: Keys,
    now: datetime,
    actor: str,
    rulebook: str | None,
    overrides: OverrideBook | None,
) -> None:
    """Commit the intent on facts that are still the latest at the moment of the commit."""
    record_ids = [found.row.record_id for found in rows]
    entries = [_submitting(shard, rows, digest, now, actor)]
    for _ in range(MAX_ROUNDS):
        facts = gate_facts(ledger, shard.run_id, record_ids)
        # Read after the facts: were it older than they are, a template registered in between would go unseen.
        if registered_template(ledger, shard.run_id) != prompt.hash:
            raise GateError(GateCode.TEMPLATE)
        if rulebook is not None and any(record.policy_hash != rulebook for record in facts.records.values()):
            raise GateError(GateCode.RULEBOOK)
        _check_facts(facts, shard, rows, keys, now.astimezone(UTC))
        if overrides is not None and shard.endpoint.lane is LaneName.CLOUD:
            _check_raised(facts, shard, rows, ledger, overrides)
        with contextlib.suppress(HeadMovedError):
            ledger.commit(entries, expected_head=facts.head)
            return
    raise GateError(GateCode.CONTENDED)


def _check_facts(facts: GateFacts, shard: FrozenShard, rows: tuple[InspectedRow, ...], keys: Keys, now: datetime) -> None:
    permission = _Permission(shard.endpoint, now)
    for ordinal, found in enumerate(rows):
        code = _refusal(facts.records.get(found.row.record_id), shard, found, keys, permission)
        if code is not None:
            raise GateError(code, ordinal)


def _check_raised(facts: GateFacts, shard: FrozenShard, rows: tuple[InspectedRow, ...], ledger: Ledger, overrides: OverrideBook) -> None:
    """Refuse what was decided before a person raised a class of it, or of another member of its family."""
    decided = {name: one.decision_seq or 0 for name, one in facts.records.items()}
    raised = overrides.raised_since(min(decided.values(), default=0))
    if not raised:
        return
    kin = gate_facts(ledger, shard.run_id, list(raised)).records
    families = {kin[name].family: number for name, number in sorted(raised.items(), key=lambda one: one[1]) if name in kin}
    for ordinal, found in enumerate(rows):
        name = found.row.record_id
        family = facts.records[name].family
        if max(raised.get(name, 0), families.get(family, 0) if family else 0) > decided[name]:
            raise GateError(GateCode.OVERRIDE_RAISED, ordinal)


class _Permission:
    """What decisions permit at one endpoint now. Records that were decided in the very same words are judged once."""

    def __init__(self, endpoint: Endpoint, now: datetime) -> None:
        self.now, self._endpoint = now, endpoint
        self._known: dict[tuple[object, ...], str | None] = {}

    def refusal(self, record: RecordFacts) -> str | None:
        """Why the latest decision about this record does not permit it, or None."""
        # All that `stated_decision` reads, but for the record's own id.
        words = (record.data_classes, record.lanes, record.rule, record.policy_hash, record.detectors_hash, record.cloud_requires)
        if words not in self._known:
            decision = stated_decision(record)
            self._known[words] = GateCode.REQUIREMENT if decision is None else permits(decision, self._endpoint, today=self.now.date())
        return self._known[words]


def _refusal(record: RecordFacts | None, shard: FrozenShard, found: InspectedRow, keys: Keys, permission: _Permission) -> str | None:
    """Why the ledger does not let this row go, or None."""
    if record is None or record.decision_seq is None or record.document_hmac is None:
        return GateCode.NO_DECISION
    if keys.document_hmac(found.row.part_hmacs) != record.document_hmac:
        return GateCode.PARTS
    if record.expiry is not None and record.expiry <= permission.now:  # the class that an approver let be taken out is back
        return GateCode.OVERRIDE_EXPIRED
    refused = permission.refusal(record)
    if refused is not None:
        return refused
    assigned_since = record.assigned_seq is not None and record.assigned_seq > record.decision_seq
    if not assigned_since or record.assigned_endpoint != shard.endpoint.name:
        return GateCode.NOT_ASSIGNED
    return _clearance_refusal(record, shard, found)


def _clearance_refusal(record: RecordFacts, shard: FrozenShard, found: InspectedRow) -> GateCode | None:
    clearance = record.clearance(found.row.clearance_id)
    if clearance is None:
        return GateCode.NO_CLEARANCE
    if clearance.spent:
        return GateCode.CLEARANCE_SPENT
    if clearance.voided:
        return GateCode.CLEARANCE_VOID
    granted = (clearance.endpoint, clearance.lane, clearance.attempt, clearance.payload_hmac, clearance.payload_bytes)
    if granted != (shard.endpoint.name, shard.endpoint.lane, shard.attempt, found.payload_hmac, found.payload_bytes):
        return GateCode.CLEARANCE_OTHER
    return None if record.last_event in _READY else GateCode.SETTLED


def stated_decision(record: RecordFacts) -> Decision | None:
    """The ledger's decision in the policy's own words; None where it cannot be understood in full."""
    known_lanes = {lane.value: lane for lane in LaneName}
    requires: dict[str, Fact] = {}
    for requirement in record.cloud_requires:
        name, _, value = requirement.partition("=")
        fact = _fact(FACTS.get(name), value)
        if fact is None:
            return None
        requires[name] = fact
    return Decision(
        record_id=record.record_id,
        data_classes=record.data_classes,
        lanes=tuple(known_lanes[lane] for lane in record.lanes if lane in known_lanes),
        rule=record.rule or "",
        policy_hash=record.policy_hash or "",
        detectors_hash=record.detectors_hash or "",
        cloud_requires=requires,
    )


def _fact(kind: type | None, value: str) -> Fact | None:
    if kind is bool:
        return {"true": True, "false": False}.get(value.lower())
    if kind is int:
        return int(value) if value.isascii() and value.isdigit() else None
    return value if kind is str and value else None


def _submitting(shard: FrozenShard, rows: tuple[InspectedRow, ...], digest: str, now: datetime, actor: str) -> Alike:
    return Alike(
        Entry(
            event=Event.SUBMITTING,
            at=now,
            run_id=shard.run_id,
            actor=actor,
            lane=shard.endpoint.lane.value,
            endpoint=shard.endpoint.name,
            attempt=shard.attempt,
            intent_id=shard.intent_id,
            shard_hmac=digest,
        ),
        {
            "record_id": [found.row.record_id for found in rows],
            "clearance_id": [found.row.clearance_id for found in rows],
            "payload_hmac": [found.payload_hmac for found in rows],
            "payload_bytes": [found.payload_bytes for found in rows],
            "cost_usd": [found.row.reserved_usd for found in rows],
        },
    )


def _record_refusal(refusal: GateError, shard: FrozenShard, ledger: Ledger, now: datetime, actor: str) -> None:
    """State the refusal. Where even that cannot be written, the shard is refused all the same."""
    in_shard = refusal.row is not None and refusal.row < len(shard.rows)
    entry = Entry(
        event=Event.QUARANTINED,
        at=now,
        run_id=shard.run_id,
        record_id=shard.rows[refusal.row].record_id if in_shard and refusal.row is not None else None,
        actor=actor,
        endpoint=shard.endpoint.name,
        attempt=shard.attempt,
        intent_id=shard.intent_id,
        detail_code=str(refusal.code),
    )
    with contextlib.suppress(LedgerError):
        ledger.commit([entry])
