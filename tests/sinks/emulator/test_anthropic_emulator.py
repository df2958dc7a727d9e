"""Anthropic's Message Batches over the wire: the official SDK against the emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import ErrorResponse, Message
from anthropic.types.messages import DeletedMessageBatch, MessageBatch, MessageBatchIndividualResponse

LETTER = "The bridge over the Arlo is closed for repairs. The repairs of the bridge take six weeks. We had soup."
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
DAY = 24 * 3600

Until = Callable[[Callable[[], bool]], None]


def request(custom_id: str, text: str, **more: Any) -> dict[str, Any]:
    system = [{"type": "text", "text": "Be brief. " * 40, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    content = [{"type": "text", "text": "What does it say?\n"}, {"type": "text", "text": text}]
    params = {"model": "emulated-1", "max_tokens": 200, "system": system, "messages": [{"role": "user", "content": content}]}
    return {"custom_id": custom_id, "params": params | more}


def letters(count: int) -> list[Any]:
    return [request(f"abc123-{number}", f"{LETTER} The number is {number}.") for number in range(count)]


def strictly(model: Any, tree: Any) -> Any:
    """The object has exactly the SDK type's fields, with their types, all the way down."""
    found = model.model_validate_json(json.dumps(tree), strict=True)
    assert found.model_extra == {} or found.model_extra is None
    assert set(tree) <= set(model.model_fields)
    for value in vars(found).values():
        for part in value if isinstance(value, list) else [value]:
            assert not getattr(part, "model_extra", None), part
    return found


