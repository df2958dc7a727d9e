"""Cleared records → frozen shards → the gate and a lane; and, before anything is sent, what became of earlier hand-overs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from flows.clearing import Cleared
from flows.collecting import collect_finished
from flows.night import Night
from sinks.errors import EndpointError, GateError
from sinks.freeze import FreezeItem, ShardLimits, clean_spool, freeze
from sinks.handover import HandOverOutcome, HandOverState
from sinks.handover import hand_over as hand_over_once
from sinks.ingest import retire, unretired
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import OpenIntent, open_intents
from sinks.reconcile import OnAmbiguous, reconcile
from sinks.shard import FrozenShard

GATE_REFUSED = "gate_refused"


def recover_hand_overs(night: Night) -> None:
    """Look up every hand-over that nobody recorded the outcome of, take in what has ended, and remove what earlier runs left behind."""
    report = reconcile(
        night.ledger,
        night.lanes,
        night.registry,
        now=datetime.now(UTC),
        run_id=night.run_id,
        on_ambiguous=OnAmbiguous(night.job.on_ambiguous),
    )
    night.lost += len(report.not_found)
    for intent in unretired(night.ledger, night.run_id):
        lane = night.lanes.get(intent.endpoint)
        if lane is not None:
            try:
                retire(night.ledger, lane, intent, spool=night.job.spool, now=datetime.now(UTC))
            except EndpointError:
                continue  # asked again at the next start; results are safe, only remains are left
    collect_finished(night)
    clean_spool(night.job.spool, [intent.intent_id for intent in open_intents(night.ledger)])
    night.refresh()


def freeze_records(night: Night, cleared: Sequence[Cleared]) -> Iterator[FrozenShard]:
    """One or more shards for each endpoint and attempt; a record that fits no shard becomes a failed row."""
    groups: dict[tuple[str, int], list[FreezeItem]] = defaultdict(list)
    for record in cleared:
        if record.clearance is not None:
            groups[record.clearance.endpoint, record.clearance.attempt].append(
                FreezeItem(
                    record_id=record.document.record_id,
                    parts=record.document.parts,
                    clearance=record.clearance,
                    part_hmacs=record.part_hmacs,
                )
            )
    for (name, attempt), items in groups.items():
        endpoint = night.registry[name]
        frozen = freeze(
            night.job.spool,
            run_id=night.run_id,
            endpoint=endpoint,
            attempt=attempt,
            lane=night.lane(endpoint),
            prompt=night.prompt,
            items=items,
            limits=ShardLimits.of(endpoint),
        )
        night.ledger.commit(
            [
                _about(
                    night,
                    Event.FAILED,
                    refused.record_id,
                    endpoint=name,
                    lane=endpoint.lane,
                    attempt=attempt,
                    error_code=refused.error_code,
                )
                for refused in frozen.refused
            ]
        )
        yield from frozen.shards


def hand_over(night: Night, shard: FrozenShard) -> OpenIntent | None:
    """Pass the gate and send once; returns the hand-over that is now open, if any.

    Whatever stops it becomes a held row with a code; the night goes on with other shards. Raises LedgerUnavailableError: without a
    ledger nothing more may be sent (invariant 4).
    """
    try:
        outcome = hand_over_once(
            shard,
            prompt=night.prompt,
            lane=night.lane(shard.endpoint),
            ledger=night.ledger,
            keys=night.keys,
            registry=night.registry,
            now=datetime.now(UTC),
        )
    except GateError:  # its code is in the ledger as `quarantined`
        night.refused += 1
        _hold(night, shard, GATE_REFUSED)
    except EndpointError:
        _hold(night, shard, "endpoint_unusable")
    else:
        if outcome.state is HandOverState.SUBMITTED:
            return _opened(shard, outcome)
        if outcome.state is HandOverState.REJECTED:
            _hold(night, shard, outcome.code or "rejected")
    return None


def _opened(shard: FrozenShard, outcome: HandOverOutcome) -> OpenIntent:
    """The open hand-over as the ledger has just been told of it."""
    return OpenIntent(
        intent_id=shard.intent_id,
        run_id=shard.run_id,
        endpoint=shard.endpoint.name,
        attempt=shard.attempt,
        state=outcome.state,
        at=datetime.now(UTC),
        provider_job_id=outcome.provider_job_id,
        shard_hmac=None,
        record_ids=tuple(row.record_id for row in shard.rows),
    )


def _hold(night: Night, shard: FrozenShard, reason: str) -> None:
    night.ledger.commit([_about(night, Event.HELD, row.record_id, endpoint=shard.endpoint.name, reason=reason) for row in shard.rows])
    shard.path.unlink(missing_ok=True)


def _about(night: Night, event: Event, record_id: str, **more: object) -> Entry:
    return Entry(event=event, at=datetime.now(UTC), run_id=night.run_id, record_id=record_id, **more)  # type: ignore[arg-type]
