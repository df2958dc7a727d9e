"""A small night for each test, its endpoints, and a connection that is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from policies.model import Endpoint
from sinks.errors import AmbiguousError
from sinks.lanes.openai_batch import OpenAIBatchOptions
from sinks.ledger.segments import Ledger
from tests.sinks.egress.provider_in_memory import CountingLane, Provider
from tests.sinks.egress.small_night import CLOUD, LOCAL, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    provider = Provider()
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    lane = CountingLane(provider, OpenAIBatchOptions(spool=spool, model=CLOUD.model))  # type: ignore[arg-type]
    made = Scene(
        ledger=Ledger.open(tmp_path / "ledger"),
        spool=spool,
        provider=provider,
        lane=lane,
        registry={CLOUD.name: CLOUD, LOCAL.name: LOCAL},
    )
    made.start()
    return made


@pytest.fixture
def cloud() -> Endpoint:
    return CLOUD


@pytest.fixture
def local() -> Endpoint:
    return LOCAL


@pytest.fixture
def drop() -> Callable[[], None]:
    def connection_lost() -> None:
        raise AmbiguousError("connection_lost")

    return connection_lost