def connect(root: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{root}/anthropic", api_key="any", max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def client(emulated: Any) -> Iterator[anthropic.Anthropic]:
    with connect(emulated.running.root) as connected:
        yield connected


@pytest.fixture(scope="module")
def slow_client(slow: Any) -> Iterator[anthropic.Anthropic]:
    with connect(slow.running.root) as connected:
        yield connected


@pytest.fixture
def ended(client: anthropic.Anthropic, until: Until) -> Callable[[str], MessageBatch]:
    def wait(batch_id: str) -> MessageBatch:
        until(lambda: client.messages.batches.retrieve(batch_id).processing_status == "ended")
        return client.messages.batches.retrieve(batch_id)

    return wait


def lines_of(client: anthropic.Anthropic, batch_id: str) -> dict[str, Any]:
    rows = [json.loads(line) for line in client.get(f"/v1/messages/batches/{batch_id}/results", cast_to=bytes).splitlines()]
    for row in rows:
        strictly(MessageBatchIndividualResponse, row)
    return {row["custom_id"]: row["result"] for row in rows}


def test_a_batch_from_create_to_deletion(client: anthropic.Anthropic, ended: Callable[[str], MessageBatch], emulated: Any) -> None:
    tool = {"name": "record", "input_schema": SCHEMA}
    rows: list[Any] = [
        *letters(3),
        request("abc123-3", "Name: Ines Calder", output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        request("abc123-4", "Name: Ines Calder", tools=[tool], tool_choice={"type": "tool", "name": "record"}),
        request("abc123-5", "Nothing of the kind", output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        request("abc123-6", LETTER, max_tokens=0),
        request("abc123-7", LETTER, temperature=0.0),  # the version that the SDK speaks has none
    ]
    created = client.messages.batches.with_raw_response.create(requests=rows)
    shown = json.loads(created.text())
    assert (shown["processing_status"], shown["request_counts"]["processing"], shown["results_url"]) == ("in_progress", 8, None)
    strictly(MessageBatch, shown)
    batch = ended(shown["id"])
    strictly(MessageBatch, json.loads(client.messages.batches.with_raw_response.retrieve(batch.id).text()))
    counts = batch.request_counts
    assert (counts.processing, counts.succeeded, counts.errored, counts.canceled, counts.expired) == (0, 5, 3, 0, 0)
    assert {row.custom_id for row in client.messages.batches.results(batch.id)} == {row["custom_id"] for row in rows}
    found = lines_of(client, batch.id)
    assert list(found) != sorted(found)  # the API promises no order
    answers = {name: strictly(Message, result["message"]) for name, result in found.items() if result["type"] == "succeeded"}
    assert "bridge" in answers["abc123-0"].content[0].text
    assert json.loads(answers["abc123-3"].content[0].text) == {"name": "Ines Calder"}
    assert (answers["abc123-4"].content[0].input, answers["abc123-4"].stop_reason) == ({"name": "Ines Calder"}, "tool_use")
    assert sum(answer.usage.cache_creation_input_tokens > 0 for answer in answers.values()) == 1
    assert sum(answer.usage.cache_read_input_tokens > 0 for answer in answers.values()) == 4
    assert {found[name]["error"]["error"]["type"] for name in ("abc123-5", "abc123-6", "abc123-7")} == {"invalid_request_error"}
    strictly(DeletedMessageBatch, json.loads(client.messages.batches.with_raw_response.delete(batch.id).text()))
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(batch.id)
    (noted,) = [entry for entry in emulated.entries("created.jsonl") if entry["job"] == batch.id and "rows" in entry]
    assert (noted["rows"], noted["intents"]) == (8, ["abc123"])
    assert list(emulated.state.joinpath("anthropic").glob(f"{batch.id}*")) == []


def test_listings_are_newest_first_and_paged_both_ways(client: anthropic.Anthropic) -> None:
    created = [client.messages.batches.create(requests=letters(1)).id for _ in range(4)]
    first = client.messages.batches.list(limit=3)
    assert ([batch.id for batch in first.data], first.has_more) == ([created[3], created[2], created[1]], True)
    assert (first.first_id, first.last_id) == (created[3], created[1])
    assert first.get_next_page().data[0].id == created[0]
    newer = client.messages.batches.list(limit=2, before_id=created[0])
    assert ([batch.id for batch in newer.data], newer.has_more) == ([created[2], created[1]], True)
    assert [batch.id for batch in client.messages.batches.list(limit=2, before_id=created[2]).data] == [created[3]]


@pytest.mark.parametrize(
    ("requests", "error"),
    [
        pytest.param([], anthropic.BadRequestError, id="none"),
        pytest.param([request("a", LETTER), request("a", LETTER)], anthropic.BadRequestError, id="the same id twice"),
        pytest.param([request("a" * 65, LETTER)], anthropic.BadRequestError, id="id too long"),
        pytest.param([request("a.b", LETTER)], anthropic.BadRequestError, id="id with a dot"),
        pytest.param([{"custom_id": "a"}], anthropic.BadRequestError, id="no params"),
        pytest.param([{"custom_id": f"a{n}", "params": {}} for n in range(100_001)], anthropic.RequestTooLargeError, id="too many"),
    ],
)
def test_what_is_refused_at_the_create(client: anthropic.Anthropic, requests: Any, error: type[Exception]) -> None:
    before = client.messages.batches.list(limit=1).first_id
    with pytest.raises(error):
        client.messages.batches.create(requests=requests)
    assert client.messages.batches.list(limit=1).first_id == before


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        pytest.param({"anthropic-version": "2023-06-01"}, 401, "authentication_error", id="no key"),
        pytest.param({"x-api-key": "k"}, 400, "invalid_request_error", id="no version"),
    ],
)
def test_a_key_and_a_version_are_asked_for(emulated: Any, headers: dict[str, str], status: int, kind: str) -> None:
    answer = httpx2.get(f"{emulated.running.anthropic_url}/v1/messages/batches", headers=headers, trust_env=False)
    assert (answer.status_code, strictly(ErrorResponse, answer.json()).error.type) == (status, kind)


def test_an_unknown_batch_is_404(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve("msgbatch_none")


def test_results_are_not_there_before_the_end_and_a_running_batch_is_not_deleted(slow_client: anthropic.Anthropic) -> None:
    batch = slow_client.messages.batches.create(requests=letters(2))
    with pytest.raises(anthropic.NotFoundError):
        slow_client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=bytes)
    with pytest.raises(anthropic.BadRequestError):
        slow_client.messages.batches.delete(batch.id)


def test_a_batch_is_cancelled_part_way(slow_client: anthropic.Anthropic, slow: Any, until: Until) -> None:
    batches = slow_client.messages.batches
    batch = batches.create(requests=letters(10))
    slow.advance(15 * 3600)
    counts = batches.retrieve(batch.id).request_counts
    assert (counts.processing, counts.succeeded) == (10, 0)  # zero until it has ended
    shown = batches.cancel(batch.id)
    assert shown.processing_status in {"canceling", "ended"}
    until(lambda: batches.retrieve(batch.id).processing_status == "ended")
    done = batches.retrieve(batch.id)
    assert (done.request_counts.succeeded, done.request_counts.canceled) == (5, 5)
    assert done.cancel_initiated_at is not None
    assert [result["type"] for result in lines_of(slow_client, batch.id).values()].count("canceled") == 5
    with pytest.raises(anthropic.BadRequestError):
        batches.cancel(batch.id)


def test_a_batch_expires_after_a_day_and_its_results_go_after_29(slow_client: anthropic.Anthropic, slow: Any, until: Until) -> None:
    batches = slow_client.messages.batches
    batch = batches.create(requests=letters(10))
    slow.advance(DAY)
    until(lambda: batches.retrieve(batch.id).processing_status == "ended")
    done = batches.retrieve(batch.id)
    assert (done.request_counts.succeeded, done.request_counts.expired) == (8, 2)  # 24 of 30 hours
    assert done.ended_at == done.expires_at
    assert len(lines_of(slow_client, batch.id)) == 10
    slow.advance(28 * DAY)
    archived = batches.retrieve(batch.id)
    assert archived.archived_at is not None
    assert archived.results_url is None
    with pytest.raises(anthropic.NotFoundError):
        slow_client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=bytes)
