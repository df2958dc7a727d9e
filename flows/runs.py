"""Which run this is. A run is a job on a logical date; `--reprocess` after a finished one begins the next: `.r2`, and so on.

So does another template: under one run there is one, or nobody could say what a record was asked (see `flows/templates.py`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from flows.job import Job
from flows.templates import kept_template
from policies.policy import Policy
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import Completed, RunInfo, job_runs
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
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


def begin_run(ledger: Ledger, job: Job, run_id: str, *, policy: Policy, template_hash: str, detectors_hash: str, logical_date: str) -> None:
    """State that the run begins or goes on, and under which template, policy and detectors.

    The policy's text is registered once per hash, so that an auditor can read the rule that decided.
    """
    known = {run.policy_hash for run in job_runs(ledger)}
    now = datetime.now(UTC)
    entries = [
        Entry(
            event=Event.RUN_STARTED,
            at=now,
            run_id=run_id,
            job=job.name,
            logical_date=logical_date,
            template_hash=template_hash,
            policy_hash=policy.hash,
            detectors_hash=detectors_hash,
        )
    ]
    if policy.hash not in known:
        entries.insert(0, Entry(event=Event.POLICY_REGISTERED, at=now, policy_hash=policy.hash, policy_text=policy.source))
    ledger.commit(entries)


def out_elsewhere(ledger: Ledger, job: Job, *, run_id: str, now: datetime) -> Completed:
    """What other runs of the job have out at a cloud endpoint: paid for, and theirs to collect. Past the deadline it does not count."""
    with reading(ledger, ("intents", "record_states", "runs")) as reader:
        return Completed(
            reader.table(
                """
                SELECT s.record_id, arg_max(coalesce(s.document_hmac, ''), s.seq) AS document_hmac,
                       arg_max(coalesce(r.template_hash, ''), s.seq) AS template_hash
                FROM record_states s JOIN runs r ON r.run_id = s.run_id JOIN intents i ON i.intent_id = s.intent_id
                WHERE r.job = $job AND s.run_id <> $run_id AND s.lane = 'cloud' AND i."at" > $since
                      AND s.state IN ('submitting', 'submitted', 'ambiguous')
                GROUP BY s.record_id
                """,
                job=job.name,
                run_id=run_id,
                since=now - timedelta(hours=job.deadline_h),
            )
        )


def _ordinal(run: RunInfo) -> int:
    found = re.search(r"\.r(\d+)$", run.run_id)
    return int(found[1]) if found else 1
