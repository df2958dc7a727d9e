"""What the ledger says of one class and one lane: how many records of it were handed over, as decided then, and as known now.

- What is not known is counted as that, never as a no: a hand-over without a decision, one whose decision states no class, one that was
  decided again after its clearance.
- Any later word that a text is of the class counts, whoever said it; a word that it is not takes nothing back (invariant 9).
- A lane that nobody stated is the cloud. What came of a hand-over does not matter: the text had left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sinks.ledger.reader import Reader, reading

MOST_RECORDS = 10_000
"""So many are listed one by one; the counts are of all."""

WORDS = ("lookback", "reviewed", "decided", "judged", "rescanned", "overridden")
"""Events that may say that a text is of a class: also the kinds that `known_now` counts. decided: another decision about the same text."""

UNKNOWN = ("no_record", "no_endpoint", "no_decision", "no_classes", "decided_again")

_SENT = """
    CREATE TEMP TABLE sent AS
    WITH handed AS (
        SELECT seq, "at", run_id, record_id, endpoint, clearance_id FROM entries
        WHERE event = 'submitting' AND CASE $lane WHEN 'local' THEN lane = 'local' ELSE lane IS DISTINCT FROM 'local' END
          AND seq <= $size AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
          AND ($endpoint IS NULL OR endpoint IS NULL OR endpoint = $endpoint)
    ), force AS (
        SELECT s.seq, max(d.seq) AS decision_seq,
               arg_max({of_class: coalesce(list_contains(d.data_classes, $data_class), false),
                        stated: coalesce(len(d.data_classes) > 0, false), partial: d.partial,
                        document_hmac: d.document_hmac, policy_hash: d.policy_hash, detectors_hash: d.detectors_hash},
                       d.seq) AS decision
        FROM handed s JOIN entries d ON d.event = 'decided' AND d.run_id = s.run_id AND d.record_id = s.record_id AND d.seq < s.seq
        GROUP BY s.seq
    ), cleared AS (
        SELECT s.seq, max(c.seq) AS clearance_seq
        FROM handed s JOIN entries c ON c.event = 'cleared' AND c.run_id = s.run_id AND c.record_id = s.record_id
                                    AND c.clearance_id = s.clearance_id AND c.seq < s.seq
        GROUP BY s.seq
    )
    SELECT s.seq, s."at", s.run_id, s.record_id, s.endpoint, f.decision_seq, c.clearance_seq, f.decision.partial AS partial,
           f.decision.document_hmac AS document_hmac, f.decision.policy_hash AS policy_hash, f.decision.detectors_hash AS detectors_hash,
           coalesce(f.decision.of_class, false) AS of_class,
           CASE WHEN s.record_id IS NULL THEN 'no_record' WHEN $endpoint IS NOT NULL AND s.endpoint IS NULL THEN 'no_endpoint'
                WHEN f.decision_seq IS NULL THEN 'no_decision' WHEN f.decision.of_class THEN NULL
                WHEN NOT f.decision.stated THEN 'no_classes' WHEN f.decision_seq > c.clearance_seq THEN 'decided_again' END AS unknown
    FROM handed s LEFT JOIN force f ON f.seq = s.seq LEFT JOIN cleared c ON c.seq = s.seq
"""

# `after` of reviews and overrides, and of look-backs that state no list, holds classes with something between them.
_WORDS = """
    CREATE TEMP TABLE words AS
    WITH said AS (
        SELECT seq, "at", event, run_id, record_id, document_hmac, reason, actor FROM entries
        WHERE seq <= $size AND record_id IN (SELECT record_id FROM sent)
          AND (event = 'decided' OR event = 'lookback' OR event = 'reviewed' OR event = 'judged' OR event = 'rescanned'
               OR (event = 'overridden' AND detail_code IS DISTINCT FROM 'lowered'))
          AND (list_contains(data_classes, $data_class)
               OR list_contains(regexp_split_to_array(coalesce("after", ''), '[^A-Z0-9_]+'), $data_class))
    )
    SELECT s.seq AS sent_seq, s.record_id, w.seq, w."at", w.event, w.reason, w.actor
    FROM sent s JOIN said w ON w.record_id = s.record_id AND w.seq IS DISTINCT FROM s.decision_seq
         AND (w.document_hmac IS NULL OR s.document_hmac IS NULL OR w.document_hmac = s.document_hmac)
         AND (w.event <> 'rescanned' OR w.run_id = s.run_id)
