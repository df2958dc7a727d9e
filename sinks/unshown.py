"""Answers that a provider owes and does not show: it says that a job is done, or how much of it is, and names no file, or an empty one.

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
from sinks.lanes.reported import TORN_LINE
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lookup import quarantined_since
from sinks.ledger.queries import OpenIntent
from sinks.ledger.segments import Ledger
from sinks.shard import JobStatus

RESULTS_NOT_SHOWN = "results_not_shown"
RESULTS_AFTER_S = 1800.0
MOST_S = 7 * 24 * 3600


_DONE = frozenset({"completed", "ended", "partiallycompleted"})
"""States that say by themselves that there are answers, in small letters."""


def counts_more(endpoint: Endpoint, status: JobStatus, answers: Answers) -> bool:
    """Whether a provider counts answers and shows not one, and no more refusals than it counts besides.

    One that keeps no counts owes an answer of some kind for a job that it calls done.
    """
    if endpoint.lane is not LaneName.CLOUD or answers.texts:
        return False
    shown = answers.lines - answers.strays.get(TORN_LINE, 0)
    if not status.total:
        return status.state.lower().replace("_", "") in _DONE and not shown and not answers.never_run
    counted = status.completed or 0
    return counted > 0 and shown < counted + (status.failed or 0)


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
