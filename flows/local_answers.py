"""Answers of a local endpoint as the ledger knows them: which there are, which were reviewed, and with what confidence they were given.

- A sample is of one kind of answers: one endpoint, model and template. Confidences of different ones mean different things.
- What was escalated was not kept, so no reviewer saw it: the highest confidence among such answers is told with the sample (`above`).
- Between reviewers the more severe verdict counts; a reviewer's later word replaces an earlier one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from flows.errors import RouterError
from flows.router_calibration import Reviewed
from flows.router_reviews import ReviewedLine
from policies.strategies.calibration import probability_of
from sinks.ledger.reader import reading
from sinks.ledger.sent import LATEST

ANSWER_RIGHT, ANSWER_WRONG = "answer_right", "answer_wrong"
"""Reason codes of `reviewed` entries that speak of an answer. A doubt is entered as wrong."""
_SPEC = re.compile(
    r"answers:(?P<seed>[A-Za-z0-9-]{1,40}):(?P<size>[1-9]\d{0,6}):(?P<endpoint>[a-z0-9][a-z0-9_.-]{0,62}):(?P<job>[a-z0-9-]{0,40})"
    r":(?P<since>(?:\d{4}-\d\d-\d\d)?):(?P<as_of>\d{1,18})"
)
_RUNS = """
    SELECT run_id, arg_max({it: job}, seq).it AS job, arg_max({it: template_hash}, seq).it AS template_hash
    FROM entries WHERE event = 'run_started' GROUP BY run_id
"""
_ANSWERS = f"""
    WITH given AS (
        SELECT run_id, record_id, arg_max({{endpoint: endpoint, confidence: confidence, file: result_file, place: result_row,
               made: concat_ws(' ', model, revision, weights_digest, lora_digest)}}, seq) AS it
        FROM entries
        WHERE event = 'completed' AND lane = 'local' AND result_file IS NOT NULL AND run_id IS NOT NULL AND seq <= $as_of
          AND ($since IS NULL OR day >= $since)
          AND NOT ($readable AND (result_file, record_id) IN (
              SELECT (result_file, record_id) FROM entries
              WHERE event = 'purged' AND result_file IS NOT NULL AND record_id IS NOT NULL AND seq <= $as_of))
        GROUP BY run_id, record_id
    )
    SELECT a.run_id, a.record_id, a.it.endpoint AS endpoint, a.it.confidence AS confidence, a.it.file AS result_file,
           a.it.place AS result_row, concat_ws(' ', a.it.made, r.template_hash) AS made_by
    FROM given a LEFT JOIN ({_RUNS}) r ON r.run_id = a.run_id
    WHERE ($endpoint IS NULL OR a.it.endpoint = $endpoint) AND ($job IS NULL OR r.job = $job)
"""  # noqa: S608 - our own query
_ESCALATED = f"""
    SELECT max(e.confidence) AS confidence FROM entries e LEFT JOIN ({_RUNS}) r ON r.run_id = e.run_id
    WHERE e.event = 'released' AND e.reason = 'escalated' AND e.lane = 'local' AND e.endpoint = $endpoint AND e.seq <= $as_of
      AND ($since IS NULL OR e.day >= $since) AND ($job IS NULL OR r.job = $job)
"""  # noqa: S608 - as above
_SAID = """
    SELECT run_id, record_id, bool_and(reason = 'answer_right') AS "right" FROM (
        SELECT run_id, record_id, actor, arg_max(reason, seq) AS reason FROM entries
        WHERE event = 'reviewed' AND detail_code = $spec GROUP BY run_id, record_id, actor)
    GROUP BY run_id, record_id ORDER BY run_id, record_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpec:
    """What names a sample. endpoint, job: empty for any. since: included. as_of: the last entry of the ledger that it knows of."""

    seed: str = ""
    size: int = 0
    endpoint: str = ""
    job: str = ""
    since: date | None = None
    as_of: int = LATEST

    @property
    def text(self) -> str:
        """In one line, as the file and the ledger state it: `answers:SEED:SIZE:ENDPOINT:JOB:SINCE:AS_OF`."""
        return f"answers:{self.seed}:{self.size}:{self.endpoint}:{self.job}:{self.since or ''}:{self.as_of}"

    @classmethod
    def parse(cls, text: str, where: object) -> AnswerSpec:
        """Read such a line. Raises RouterError."""
        found = _SPEC.fullmatch(text)
        try:
            since = date.fromisoformat(found["since"]) if found and found["since"] else None
        except ValueError:
            found = None
        if found is None:
            raise RouterError(f"{where}: expected the line that `waybill router sample` wrote, found something else")
        return cls(
            seed=found["seed"],
            size=int(found["size"]),
            endpoint=found["endpoint"],
            job=found["job"],
            since=since,
            as_of=int(found["as_of"]),
        )

    @property
    def range(self) -> dict[str, Any]:
        """As the queries take it."""
        return {"endpoint": self.endpoint or None, "job": self.job or None, "since": self.since, "as_of": self.as_of}


