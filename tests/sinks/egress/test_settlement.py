"""What records cost: reserved in the commit that precedes the request, settled by reported usage in the commit of the outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from policies.prices import Price, Rates
from sinks.answers import Answers
from sinks.ingest import CompletedRow, ResultPlace, ingest
from sinks.lanes.openai_rows import read_row
from sinks.ledger.entry import Event
from sinks.ledger.queries import OpenIntent, open_intents
from sinks.pricing import cost, priced
from sinks.shard import LaneResult

PRICE = Price(provider="openai", rates=Rates(input=Decimal(2), output=Decimal(8), cache_read=Decimal("0.5")))
RESERVED = Decimal("0.125")


def carried(scene: Any) -> OpenIntent:
    """Three records handed over, with a reservation each."""
    items = [replace(item, clearance=replace(item.clearance, reserved_usd=RESERVED)) for item in scene.carry("r-ada", "r-bob", "r-cyd")]
    (shard,) = scene.freeze_all(items).shards
    scene.hand_over(shard)
    (intent,) = open_intents(scene.ledger)
    return intent


def line(intent: OpenIntent, ordinal: int, *, usage: dict[str, Any] | None, finish: str = "stop", error: str | None = None) -> bytes:
    row_id = f"{intent.intent_id[:12]}-{ordinal:06d}"
    if error:
        return json.dumps({"custom_id": row_id, "response": None, "error": {"code": error}}).encode()
    choice = {"message": {"content": "Short."}, "finish_reason": finish}
    body = {"model": "gpt-test", "choices": [choice], **({"usage": usage} if usage else {})}
    return json.dumps({"custom_id": row_id, "response": {"status_code": 200, "body": body}}).encode()


def take_in(scene: Any, intent: OpenIntent, lines: Sequence[bytes], price: Price | None = PRICE) -> dict[str, CompletedRow]:
    shelf: dict[str, CompletedRow] = {}

    def write(rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
        shelf.update({row.record_id: row for row in rows})
        return {row.record_id: ResultPlace(file="f.parquet", row=place, digest="d") for place, row in enumerate(rows)}

    scene.provider.finish("batch_1", [one + b"\n" for one in lines])
    about = {"endpoint": scene.registry[intent.endpoint], "prompt": scene.prompt, "spool": scene.spool, "now": scene.now}
    ingest(scene.ledger, scene.lane, intent, write=write, price=price, **about)
    return shelf


def test_the_reservation_is_in_the_commit_that_spends_the_clearance(scene: Any) -> None:
    carried(scene)
    assert [entry["cost_usd"] for entry in scene.events(Event.SUBMITTING)] == [RESERVED] * 3


def test_usage_settles_what_failed_and_what_came_from_a_cache_too(scene: Any) -> None:
    intent = carried(scene)
    cached = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 60}}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    shelf = take_in(scene, intent, [
        line(intent, 0, usage=cached), line(intent, 1, usage=usage, finish="length"), line(intent, 2, usage=None),
    ])  # fmt: skip
    assert {entry["record_id"]: (entry["event"], entry["cost_usd"]) for entry in scene.events(Event.COMPLETED, Event.FAILED)} == {
        "r-ada": ("completed", Decimal("0.00019")),  # 40 read, 60 from the cache, 10 written
        "r-bob": ("failed", Decimal("0.00028")),
        "r-cyd": ("completed", None),  # nobody knows, and nobody guesses
    }
    assert {name: row.cost_usd for name, row in shelf.items()} == {"r-ada": Decimal("0.00019"), "r-cyd": None}


@pytest.mark.parametrize(("code", "expected"), [("batch_expired", Decimal(0)), (None, None)], ids=["never ran", "no line"])
def test_a_row_that_never_ran_costs_nothing(scene: Any, code: str | None, expected: Decimal | None) -> None:
    intent = carried(scene)
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    lost = [line(intent, 2, usage=None, error=code)] if code else []
    take_in(scene, intent, [line(intent, 0, usage=usage), line(intent, 1, usage=usage), *lost])
    (released,) = scene.events(Event.RELEASED)
    assert released["cost_usd"] == expected


def test_without_a_price_nothing_is_settled(scene: Any) -> None:
    intent = carried(scene)
    take_in(scene, intent, [line(intent, place, usage={"prompt_tokens": 1, "completion_tokens": 1}) for place in range(3)], price=None)
    assert [entry["cost_usd"] for entry in scene.events(Event.COMPLETED)] == [None] * 3


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"tokens_in": 100, "tokens_out": 10}, "0.00028"),
        ({"tokens_in": 100}, None),
        ({"tokens_out": 10}, None),
        ({"tokens_in": 100, "tokens_out": 0, "tokens_cached": 101}, None),
        ({"tokens_in": 100, "tokens_out": 0, "tokens_cached": 100}, "0.00005"),
        ({"tokens_in": 100, "tokens_out": 0, "tokens_cache_written": 50}, None),
        ({"tokens_in": 100, "tokens_out": 0, "tokens_cache_written": 50, "tokens_cache_written_1h": 51}, None),
        ({"tokens_in": 0, "tokens_out": 0}, "0"),
    ],
    ids=["whole", "no output", "no input", "more cached than read", "all cached", "no rate for writes", "more than written", "nothing"],
)
def test_only_whole_usage_is_a_cost(reported: dict[str, Any], expected: str | None) -> None:
    found = cost(LaneResult(row_id="r", **reported), PRICE)
    assert found == (None if expected is None else Decimal(expected))


def test_what_is_free_needs_no_usage() -> None:
    free = Price(provider="emulator", rates=Rates(input=Decimal(0), output=Decimal(0)))
    row = LaneResult(row_id="r", output="Short.")
    answers = priced(Answers(answered={"r": row}, failed={}, missing={}, strays={}), free)
    assert answers.costs == {"r": Decimal(0)}


def test_cache_writes_that_a_provider_reports_are_read() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3}}
    body = {"choices": [{"message": {"content": "x"}}], "usage": usage}
    row = read_row(json.dumps({"custom_id": "r", "response": {"status_code": 200, "body": body}}).encode())
    assert (row.tokens_in, row.tokens_cached, row.tokens_cache_written) == (9, 2, 3)
