"""Answers that a provider counts and does not show: it says that a job has ended and how much of it, and names no file, or an empty one.

It writes answers first and names their file afterwards, and stores lag, so they are waited for: `results_after_s` of the endpoint, from
the moment at which the job was first seen so, by the ledger, across kills and starts. After that they count as missing, and what may
still lie at the provider is not deleted: nobody has fetched it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from policies.model import EMULATOR, Endpoint
from policies.model import Lane as LaneName
from sinks.answers import Answers
from sinks.errors import EndpointError
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lookup import quarantined_since
from sinks.ledger.queries import OpenIntent
from sinks.ledger.segments import Ledger
from sinks.shard import JobStatus

RESULTS_NOT_SHOWN = "results_not_shown"
RESULTS_AFTER_S = 1800.0
MOST_S = 7 * 24 * 3600


def counts_more(endpoint: Endpoint, status: JobStatus, answers: Answers) -> bool:
    """Whether a provider counts answers and shows not one, and no more refusals than it counts besides."""
    counted = status.completed or 0
    return endpoint.lane is LaneName.CLOUD and counted > 0 and not answers.texts and answers.lines < counted + (status.failed or 0)


def may_still_come(ledger: Ledger, intent: OpenIntent, endpoint: Endpoint, now: datetime, actor: str) -> bool:
    """Whether answers that are counted and not shown are waited for; the first look enters when that was."""
    first = quarantined_since(ledger, intent.run_id, intent.intent_id, RESULTS_NOT_SHOWN)
    if first is None:
        first = now
        ledger.commit(
            [
                Entry(
                    event=Event.QUARANTINED,
                    at=now,
                    run_id=intent.run_id,
                    actor=actor,
                    lane=endpoint.lane.value,
                    endpoint=intent.endpoint,
                    attempt=intent.attempt,
                    intent_id=intent.intent_id,
                    provider_job_id=intent.provider_job_id,
                    detail_code=RESULTS_NOT_SHOWN,
                )
            ]
        )
    return now - first < results_after(endpoint)


def results_after(endpoint: Endpoint) -> timedelta:
    """How long answers that a provider counts may stay out of sight. Raises EndpointError for a setting that is no time."""
    default = 0.0 if endpoint.provider == EMULATOR else RESULTS_AFTER_S
    chosen = endpoint.settings.get("results_after_s", default)
    if not isinstance(chosen, int | float) or isinstance(chosen, bool) or not 0 <= chosen <= MOST_S:
        msg = f"endpoint {endpoint.name}: settings.results_after_s: expected seconds, 0 to {MOST_S}, found {chosen!r}"
        raise EndpointError(f"{msg}; correct the endpoint registry")
    return timedelta(seconds=float(chosen))
