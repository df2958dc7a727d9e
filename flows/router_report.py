"""What is said of a router: the table of scores, in words whether it may be used and why, and its measures on further outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from flows.errors import RouterError
from flows.router_metrics import MEASURED, SHARES, Scored, score_all
from flows.router_outcomes import Outcomes, check_enough
from flows.router_training import Report
from policies.strategies.router import BEATEN, WORDS, Measure, Router


def scores_table(scored: Scored, scores: Sequence[str]) -> pa.Table:
    """One row a score: each measure with its interval, and by how much the router's APGR is above."""
    rows = []
    for name in scores:
        row: dict[str, object] = {"score": "chance" if name == "random" else name}
        for measured in MEASURED:
            row[measured] = _said(scored.measure(name, measured))
        row["router_over_it"] = "" if name == "router" else _said(scored.over("router", name))
        rows.append(row)
    return pa.Table.from_pylist(rows)


def train_table(report: Report) -> pa.Table:
    """The same for a training."""
    return scores_table(report.scored, report.scores)


def _said(one: Measure) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def told(report: Report, output: Path, subject: str) -> list[str]:
    """What follows, in words."""
    trained = report.router.trained
    confidence = f"{report.scored.confidence:.4g}"
    lost = [name for name in BEATEN if report.router.metrics[f"over_{name}"].low <= 0]
    measured = (
        f"{trained.rows:,} requests of {trained.subjects} {subject}; {report.folds} folds of whole {subject}, so each was scored by a "
        f"model that had not seen its own; intervals at confidence {confidence} over {subject}; "
        f"the single feature chosen: {', '.join(report.singles)}"
    )
    lines = [measured]
    if trained.source == "ledger":
        lines.append("from the ledger: nobody knows what the strong model would have said, so it is taken to be right")
    if lost:
        beaten = ", ".join(WORDS[name] for name in lost)
        lines.append(f"usable: false. It does not beat {beaten} with its whole interval, so a job that names {output} is refused")
    else:
        lines.append(
            f"usable: true. It beats {', '.join(WORDS.values())}, each with its whole interval; a job uses {output} as lanes.router"
        )
        lines += [
            f"{SHARES[name]:.0%} of the gap: scores from {limit:.3f} on, {report.router.metrics[name].value:.0%} of the requests; "
            "limits for lanes.complexity"
            for name, limit in report.limits.items()
        ]
    return lines


def evaluate(router: Router, outcomes: Outcomes, *, where: object, confidence: float, subject: str) -> Scored:
    """Measure a router, beside chance, length and the rules. Raises RouterError for the very data it was trained on, or too little."""
    if outcomes.digest == router.trained.digest:
        raise RouterError(f"{where}: the router was trained on exactly these outcomes; what it makes of them says nothing")
    check_enough(outcomes, where, subject=subject)
    missing = sorted(set(router.features) - set(outcomes.names))
    if missing:
        raise RouterError(f"{where}: expected outcomes with {', '.join(missing)}, as the router weighs them; found none")
    columns = outcomes.values[:, [outcomes.names.index(name) for name in router.features]]
    scores = {"random": np.zeros(len(columns)), "length": outcomes.values[:, outcomes.names.index(outcomes.length)]}
    if outcomes.rules is not None:
        scores["rules"] = outcomes.rules
    scores["router"] = np.array([router.score_values(row) for row in columns.tolist()])
    scored = score_all(scores, outcomes.gain, outcomes.subjects, confidence=confidence)
    if scored is None:  # check_enough has refused that
        raise RouterError(f"{where}: the strong model is no better than the weak one")
    return scored
