"""A decision that rests on an approval permits nothing once the approval has ended, at the gate either."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sinks.errors import GateError
from sinks.ledger.entry import Event


@pytest.mark.parametrize(
    ("after", "passes"),
    [
        pytest.param(timedelta(seconds=1), True, id="still runs"),
        pytest.param(timedelta(0), False, id="just ended"),
        pytest.param(timedelta(days=-1), False, id="ended"),
    ],
)
def test_the_gate_looks_at_the_day(scene: Any, monkeypatch: pytest.MonkeyPatch, after: timedelta, *, passes: bool) -> None:
    ends: datetime = scene.now + after
    commit = scene.ledger.commit

    def approved(entries: Any, **options: Any) -> int:
        number: int = commit([replace(one, expiry=ends) if one.event is Event.DECIDED else one for one in entries], **options)
        return number

    with monkeypatch.context() as patched:
        patched.setattr(scene.ledger, "commit", approved)
        (item,) = scene.carry("r-ada")
    (shard,) = scene.freeze_all([item]).shards
    if passes:
        assert scene.gate(shard).row_ids
        return
    with pytest.raises(GateError) as refused:
        scene.gate(shard)
    assert (refused.value.code, refused.value.row) == ("override_expired", 0)
    assert scene.events(Event.SUBMITTING) == []
    assert scene.events(Event.QUARANTINED)[-1]["detail_code"] == "override_expired"
