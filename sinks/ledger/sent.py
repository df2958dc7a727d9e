"""What went to a cloud endpoint, as the questions about the past ask for it: by record, by the text it then had, and by endpoint.

A hand-over counts whatever came of it: an ambiguous, rejected or cancelled one has carried the text out all the same. Every answer is read
by shares of the records, or about the records of one batch, so that memory does not grow with the years.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.shares import answers_by_share

# As the view `egress` tells it, with a window instead of its joins: those take quadratic time where there are many records.
_SENT = """
    SELECT record_id, coalesce(past.document_hmac, '') AS document_hmac, coalesce(endpoint, '') AS endpoint,
           min("at") AS first_sent, max("at") AS last_sent, count(*) AS hand_overs, max(seq) AS seq,
           arg_max({run_id: run_id, day: day, data_classes: past.data_classes, rule: past.rule, cloud_requires: past.cloud_requires,
                    policy_hash: past.policy_hash, decision_seq: past.seq}, seq) AS past
    FROM (
        SELECT event, seq, "at", day, run_id, record_id, lane, endpoint,
               last_value(CASE event WHEN 'decided' THEN {seq: seq, data_classes: data_classes, rule: rule, cloud_requires: cloud_requires,
                                                          policy_hash: policy_hash, document_hmac: document_hmac} END IGNORE NULLS)
                   OVER (PARTITION BY run_id, record_id ORDER BY seq) AS past
        FROM entries WHERE event IN ('decided', 'submitting')
    )
    WHERE event = 'submitting' AND lane IS DISTINCT FROM 'local' AND seq <= $as_of
      AND ($runs IS NULL OR list_contains($runs::VARCHAR[], run_id))
      AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
    GROUP BY record_id, coalesce(past.document_hmac, ''), coalesce(endpoint, '')
"""
# The rows of `sent_texts`, with joins on equality, which may take all of the records at once.
_SENT_AT_ONCE = """
    WITH handed AS (
        SELECT seq, day, run_id, record_id, coalesce(endpoint, '') AS endpoint FROM entries
        WHERE event = 'submitting' AND lane IS DISTINCT FROM 'local' AND seq <= $as_of
          AND ($since IS NULL OR day >= $since) AND ($until IS NULL OR day < $until)
    ), placed AS (
        SELECT s.seq, max(d.seq) AS decision_seq
        FROM handed s JOIN entries d ON d.event = 'decided' AND d.record_id IS NOT DISTINCT FROM s.record_id
                                    AND d.run_id IS NOT DISTINCT FROM s.run_id AND d.seq < s.seq
        GROUP BY s.seq
    ), told AS (
        SELECT s.*, coalesce(d.document_hmac, '') AS document_hmac, d.data_classes, d.rule, d.cloud_requires, d.policy_hash
        FROM handed s LEFT JOIN placed p ON p.seq = s.seq LEFT JOIN entries d ON d.event = 'decided' AND d.seq = p.decision_seq
    )
    SELECT record_id, document_hmac, seq, day, run_id, endpoint, data_classes, rule, cloud_requires, policy_hash FROM told
    WHERE seq IN (SELECT max(seq) FROM told GROUP BY record_id, document_hmac, endpoint)
      AND ($data_class IS NULL OR list_contains(data_classes, $data_class))
    QUALIFY seq = max(seq) OVER (PARTITION BY record_id, document_hmac)
"""
_LOOKED = """
    SELECT record_id, coalesce(document_hmac, '') AS document_hmac, coalesce(endpoint, '') AS endpoint,
           arg_max({reason: reason, before: before, after: after, rule: rule, lanes: lanes, seq: seq, moment: "at"}, seq) AS found
    FROM entries
    WHERE event = 'lookback' AND policy_hash = $policy_hash AND detectors_hash = $detectors_hash
    GROUP BY record_id, coalesce(document_hmac, ''), coalesce(endpoint, '')
"""
LATEST = (1 << 63) - 1
"""Past every `seq`: the ledger as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which hand-overs a question is about. since is included, until is not. runs: of these runs only. as_of: none that came later."""

    since: date | None = None
    until: date | None = None
    runs: tuple[str, ...] | None = None
    as_of: int = LATEST

    @property
    def parameters(self) -> dict[str, Any]:
        """As the queries take it."""
        return {"since": self.since, "until": self.until, "runs": None if self.runs is None else list(self.runs), "as_of": self.as_of}


Key = tuple[str, str, str]
"""Record, keyed digest of the text, endpoint: one thing that was sent somewhere, once or often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A text of a record that went to an endpoint. data_classes: of its last hand-over. judged: (class, model) of a second look."""

    record_id: str
    document_hmac: str
    endpoint: str
    run_id: str
    data_classes: tuple[str, ...]
    judged: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> Key:
        """What names it."""
        return self.record_id, self.document_hmac, self.endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the ledger says of some records. texts: of each record, all that were ever decided. looked: what a look-back found last."""

    sent: tuple[Sent, ...]
    texts: Mapping[str, frozenset[str]] = field(repr=False)
    looked: Mapping[Key, str]


