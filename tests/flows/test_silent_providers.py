"""A provider that cannot be asked is said once, and not for a moment's absence."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

import flows.collecting


def test_why_a_job_cannot_be_asked_is_said_once_and_not_at_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(flows.collecting.LOGGER, "warning", lambda form, why: said.append(form % why))
    night: Any = SimpleNamespace(odd=defaultdict(set))
    for why in ("away", "HTTP 302", "away", "HTTP 302", "away", "HTTP 302", "once"):
        flows.collecting._tell(night, why)
    assert said == ["away", "HTTP 302"]
