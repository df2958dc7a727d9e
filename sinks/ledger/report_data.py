"""What an audit report asks of the ledger: one reading of the segments as of one head, so that all its numbers are of the same moment.

The numbers are those of the views that auditors query; nothing is counted here in another way than `docs/auditors.md` counts it.
"""

from __future__ import annotations

import base64
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from sinks.errors import LedgerError
from sinks.ledger import files, report_rows
from sinks.ledger.reader import Reader, folder_of, reading
from sinks.ledger.report_rows import ReportData
from sinks.ledger.seal import Seal, SealError, unverified
from sinks.ledger.segments import Ledger

LISTED = 200
"""So many records, overrides, hand-overs and runs are listed one by one; the oldest held ones, and of the others the newest."""

_VIEWS = ("intents", "record_states", "runs", "held", "outcomes", "policies", "class_destination_daily")
_PERIOD = "($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)"

_EXTENT = """
SELECT count(*) FILTER ({period}) AS entries, min(seq) FILTER ({period}) AS first_seq, max(seq) FILTER ({period}) AS last_seq,
       min(day) FILTER ({period}) AS first_day, max(day) FILTER ({period}) AS last_day, max(seq) AS tree_size, max("at") AS last_at
FROM entries
"""

_TOTALS = """
SELECT count(DISTINCT record_id) FILTER (event = 'decided') AS decided,
       count(DISTINCT record_id) FILTER (event = 'submitting' AND coalesce(lane, 'cloud') <> 'local') AS cloud,
       count(DISTINCT record_id) FILTER (event = 'submitting' AND lane = 'local') AS inside,
       count(DISTINCT record_id) FILTER (event = 'held') AS held,
       count(DISTINCT record_id) FILTER (event = 'failed') AS failed
FROM entries WHERE {period}
"""

_FLOWS = """
SELECT data_class, partial, CASE WHEN lane IN ('local', 'held') THEN lane ELSE 'cloud' END AS lane, endpoint,
       sum(records)::BIGINT AS records, sum(bytes)::BIGINT AS payload_bytes
FROM class_destination_daily WHERE {period}
GROUP BY ALL ORDER BY lane, data_class, partial NULLS LAST, endpoint NULLS LAST
"""

_VOLUMES = """
SELECT day,
       count(DISTINCT record_id) FILTER (event = 'submitting' AND coalesce(lane, 'cloud') <> 'local') AS cloud,
       count(DISTINCT record_id) FILTER (event = 'submitting' AND lane = 'local') AS local,
       count(DISTINCT record_id) FILTER (event = 'held') AS held
FROM entries WHERE event IN ('submitting', 'held') AND {period}
GROUP BY day ORDER BY day
"""

_EGRESS = """
SELECT endpoint, count(DISTINCT record_id) AS records, count(*) AS hand_overs, count(DISTINCT intent_id) AS shards,
       coalesce(sum(payload_bytes), 0)::BIGINT AS payload_bytes, min(day) AS first_day, max(day) AS last_day
FROM entries WHERE event = 'submitting' AND coalesce(lane, 'cloud') <> 'local' AND {period}
GROUP BY endpoint ORDER BY records DESC, endpoint NULLS LAST
"""

_HELD = """
SELECT reason, count(DISTINCT record_id) FILTER ({period}) AS held,
       count(DISTINCT record_id) FILTER ({period} AND still_held) AS still_held,
       count(DISTINCT record_id) FILTER (day < $since AND still_held) AS earlier,
       min("at") FILTER (still_held) AS oldest
FROM held WHERE $until IS NULL OR day < $until
GROUP BY reason HAVING count(*) FILTER ({period}) > 0 OR count(*) FILTER (still_held) > 0
ORDER BY held DESC, reason NULLS LAST
"""

_HELD_RECORDS = """
SELECT record_id, reason, data_classes, partial, "at" AS since, run_id
FROM held WHERE still_held AND ($until IS NULL OR day < $until)
ORDER BY "at", record_id, seq LIMIT $listed
"""

_OVERRIDES = """
SELECT "at" AS moment, record_id, actor, reason, before, after, expiry
FROM entries WHERE event = 'overridden' AND {period} ORDER BY seq DESC LIMIT $listed
"""

