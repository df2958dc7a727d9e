"""Results in: every hand-over that has ended → Parquet under the root of its classes → ledger."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from flows.escalating import escalates, weigh
from flows.fallback import DEADLINE, give_way, take_up_waiting, would_hold
from flows.night import Night
from flows.progress import engine_line
from flows.rescanning import result_classes
from policies.assign import LOW_CONFIDENCE
from policies.model import Lane
from sinks.errors import EndpointError, WrongAccountError
from sinks.ingest import CompletedRow, Doubts, ResultPlace, ingest
from sinks.lanes import Lane as LaneEngine
from sinks.lanes.inventory import has_inventory
from sinks.ledger.queries import OpenIntent, open_intents
from sinks.ledger.sources import SourceName, lookup
from sinks.parquet import ResultRow, Status, root_name, write_results
from sinks.reconcile import is_remote
from sinks.shard import LaneResult

LOGGER = logging.getLogger("waybill")
SILENT, TOLD = "silent", "told"
FASTEST_POLL_S = 0.5
JITTER = (0.8, 1.2)
LOCAL_POLL_S = 5.0
"""An engine inside is looked after at each poll: one that died should not stand still for long."""


def collect_finished(night: Night) -> None:
    """Take in every job of this run that has ended; what it has no answer for is counted as lost."""
    intents = night.open_now()
    running = _under_way(night, intents)
    for intent in intents:
        if intent.provider_job_id not in running or overdue(night, intent):
            collect(night, intent)


def _under_way(night: Night, intents: Sequence[OpenIntent]) -> frozenset[str]:
    """Jobs that their provider's list shows as running, where there are several to ask about; what it does not show is asked one by one."""
    found: set[str] = set()
    for name in {intent.endpoint for intent in intents}:
        lane = night.lanes.get(name)
        jobs = {intent.provider_job_id: intent.at for intent in intents if intent.endpoint == name and intent.provider_job_id is not None}
        if len(jobs) > 1 and has_inventory(lane):
            with contextlib.suppress(EndpointError):
                running: frozenset[str] = getattr(lane, "running", frozenset())
                found |= {job.job_id for job in lane.listed(min(jobs.values())) if job.job_id in jobs and job.state in running}
    return frozenset(found)


def collect_if_local(night: Night, intent: OpenIntent | None) -> None:
    """Take in a local job at once, so that its content leaves the spool; a provider is not asked before the whole night is handed over."""
    if intent is not None and night.registry[intent.endpoint].lane is Lane.LOCAL:
        collect(night, intent)


def collect(night: Night, intent: OpenIntent) -> bool:
    """Take one job in if it has ended; whether it has."""
    lane, endpoint = night.lanes.get(intent.endpoint), night.registry.get(intent.endpoint)
    if lane is None or endpoint is None or intent.provider_job_id is None:
        return False
    late = endpoint.lane is Lane.CLOUD and overdue(night, intent)
    take_in = partial(
        ingest,
        night.ledger,
        lane,
        intent,
        endpoint=endpoint,
        prompt=night.prompt,
        write=partial(night.keep or write_rows, night),
        spool=night.job.spool,
        price=night.prices.of(endpoint, intent.at.astimezone(UTC).date()),
        code=DEADLINE if late else None,
        held_as=would_hold(night, endpoint, DEADLINE, intent.record_ids) if late else {},
        hold_unshown=night.job.on_ambiguous == "hold",
        weigh=partial(_weighed, night, intent) if escalates(night, endpoint) else None,
    )
    try:
        report = take_in(now=datetime.now(UTC))
        if late and not report.ended and _stopped(lane, intent.provider_job_id):
            report = take_in(now=datetime.now(UTC))
    except WrongAccountError as error:
        LOGGER.warning("%s", error)
        night.odd["wrong_account"].add(intent.intent_id)
        return False
    except EndpointError as error:  # not reachable now: the job stays open and is asked again
        _tell(night, str(error))
        return False
    if not report.status.known:
        night.odd["unknown_state"].add(intent.intent_id)
    if night.load is not None:
        night.load.saw(intent, ended=report.ended)
    night.lost += len(report.repairs) + len(report.escalated)
    if late and (report.missing or report.held):
        night.odd[DEADLINE].add(intent.intent_id)
        give_way(night, endpoint, DEADLINE, report.missing, held=report.held)
    else:
        night.lost += len(report.missing)
    return report.ended


def _tell(night: Night, why: str) -> None:
    """Say once what keeps a job from being asked, if it does so for the second time: a provider may well be away for a moment."""
    if why in night.odd[SILENT] and why not in night.odd[TOLD]:
        LOGGER.warning("%s", why)
        night.odd[TOLD].add(why)
    night.odd[SILENT].add(why)


def _weighed(night: Night, intent: OpenIntent, results: Mapping[str, LaneResult]) -> Doubts:
    """What becomes of doubted answers. A collection that was killed may have written what is given back now."""
    doubts = weigh(night, results)
    if doubts.escalated:
        _drop_strays(night, intent.intent_id, set())
    return doubts


