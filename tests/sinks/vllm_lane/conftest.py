"""A bench for each test; its lanes end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sinks.vllm_lane.bench import INTENT, NEXT, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for lane in made.lanes:
        for intent in (INTENT, NEXT):
            lane.discard(intent)
        lane.close(patience_s=5)
