import pickle
from dataclasses import replace

import pytest

from detectors.document import Document, Evidence, Finding


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Document(record_id="r", text="t", source="s"), id="document"),
        pytest.param(Evidence(), id="evidence"),
        pytest.param(Evidence(findings=(Finding(detector="d", entity="E", start=0, end=1, score=1.0),), topics={"health": 0.5}), id="full"),
    ],
)
def test_crosses_processes(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes


def test_defaults_are_not_shared() -> None:
    first, second = Evidence(), Evidence()
    assert first.topics is not second.topics
    assert replace(first, topics={"health": 1.0}).topics != second.topics
