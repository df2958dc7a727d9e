"""A cache salt is a record's part like any other: the gate looks at it wherever a lane sends it, and only there may a part be missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policies.clearance import clearance_id
from policies.model import Clearance, Endpoint, Lane
from sinks.errors import GateError
from sinks.freeze import FreezeItem, freeze, payload
from sinks.inspection import inspect
from sinks.lanes.extractive import ExtractiveLane
from sinks.ledger.keys import Keys
from sinks.packing import ShardLimits
from sinks.request import SALT_ROLE, Message, Part, Prompt, TaskKind, spoken
from sinks.shard import FrozenShard

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEYS = Keys(b"k" * 32)
LOCAL = Endpoint(name="local-test", lane=Lane.LOCAL, engine="extractive", provider="waybill", model="lexrank")
MESSAGES = (Message(role="user", parts=(Part(text="Say: "), Part(slot="text"))),)
PROMPT = Prompt(kind=TaskKind.SUMMARIZE, messages=MESSAGES, salt_slot="metadata.matter")
PARTS = {"text": "The ferry leaves at nine.", "metadata.matter": "M-7", "metadata.title": "never sent"}


class Salting(ExtractiveLane):
    """Sends the salt beside the messages, as the lanes with a prefix cache do."""

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        salt = [{"text": part.text} for message in messages if message.role == SALT_ROLE for part in message.parts]
        return {**super().body(messages, prompt, endpoint), "cache_salt": salt}


class Hiding(Salting):
    """Puts the salt into another string."""

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        body = super().body(messages, prompt, endpoint)
        return {**body, "cache_salt": f"salt {body['cache_salt']}"}


class Losing(ExtractiveLane):
    """Loses the text."""

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        return {**super().body(spoken(messages), prompt, endpoint), "parts": {}}


def frozen(folder: Path, lane: ExtractiveLane) -> FrozenShard:
    body = payload(lane, PROMPT, LOCAL, PARTS)
    digest = KEYS.hmac("payload", body)
    clearance = Clearance(
        clearance_id=clearance_id("run", "r-1", LOCAL.name, digest, 1),
        record_id="r-1",
        endpoint=LOCAL.name,
        lane=Lane.LOCAL,
        payload_hmac=digest,
        payload_bytes=len(body),
    )
    item = FreezeItem(record_id="r-1", parts=PARTS, clearance=clearance, part_hmacs=KEYS.part_hmacs(PARTS))
    made = freeze(folder, run_id="run", endpoint=LOCAL, attempt=1, lane=lane, prompt=PROMPT, items=[item], limits=ShardLimits())
    (shard,) = made.shards
    return shard


@pytest.mark.parametrize("lane", [ExtractiveLane, Salting])
def test_a_lane_may_send_the_salt_or_leave_it_out(tmp_path: Path, lane: type[ExtractiveLane]) -> None:
    made = lane(tmp_path)
    shard = frozen(tmp_path, made)
    (row,) = inspect(shard.path.read_bytes(), shard, PROMPT, made, KEYS)
    assert row.row.record_id == "r-1"
    assert (b"M-7" in shard.path.read_bytes()) is (lane is Salting)


def test_a_salt_that_was_not_scanned_is_refused(tmp_path: Path) -> None:
    made = Salting(tmp_path)
    shard = frozen(tmp_path, made)
    with pytest.raises(GateError, match="row_text"):
        inspect(shard.path.read_bytes().replace(b"M-7", b"M-8"), shard, PROMPT, made, KEYS)


@pytest.mark.parametrize("lane", [Hiding, Losing])
def test_a_part_that_cannot_be_looked_at_by_itself_is_refused(tmp_path: Path, lane: type[ExtractiveLane]) -> None:
    made = lane(tmp_path)
    shard = frozen(tmp_path, made)
    with pytest.raises(GateError, match="row_shape"):
        inspect(shard.path.read_bytes(), shard, PROMPT, made, KEYS)
