"""Which run this is. A run is a job on a logical date; `--reprocess` after a finished one begins the next: `.r2`, and so on.

So does another template: under one run there is one, or nobody could say what a record was asked (see `flows/templates.py`).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

from flows.errors import JobError
from flows.job import Job
from flows.templates import kept_template
from policies.policy import Policy
from sinks.ledger.completions import Completed, completed_of
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import RunInfo, job_runs, unsettled_runs
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.shares import ask_by_share
from sinks.request import Prompt


def choose_run(ledger: Ledger, job: Job, *, logical_date: str, template_hash: str, reprocess: bool) -> str:
    """The run to begin or to go on with. An unfinished one of this template is gone on with: a killed `--reprocess` is not begun twice."""
    first = f"{job.name}-{logical_date}"
    runs = [run for run in job_runs(ledger, job.name) if run.logical_date == logical_date]
    if not runs:
        return first
    latest = max(runs, key=_ordinal)
    another = latest.template_hash != template_hash or (reprocess and latest.finished)
    return f"{first}.r{_ordinal(latest) + 1}" if another else latest.run_id


def template_of(ledger: Ledger, run_id: str, prompt: Prompt) -> Prompt:
    """The template that the run began with; `prompt` where it begins now. Raises JobError when it is lost."""
    begun = next((run.template_hash for run in job_runs(ledger) if run.run_id == run_id), None)
    return prompt if begun in {None, prompt.hash} else kept_template(ledger.path, str(begun))


def was_carried(ledger: Ledger, run_id: str) -> bool:
    """Whether the latest start of this run came to its end, with or without results still owed."""
    return any(run.run_id == run_id and run.ended_at is not None for run in job_runs(ledger))


def register_policy(ledger: Ledger, policy: Policy) -> None:
    """Register the policy's text, once per hash, so that an auditor can read the rule that decided."""
    with reading(ledger) as reader:
        known = reader.table("SELECT DISTINCT policy_hash FROM entries WHERE event = 'policy_registered'")["policy_hash"].to_pylist()
    if policy.hash not in known:
        entry = Entry(event=Event.POLICY_REGISTERED, at=datetime.now(UTC), policy_hash=policy.hash, policy_text=policy.source)
        ledger.commit([entry])


def begin_run(
    ledger: Ledger,
    job: str,
    run_id: str,
    *,
    policy: Policy,
    template_hash: str,
    detectors_hash: str,
    logical_date: str,
    cost_centre: str | None = None,
    routed_by: str | None = None,
) -> None:
    """State that the run of the job of this name begins or goes on, and under which template, policy and detectors.

    routed_by: the limit or the file that its strategy goes by, as `strategy_checks.routed_by` says it.
    """
    ledger.commit(
        [
            Entry(
                event=Event.RUN_STARTED,
                at=datetime.now(UTC),
                run_id=run_id,
                job=job,
                logical_date=logical_date,
                template_hash=template_hash,
                policy_hash=policy.hash,
                detectors_hash=detectors_hash,
                cost_centre=cost_centre,
                detail_code=routed_by,
            )
        ]
    )


def out_elsewhere(ledger: Ledger | Path, job: Job, *, run_id: str) -> Completed:
    """What other runs of the job have out at a cloud endpoint: theirs to collect, until it has ended or a person has resolved it.

    Of a record that several have out, the text that was read last, as of what is completed.
    """
    query = """
        SELECT s.record_id, s.run_id, s.decided_seq AS seq, coalesce(s.document_hmac, '') AS document_hmac
        FROM record_states s
        WHERE s.lane = 'cloud' AND s.state IN ('submitting', 'submitted', 'ambiguous')
        """
    templates = {run.run_id: run.template_hash or "" for run in job_runs(ledger, job.name) if run.run_id != run_id}
    others = [other for other in unsettled_runs(ledger) if other in templates]
    out = [ask_by_share(ledger, ("intents", "record_states"), query, run_id=other) for other in others]
    return completed_of(out, templates)


def logical_date(given: str | None) -> str:
    """The day that a run is for: ISO, UTC; today unless one is given."""
    if given is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        raise JobError(f"--date: expected YYYY-MM-DD, found {given!r}") from None


def _ordinal(run: RunInfo) -> int:
    found = re.search(r"\.r(\d+)$", run.run_id)
    return int(found[1]) if found else 1