_AMBIGUOUS = """
SELECT e.intent_id, coalesce(e.endpoint, i.endpoint) AS endpoint, e.moment, coalesce(i.records, 0) AS records, e.code,
       coalesce(i.state, 'ambiguous') AS state
FROM (SELECT coalesce(intent_id, '') AS intent_id, any_value(endpoint) AS endpoint, min("at") AS moment, min(seq) AS seq,
             arg_min(detail_code, seq) AS code
      FROM entries WHERE event = 'ambiguous' AND {period} GROUP BY ALL) e
LEFT JOIN intents i ON i.intent_id = e.intent_id
ORDER BY e.seq DESC LIMIT $listed
"""

_COSTS = """
SELECT day, lane, endpoint, count(*) AS records, coalesce(sum(tokens_in), 0)::BIGINT AS tokens_in,
       coalesce(sum(tokens_out), 0)::BIGINT AS tokens_out, coalesce(sum(cost_usd), 0)::DECIMAL(38, 9) AS cost_usd,
       count(*) FILTER (cost_usd IS NULL AND intent_id IS NOT NULL AND coalesce(lane, 'cloud') <> 'local') AS unpriced
FROM (SELECT DISTINCT ON (entry_id) * FROM outcomes ORDER BY entry_id, seq) WHERE {period}
GROUP BY day, lane, endpoint ORDER BY day, endpoint NULLS LAST, lane NULLS LAST
"""

_ENGINES = """
SELECT o.endpoint, o.model, o.revision, o.weights_digest, o.lora_digest, s.isolation, count(DISTINCT o.record_id) AS records,
       min(o.day) AS first_day, max(o.day) AS last_day
FROM (FROM entries WHERE event = 'completed' AND lane = 'local' AND {period}) o
LEFT JOIN (SELECT intent_id, any_value(detail_code) AS isolation FROM entries
           WHERE event = 'submitted' AND starts_with(detail_code, 'isolation_') GROUP BY intent_id) s ON s.intent_id = o.intent_id
GROUP BY ALL ORDER BY ALL
"""

_SECOND_LOOKS = """
SELECT endpoint, model, weights_digest, data_class, count(DISTINCT record_id) AS records
FROM (SELECT *, unnest(CASE WHEN len(data_classes) > 0 THEN data_classes ELSE [NULL] END) AS data_class
      FROM entries WHERE event = 'judged' AND {period})
GROUP BY ALL ORDER BY ALL
"""

_ROUTES = """
SELECT strategy, CASE lane WHEN 'local' THEN 'local' ELSE 'cloud' END AS lane, endpoint, reason, count(DISTINCT record_id) AS records,
       avg(score) AS score
FROM entries WHERE event = 'assigned' AND {period}
GROUP BY ALL ORDER BY records DESC, strategy NULLS LAST, lane, endpoint NULLS LAST, reason NULLS LAST
"""

_FUNNEL = """
SELECT count(DISTINCT record_id) FILTER (event = 'assigned') AS assigned,
       count(DISTINCT record_id) FILTER (event IN ('completed', 'failed') AND lane = 'local' OR escalated) AS answered,
       count(DISTINCT record_id) FILTER (escalated OR doubtful) AS doubtful,
       count(DISTINCT record_id) FILTER (doubtful) AS kept,
       count(DISTINCT record_id) FILTER (event = 'assigned' AND reason = 'escalated') AS escalated,
       count(DISTINCT record_id) FILTER (event = 'completed' AND coalesce(lane, 'cloud') <> 'local' AND record_id IN (
           SELECT record_id FROM entries WHERE event = 'assigned' AND reason = 'escalated' AND {period})) AS settled
FROM (SELECT *, event = 'released' AND reason = 'escalated' AS escalated,
             event = 'completed' AND detail_code IS NOT DISTINCT FROM 'low_confidence' AS doubtful
      FROM entries
      WHERE record_id IN (SELECT record_id FROM entries WHERE event = 'assigned' AND strategy = 'waterfall' AND {period}) AND {period})
"""

_FINDINGS = """
SELECT event, reason, before, after, count(DISTINCT record_id) AS records, min(day) AS first_day, max(day) AS last_day
FROM entries WHERE event IN ('reviewed', 'lookback', 'rescanned') AND {period}
GROUP BY ALL ORDER BY ALL
"""

_POLICIES = r"""
SELECT d.policy_hash AS digest, nullif(regexp_extract(p.policy_text, '(?m)^version:[ \t]*(\S[^\n#]*)', 1), '') AS name,
       p.registered_at AS registered, count(*) AS decisions, min(d."at") AS first_used, max(d."at") AS last_used
FROM (FROM entries WHERE event = 'decided' AND {period}) d LEFT JOIN policies p ON p.policy_hash = d.policy_hash
GROUP BY ALL ORDER BY first_used, digest
"""

