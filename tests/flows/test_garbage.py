from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from flows.garbage import NEW_OBJECTS, rarely_collected


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(
    ("first", "meanwhile"),
    [
        pytest.param(700, NEW_OBJECTS, id="Python's own"),
        pytest.param(NEW_OBJECTS * 2, NEW_OBJECTS * 2, id="rarer already"),
        pytest.param(0, 0, id="never"),
    ],
)
def test_rarer_for_a_while_and_then_as_before(first: int, meanwhile: int) -> None:
    gc.set_threshold(first, 11, 12)
    with rarely_collected():
        assert gc.get_threshold() == (meanwhile, 11, 12)
    assert gc.get_threshold() == (first, 11, 12)


def test_as_before_after_a_night_that_failed() -> None:
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), rarely_collected():
        _ = 1 // 0
    assert gc.get_threshold() == before
