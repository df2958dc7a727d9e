"""The header Retry-After: seconds, also until a date by the provider's own clock, or nothing that is gone by."""

from __future__ import annotations

import pytest

from sinks.clients.calls import retry_after_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry-after": "30"}, 30.0, id="seconds"),
        pytest.param({"retry-after": "0.5"}, 0.5, id="part of one"),
        pytest.param({}, None, id="absent"),
        pytest.param({"retry-after": "Mon, 23 Nov 2026 01:00:00 GMT"}, None, id="a date alone"),
        pytest.param({"retry-after": "Mon, 23 Nov 2026 01:00:00 GMT", "date": "Mon, 23 Nov 2026 00:58:30 GMT"}, 90.0, id="a date"),
        pytest.param({"retry-after": "Mon, 23 Nov 2026 01:00:00 GMT", "date": "Mon, 23 Nov 2026 02:00:00 GMT"}, 0.0, id="a date gone by"),
        pytest.param({"retry-after": "Mon, 23 Nov 2026 01:00:00 GMT", "date": "Mon, 23 Nov 2026 00:00:00"}, None, id="a date without zone"),
        pytest.param({"retry-after": "soon", "date": "Mon, 23 Nov 2026 02:00:00 GMT"}, None, id="a word"),
        pytest.param({"retry-after": "-1"}, None, id="negative"),
        pytest.param({"retry-after": "nan"}, None, id="no number"),
        pytest.param({"retry-after": "9999999"}, None, id="four months"),
    ],
)
def test_seconds_are_taken_and_nothing_else(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