"""

_TOTALS = """
    SELECT count(*) AS hand_overs, count(DISTINCT record_id) AS records,
           coalesce(max(seq), 0) AS last_seq,
           count(*) FILTER (of_class) AS then_hand_overs, count(DISTINCT record_id) FILTER (of_class) AS then_records,
           count(*) FILTER (partial IS DISTINCT FROM false AND unknown IS NULL AND NOT of_class) AS partial_hand_overs,
           count(DISTINCT record_id) FILTER (partial IS DISTINCT FROM false AND unknown IS NULL AND NOT of_class) AS partial_records,
           count(*) FILTER (clearance_seq IS NULL) AS not_cleared
    FROM sent
"""

_LOOKED = """
    WITH texts AS (SELECT DISTINCT record_id, coalesce(document_hmac, '') AS document_hmac FROM sent),
    looked AS (
        SELECT record_id, coalesce(document_hmac, '') AS document_hmac, bool_or("after" IS NOT NULL) AS judged
        FROM entries WHERE event = 'lookback' AND seq <= $size GROUP BY ALL
    )
    SELECT count(*) AS texts, count(*) FILTER (l.judged) AS judged, count(*) FILTER (NOT l.judged) AS not_judged,
           count(*) FILTER (l.judged IS NULL) AS never
    FROM texts t LEFT JOIN looked l ON l.record_id = t.record_id AND l.document_hmac = t.document_hmac
"""

_DOUBT = """
    SELECT count(DISTINCT (s.record_id, s.document_hmac)) AS texts
    FROM sent s JOIN entries e ON e.event = 'reviewed' AND e.seq <= $size AND e.record_id = s.record_id AND e."after" = 'UNSURE'
         AND (e.document_hmac IS NULL OR s.document_hmac IS NULL OR e.document_hmac = s.document_hmac)
"""

_LOWERED = """
    SELECT count(DISTINCT s.record_id) AS records
    FROM sent s JOIN entries e ON e.event = 'overridden' AND e.seq <= $size AND e.record_id = s.record_id
    WHERE e.detail_code = 'lowered' AND list_contains(e.data_classes, $data_class)
      AND (e.document_hmac IS NULL OR s.document_hmac IS NULL OR e.document_hmac = s.document_hmac) AND NOT s.of_class
"""

_LISTED = """
    WITH concerned AS (
        SELECT record_id, min(seq) AS first FROM sent WHERE of_class OR seq IN (SELECT sent_seq FROM words) GROUP BY record_id
        ORDER BY first LIMIT $most
    )
    SELECT s.record_id, s.seq, s."at", s.endpoint, s.of_class,
           (SELECT list({event: w.event, seq: w.seq, moment: w."at", reason: w.reason, actor: w.actor} ORDER BY w.seq)
            FROM words w WHERE w.sent_seq = s.seq) AS words
    FROM sent s JOIN concerned c ON c.record_id = s.record_id
    WHERE s.of_class OR s.seq IN (SELECT sent_seq FROM words)
    ORDER BY c.first, s.seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which hand-overs a statement is about. since is included, until is not. size: of the tree that it knows of."""

    data_class: str
    lane: str
    size: int
    since: date | None = None
    until: date | None = None
    endpoint: str | None = None

    def parameters(self, *names: str) -> dict[str, Any]:
        """As the queries take them."""
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """One hand-over of a record of the class. then: it was decided to be. words: what later said so: event, seq, at, reason, actor."""

    record_id: str
    seq: int
    at: datetime
    endpoint: str | None
    then: bool
    words: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The answer, in counts. totals: of `_TOTALS`. known_now: records by what said it (`WORDS`), each in as many as did.

    newly_known: records that were not decided to be of the class, and of which something else says so. unknown: hand-overs by why.
    looked: texts by what look-backs could do with them. policies, detectors: hash and how many hand-overs. period: its first and last
    entry. listed: of the records that are or became of the class, the first so many; concerned: how many there are.
    """

    totals: Mapping[str, Any]
    newly_known: int
    known_now: Mapping[str, int]
    unknown: Mapping[str, int]
    unknown_records: Sequence[str]
    looked: Mapping[str, int]
    in_doubt: int
    lowered: int
    policies: Sequence[tuple[str, int]]
    detectors: Sequence[tuple[str, int]]
    samples: Sequence[str]
    period: tuple[int, int] | None
    listed: Sequence[HandOver] = field(repr=False)
    concerned: int


