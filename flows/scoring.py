"""How complex a record is, for the strategy that asks: by the rules, or by the job's router."""

from __future__ import annotations

from collections.abc import Callable

from detectors.document import Document, Evidence
from flows.job import Job
from flows.strategy_checks import usable_router
from policies.strategies.complexity import Features, Shape, complexity
from sinks.request import Prompt

Score = Callable[[Document, Evidence], float]
"""0 (simple) to 1."""


def scorer_of(job: Job, prompt: Prompt) -> Score | None:
    """What scores the records of this job; None where its strategy does not ask."""
    if job.lanes.strategy != "tiered":
        return None
    router = usable_router(job)
    shape, constants = Shape.of(prompt.schema), sum(map(len, prompt.constants))
    scored = complexity if router is None else router.score

    def score(document: Document, evidence: Evidence) -> float:
        found = evidence.findings
        return scored(
            Features.of(
                document.parts,
                task=prompt.kind,
                schema=shape,
                constants_chars=constants,
                findings=len(found),
                finding_kinds=len({one.entity for one in found}),
            )
        )

    return score
