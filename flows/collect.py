"""Fetching what the cloud batches have finished since: every open run of a job, without reading a document again.

Only when a provider lost rows are their documents read again: those records go the whole way anew (`flows.nightly.run_night` on
the same logical date). Runs every quarter of an hour beside the nightly flow; no run waits a day for a batch.
"""

from __future__ import annotations

import flows.prefect_settings  # isort: skip  # noqa: F401 - before Prefect reads its environment
import logging
from dataclasses import replace
from datetime import UTC, datetime

from prefect import flow

from flows.boundary import codes_only
from flows.errors import BatchFailedError
from flows.fallback import waiting_run
from flows.job import load_job
from flows.night import NightOptions
from flows.nightly import run_night
from flows.progress import Progress
from flows.report import NightReport
from flows.superseding import left_behind
from sinks.errors import AlreadyRunningError
from sinks.ledger.files import head
from sinks.ledger.queries import job_runs, open_intents, reopened_runs
from sinks.reconcile import WATCH, runs_with_foreign_jobs

LOGGER = logging.getLogger("waybill")


def collect_job(options: NightOptions, *, progress: Progress | None = None) -> list[NightReport]:
    """Look at every run of the job with hand-overs out, records to send again, or left behind; one report each, oldest first.

    Empty when there is none, and before the first night, for the schedule does not wait for it; a person is told (`flows.cli.collect`).
    """
    job = load_job(options.path, out=options.out_path)
    if not head(job.ledger.path):
        return []
    waiting = {intent.run_id for intent in open_intents(job.ledger.path)} | {waiting_run(job.ledger.path, job.name)}
    waiting |= left_behind(job.ledger.path, job.name) | reopened_runs(job.ledger.path)
    waiting |= runs_with_foreign_jobs(job.ledger.path, datetime.now(UTC) - WATCH)
    return [
        run_night(replace(options, run_id=run.run_id, date=run.logical_date, collect_only=True), progress=progress)
        for run in job_runs(job.ledger.path, job.name)
        if run.run_id in waiting
    ]


@flow(name="collect", persist_result=False, log_prints=False)
def collect(job: str, out: str | None = None) -> None:
    """The scheduled collection. While a night of the job runs there is nothing to do: it collects by itself."""
    with codes_only():
        try:
            reports = collect_job(NightOptions(job=job, out=out, wait=False, scheduled=True))
        except AlreadyRunningError as error:
            LOGGER.info("%s", error)
            return
    if any(report.refused for report in reports):
        raise BatchFailedError("gate_refused")
