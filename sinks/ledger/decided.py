"""What was decided on past nights, and what became of it: read by shares of the families, because a family is decided together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from sinks.ledger.reader import reading

RECORDS_A_SHARE = 20_000

_DECIDED = """
    WITH decided AS (
        SELECT run_id, record_id,
               arg_max({day: day, data_classes: data_classes, partial: partial, evidence: evidence, rule: rule, lanes: lanes,
                        cloud_requires: cloud_requires, policy_hash: policy_hash, detectors_hash: detectors_hash, family: family}, seq) AS d
        FROM decisions
        WHERE rule IS DISTINCT FROM 'second_look' AND hash(coalesce(family, record_id)) % $shares = $share
        GROUP BY run_id, record_id
    ), chosen AS (
        SELECT * FROM decided WHERE ($since IS NULL OR d.day >= $since) AND ($until IS NULL OR d.day < $until)
    ), assigned AS (
        SELECT run_id, record_id, arg_max({lane: lane, endpoint: endpoint, strategy: strategy, reason: reason}, seq) AS a
        FROM assignments s SEMI JOIN chosen c ON c.run_id = s.run_id AND c.record_id = s.record_id GROUP BY run_id, record_id
    ), done AS (
        SELECT run_id, record_id, arg_max({endpoint: endpoint, tokens_in: tokens_in, tokens_out: tokens_out, cost: cost_usd}, seq) AS o
        FROM outcomes s SEMI JOIN chosen c ON c.run_id = s.run_id AND c.record_id = s.record_id
        WHERE outcome = 'completed' GROUP BY run_id, record_id
    )
    SELECT coalesce(r.job, c.run_id) AS job, c.run_id, c.record_id, unnest(c.d), a.a.lane AS lane, a.a.endpoint AS endpoint,
           a.a.strategy AS strategy, a.a.reason AS reason,
           o.o.endpoint AS done_at, o.o.tokens_in AS tokens_in, o.o.tokens_out AS tokens_out, o.o.cost AS cost_usd
    FROM chosen c
    LEFT JOIN assigned a ON a.run_id = c.run_id AND a.record_id = c.record_id
    LEFT JOIN done o ON o.run_id = c.run_id AND o.record_id = c.record_id
    LEFT JOIN runs r ON r.run_id = c.run_id
    ORDER BY c.run_id, c.record_id
"""


def decided(ledger: Path, *, since: date | None, until: date | None) -> Iterator[pa.Table]:
    """The last decision of each run about each record in the range, members of a family in the same table.

    Columns: job, run_id, record_id, day, data_classes, partial, evidence, rule, lanes, cloud_requires, policy_hash, detectors_hash, family,
    lane, endpoint, strategy and reason as assigned, and of its result done_at (endpoint), tokens_in, tokens_out, cost_usd.
    """
    with reading(ledger, ("decisions",)) as reader:
        records = reader.table("SELECT count(*) AS n FROM decisions")["n"][0].as_py()
    shares = max(1, math.ceil(records / RECORDS_A_SHARE))
    for share in range(shares):
        with reading(ledger, ("decisions", "assignments", "outcomes", "runs")) as reader:
            answer = reader.table(_DECIDED, share=share, shares=shares, since=since, until=until)
        yield answer


def destinations(ledger: Path) -> list[dict[str, Any]]:
    """How each job chose: job, strategy, lane, endpoint, reason, each combination once."""
    with reading(ledger, ("assignments", "runs")) as reader:
        rows = reader.table(
            """
            SELECT DISTINCT coalesce(r.job, a.run_id) AS job, a.strategy, a.lane, a.endpoint, a.reason
            FROM assignments a LEFT JOIN runs r ON r.run_id = a.run_id ORDER BY ALL
            """
        )
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def prices(ledger: Path) -> dict[str, float]:
    """US dollars a token, by endpoint, as far as costs are in the ledger: what was paid, by the tokens it was paid for."""
    with reading(ledger, ("outcomes",)) as reader:
        rows = reader.table(
            """
            SELECT endpoint, sum(cost_usd)::DOUBLE AS cost, sum(coalesce(tokens_in, 0) + coalesce(tokens_out, 0))::DOUBLE AS tokens
            FROM outcomes WHERE cost_usd IS NOT NULL AND endpoint IS NOT NULL AND tokens_in + tokens_out > 0 GROUP BY endpoint
            """
        ).to_pylist()
    return {row["endpoint"]: row["cost"] / row["tokens"] for row in rows}


def registered_policies(ledger: Path) -> dict[str, str]:
    """The text of every policy that ever decided, by hash."""
    with reading(ledger, ("policies",)) as reader:
        rows = reader.table("SELECT policy_hash, policy_text FROM policies ORDER BY policy_hash").to_pylist()
    return {row["policy_hash"]: row["policy_text"] or "" for row in rows}
