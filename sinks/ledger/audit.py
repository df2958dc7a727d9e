"""The answers behind `waybill audit`: Arrow tables, read from the segments, never content.

Each has the columns of the view of its name (`summary`: class_destination_daily, `document`: entries), which `comments.sql` describes.
Days are UTC; `since` is included, `until` is not. A class filter keeps a record that carries the class among others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from sinks.ledger.reader import folder_of, reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import find

SHORTEST = 6
"""So much of a record id may stand for it."""

_STATES = ("intents", "record_states")
_MOVES = (*_STATES, "hand_overs")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What part of the ledger a question is about; None does not restrict."""

    since: date | None = None
    until: date | None = None
    data_class: str | None = None
    endpoint: str | None = None


EVERYTHING = AuditFilter()


def summary(ledger: Ledger | Path, wanted: AuditFilter = EVERYTHING) -> pa.Table:
    """Class by destination by day: day, data_class, partial, lane, endpoint, records, bytes."""
    return _chosen(
        ledger,
        ("class_destination_daily",),
        """
        SELECT * FROM class_destination_daily
        WHERE ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
          AND ($data_class IS NULL OR data_class = $data_class) AND ($endpoint IS NULL OR endpoint = $endpoint)
        ORDER BY day, data_class, lane, endpoint
        """,
        wanted,
    )


def egress(ledger: Ledger | Path, wanted: AuditFilter = EVERYTHING) -> pa.Table:
    """Every record handed to a cloud endpoint, with its decision, assignment and clearance."""
    return _chosen(
        ledger,
        (*_MOVES, "egress"),
        """
        SELECT * FROM egress
        WHERE ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
          AND ($data_class IS NULL OR list_contains(data_classes, $data_class)) AND ($endpoint IS NULL OR endpoint = $endpoint)
        ORDER BY seq
        """,
        wanted,
    )


def held(ledger: Ledger | Path, wanted: AuditFilter = EVERYTHING) -> pa.Table:
    """Every time a record was held, why, and whether it still is."""
    return _chosen(
        ledger,
        (*_STATES, "runs", "held"),
        """
        SELECT * FROM held
        WHERE ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
          AND ($data_class IS NULL OR list_contains(data_classes, $data_class)) AND ($endpoint IS NULL OR endpoint = $endpoint)
        ORDER BY seq
        """,
        wanted,
    )


def doubtful(ledger: Ledger | Path, wanted: AuditFilter = EVERYTHING) -> pa.Table:
    """Answers from inside that were kept with too little confidence: whose, where they are, and what reviewers said of them.

    Columns: day, run_id, record_id, data_classes, partial, endpoint, model, confidence (0..1; null: none reported), result_file and
    result_row, verdict (right, wrong, unsure; null: nobody has looked at it yet). The least confident first.
    """
    return _chosen(
        ledger,
        ("decisions",),
        """
        SELECT o.day, o.run_id, o.record_id, d.it.data_classes AS data_classes, d.it.partial AS partial, o.endpoint, o.model,
               exp(o.confidence) AS confidence, o.result_file, o.result_row, r.verdict
        FROM (FROM entries WHERE event = 'completed' AND detail_code = 'low_confidence') o
        LEFT JOIN (SELECT run_id, record_id, arg_max({data_classes: data_classes, partial: partial}, seq) AS it
                   FROM decisions GROUP BY run_id, record_id) d
               ON d.run_id = o.run_id AND d.record_id = o.record_id
        LEFT JOIN (SELECT run_id, record_id, arg_max(after, seq) AS verdict FROM entries
                   WHERE event = 'reviewed' AND reason IN ('answer_right', 'answer_wrong') GROUP BY run_id, record_id) r
               ON r.run_id = o.run_id AND r.record_id = o.record_id
        WHERE ($since IS NULL OR o.day >= $since) AND ($until IS NULL OR o.day < $until) AND ($endpoint IS NULL OR o.endpoint = $endpoint)
          AND ($data_class IS NULL OR list_contains(d.it.data_classes, $data_class))
        ORDER BY o.confidence NULLS FIRST, o.record_id, o.run_id
        """,
        wanted,
    )


def costs(ledger: Ledger | Path, wanted: AuditFilter = EVERYTHING) -> pa.Table:
    """Tokens and US dollars, settled and reserved, by day, run, endpoint and model; of the records of a class, if one is named."""
    return _chosen(
        ledger,
        ("decisions", "outcomes"),
        """
        SELECT o.day, o.run_id, o.lane, o.endpoint, o.model, count(*) AS records, sum(o.tokens_in)::BIGINT AS tokens_in,
               sum(o.tokens_out)::BIGINT AS tokens_out, sum(o.cost_usd) AS cost_usd, sum(s.reserved_usd) AS reserved_usd,
               count(*) FILTER (o.cost_usd IS NULL AND s.reserved_usd IS NOT NULL) AS unpriced
        FROM (SELECT DISTINCT ON (entry_id) * FROM outcomes ORDER BY entry_id, seq) o
        LEFT JOIN (SELECT intent_id, record_id, max(cost_usd) AS reserved_usd FROM entries WHERE event = 'submitting' GROUP BY ALL) s
               ON s.intent_id = o.intent_id AND s.record_id = o.record_id
        WHERE ($since IS NULL OR o.day >= $since) AND ($until IS NULL OR o.day < $until) AND ($endpoint IS NULL OR o.endpoint = $endpoint)
          AND ($data_class IS NULL OR EXISTS (
                SELECT 1 FROM decisions d
                WHERE d.run_id = o.run_id AND d.record_id = o.record_id AND list_contains(d.data_classes, $data_class)))
        GROUP BY ALL ORDER BY o.day, o.run_id, o.lane, o.endpoint, o.model
        """,
        wanted,
    )


def document(ledger: Ledger | Path, record_id: str, wanted: AuditFilter = EVERYTHING) -> pa.Table:
    """Everything the ledger says about one record, in order, with what happened to its hand-overs.

    A class or an endpoint keeps the entries that state it.
    """
    return _chosen(
        ledger,
        ("document_history",),
        """
        SELECT * FROM document_history($record_id)
        WHERE ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
          AND ($data_class IS NULL OR list_contains(data_classes, $data_class)) AND ($endpoint IS NULL OR endpoint = $endpoint)
        ORDER BY seq
        """,
        wanted,
        record_id=record_id,
    )


def records_named(ledger: Ledger | Path, name: str) -> list[str]:
    """The records that a person may mean: by source name, by id, or by the beginning of an id (at least SHORTEST of it)."""
    by_source = find(folder_of(ledger), name)
    if by_source:
        return by_source
    with reading(ledger) as reader:
        found = reader.table(
            """
            SELECT DISTINCT record_id FROM entries
            WHERE record_id = $name OR (length($name) >= $shortest AND starts_with(record_id, $name)) ORDER BY record_id
            """,
            name=name,
            shortest=SHORTEST,
        )
    return [str(record_id) for record_id in found["record_id"].to_pylist()]


def _chosen(ledger: Ledger | Path, views: Sequence[str], query: str, wanted: AuditFilter, **more: str) -> pa.Table:
    with reading(ledger, views) as reader:
        return reader.table(query, since=wanted.since, until=wanted.until, data_class=wanted.data_class, endpoint=wanted.endpoint, **more)
