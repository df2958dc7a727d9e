"""Where the money went, as few lines: outcomes summed over all that a report may ask about, a few nights, or a share of one, at a time.

- An outcome counts as in the view `costs`: once, however often it was stated, and also where it failed, was repaired or was escalated.
- `settled_usd` sums to what that view says, to the last unit. What has no cost there is counted as unpriced, and never guessed.
- A record's classes and lanes are those of the decision in force at its hand-over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.shares import answers_by_run

NO_CLASS = "(none)"
SUMMED = ("records", "failed", "tokens_in", "tokens_out", "uncounted", "settled_usd", "unpriced")

_OUTCOMES = """
WITH spoken AS (
    SELECT DISTINCT ON (entry_id) seq, day, run_id, record_id, event, lane, endpoint, intent_id, model, tokens_in, tokens_out, cost_usd
    FROM entries WHERE event IN ('completed', 'failed') AND record_id IS NOT NULL ORDER BY entry_id, seq
), handed AS (
    SELECT intent_id, record_id, max(cost_usd) AS reserved_usd, min(seq) AS handed_seq, min(day) AS handed_on
    FROM entries WHERE event = 'submitting' GROUP BY ALL
), decided AS (
    SELECT run_id, record_id, seq, data_classes, lanes, lead(seq) OVER (PARTITION BY run_id, record_id ORDER BY seq) AS next_seq
    FROM entries WHERE event = 'decided'
), started AS (
    SELECT run_id, arg_max(job, seq) AS job, arg_max(struct_pack(it := cost_centre), seq).it AS cost_centre
    FROM entries WHERE event = 'run_started' GROUP BY run_id
), looked AS (  -- second looks: paid for as any other work, and no answer
    SELECT unnest($looked) AS intent_id
), outcome AS (
    SELECT o.*, h.reserved_usd, coalesce(h.handed_on, o.day) AS handed_on, r.job, r.cost_centre,
           coalesce(array_to_string(list_sort(d.data_classes), '+'), '') AS classes,
           d.lanes IS NOT NULL AND NOT list_contains(d.lanes, 'cloud') AS restricted,
           o.event = 'completed' AND l.intent_id IS NULL AND o.seq = max(o.seq) FILTER (o.event = 'completed' AND l.intent_id IS NULL)
                                                                   OVER (PARTITION BY o.run_id, o.record_id) AS final
    FROM spoken o
    LEFT JOIN looked l ON l.intent_id = o.intent_id
    LEFT JOIN handed h ON h.intent_id = o.intent_id AND h.record_id = o.record_id
    LEFT JOIN decided d ON d.run_id = o.run_id AND d.record_id = o.record_id
          AND d.seq <= coalesce(h.handed_seq, o.seq) AND (d.next_seq IS NULL OR d.next_seq > coalesce(h.handed_seq, o.seq))
    LEFT JOIN started r ON r.run_id = o.run_id
    WHERE ($since IS NULL OR o.day >= $since) AND ($until IS NULL OR o.day < $until)
)
"""

_SUMS = """
       count(*) AS records, count(*) FILTER (event = 'failed') AS failed,
       coalesce(sum(tokens_in), 0)::BIGINT AS tokens_in, coalesce(sum(tokens_out), 0)::BIGINT AS tokens_out,
       count(*) FILTER (tokens_in IS NULL OR tokens_out IS NULL) AS uncounted,
       coalesce(sum(cost_usd), 0)::DECIMAL(38, 9) AS settled_usd,
       count(*) FILTER (cost_usd IS NULL AND reserved_usd IS NOT NULL) AS unpriced
"""

_LINES = (
    _OUTCOMES
    + f"""
SELECT day, handed_on, job, cost_centre, lane, endpoint, classes, restricted, final,
       {{longer_than}} AS longer_than, {_SUMS}
FROM outcome GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - our own words
)

_RECORDS = (
    _OUTCOMES
    + f"""
SELECT coalesce(record_id, '') AS record_id, lane, endpoint, {_SUMS} FROM outcome GROUP BY ALL ORDER BY record_id, lane, endpoint
"""  # noqa: S608 - our own words
)

_SEEN = """
SELECT min(day) AS first, max(day) AS last FROM entries
WHERE event IN ('completed', 'failed') AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
"""

_NIGHTS = """
SELECT run_id, count(*) AS entries FROM entries WHERE run_id IS NOT NULL GROUP BY run_id
HAVING bool_or(event IN ('completed', 'failed') AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until))
ORDER BY min(seq)
"""

