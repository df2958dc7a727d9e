"""A ledger that the independent verifier is shown; tests attack copies of it."""

from __future__ import annotations

import pytest

from tests.sinks.ledger.ledger_cases import Case, build


@pytest.fixture(scope="session")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("verified"), archived=False)