def answers(ledger: Path, spec: AnswerSpec, *, readable: bool = True) -> list[dict[str, Any]]:
    """The last answer to each record in each run of the range; readable: without those that retention has deleted."""
    with reading(ledger) as reader:
        rows: list[dict[str, Any]] = reader.table(_ANSWERS, **spec.range, readable=readable).to_pylist()
    return rows


def one_kind(rows: Sequence[dict[str, Any]], where: object) -> str:
    """The endpoint of the answers. Raises RouterError where they are of several, or of several models or templates."""
    names = sorted({row["endpoint"] or "" for row in rows})
    if len(names) > 1:
        raise RouterError(f"{where}: expected answers of one endpoint, found those of {', '.join(names)}; name one with --endpoint")
    kinds = len({row["made_by"] for row in rows})
    if kinds > 1:
        raise RouterError(
            f"{where}: expected answers of one model and one template, found {kinds} combinations; "
            "draw a sample with --job, or with --since the day of the last change"
        )
    return names[0] if names else ""


def ledger_reviewed(ledger: Path, *, endpoint: str | None) -> Reviewed:
    """The newest sample whose verdicts are in the ledger. Raises RouterError where there is none."""
    with reading(ledger) as reader:
        named = reader.table(
            "SELECT DISTINCT detail_code AS spec FROM entries WHERE event = 'reviewed' AND reason IN ('answer_right', 'answer_wrong')"
        )["spec"].to_pylist()
    specs = [AnswerSpec.parse(text or "", ledger) for text in named]
    newest = max((one for one in specs if endpoint in {None, one.endpoint}), key=lambda one: one.as_of, default=None)
    if newest is None:
        raise RouterError(
            f"{ledger}: expected reviewed local answers of {endpoint or 'an endpoint'}, found none; "
            "draw some with `waybill router sample`, and enter the verdicts with `waybill router review`"
        )
    with reading(ledger) as reader:
        said = {(row["run_id"], row["record_id"]): row["right"] for row in reader.table(_SAID, spec=newest.text).to_pylist()}
    rows = [row for row in answers(ledger, newest) if (row["run_id"], row["record_id"]) in said]
    rows.sort(key=lambda row: (row["run_id"], row["record_id"]))
    return _reviewed(ledger, rows, [said[row["run_id"], row["record_id"]] for row in rows], newest)


def joined(lines: Sequence[ReviewedLine], path: Path, ledger: Path | None, *, endpoint: str | None) -> Reviewed:
    """The answers of a file; with a ledger, their confidence is the ledger's. Raises RouterError."""
    kept = [line for line in lines if endpoint is None or line.endpoint in {"", endpoint}]
    if not kept:
        raise RouterError(f"{path}: expected answers of {endpoint}, found those of other endpoints only")
    if ledger is None:
        return _as_stated(kept, path, endpoint)
    by_record: dict[str, list[dict[str, Any]]] = {}
    for row in answers(ledger, AnswerSpec(), readable=False):
        by_record.setdefault(row["record_id"], []).append(row)
    rows = [_answer(line, path, by_record) for line in kept]
    seen = {(row["run_id"], row["record_id"]) for row in rows}
    if len(seen) < len(rows):
        raise RouterError(f"{path}: expected each answer once, found {len(rows) - len(seen)} of them again")
    return _reviewed(ledger, rows, [line.right for line in kept], AnswerSpec())


def _as_stated(lines: Sequence[ReviewedLine], path: Path, endpoint: str | None) -> Reviewed:
    if any(line.confidence is None for line in lines):
        raise RouterError(f"{path}: expected a column confidence, or --ledger to find it in by record_id; found neither")
    names = sorted({line.endpoint for line in lines} - {""})
    if len(names) > 1:
        raise RouterError(f"{path}: expected answers of one endpoint, found those of {', '.join(names)}; name one with --endpoint")
    return Reviewed(
        confidence=np.array([line.confidence for line in lines], dtype=np.float64),
        right=np.array([line.right for line in lines], dtype=np.bool_),
        endpoint=names[0] if names else endpoint or "",
    )


def _answer(line: ReviewedLine, path: Path, by_record: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    found = [row for row in by_record.get(line.record_id, ()) if line.run_id in {"", row["run_id"]}]
    if len(found) != 1:
        why = "the record has none in this ledger" if not found else "the record has several: give run_id too"
        raise RouterError(f"{path}:{line.number}: expected one local answer, but {why}")
    return found[0]


def _reviewed(ledger: Path, rows: Sequence[dict[str, Any]], right: Sequence[bool], spec: AnswerSpec) -> Reviewed:
    endpoint = one_kind(rows, ledger)
    with reading(ledger) as reader:
        highest = reader.table(_ESCALATED, **spec.range | {"endpoint": endpoint})["confidence"][0].as_py()
    given = [probability_of(row["confidence"]) for row in rows]
    above = probability_of(highest)
    return Reviewed(
        confidence=np.array([math.nan if one is None else one for one in given], dtype=np.float64),
        right=np.array(right, dtype=np.bool_),
        endpoint=endpoint,
        above=-1.0 if above is None else above,
    )
