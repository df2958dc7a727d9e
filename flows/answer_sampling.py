"""Local answers drawn at random from the ledger, for people to say of each whether it is right, and their verdicts entered again.

- A sample is named by a line, `answers:SEED:SIZE:ENDPOINT:JOB:SINCE:AS_OF`; whoever knows it draws the same again. Who is drawn
  depends on the seed and the ids alone, not on what was answered.
- All lines of a file are good, and every answer of the sample has one, or nothing is entered. Entering a file again changes nothing.

The file holds ids, places of results and confidences, no text: reviewers open the results with their own rights.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flows.errors import RouterError
from flows.local_answers import ANSWER_RIGHT, ANSWER_WRONG, AnswerSpec, answers, one_kind
from flows.router_reviews import ReviewedLine
from policies.strategies.calibration import probability_of
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lock import one_runner
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sent import last_seq

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LOCK = "waybill.review"  # no job can have this name


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSample:
    """Answers in the order of the draw, as rows of the ledger. population: how many they were drawn from."""

    spec: AnswerSpec
    population: int
    rows: Sequence[dict[str, Any]] = field(repr=False)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The file for the reviewers: `verdict` is theirs to fill. confidence: 0..1, empty where the answer has none."""
        return [
            {
                "record_id": row["record_id"],
                "run_id": row["run_id"],
                "result_file": row["result_file"],
                "result_row": row["result_row"],
                "endpoint": row["endpoint"],
                "confidence": probability_of(row["confidence"]),
                "verdict": "",
                "sample": self.spec.text,
            }
            for row in self.rows
        ]


def draw_answers(ledger: Path, *, seed: str, size: int, endpoint: str | None, job: str | None, since: date | None) -> AnswerSample:
    """Draw from what the ledger holds now. Raises RouterError where there is nothing, or answers of several kinds."""
    wanted = AnswerSpec(seed=seed, size=size, endpoint=endpoint or "", job=job or "", since=since, as_of=last_seq(ledger))
    rows = answers(ledger, wanted)
    name = one_kind(rows, ledger)
    if not rows:
        raise RouterError(f"{ledger}: expected local answers of {endpoint or 'an endpoint'} in that range, found none that can be read")
    spec = AnswerSpec.parse(replace(wanted, endpoint=name).text, "--seed, --job or the endpoint's name")
    return AnswerSample(spec=spec, population=len(rows), rows=_drawn(rows, spec))


def _drawn(rows: Sequence[dict[str, Any]], spec: AnswerSpec) -> list[dict[str, Any]]:
    def rank(row: dict[str, Any]) -> bytes:
        return hmac.digest(spec.seed.encode(), f"{row['run_id']} {row['record_id']}".encode(), hashlib.sha256)

    return heapq.nsmallest(spec.size, rows, key=rank)


def enter_answers(folder: Path, file: Path, lines: Sequence[ReviewedLine], *, reviewer: str, keys: Path | None, now: datetime) -> int:
    """Check and enter the verdicts of a file; how many were new. Raises RouterError, and enters nothing, when one line is wrong."""
    if not _NAME.fullmatch(reviewer) or not reviewer.strip():
        raise RouterError("--reviewer: expected a name of at most 100 characters in one line")
    spec = AnswerSpec.parse(lines[0].sample, f"{file}:{lines[0].number}: sample")
    if spec.as_of > last_seq(folder):
        raise RouterError(f"{file}:{lines[0].number}: the sample is of another ledger, or of an older copy than it knows; name its ledger")
    left = {(row["run_id"], row["record_id"]) for row in _drawn(answers(folder, spec), spec)}
    for line in lines:
        if line.sample != spec.text:
            raise RouterError(f"{file}:{line.number}: another sample than the first line's; give each sample a file of its own")
        if (line.run_id, line.record_id) not in left:
            raise RouterError(f"{file}:{line.number}: this answer is not in the sample, or stands in the file twice")
        left.remove((line.run_id, line.record_id))
    if left:
        raise RouterError(f"{file}: {len(left)} answers of the sample have no line; without them it is no random sample")
    ledger = Ledger.open(folder, keys=keys)
    with one_runner(ledger.path, _LOCK, wait=True):
        said = _said(folder, spec, reviewer)
        entries = [_entry(line, spec, reviewer, now) for line in lines if said.get((line.run_id, line.record_id)) != line.verdict]
        ledger.commit(entries)
    return len(entries)


def _said(folder: Path, spec: AnswerSpec, reviewer: str) -> dict[tuple[str, str], str]:
    """What this reviewer said last."""
    with reading(folder) as reader:
        rows = reader.table(
            """
            SELECT run_id, record_id, arg_max("after", seq) AS verdict FROM entries
            WHERE event = 'reviewed' AND detail_code = $spec AND actor = $reviewer GROUP BY run_id, record_id
            """,
            spec=spec.text,
            reviewer=reviewer,
        )
    return {(row["run_id"], row["record_id"]): row["verdict"] for row in rows.to_pylist()}


def _entry(line: ReviewedLine, spec: AnswerSpec, reviewer: str, now: datetime) -> Entry:
    return Entry(
        event=Event.REVIEWED,
        at=now,
        run_id=line.run_id,
        record_id=line.record_id,
        actor=reviewer,
        detail_code=spec.text,
        endpoint=spec.endpoint,
        reason=ANSWER_RIGHT if line.right else ANSWER_WRONG,
        after=line.verdict,
    )
