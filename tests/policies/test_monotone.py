"""More classes never free a document: the comparison of ranks against the comparison of all subsets."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given

from policies.facts import satisfies
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import CLEAN, UNSCANNABLE, Lane
from policies.monotone import gains
from policies.policy import Policy, Verdict, verdict
from tests.policies.random_policy import CLASSES, examples, policies


def frees(more: Verdict, less: Verdict) -> bool:
    if Lane.CLOUD not in more.lanes:
        return False
    lost = [name for name, required in less.cloud_requires.items() if not satisfies(more.cloud_requires.get(name), required)]
    return Lane.CLOUD not in less.lanes or bool(lost)


def exhaustive(policy: Policy) -> bool:
    """Whether any set of classes is freed by carrying one class more."""
    names = [*CLASSES, UNSCANNABLE, "NEVER_HEARD_OF"]
    subsets = [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]
    verdicts = {subset: verdict(policy, subset or {CLEAN}) for subset in subsets}
    return any(frees(verdicts[subset | {name}], verdicts[subset]) for subset in subsets for name in names if name not in subset)


@examples(60)
@given(policy=policies())
def test_comparing_ranks_finds_exactly_what_comparing_subsets_finds(policy: Policy) -> None:
    assert bool(gains(policy)) == exhaustive(policy)


@examples(50)
@given(policy=policies(sound=True))
def test_a_table_without_gains_is_monotone(policy: Policy) -> None:
    assert not exhaustive(policy)


def test_the_default_policy_is_monotone() -> None:
    policy = load_policy(DEFAULT_POLICY)
    assert gains(policy) == []
    assert not exhaustive(policy)


@examples(60)
@given(policy=policies())
def test_no_route_takes_unscannable_to_the_cloud(policy: Policy) -> None:
    for name in (*CLASSES, "NEVER_HEARD_OF"):
        assert Lane.CLOUD not in verdict(policy, {UNSCANNABLE, name}).lanes