_POLICIES = """
SELECT DISTINCT policy_hash FROM entries WHERE event = 'run_started' AND policy_hash IS NOT NULL
  AND run_id IN (SELECT run_id FROM entries WHERE event IN ('completed', 'failed')
                 AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until))
ORDER BY policy_hash
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Sums over outcomes.

    failed: of the records. uncounted: those whose tokens nobody reported. unpriced: those that had a reservation and have no cost.
    """

    lane: str | None
    endpoint: str | None
    records: int
    failed: int
    tokens_in: int
    tokens_out: int
    uncounted: int
    settled_usd: Decimal
    unpriced: int

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.tokens_in + self.tokens_out

    def plus(self, other: Self) -> Self:
        """Both together; what they have in common is this one's."""
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in SUMMED})


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine(Amounts):
    """Outcomes that are alike. classes: joined by `+`, as decided. restricted: the decision permits no cloud.

    final: each is the answer that its record ended with in its run, not one that failed, was repaired or was escalated. longer_than: the
    greatest of the asked input lengths that every request is above; 0 where none is. handed_on: the day whose prices apply.
    """

    day: date
    handed_on: date
    job: str | None
    cost_centre: str | None
    classes: str
    restricted: bool
    final: bool
    longer_than: int

    @property
    def kind(self) -> tuple[Any, ...]:
        """What the outcomes of a line have in common."""
        return tuple(getattr(self, one.name) for one in fields(self) if one.name not in SUMMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCost(Amounts):
    """What one record used at one endpoint."""

    record_id: str


def cost_lines(ledger: Ledger | Path, *, since: date | None, until: date | None, edges: Sequence[int] = ()) -> list[CostLine]:
    """The outcomes of these days (`until` not included) as lines. edges: input lengths from which on requests have other rates."""
    steps = " ".join(f"WHEN tokens_in > {edge:d} THEN {edge:d}" for edge in sorted(set(edges), reverse=True))
    longer_than = f"CASE {steps} ELSE 0 END::BIGINT" if steps else "0::BIGINT"
    merged: dict[tuple[Any, ...], CostLine] = {}
    for answer in answers_about(ledger, _LINES.format(longer_than=longer_than), since=since, until=until):
        for line in (CostLine(**row) for row in answer.to_pylist()):
            same = merged.get(line.kind)
            merged[line.kind] = line if same is None else same.plus(line)
    return [merged[kind] for kind in sorted(merged, key=lambda kind: tuple(str(part) for part in kind))]


def record_costs(ledger: Ledger | Path, *, since: date | None, until: date | None) -> list[RecordCost]:
    """The same, by record and endpoint."""
    merged: dict[tuple[str, str, str], RecordCost] = {}
    for answer in answers_about(ledger, _RECORDS, since=since, until=until):
        for one in (RecordCost(**row) for row in answer.to_pylist()):
            key = one.record_id, one.lane or "", one.endpoint or ""
            merged[key] = one.plus(merged[key]) if key in merged else one
    return [merged[key] for key in sorted(merged)]


def answers_about(ledger: Ledger | Path, query: str, *, since: date | None, until: date | None) -> Iterator[pa.Table]:
    """The answers of all nights with an outcome in these days. The query speaks of each record of each run alone.

    It may use $since and $until, and $looked: the hand-overs that asked a model inside about records, and not the job's question.
    """
    with reading(ledger) as reader:
        runs = reader.table(_NIGHTS, since=since, until=until).to_pylist()
        looked = reader.table("SELECT DISTINCT intent_id FROM entries WHERE event = 'judged' AND intent_id IS NOT NULL")
    hand_overs = [*looked["intent_id"].to_pylist(), ""]  # never empty: a list of nothing has no type
    nights = {run["run_id"]: run["entries"] for run in runs}
    yield from answers_by_run(ledger, query, runs=nights, since=since, until=until, looked=hand_overs)


def days_seen(ledger: Ledger | Path, *, since: date | None = None, until: date | None = None) -> tuple[date, date] | None:
    """The first and the last day with an outcome; None where there is none."""
    with reading(ledger) as reader:
        (row,) = reader.table(_SEEN, since=since, until=until).to_pylist()
    return None if row["first"] is None else (row["first"], row["last"])


def policies_in_force(ledger: Ledger | Path, *, since: date | None, until: date | None) -> list[str]:
    """The policy hashes, each of which covers a price file, that the nights with these outcomes went by."""
    with reading(ledger) as reader:
        return list(reader.table(_POLICIES, since=since, until=until)["policy_hash"].to_pylist())
