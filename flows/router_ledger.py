"""What the ledger knows of local answers, as outcomes to train a router from.

A request that a local endpoint was given counts as

    wrong   where its answer was escalated (`released` for `escalated`), was kept with too little confidence (`completed` with
            `low_confidence`), or did not keep to the schema (`failed` with `invalid_json` or `schema_violation`); or where a reviewer
            found it wrong
    right   where it was `completed` and none of these holds; or where every reviewer found it right, whatever else holds

Nobody knows what the strong model would have said, so it is taken to be right: measures are of failures caught. Features are what is known
before a request is assigned, and no text: the bytes of its payload and what the scan counted. Tokens are known only afterwards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flows.router_outcomes import MIN_SUBJECTS, Outcomes
from policies.strategies.complexity import VALUES, Features
from sinks.answers import SCHEMA_FAILURES
from sinks.ledger.reader import reading

FEATURES = ("payload_bytes", "findings", "finding_kinds")

_LABELS = """
    SELECT run_id, record_id,
           arg_max(payload_bytes, seq) FILTER (event = 'submitting' AND lane = 'local') AS payload_bytes,
           arg_max({found: evidence}, seq) FILTER (event = 'decided') AS decided,
           coalesce(bool_or(event = 'released' AND reason = 'escalated'
                            OR event = 'completed' AND lane = 'local' AND detail_code IS NOT DISTINCT FROM 'low_confidence'
                            OR event = 'failed' AND lane = 'local' AND list_contains($schema_failures, error_code)), false) AS doubted,
           coalesce(bool_or(event = 'completed' AND lane = 'local'), false) AS completed,
           bool_and(reason = 'answer_right') FILTER (event = 'reviewed' AND reason IN ('answer_right', 'answer_wrong')) AS found_right
    FROM entries
    WHERE run_id IS NOT NULL AND record_id IS NOT NULL
      AND event IN ('submitting', 'decided', 'released', 'completed', 'failed', 'reviewed')
    GROUP BY run_id, record_id
"""
# Topics, markers and the like stand among the evidence as `topic:health`; only identifiers have no colon.
_COUNTED = f"""
    SELECT l.run_id, r.job, coalesce(l.found_right, NOT l.doubted) AS weak, l.payload_bytes,
           coalesce(list_sum(list_transform(l.found, lambda one: one.count)), 0)::BIGINT AS findings,
           coalesce(len(list_distinct(list_transform(l.found, lambda one: one.entity))), 0)::BIGINT AS finding_kinds
    FROM (SELECT *, list_filter(decided.found, lambda one: NOT contains(one.entity, ':')) AS found FROM ({_LABELS})) l
    LEFT JOIN (SELECT run_id, any_value(job) AS job FROM entries WHERE event = 'run_started' GROUP BY run_id) r
      ON r.run_id = l.run_id
    WHERE l.payload_bytes IS NOT NULL AND (l.doubted OR l.completed OR l.found_right IS NOT NULL)
    ORDER BY l.run_id, l.record_id
"""  # noqa: S608 - our own query


def ledger_outcomes(ledger: Path) -> tuple[Outcomes, str]:
    """The table, and what its subjects are: jobs where there are enough of them, else nights."""
    with reading(ledger) as reader:
        rows = reader.table(_COUNTED, schema_failures=sorted(SCHEMA_FAILURES)).to_pydict()
    jobs = [job or "" for job in rows["job"]]
    by_job = len(set(jobs)) >= MIN_SUBJECTS
    numbers: dict[str, int] = {}
    subjects = [numbers.setdefault(one, len(numbers)) for one in (jobs if by_job else rows["run_id"])]
    values = [
        [VALUES[name](one) for name in FEATURES]
        for one in (
            Features(payload_bytes=size, findings=found, finding_kinds=kinds)
            for size, found, kinds in zip(rows["payload_bytes"], rows["findings"], rows["finding_kinds"], strict=True)
        )
    ]
    weak = np.array(rows["weak"], dtype=np.bool_)
    outcomes = Outcomes(
        names=FEATURES,
        values=np.array(values, dtype=np.float64).reshape(len(values), len(FEATURES)),
        weak=weak,
        strong=np.ones(len(weak), dtype=np.bool_),
        subjects=np.array(subjects, dtype=np.intp),
        source="ledger",
        length="payload_bytes",
    )
    return outcomes, "jobs" if by_job else "nights"
