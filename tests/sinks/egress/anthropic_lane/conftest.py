"""A scene whose provider is a workspace in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.lanes.anthropic_batch import AnthropicBatchLane, AnthropicBatchOptions
from tests.sinks.egress.anthropic_lane.anthropic_stage import Stage, Workspace


@pytest.fixture
def stage(scene: Any, cloud: Endpoint) -> Stage:
    endpoint = replace(cloud, name="claude", engine="anthropic_batch", provider="anthropic", model="claude-test")
    workspace = Workspace(now=lambda: scene.now)
    scene.lane = AnthropicBatchLane(workspace, AnthropicBatchOptions(spool=scene.spool, model="claude-test"))  # type: ignore[arg-type]
    scene.registry[endpoint.name] = endpoint
    return Stage(scene=scene, workspace=workspace, endpoint=endpoint)
