"""Packing rows into request files: nothing lost, no limit exceeded, no file that the provider would refuse as too small."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.model import Endpoint
from sinks.errors import EndpointError
from sinks.packing import ShardLimits, Weight, pack

WEIGHTS = st.lists(st.builds(Weight, size=st.integers(1, 12), tokens=st.integers(1, 8)), max_size=40)
LIMITS = st.builds(
    ShardLimits,
    max_rows=st.integers(3, 12),
    max_bytes=st.integers(6, 60),
    max_tokens=st.sampled_from([0, 5, 9, 30]),
    min_rows=st.integers(1, 3),
)


def fits(weights: list[Weight], limits: ShardLimits) -> bool:
    return (
        limits.min_rows <= len(weights) <= limits.max_rows
        and sum(one.size for one in weights) <= limits.max_bytes
        and (not limits.max_tokens or sum(one.tokens for one in weights) <= limits.max_tokens)
    )


@settings(max_examples=300, deadline=None)
@given(offered=WEIGHTS, limits=LIMITS)
def test_every_row_is_in_one_shard_refused_or_left_over_and_every_shard_is_within_the_limits(
    offered: list[Weight], limits: ShardLimits
) -> None:
    weights = [one for one in offered if limits.admit(one)]
    groups = pack(weights, limits)
    packed = groups[-1].stop if groups else 0
    assert [position for group in groups for position in group] == list(range(packed))
    assert all(fits(weights[group.start : group.stop], limits) for group in groups)

    @cache
    def divisible(end: int) -> bool:  # by trying everything
        return end == 0 or any(divisible(start) and fits(weights[start:end], limits) for start in range(end))

    assert packed == max(end for end in range(len(weights) + 1) if divisible(end))  # no shorter rest is possible in this order


def test_a_short_rest_takes_rows_from_the_shard_before_it() -> None:
    light = [Weight(size=1, tokens=1)] * 250
    assert [len(group) for group in pack(light, ShardLimits(max_rows=200, min_rows=100))] == [150, 100]
    assert [len(group) for group in pack(light[:200], ShardLimits(max_rows=200, min_rows=100))] == [200]
    assert pack(light[:99], ShardLimits(max_rows=200, min_rows=100)) == []
    assert [len(group) for group in pack(light[:250], ShardLimits(max_rows=120, min_rows=100))] == [120, 120]  # 10 are left over


def test_the_tightest_limit_splits() -> None:
    rows = [Weight(size=10, tokens=4)] * 6
    assert [len(group) for group in pack(rows, ShardLimits(max_rows=5, max_bytes=40, max_tokens=12))] == [3, 3]
    assert [len(group) for group in pack(rows, ShardLimits(max_rows=5, max_bytes=20, max_tokens=12))] == [2, 2, 2]
    assert [len(group) for group in pack(rows, ShardLimits(max_rows=1, max_bytes=40, max_tokens=12))] == [1] * 6


@pytest.mark.parametrize(
    ("engine", "limits"),
    [
        pytest.param("openai_batch", ShardLimits(max_rows=42_500, max_bytes=170_000_000), id="files-and-batches"),
        pytest.param("bedrock_batch", ShardLimits(max_rows=42_500, max_bytes=850_000_000, min_rows=100), id="bedrock"),
        pytest.param("anthropic_batch", ShardLimits(), id="anthropic"),
        pytest.param("extractive", ShardLimits(), id="inside"),
    ],
)
def test_each_engine_has_its_providers_limits(cloud: Endpoint, engine: str, limits: ShardLimits) -> None:
    assert ShardLimits.of(replace(cloud, engine=engine)) == limits


def test_the_registry_changes_the_limits(cloud: Endpoint) -> None:
    chosen: dict[str, Any] = {"shard_max_rows": 70, "shard_max_bytes": 99, "shard_min_rows": 7, "enqueued_tokens": 1000}
    assert ShardLimits.of(replace(cloud, settings=chosen)) == ShardLimits(max_rows=70, max_bytes=99, min_rows=7, max_tokens=850)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"shard_min_rows": 10, "shard_max_rows": 9}, r"shard_min_rows \(10\) is above shard_max_rows \(9\)"),
        ({"shard_max_rows": 0}, "shard_max_rows: expected a number of at least 1, found 0"),
        ({"enqueued_tokens": "many"}, "enqueued_tokens: expected a number"),
        ({"shard_min_rows": True}, "shard_min_rows: expected a number"),
    ],
    ids=["minimum-above-maximum", "zero", "text", "true"],
)
def test_limits_that_no_shard_can_meet_are_refused(cloud: Endpoint, chosen: dict[str, Any], said: str) -> None:
    with pytest.raises(EndpointError, match=said):
        ShardLimits.of(replace(cloud, settings=chosen))
