"""What review samples say of a class: how many of the texts that were sent, and were not decided to be of it, can be of it at most.

Each sample that was entered in full is drawn again, so that the bound rests on chance and not on a choice of files. The general bound, of
what should not have been sent, is that of `flows.leak_rate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from flows.confidence_bounds import upper_bound
from flows.errors import ReviewError
from flows.leak_rate import CONFIDENCE, CONFIRMED, SEVERITY, leak_rates
from flows.reviewing import UNSURE
from flows.sampling import Sample, SampleSpec, draw
from sinks.ledger.reader import reading
from sinks.ledger.statement import Findings

Text = tuple[str, str]
_RATE = "{:.6f}"


def review_bounds(ledger: Path, data_class: str, found: Findings, *, since: date | None, until: date | None) -> list[dict[str, Any]]:
    """One line for each sample of the ledger that speaks of any day of the period. No floats: rates are decimals in strings."""
    bounds = []
    for text in found.samples:
        try:
            spec = SampleSpec.parse(text)
        except ReviewError:
            bounds.append({"sample": text, "usable": False, "why": "not_a_sample"})
            continue
        if (until and spec.since and spec.since >= until) or (since and spec.until and spec.until <= since):
            continue
        bounds.append(_bound(ledger, data_class, spec, covers=_covers(spec, since, until, found.totals["last_seq"])))
    return bounds


def _covers(spec: SampleSpec, since: date | None, until: date | None, last_seq: int) -> str:
    """whole: every text of the period was in the draw, so that the number bounds it; part: only some were."""
    begins = spec.since is None or (since is not None and spec.since <= since)
    ends = spec.until is None or (until is not None and spec.until >= until)
    return "whole" if begins and ends and spec.data_class is None and spec.as_of >= last_seq else "part"


def _bound(ledger: Path, data_class: str, spec: SampleSpec, *, covers: str) -> dict[str, Any]:
    line: dict[str, Any] = {"sample": spec.text, "covers": covers}
    sample = draw(ledger, spec, at_once=True)
    words = _words(ledger, spec)
    if any((one.record_id, one.document_hmac) not in words for one in sample.items):
        return line | {"usable": False, "why": "not_reviewed_in_full"}
    worst = {text: max((reason for _, reason in said), key=SEVERITY.index) for text, said in words.items()}
    general = leak_rates(sample, worst)[0]
    return line | {
        "usable": True,
        "texts": sample.population,
        "reviewed": general.reviewed,
        "should_not_have_left": {
            "found": general.leaks,
            "unsure": general.unsure,
            "rate_at_most": _rate(general.bound),
            "texts_at_most": general.most,
        },
        "of_class_undecided": _of_class(sample, data_class, words),
    }


def _of_class(sample: Sample, data_class: str, words: dict[Text, list[tuple[str, str]]]) -> dict[str, Any]:
    """Of the texts that were not decided to be of the class: how many the reviewers say are, doubts counted as that."""
    items = [one for one in sample.items if data_class not in one.data_classes]
    population = sample.population - sample.by_class.get(data_class, 0)
    said = [{word for after, _ in words[one.record_id, one.document_hmac] for word in after.split("+")} for one in items]
    sure, unsure = sum(data_class in one for one in said), sum(UNSURE in one and data_class not in one for one in said)
    bad, reviewed = sure + unsure, len(items)
    read_all = reviewed == population
    bound = (bad / population if population else 0.0) if read_all else upper_bound(bad, reviewed, CONFIDENCE)
    most = bad if read_all else max(bad, math.floor(bound * population))
    return {"texts": population, "reviewed": reviewed, "found": sure, "unsure": unsure, "rate_at_most": _rate(bound), "texts_at_most": most}


def _words(ledger: Path, spec: SampleSpec) -> dict[Text, list[tuple[str, str]]]:
    """By text: verdict and reason, the last word of each reviewer."""
    with reading(ledger) as reader:
        rows = reader.table(
            """
            SELECT record_id, document_hmac, arg_max("after", seq) AS verdict, arg_max(reason, seq) AS reason
            FROM entries WHERE event = 'reviewed' AND detail_code = $spec GROUP BY record_id, document_hmac, actor
            """,
            spec=spec.text,
        )
    words: dict[Text, list[tuple[str, str]]] = {}
    for row in rows.to_pylist():
        reason = row["reason"] if row["reason"] in SEVERITY else CONFIRMED
        words.setdefault((row["record_id"], row["document_hmac"]), []).append((row["verdict"] or "", reason))
    return words


def _rate(value: float) -> str:
    """Six digits, rounded up: a bound must not become smaller by being written down."""
    return _RATE.format(math.ceil(value * 1_000_000) / 1_000_000)


def told(bounds: Sequence[dict[str, Any]]) -> list[str]:
    """The bounds in words."""
    if not bounds:
        return ["No review sample: nothing bounds how much of the class was sent and never recognised."]
    return [_told(one) for one in bounds]


def _told(one: dict[str, Any]) -> str:
    if not one["usable"]:
        why = "was not reviewed in full" if one["why"] == "not_reviewed_in_full" else "has a name that is none"
        return f"Review sample {one['sample']}: it {why}, so it bounds nothing."
    found, said = one["of_class_undecided"], one["should_not_have_left"]
    scope = "all texts of the period were in the draw" if one["covers"] == "whole" else "it speaks of its own range only"
    return (
        f"Review sample {one['sample']}: of {found['texts']:,} texts sent and not decided to be of the class, {found['reviewed']:,} "
        f"were drawn at random and read: {found['found']:,} of the class, {found['unsure']:,} in doubt. With 95% confidence at most "
        f"{found['texts_at_most']:,} are of it (rate {found['rate_at_most']}). Of {one['texts']:,} texts, at most "
        f"{said['texts_at_most']:,} should not have left for any reason. {scope.capitalize()}; what the readers overlooked is in no bound."
    )
