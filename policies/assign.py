"""Decision → assignment: the endpoint chosen within what the decision permits.

- An endpoint is never chosen outside the decision's lanes, without the facts it requires, or on facts past their review date (invariant 1).
- The strategy only orders the permitted lanes; within a lane the caller's order of endpoints decides. Sensitivity always comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from policies.errors import RuleError
from policies.facts import unmet
from policies.model import Assignment, Decision, Endpoint, Lane

Strategy = Literal["cloud_first", "local_first"]

PREFERENCE: dict[str, tuple[Lane, Lane]] = {
    "cloud_first": (Lane.CLOUD, Lane.LOCAL),
    "local_first": (Lane.LOCAL, Lane.CLOUD),
}

REFUSALS = ("facts_expired", "facts_missing", "lane_not_permitted")
"""Why an endpoint is refused, the nearest miss first: what an operator can mend soonest."""


def permits(decision: Decision, endpoint: Endpoint, *, today: date) -> str | None:
    """None when the record may go to the endpoint today, else a code of REFUSALS. The gate asks this again.

    A cloud endpoint without a review date vouches for nothing.
    """
    if endpoint.lane not in decision.lanes:
        return "lane_not_permitted"
    if endpoint.lane is Lane.CLOUD and unmet(endpoint, decision.cloud_requires):
        return "facts_missing"
    if endpoint.review_by is None:
        return "facts_expired" if endpoint.lane is Lane.CLOUD else None
    return "facts_expired" if endpoint.review_by < today else None


def assign(decision: Decision, endpoints: Sequence[Endpoint], *, strategy: Strategy, today: date) -> Assignment:
    """Choose an endpoint, or none.

    reason, when chosen: `preferred` (the strategy's first lane), `only_permitted_lane` (the first lane is not permitted), `fallback` (it is
    permitted, but none of its endpoints may be used). When not: the decision's own reason, `facts_expired`, `facts_missing`
    or `no_permitted_endpoint`.
    """
    if strategy not in PREFERENCE:
        raise RuleError(f"strategy: expected one of {', '.join(PREFERENCE)}, found {strategy!r}")
    if not decision.lanes:
        return _held(decision, strategy, decision.reason or "no_rule")
    refusals: set[str | None] = set()
    for lane in PREFERENCE[strategy]:
        for endpoint in endpoints:
            if endpoint.lane is not lane:
                continue
            refusal = permits(decision, endpoint, today=today)
            if refusal is None:
                reason = _why(decision, lane, strategy)
                return Assignment(record_id=decision.record_id, endpoint=endpoint, strategy=strategy, reason=reason)
            refusals.add(refusal)
    nearest = next((code for code in REFUSALS[:2] if code in refusals), "no_permitted_endpoint")
    return _held(decision, strategy, nearest)


def _why(decision: Decision, lane: Lane, strategy: Strategy) -> str:
    first = PREFERENCE[strategy][0]
    if lane is first:
        return "preferred"
    return "fallback" if first in decision.lanes else "only_permitted_lane"


def _held(decision: Decision, strategy: Strategy, reason: str) -> Assignment:
    return Assignment(record_id=decision.record_id, endpoint=None, strategy=strategy, reason=reason)