def past_of(ledger: Ledger, record_ids: Sequence[str], wanted: Range, *, policy_hash: str, detectors_hash: str) -> Past:
    """Everything that a look-back with this policy and these detectors needs to know of the records of one batch."""
    with reading(ledger, ("decisions",), record_ids=record_ids) as reader:
        query = f"""
            SELECT s.record_id, s.document_hmac, s.endpoint, s.past.run_id AS run_id, s.past.data_classes AS data_classes,
                   list_filter(d.evidence, lambda found: starts_with(found.entity, 'llm:')) AS judged
            FROM ({_SENT}) s LEFT JOIN decisions d ON d.seq = s.past.decision_seq ORDER BY s.seq
            """  # noqa: S608 - our own query
        sent = reader.table(query, **wanted.parameters)
        texts = reader.table("SELECT record_id, list(DISTINCT document_hmac) AS texts FROM decisions GROUP BY record_id")
        looked = reader.table(_LOOKED, policy_hash=policy_hash, detectors_hash=detectors_hash)
    return Past(
        sent=tuple(_sent(row) for row in sent.to_pylist()),
        texts={row["record_id"]: frozenset(filter(None, row["texts"])) for row in texts.to_pylist()},
        looked={(row["record_id"], row["document_hmac"], row["endpoint"]): row["found"]["reason"] for row in looked.to_pylist()},
    )


def last_seq(ledger: Ledger | Path) -> int:
    """The last entry as of now: what is asked up to it gives the same answer again later."""
    with reading(ledger) as reader:
        return int(reader.table("SELECT max(seq) AS seq FROM entries")["seq"][0].as_py())


def looked_back(ledger: Ledger, wanted: Range, *, policy_hash: str, detectors_hash: str) -> Iterator[pa.Table]:
    """Everything that was sent, and what the last look-back under this policy and these detectors found; a share at a time.

    Columns: record_id, document_hmac, endpoint, first_sent, last_sent, hand_overs, run_id, classes_then, rule_then, policy_then, reason,
    before, after, rule_now, lanes_now, lookback_seq; those of the look-back are null where there was none.
    """
    query = f"""
        SELECT s.record_id, s.document_hmac, s.endpoint, s.first_sent, s.last_sent, s.hand_overs, s.past.run_id AS run_id,
               s.past.data_classes AS classes_then, s.past.rule AS rule_then, s.past.policy_hash AS policy_then,
               l.found.reason AS reason, l.found.before AS before, l.found.after AS after, l.found.rule AS rule_now,
               l.found.lanes AS lanes_now, l.found.seq AS lookback_seq
        FROM ({_SENT}) s
        LEFT JOIN ({_LOOKED}) l ON l.record_id = s.record_id AND l.document_hmac = s.document_hmac AND l.endpoint = s.endpoint
        ORDER BY s.first_sent, s.record_id, s.endpoint
        """  # noqa: S608 - our own two queries
    return answers_by_share(ledger, (), query, **wanted.parameters, policy_hash=policy_hash, detectors_hash=detectors_hash)


def sent_texts(ledger: Ledger | Path, wanted: Range, *, data_class: str | None = None) -> Iterator[pa.Table]:
    """Each text of each record that was sent, wherever to, with the decision in force at its last hand-over; a share at a time.

    Columns: record_id, document_hmac, seq, day, run_id, endpoint, data_classes, rule, cloud_requires, policy_hash.
    """
    query = f"""
        SELECT record_id, document_hmac, seq, past.day AS day, past.run_id AS run_id, endpoint, past.data_classes AS data_classes,
               past.rule AS rule, past.cloud_requires AS cloud_requires, past.policy_hash AS policy_hash
        FROM ({_SENT})
        WHERE $data_class IS NULL OR list_contains(past.data_classes, $data_class)
        QUALIFY row_number() OVER (PARTITION BY record_id, document_hmac ORDER BY seq DESC) = 1
        """  # noqa: S608 - as above
    return answers_by_share(ledger, (), query, **wanted.parameters, data_class=data_class)


def sent_texts_at_once(ledger: Ledger | Path, wanted: Range, *, data_class: str | None = None) -> Iterator[pa.Table]:
    """The same rows in one answer: of ten million entries in seconds instead of a minute, and in memory that grows with the texts sent."""
    with reading(ledger) as reader:
        parameters = {name: value for name, value in wanted.parameters.items() if name != "runs"}
        yield reader.table(_SENT_AT_ONCE, **parameters, data_class=data_class)


def sent_elsewhere(ledger: Ledger, wanted: Range, *, runs: Sequence[str]) -> int:
    """How many records were sent by other runs than these."""
    query = f"""
        SELECT count(DISTINCT record_id) AS records FROM ({_SENT}) WHERE NOT list_contains($these::VARCHAR[], past.run_id)
        """  # noqa: S608 - as above
    return sum(answer["records"][0].as_py() for answer in answers_by_share(ledger, (), query, **wanted.parameters, these=list(runs)))


def _sent(row: Mapping[str, Any]) -> Sent:
    judged = tuple((line["entity"].partition(":")[2], line["detector"]) for line in row["judged"] or ())
    named = {name: row[name] for name in ("record_id", "document_hmac", "endpoint", "run_id")}
    return Sent(**named, data_classes=tuple(row["data_classes"] or ()), judged=judged)
