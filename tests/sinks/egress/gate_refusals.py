"""What a refusal of the gate must look like, and what it is made to refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sinks.errors import GateError, LedgerUnavailableError
from sinks.ledger.entry import Event
from sinks.shard import FrozenShard


def full(*_args: Any, **_options: Any) -> int:
    """A ledger's `commit` on a full disk."""
    raise LedgerUnavailableError("no space left on device")


def refused(scene: Any, shard: FrozenShard, code: str, row: int | None = None, **changes: Any) -> None:
    """Hand over; the gate must stop it with this code, before the lane, and say so in the ledger."""
    before = len(scene.events(Event.SUBMITTING))
    with pytest.raises(GateError) as caught:
        scene.hand_over(shard, **changes)
    assert (caught.value.code, caught.value.row) == (code, row)
    assert scene.lane.handed == scene.provider.uploads == scene.provider.creates == 0
    assert len(scene.events(Event.SUBMITTING)) == before
    noted = scene.events(Event.QUARANTINED)[-1]
    assert (noted["detail_code"], noted["intent_id"]) == (code, shard.intent_id)


def forge(shard: FrozenShard, **changes: Any) -> FrozenShard:
    return replace(shard, rows=(replace(shard.rows[0], **changes), *shard.rows[1:]))
