"""Cleared records → frozen shards → the gate and a lane; and, before anything is sent, what became of earlier hand-overs."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from flows.clearing import Cleared
from flows.collecting import collect_finished
from flows.fallback import RULEBOOK_CHANGED, close, give_way, given_back, take_up_waiting
from flows.night import NOT_SENT, Night, ShardGroup
from flows.runs import was_carried
from flows.superseding import give_up_superseded
from policies.model import Lane
from sinks.errors import EndpointError, GateError
from sinks.freeze import FreezeItem, clean_spool, freeze
from sinks.handover import SERVER_ERROR, THROTTLED, UNUSABLE, HandOverOutcome, HandOverState
from sinks.handover import hand_over as hand_over_once
from sinks.inspection import GateCode
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import OpenIntent, open_intents
from sinks.packing import ShardLimits
from sinks.reconcile import OnAmbiguous, reconcile, reconcile_after, settle_refused
from sinks.retire import retire, unretired
from sinks.shard import FrozenShard

LOGGER = logging.getLogger("waybill")
GATE_REFUSED = "gate_refused"
LONGEST_BACK_OFF_S = 300.0
"""A provider that wants to be left alone for longer is asked again by the next start."""


def recover_hand_overs(night: Night) -> None:
    """Look up every hand-over that nobody recorded the outcome of, take in what has ended, and remove what earlier runs left behind."""
    if night.options.collect_only and night.keep is None:
        give_up_superseded(night)
    report = reconcile(
        night.ledger,
        night.lanes,
        night.registry,
        now=datetime.now(UTC),
        run_id=night.run_id,
        on_ambiguous=OnAmbiguous(night.job.on_ambiguous),
    )
    for reason in report.reasons:
        LOGGER.warning("a hand-over stays in doubt: %s", reason)
    night.lost += len(report.not_found)
    for intent in unretired(night.ledger, night.run_id):
        lane = night.lanes.get(intent.endpoint)
        if lane is not None:
            try:
                retire(night.ledger, lane, intent, spool=night.job.spool, now=datetime.now(UTC))
            except EndpointError:
                continue  # asked again at the next start; results are safe, only remains are left
    collect_finished(night)
    night.refresh()
    night.lost += take_up_waiting(night)
    if night.options.collect_only:  # a night carries whatever is due anyway
        carried = was_carried(night.ledger, night.run_id)
        night.lost += night.states.count(*NOT_SENT) if carried else given_back(night.states)
    clean_spool(night.job.spool, [intent.intent_id for intent in open_intents(night.ledger)])


def freeze_records(night: Night, cleared: Sequence[Cleared]) -> Iterator[FrozenShard]:
    """One or more shards for each endpoint and attempt, repairs apart; a record that fits no shard becomes a failed row.

    Records too few for a job of the provider wait in `night.short` for the next batch; see `flows/shortfall.py`.
    """
    groups: dict[ShardGroup, list[Cleared]] = defaultdict(list)
    for record in cleared:
        if record.clearance is not None:
            groups[record.clearance.endpoint, record.clearance.attempt, record.repair].append(record)
    for (name, attempt, repair), fresh in groups.items():
        records = [*night.short.pop((name, attempt, repair), ()), *fresh]
        endpoint = night.registry[name]
        frozen = freeze(
            night.job.spool,
            run_id=night.run_id,
            endpoint=endpoint,
            attempt=attempt,
            lane=night.lane(endpoint),
            prompt=night.prompt.as_repair() if repair else night.prompt,
            items=[item for record in records for item in _items(record)],
            limits=ShardLimits.of(endpoint),
            count=night.tokenizers.get(name),
        )
        if few := {item.record_id for item in frozen.short}:
            night.short[name, attempt, repair] = [record for record in records if record.document.record_id in few]
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


def _items(record: Cleared) -> Iterator[FreezeItem]:
    if record.clearance is not None:
        yield FreezeItem(
            record_id=record.document.record_id,
            parts=record.document.parts,
            clearance=record.clearance,
            part_hmacs=record.part_hmacs,
        )


def hand_over(night: Night, shard: FrozenShard) -> OpenIntent | None:
    """Pass the gate and send once; returns the hand-over that is now open, if any.

    Whatever stops it becomes a held row with a code, or goes where the job says (`flows/fallback.py`); the night goes on with other
    shards. Raises LedgerUnavailableError: without a ledger nothing more may be sent (invariant 4).
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
            rulebook=night.rulebook_now(),
            overrides=night.overrides,
        )
    except GateError as refusal:  # its code is in the ledger as `quarantined`
        if refusal.code == GateCode.OVERRIDE_RAISED:  # nothing is wrong: all of the shard is decided anew, and then knows of it
            night.lost += len(shard.rows)
            shard.path.unlink(missing_ok=True)
            return None
        night.refused += 1
        _hold(night, shard, RULEBOOK_CHANGED if refusal.code == GateCode.RULEBOOK else GATE_REFUSED)
    except EndpointError:
        _refused(night, shard, UNUSABLE)
    else:
        if outcome.state is HandOverState.SUBMITTED:
            return _opened(shard, outcome)
        if outcome.state is HandOverState.REJECTED:
            _refused(night, shard, outcome.code or "rejected")
        elif outcome.code in THROTTLED or _failed(shard, outcome):
            return _throttled(night, shard, outcome)
    return None


def _refused(night: Night, shard: FrozenShard, code: str) -> None:
    """Nothing of the shard runs anywhere: its records go where the job says, or are held for a person."""
    if not give_way(night, shard.endpoint, code, [row.record_id for row in shard.rows]):
        _hold(night, shard, code)
    shard.path.unlink(missing_ok=True)


def _throttled(night: Night, shard: FrozenShard, outcome: HandOverOutcome) -> OpenIntent | None:
    """Not now, says the provider: leave it alone for a while, and send again, once a night, only when it has listed nothing twice.

    So with a provider that fails. A proxy may say either of a request that was taken, so the listing decides. Where it cannot, the
    hand-over stays ambiguous; one that fails again and again gets nothing more tonight.
    """
    failed_again = _failed(shard, outcome) and shard.endpoint.name in night.throttled
    pause_s = max(outcome.retry_after_s or 0.0, reconcile_after(shard.endpoint).total_seconds())
    again = (outcome.retry_after_s is not None or _failed(shard, outcome)) and shard.endpoint.name not in night.throttled
    night.throttled.add(shard.endpoint.name)
    if failed_again:
        close(night, shard.endpoint, str(outcome.code))
    if OnAmbiguous(night.job.on_ambiguous) is OnAmbiguous.HOLD or pause_s > LONGEST_BACK_OFF_S:
        return None
    found = _opened(shard, outcome)
    try:
        job_id = settle_refused(night.ledger, night.lane(shard.endpoint), found, pause=partial(_pause, night, pause_s))
    except EndpointError:
        return None
    if job_id is not None:
        return replace(found, state=HandOverState.SUBMITTED, provider_job_id=job_id)
    if again:
        night.lost += len(shard.rows)  # their records go the whole way again, as a new attempt
        shard.path.unlink(missing_ok=True)
    else:
        _refused(night, shard, str(outcome.code))
    return None


def _failed(shard: FrozenShard, outcome: HandOverOutcome) -> bool:
    """Whether a provider outside answered that it failed itself."""
    return shard.endpoint.lane is Lane.CLOUD and str(outcome.code).startswith(SERVER_ERROR)


def _pause(night: Night, seconds: float) -> None:
    with night.timed("inference"):
        time.sleep(seconds)


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
