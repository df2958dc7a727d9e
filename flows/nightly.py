"""One night: from raw documents to results and ledger.

The way of a record is `carry`, top to bottom. What was decided is durable in the ledger before any byte leaves (invariant 4). A night
killed at any instruction and started again goes on from the ledger and ends with the same rows (invariant 6). Prefect carries paths and
ids; its copy of an error is a code (invariant 5).
"""

from __future__ import annotations

import flows.prefect_settings  # isort: skip  # before Prefect reads its environment
from collections.abc import Callable
from datetime import UTC, datetime

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE

from flows.assigning import count_batches
from flows.boundary import as_code, codes_only
from flows.budgeting import count_committed, take_up_held
from flows.clearing import clear_records, decision_entries
from flows.closing import close_night
from flows.collecting import collect_if_local, wait_for_results
from flows.deciding import decide_documents
from flows.errors import BatchFailedError, PrefectUnreachableError
from flows.garbage import rarely_collected
from flows.look_run import second_looks
from flows.night import Night, NightOptions
from flows.opening import open_night, opened
from flows.overriding import lowered_classes, with_raised
from flows.progress import Progress
from flows.report import NightReport
from flows.second_look import second_look
from flows.shortfall import carry_short
from flows.sources import Batch, list_batches, read_batch
from flows.submitting import freeze_records, hand_over, recover_hand_overs
from flows.superseding import hold_superseded

Carry = Callable[[Night, Batch], None]


def carry(night: Night, batch: Batch) -> None:
    """One batch: read → scan → look → decide → assign → clear → ledger → freeze → gate → lane → collect → rescan → Parquet → ledger."""
    documents = with_raised(night, night.unfinished(hold_superseded(night, read_batch(batch, night.job, night.keys))))
    lowered = lowered_classes(night, documents)
    evidence = second_look(night, documents, night.scan(documents), lowered)
    decisions = decide_documents(documents, evidence, night.policy, night.detectors.hash, lowered=lowered)
    cleared = clear_records(night, documents, evidence, decisions)
    night.ledger.commit(decision_entries(night, cleared))
    for shard in freeze_records(night, cleared):
        intent = hand_over(night, shard)
        collect_if_local(night, intent)
    night.progress.carried(len(cleared))


def run_night(options: NightOptions, *, progress: Progress | None = None, each: Carry = carry) -> NightReport:
    """The whole night: recover what an earlier one left open, carry every batch, fetch the results, close."""
    with rarely_collected(), open_night(options, progress) as night, second_looks(night):
        count_committed(night)  # answers from inside that are taken in here may find no money to go on with
        recover_hand_overs(night)
        if not options.collect_only:
            carry_all(night, each)
        # Rows that a provider lost go the same way again, and so do records that were held for money which results have freed.
        while wait_for_results(night) or take_up_held(night):
            carry_all(night, each)
        return close_night(night)


def carry_all(night: Night, each: Carry) -> None:
    """Every batch, one after the other. A record that is not due is left where it is."""
    night.progress.stage("carrying documents")
    night.lost = night.unchanged = 0
    night.read = True
    count_committed(night)
    count_batches(night)
    for batch in list_batches(night.job, limit=night.options.limit):
        each(night, batch)
    carry_short(night)


def run_now(options: NightOptions, progress: Progress) -> NightReport:
    """What `waybill run` does: the flow, where a Prefect API is configured, else the same night without a server (ADR 0003)."""
    if not flows.prefect_settings.api_is_configured():
        return run_night(options, progress=progress)
    # What a flow returns or raises is Prefect's to store: the report and the error take another way.
    reports: list[NightReport] = []
    errors: list[Exception] = []

    @flow(name="nightly", persist_result=False, log_prints=False)
    def watched() -> None:
        try:
            reports.append(run_night(options, progress=progress, each=carry_as_task))
        except Exception as error:  # noqa: BLE001 - the boundary to Prefect; it is raised again on this side of it
            errors.append(error)
            raise as_code(error) from None

    try:
        watched(return_state=True)
    except Exception as error:  # noqa: BLE001 - Prefect's own trouble; the night's is in `errors`
        if not (reports or errors):
            raise PrefectUnreachableError(
                f"the Prefect API did not take the run ({type(error).__name__}): check PREFECT_API_URL, or unset it to run without"
            ) from None
    if errors:
        raise errors[0]
    return reports[0]


@flow(name="nightly", persist_result=False, log_prints=False)
def nightly(job: str, out: str | None = None, *, wait: bool = False, reprocess: bool = False) -> None:
    """The scheduled night. Its logical date is the day (UTC) it was scheduled for, so that a late start is still that day's run."""
    scheduled: datetime | None = runtime.flow_run.scheduled_start_time
    date = scheduled.astimezone(UTC).date().isoformat() if scheduled else None
    with codes_only():
        report = run_night(NightOptions(job=job, out=out, date=date, wait=wait, reprocess=reprocess, scheduled=True), each=carry_as_task)
    if report.refused:
        raise BatchFailedError("gate_refused")


@task(name="carry-batch", cache_policy=NO_CACHE, persist_result=False, task_run_name="batch-{batch.ordinal}")
def carry_batch(options: NightOptions, batch: Batch) -> None:
    """One coarse task a batch: paths and ids in, nothing out."""
    with codes_only():
        carry(opened(options), batch)


def carry_as_task(night: Night, batch: Batch) -> None:
    """Carry one batch as a Prefect task."""
    carry_batch(night.options, batch)
