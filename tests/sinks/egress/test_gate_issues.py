"""Only what the gate issued goes through a lane, once, and the gate has no switch that would let a shard through unchecked."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.egress import pass_gate, redeem
from sinks.errors import GateError
from sinks.shard import ClearedShard


def test_a_forged_cleared_shard_is_refused_by_the_lane(scene: Any, cloud: Endpoint) -> None:
    forged = ClearedShard(
        intent_id="0" * 32, run_id="r", endpoint=cloud, attempt=1, content=b"{}\n", row_ids=("0" * 12 + "-000000",), digest="0" * 32
    )
    with pytest.raises(GateError, match="not_issued"):
        scene.lane.hand_over(forged)
    assert scene.provider.uploads == 0


def test_a_copied_cleared_shard_is_refused_by_the_lane(scene: Any) -> None:
    cleared = scene.gate(scene.frozen())
    for copy in (replace(cleared), replace(cleared, content=b"other\n")):
        with pytest.raises(GateError, match="not_issued"):
            scene.lane.hand_over(copy)
    assert scene.provider.uploads == 0
    assert scene.lane.hand_over(cleared)


def test_a_cleared_shard_is_used_once(scene: Any) -> None:
    cleared = scene.gate(scene.frozen())
    scene.lane.hand_over(cleared)
    with pytest.raises(GateError, match="not_issued"):
        scene.lane.hand_over(cleared)
    with pytest.raises(GateError, match="not_issued"):
        redeem(cleared)
    assert scene.provider.creates == 1


def test_the_gate_takes_its_word_from_nobody() -> None:
    """The signature offers no switch that would let a shard through unchecked."""
    names = set(inspect.signature(pass_gate).parameters)
    assert names == {
        "shard",
        "prompt",
        "lane",
        "ledger",
        "keys",
        "registry",
        "now",
        "actor",
        "rulebook",
        "overrides",
    }  # the last two can only refuse more
