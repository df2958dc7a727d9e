"""A document that carries more classes must never be freer than one that carries fewer.

With a first-match table the route of a set of classes is the lowest rank among them, so comparing ranks is the same as comparing all
subsets (`tests/policies/test_monotone.py` checks it against the exhaustive comparison):

- between two classes, the earlier route wins when both are carried: it must permit no cloud that the later one refuses, and
  require at least as much;
- CLEAN is the empty set of classes: every route that a class can reach is compared with CLEAN's route.

Freer means the cloud: losing the cloud and keeping the local lane is what a restriction is for. A class without a route
is held with whatever else it carries, and UNSCANNABLE loses the cloud under every route, so neither can make anything freer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policies.facts import Fact, satisfies
from policies.model import CLEAN, UNSCANNABLE, Lane
from policies.policy import HELD, Policy, Route

NOWHERE = Route(when=frozenset(), lanes=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The route at index `more` is freer than what the smaller set of classes gets; `message` says how."""

    more: int
    message: str


def gains(policy: Policy) -> list[Gain]:
    """Every pair of routes by which carrying more classes would free a document."""
    reached = sorted({policy.rank(name) for route in policy.routes for name in route.when if name not in {CLEAN, UNSCANNABLE}})
    pairs = [(more, less) for position, more in enumerate(reached) for less in reached[position + 1 :]]
    found = [_gain(policy, more, policy.routes[less], f"routes[{less}]") for more, less in pairs]
    clean = policy.rank(CLEAN)
    without = NOWHERE if clean == HELD else policy.routes[clean]
    found += [_gain(policy, more, without, "a clean document") for more in reached if more != clean]
    return [gain for gain in found if gain is not None]


def _gain(policy: Policy, more: int, less: Route, other: str) -> Gain | None:
    route = policy.routes[more]
    if Lane.CLOUD not in route.lanes:
        return None
    if Lane.CLOUD not in less.lanes:
        return Gain(
            more=more, message=f"permits the cloud to documents with more classes than {other}, which may not go there; move it down"
        )
    lost = [name for name, required in less.cloud_requires.items() if not _as_strict(route.cloud_requires, name, required)]
    if lost:
        names = ", ".join(lost)
        return Gain(more=more, message=f"drops the requirement {names} that {other} has, though its documents carry more classes")
    return None


def _as_strict(requires: Mapping[str, Fact], name: str, required: Fact) -> bool:
    return satisfies(requires.get(name), required)
