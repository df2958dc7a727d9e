"""Which result of a document counts now, and the rows that stand for documents without one: held and failed.

Invariant 6: exactly one current result per document and run, or one explicit held or failed row.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.shares import ask_by_share

_VIEWS = ("intents", "record_states", "runs")


def current_results(ledger: Ledger | Path, *, run_id: str | None = None, job: str | None = None) -> pa.Table:
    """One row per document: its latest settled state in this run, or in any run of this job, and where its result row is.

    Columns: record_id, run_id, status (completed, held, failed, or purged: retention deleted its row), result_file, result_row,
    result_digest, in order of record id. The latest is the one whose text was read last: what an older run collects after a newer one has
    ended does not stand for a document that has changed. One that is still pending in its latest run shows what an earlier run gave.
    """
    with reading(ledger, _VIEWS, run_id=run_id) as reader:
        return reader.table(
            """
            WITH settled AS (
                SELECT s.* FROM record_states s LEFT JOIN runs r ON r.run_id = s.run_id
                WHERE s.state IN ('completed', 'failed', 'held', 'ambiguous') AND ($job IS NULL OR r.job = $job)
                QUALIFY row_number() OVER (PARTITION BY s.record_id ORDER BY s.decided_seq DESC) = 1
            ), gone AS (
                SELECT DISTINCT run_id, record_id, result_file FROM entries WHERE event = 'purged' AND result_file IS NOT NULL
            )
            SELECT s.record_id, s.run_id,
                   CASE WHEN g.result_file IS NOT NULL THEN 'purged' WHEN s.state = 'ambiguous' THEN 'held' ELSE s.state END AS status,
                   CASE WHEN g.result_file IS NULL THEN e.result_file END AS result_file,
                   CASE WHEN g.result_file IS NULL THEN e.result_row END AS result_row, e.result_digest
            FROM settled s LEFT JOIN entries e ON e.seq = s.seq AND s.state = 'completed'
            LEFT JOIN gone g ON g.run_id = s.run_id
                 AND CASE WHEN s.state = 'completed' THEN g.record_id = s.record_id AND g.result_file = e.result_file
                          ELSE g.record_id IS NULL AND contains(g.result_file, CASE s.state WHEN 'failed' THEN '/failed/' ELSE '/held/' END)
                     END
            ORDER BY s.record_id
            """,
            job=job,
        )


def explicit_rows(ledger: Ledger | Path, run_id: str) -> pa.Table:
    """The documents of a run that have no result: one row each, ordered by record id.

    Columns: record_id, status (held or failed), error_code (the reason code), data_classes, lane, endpoint, template_hash, model, revision,
    tokens_in, tokens_out, cost_usd, finish_reason.
    """
    return ask_by_share(
        ledger,
        _VIEWS,
        """
            SELECT s.record_id, CASE s.state WHEN 'failed' THEN 'failed' ELSE 'held' END AS status,
                   coalesce(s.error_code, s.reason, CASE s.state WHEN 'ambiguous' THEN 'ambiguous_hand_over' END, 'unknown') AS error_code,
                   s.data_classes, s.lane, s.endpoint, r.template_hash,
                   e.model, e.revision, e.tokens_in, e.tokens_out, e.cost_usd, e.finish_reason
            FROM record_states s LEFT JOIN runs r ON r.run_id = s.run_id
            LEFT JOIN entries e ON e.seq = s.seq AND e.event = s.state
            WHERE s.state IN ('failed', 'held', 'ambiguous')
            """,
        run_id=run_id,
    ).sort_by("record_id")