_DETECTORS = """
SELECT detectors_hash AS digest, NULL::VARCHAR AS name, NULL::TIMESTAMPTZ AS registered, count(*) AS decisions,
       min("at") AS first_used, max("at") AS last_used
FROM entries WHERE event = 'decided' AND {period} GROUP BY detectors_hash ORDER BY first_used, digest
"""

_EVENTS = """
SELECT event, count(*) AS entries, min(day) AS first_day, max(day) AS last_day
FROM entries WHERE {period} GROUP BY event ORDER BY event
"""

_RUNS = """
SELECT run_id, started_at AS started, ended_at AS ended, ended_as, finished, starts
FROM (SELECT *, started_at::DATE AS day FROM runs) WHERE started_at IS NOT NULL AND {period}
ORDER BY seq DESC LIMIT $listed
"""

_COUNTS = """
SELECT count(*) FILTER (event = 'overridden') AS overrides,
       count(DISTINCT intent_id) FILTER (event = 'ambiguous') AS ambiguous,
       count(DISTINCT run_id) FILTER (event = 'run_started') AS runs
FROM entries WHERE {period}
"""

_Row = TypeVar("_Row")


class _Questions:
    """One reader, and the period that every question is about."""

    def __init__(self, reader: Reader, since: date | None, until: date | None) -> None:
        self._reader = reader
        self._filled = {"since": since, "until": until, "listed": LISTED}

    def ask(self, kind: type[_Row], query: str) -> tuple[_Row, ...]:
        return tuple(kind(**{name: _plain(value) for name, value in row.items()}) for row in self.rows(query))

    def rows(self, query: str) -> list[dict[str, Any]]:
        text = query.replace("{period}", _PERIOD)
        rows: list[dict[str, Any]] = self._reader.table(
            text, **{name: value for name, value in self._filled.items() if f"${name}" in text}
        ).to_pylist()
        return rows


def report_data(ledger: Ledger | Path, *, since: date | None = None, until: date | None = None) -> ReportData:
    """Read what a report says of the days from `since` up to, not including, `until`. Raises LedgerError when there is no ledger."""
    with reading(ledger, _VIEWS) as reader:
        questions = _Questions(reader, since, until)
        counts = questions.rows(_COUNTS)[0]
        return ReportData(
            extent=questions.ask(report_rows.Extent, _EXTENT)[0],
            checkpoint=_checkpoint(folder_of(ledger), reader.head),
            totals=questions.ask(report_rows.Totals, _TOTALS)[0],
            flows=questions.ask(report_rows.Flow, _FLOWS),
            volumes=questions.ask(report_rows.Volume, _VOLUMES),
            egress=questions.ask(report_rows.Egress, _EGRESS),
            held=questions.ask(report_rows.HeldReason, _HELD),
            held_records=questions.ask(report_rows.HeldRecord, _HELD_RECORDS),
            overrides=questions.ask(report_rows.Override, _OVERRIDES),
            overrides_total=counts["overrides"],
            ambiguous=questions.ask(report_rows.Ambiguous, _AMBIGUOUS),
            ambiguous_total=counts["ambiguous"],
            costs=questions.ask(report_rows.Cost, _COSTS),
            engines=questions.ask(report_rows.Engine, _ENGINES),
            second_looks=questions.ask(report_rows.SecondLook, _SECOND_LOOKS),
            routes=questions.ask(report_rows.Route, _ROUTES),
            funnel=questions.ask(report_rows.Funnel, _FUNNEL)[0],
            findings=questions.ask(report_rows.Finding, _FINDINGS),
            policies=questions.ask(report_rows.Version, _POLICIES),
            detectors=questions.ask(report_rows.Version, _DETECTORS),
            events=questions.ask(report_rows.EventCount, _EVENTS),
            runs=questions.ask(report_rows.Run, _RUNS),
            runs_total=counts["runs"],
        )


def _checkpoint(folder: Path, head: int) -> report_rows.Checkpoint:
    """The checkpoint in the footer of the newest segment that was read."""
    path = files.numbered_path(folder / files.SEGMENTS, head)
    try:
        seal = Seal.parse(files.footer(path))
        checkpoint = unverified(seal.checkpoint)
    except SealError as error:
        raise LedgerError(f"{path}: {error}; run `waybill audit verify`, restore the ledger from a copy") from None
    return report_rows.Checkpoint(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=base64.b64encode(checkpoint.root).decode(),
        segment=checkpoint.segment,
        key_hash=seal.verifier_key.hash.hex(),
        note=seal.checkpoint,
    )


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
