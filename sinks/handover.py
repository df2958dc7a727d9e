"""Handing a frozen shard over, once: gate → `submitting` → one request → what came of it. The same for every lane.

Between the commit of `submitting` and the commit of the outcome anything may happen, a kill included. Whatever is not known
afterwards is looked up at the provider (`sinks/reconcile.py`) and never sent again blindly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies.model import Endpoint
from sinks.egress import pass_gate
from sinks.errors import AmbiguousError, EndpointError, RejectedError
from sinks.lanes import Lane
from sinks.ledger.entry import Entry, Event
from sinks.ledger.keys import Keys
from sinks.ledger.overrides import OverrideBook
from sinks.ledger.segments import Ledger
from sinks.request import Prompt
from sinks.shard import ClearedShard, FrozenShard

UNUSABLE = "endpoint_unusable"
THROTTLED = ("http_429", "rate_limited")
"""Codes of a provider that says: not now. A proxy may say so after the provider has taken the request, so they leave it ambiguous."""


SERVER_ERROR = "http_5"
"""How the code of a server that failed begins."""


class HandOverState(StrEnum):
    """What came of a hand-over."""

    SUBMITTED = "submitted"
    REJECTED = "rejected"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverOutcome:
    """The durable outcome. provider_job_id: when it was submitted.

    code: why it was rejected or is ambiguous; of a submission, what isolates the engine it went to. retry_after_s: for so long the provider
    wants to be left alone, if it says so.
    """

    intent_id: str
    state: HandOverState
    provider_job_id: str | None = None
    code: str | None = None
    retry_after_s: float | None = None


def hand_over(
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
) -> HandOverOutcome:
    """Pass the gate, send once, and commit what came of it. rulebook, overrides: as for the gate.

    Raises GateError when the gate stops the shard, LedgerUnavailableError when the ledger cannot be written: before the gate's commit
    nothing was sent; after it, the intent stays open and is reconciled at the next start. Raises EndpointError, with the
    rejection committed, when the endpoint cannot be used at all.
    """
    cleared = pass_gate(
        shard,
        prompt=prompt,
        lane=lane,
        ledger=ledger,
        keys=keys,
        registry=registry,
        now=now,
        actor=actor,
        rulebook=rulebook,
        overrides=overrides,
    )
    try:
        outcome = _send(cleared, lane)
    except EndpointError:  # raised before anything left: unresolvable, not local, misconfigured
        ledger.commit([_entry(cleared, _rejected(cleared, UNUSABLE), now, actor)])
        shard.path.unlink(missing_ok=True)
        raise
    ledger.commit([_entry(cleared, outcome, now, actor)])
    if outcome.state is HandOverState.REJECTED:
        shard.path.unlink(missing_ok=True)  # nothing will ever be compared with it again
    return outcome


def _send(cleared: ClearedShard, lane: Lane) -> HandOverOutcome:
    try:
        job_id = lane.hand_over(cleared)
    except RejectedError as refusal:
        return _rejected(cleared, refusal.code)
    except AmbiguousError as doubt:
        state = HandOverState.AMBIGUOUS
        return HandOverOutcome(intent_id=cleared.intent_id, state=state, code=doubt.code, retry_after_s=doubt.retry_after_s)
    isolation = getattr(lane, "isolation", "")  # what keeps a local engine from the network, for the ledger
    code = f"isolation_{isolation}" if isolation else None
    return HandOverOutcome(intent_id=cleared.intent_id, state=HandOverState.SUBMITTED, provider_job_id=job_id, code=code)


def _rejected(cleared: ClearedShard, code: str) -> HandOverOutcome:
    return HandOverOutcome(intent_id=cleared.intent_id, state=HandOverState.REJECTED, code=code)


def _entry(cleared: ClearedShard, outcome: HandOverOutcome, now: datetime, actor: str) -> Entry:
    return Entry(
        event=Event(outcome.state.value),
        at=now,
        run_id=cleared.run_id,
        actor=actor,
        lane=cleared.endpoint.lane.value,
        endpoint=cleared.endpoint.name,
        attempt=cleared.attempt,
        intent_id=cleared.intent_id,
        provider_job_id=outcome.provider_job_id,
        state=outcome.state.value,
        detail_code=outcome.code,
    )