def findings(ledger: Path, question: Question) -> Findings:
    """Ask the ledger, as of one tree size."""
    with reading(ledger) as reader:
        run = reader.connection.execute
        run(_SENT, question.parameters("lane", "size", "since", "until", "endpoint", "data_class"))
        run(_WORDS, question.parameters("size", "data_class"))
        (looked,) = reader.table(_LOOKED, size=question.size).to_pylist()
        (totals,) = reader.table(_TOTALS).to_pylist()
        kinds = _counts(reader, "SELECT event, count(DISTINCT record_id) FROM words GROUP BY event")
        unknown = _counts(reader, "SELECT unknown, count(*) FROM sent WHERE unknown IS NOT NULL GROUP BY unknown")
        return Findings(
            totals=totals,
            newly_known=_number(
                reader,
                """
                SELECT count(DISTINCT record_id) FROM words
                WHERE record_id NOT IN (SELECT record_id FROM sent WHERE of_class AND record_id IS NOT NULL)
                """,
            ),
            known_now={kind: kinds.get(kind, 0) for kind in WORDS},
            unknown={why: unknown.get(why, 0) for why in UNKNOWN},
            unknown_records=_texts(
                reader, "SELECT DISTINCT record_id FROM sent WHERE unknown IS NOT NULL AND record_id IS NOT NULL ORDER BY 1 LIMIT $most"
            ),
            looked=looked,
            in_doubt=_number(reader, _DOUBT, size=question.size),
            lowered=_number(reader, _LOWERED, **question.parameters("size", "data_class")),
            policies=_by_hash(reader, "policy_hash"),
            detectors=_by_hash(reader, "detectors_hash"),
            samples=_samples(reader, question.size),
            period=_period(reader, question),
            listed=[_hand_over(row) for row in reader.table(_LISTED, most=MOST_RECORDS).to_pylist()],
            concerned=_number(reader, "SELECT count(DISTINCT record_id) FROM sent WHERE of_class OR seq IN (SELECT sent_seq FROM words)"),
        )


def _number(reader: Reader, query: str, **parameters: Any) -> int:
    return int(reader.table(query, **parameters).column(0)[0].as_py())


def _counts(reader: Reader, query: str) -> dict[str, int]:
    names, counts = reader.table(query).columns
    return dict(zip(names.to_pylist(), counts.to_pylist(), strict=True))


def _texts(reader: Reader, query: str) -> list[str]:
    return list(reader.table(query, most=MOST_RECORDS).column(0).to_pylist())


def _by_hash(reader: Reader, column: str) -> list[tuple[str, int]]:
    found = _counts(reader, f"SELECT {column}, count(*) FROM sent WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1")  # noqa: S608 - our own
    return list(found.items())


def _samples(reader: Reader, size: int) -> list[str]:
    query = """
        SELECT detail_code FROM entries WHERE event = 'reviewed' AND seq <= $size AND detail_code LIKE 'sample:%'
        GROUP BY detail_code ORDER BY min(seq)
    """
    return list(reader.table(query, size=size).column(0).to_pylist())


def _period(reader: Reader, question: Question) -> tuple[int, int] | None:
    query = """
        SELECT min(seq) AS first, max(seq) AS last FROM entries
        WHERE seq <= $size AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
    """
    (row,) = reader.table(query, **question.parameters("size", "since", "until")).to_pylist()
    return None if row["first"] is None else (row["first"], row["last"])


def _hand_over(row: Mapping[str, Any]) -> HandOver:
    words = tuple({**word, "at": word["moment"]} for word in row["words"] or ())
    return HandOver(record_id=row["record_id"], seq=row["seq"], at=row["at"], endpoint=row["endpoint"], then=row["of_class"], words=words)