def _stopped(lane: LaneEngine, provider_job_id: str) -> bool:
    """Ask the provider to stop a job past its deadline: some never end one by themselves. What it has finished by then is taken in."""
    if not is_remote(lane):
        return False
    with contextlib.suppress(EndpointError):  # it may be ending, or cancelled already: the next look tells
        lane.cancel(provider_job_id)
    return True


def write_rows(night: Night, rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
    """Write one file for each root of these rows; an output carries the classes of its input, and its own (invariant 7)."""
    carried = result_classes(night, rows)
    names = lookup(night.ledger.path, [row.record_id for row in rows])
    roots: dict[str, list[ResultRow]] = defaultdict(list)
    for row in rows:
        facts = carried[row.record_id]
        root = root_name(facts.data_classes, partial=facts.partial)
        roots[root].append(_result_row(night, row, facts.data_classes, names))
    places: dict[str, ResultPlace] = {}
    for root, results in roots.items():
        path = night.job.output / night.run_id / root / f"{rows[0].intent_id}.parquet"
        written = write_results(path, results, night.prompt.schema, digest=partial(night.keys.hmac, "result"), group=night.job.group)
        file = path.relative_to(night.job.output).as_posix()
        for position, (record_id, digest) in enumerate(zip(written.record_ids, written.row_digests, strict=True)):
            places[record_id] = ResultPlace(file=file, row=position, digest=digest)
    _drop_strays(night, rows[0].intent_id, {place.file for place in places.values()})
    return places


def _drop_strays(night: Night, intent_id: str, files: set[str | None]) -> None:
    """Delete what an earlier, killed collection of this hand-over wrote under roots that its rows do not lie under now."""
    for path in (night.job.output / night.run_id).glob(f"*/{intent_id}.parquet"):
        if path.relative_to(night.job.output).as_posix() not in files:
            path.unlink(missing_ok=True)


def _result_row(night: Night, row: CompletedRow, data_classes: tuple[str, ...], names: Mapping[str, SourceName]) -> ResultRow:
    name, result = names.get(row.record_id), row.result
    return ResultRow(
        record_id=row.record_id,
        run_id=night.run_id,
        task=night.prompt.kind,
        status=Status.COMPLETED,
        source=name.source if name else None,
        source_id=name.source_id if name else None,
        template_hash=night.prompt.hash,
        output=result.output,
        data_classes=data_classes,
        lane=row.endpoint.lane,
        endpoint=row.endpoint.name,
        model=result.model,
        revision=result.revision,
        tokens_in=result.tokens_in,
        tokens_out=result.tokens_out,
        cost_usd=row.cost_usd,
        finish_reason=result.finish_reason,
        error_code=LOW_CONFIDENCE if row.doubtful else None,
        confidence=result.confidence,
        weights_digest=result.weights_digest,
        lora_digest=result.lora_digest,
        chunks=result.chunks,
    )


def wait_for_results(night: Night) -> bool:
    """Wait until the run's open jobs have ended, or the job's deadline has passed; whether records must be sent again."""
    poll_s = FASTEST_POLL_S
    slowest_s = night.job.poll_s
    while True:
        collect_finished(night)
        night.refresh()
        if night.lost or (night.options.collect_only and take_up_waiting(night)):
            return True
        waiting = [intent for intent in night.open_now() if intent.provider_job_id is not None]
        if not waiting or not night.waits or all(overdue(night, intent) for intent in waiting):
            return False
        pending = len(night.states) - night.states.count("completed", "held", "ambiguous", "failed")
        night.progress.stage(f"waiting for {pending} results{_engines(night)}")
        with night.timed("inference"):
            time.sleep(poll_s * random.uniform(*JITTER))  # noqa: S311 - so that many jobs do not ask in step
        poll_s = min(poll_s * 2, slowest_s, LOCAL_POLL_S if _waits_inside(night, waiting) else slowest_s)


def _waits_inside(night: Night, waiting: Sequence[OpenIntent]) -> bool:
    return any(night.registry[intent.endpoint].lane is Lane.LOCAL for intent in waiting if intent.endpoint in night.registry)


def _engines(night: Night) -> str:
    """How far the engines inside are that can say so."""
    ways = [(name, getattr(lane, "progress", None)) for name, lane in night.lanes.items()]
    return "".join(f"; {engine_line(name, way())}" for name, way in ways if way is not None)


def overdue(night: Night, intent: OpenIntent) -> bool:
    """Whether this hand-over is past the job's deadline."""
    return datetime.now(UTC) - intent.at > timedelta(hours=night.job.deadline_h)


def overdue_intents(night: Night) -> int:
    """Hand-overs of this run past the job's deadline."""
    return sum(overdue(night, intent) for intent in open_intents(night.ledger, night.run_id))
