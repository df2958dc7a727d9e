"""Servers that are not quite the provider: other ids, forms, cases and omissions. What they say is understood, or is one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

import sinks.clients.openai_client
from policies.model import Endpoint, Lane
from sinks.clients.anthropic_client import AnthropicBatches
from sinks.clients.calls import count_of
from sinks.clients.connection import OpenAIOptions
from sinks.clients.openai_client import OpenAIBatches
from sinks.errors import AmbiguousError, EndpointError, RejectedError
from sinks.lanes.listing import listed
from sinks.lanes.openai_batch import OpenAIBatchLane, OpenAIBatchOptions
from sinks.lanes.openai_rows import read_row
from tests.sinks.scripted_server import Handler, Server, servers, status

BATCH = {"id": "batch_1", "object": "batch", "status": "in_progress", "created_at": 1, "endpoint": "/v1", "input_file_id": "file_1"}
GATEWAY_ID = "batch_" + "bGl0ZWxsbV9wcm94eTs" * 16
URL = "/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[Server]:
    with servers(status(200, BATCH)) as start:
        yield start()


@pytest.fixture
def client(server: Server) -> Iterator[OpenAIBatches]:
    made = OpenAIBatches(options(server))
    yield made
    made.close()


@pytest.fixture
def messages(server: Server) -> Iterator[AnthropicBatches]:
    made = AnthropicBatches(OpenAIOptions(name="test", base_url=server.url, api_key="sk-registry", timeout_s=2.0, local=True))
    yield made
    made.close()


def options(server: Server, **changes: Any) -> OpenAIOptions:
    plain: dict[str, Any] = {"name": "test", "base_url": f"{server.url}/v1", "api_key": "sk-registry", "timeout_s": 2.0, "local": True}
    return OpenAIOptions(**{**plain, **changes})


def endpoint(**changes: Any) -> Endpoint:
    plain: dict[str, Any] = {"name": "e", "lane": Lane.CLOUD, "engine": "openai_batch", "provider": "openai", "model": "m"}
    return Endpoint(**{**plain, **changes})


@pytest.mark.parametrize("url", ["http://127.0.0.1:4000/v1", "http://localhost:4000/v1", "http://[::1]:4000/v1"])
@pytest.mark.parametrize("settings", [{}, {"local_networks": "10.0.0.0/8"}], ids=["plain", "with networks"])
def test_a_gateway_on_this_machine_may_speak_plain_http_and_must_be_on_it(url: str, settings: dict[str, Any]) -> None:
    made = OpenAIOptions.of(endpoint(base_url=url, settings=settings), "k")
    assert (made.local, made.local_networks) == (True, "")


@pytest.mark.parametrize("url", ["http://10.0.0.1/v1", "http://localhost.invalid/v1", "http://127.0.0.1.nip.invalid/v1"])
def test_plain_http_to_anywhere_else_is_refused(url: str) -> None:
    with pytest.raises(EndpointError, match="https URL, or http on a loopback address"):
        OpenAIOptions.of(endpoint(base_url=url), "k")


@pytest.mark.parametrize(
    ("provider", "settings", "path", "keys"),
    [
        ("openai", {}, "/v1/batches", {"authorization": "Bearer k"}),
        ("azure", {}, "/v1/batches", {"authorization": "Bearer k", "api-key": "k"}),
        ("azure", {"api_version": "2024-10-21"}, "/v1/batches?api-version=2024-10-21", {"api-key": "k"}),
    ],
    ids=["OpenAI", "Azure", "Azure of old"],
)
def test_each_provider_gets_the_key_where_it_looks(
    server: Server, provider: str, settings: dict[str, Any], path: str, keys: dict[str, str]
) -> None:
    made = OpenAIBatches(OpenAIOptions.of(endpoint(provider=provider, settings=settings, base_url=f"{server.url}/v1"), "k"))
    made.create("file_1", url=URL, metadata={"intent": "i"})
    made.close()
    (seen,) = server.seen
    found = {name: value for name, value in seen.headers.items() if name in {"authorization", "api-key", "x-api-key"}}
    assert (seen.path, found) == (path, keys)


@pytest.mark.parametrize("job_id", [GATEWAY_ID, "projects/7/batches/a%2Fb", "2f0b6c1e-0000-4a4a-9d9d-000000000000"])
def test_ids_of_gateways_are_ids(server: Server, client: OpenAIBatches, messages: AnthropicBatches, job_id: str) -> None:
    server.play(status(202, {**BATCH, "id": job_id, "processing_status": "ENDED"}))
    assert client.create(job_id, url=URL, metadata={}) == job_id
    assert client.batch(job_id).job_id == job_id
    assert (messages.create(b"{}\n"), messages.batch(job_id).state) == (job_id, "ended")
    messages.download(job_id, BytesIO())
    quoted = job_id.replace("%", "%25").replace("/", "%2F")
    asked = [seen.path for seen in server.seen if seen.method == "GET"]
    assert asked == [f"/v1/batches/{quoted}", f"/v1/messages/batches/{quoted}", f"/v1/messages/batches/{quoted}/results"]


@pytest.mark.parametrize("job_id", ["a/../../files", "/etc", "a b", "a?b", "x" * 600, 7, None])
def test_an_id_that_leads_elsewhere_is_none(server: Server, client: OpenAIBatches, job_id: Any) -> None:
    server.play(status(200, {**BATCH, "id": job_id}))
    with pytest.raises(AmbiguousError, match="bad_response"):
        client.create("file_1", url=URL, metadata={})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metadata": "intent=1"}, {"metadata": {}}),
        ({"metadata": ["a"]}, {"metadata": {}}),
        ({"metadata": {"a": 1}}, {"metadata": {"a": "1"}}),
        ({"request_counts": {"total": "3", "completed": 2.0, "failed": "x"}}, {"total": 3, "completed": 2, "failed": None}),
        ({"request_counts": [3]}, {"total": None}),
        ({"created_at": "2026-11-22T03:00:00Z"}, {"created_at": 0}),
        ({"created_at": 1.5}, {"created_at": 1}),
        ({"output_file_id": "", "error_file_id": "f"}, {"file_ids": ("f",)}),
        ({"output_file_id": "f", "error_file_id": "f"}, {"file_ids": ("f",)}),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_batch_in_other_forms_is_understood(
    server: Server, client: OpenAIBatches, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    server.play(status(200, {**BATCH, **changes}))
    found = client.batch("batch_1")
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("value", "count"),
    [(3, 3), ("3", 3), (3.0, 3), (3.5, None), (-1, None), (True, None), ("3 rows", None), (float("inf"), None), (None, None), ("", None)],
)
def test_a_count_is_a_whole_number_however_it_is_written(value: Any, count: int | None) -> None:
    assert count_of(value) == count


@pytest.mark.parametrize(
    ("word", "ended", "known"),
    [
        ("COMPLETED", True, True),
        ("Canceled", True, True),
        ("IN-PROGRESS", False, True),
        ("canceling", False, True),
        ("pre_warming", False, False),
        ("completed later", False, False),
    ],
)
def test_a_state_counts_in_any_case_and_spelling(
    server: Server, client: OpenAIBatches, tmp_path: Any, word: str, *, ended: bool, known: bool
) -> None:
    server.play(status(200, {**BATCH, "status": word}))
    lane = OpenAIBatchLane(client, OpenAIBatchOptions(spool=tmp_path))
    found = lane.poll("batch_1")
    assert (found.ended, found.known, lane.look("batch_1").ended) == (ended, known, ended)


def listing(**page: Any) -> Callable[[Handler], None]:
    return status(200, {"object": "list", **page})


def test_an_empty_listing_may_be_null_and_another_form_is_none(server: Server, client: OpenAIBatches, messages: AnthropicBatches) -> None:
    server.play(listing(data=None, has_more=False))
    assert (client.batch_page(None), messages.batch_page(None)) == (([], False), ([], False))
    server.play(listing(data=None))
    assert client.batch_page(None) == ([], None)
    server.play(status(200, {"data": None}))
    with pytest.raises(EndpointError, match="another form"):
        client.batch_page(None)


@pytest.mark.parametrize(
    ("told", "more"),
    [
        ({}, None),
        ({"has_more": None}, None),
        ({"has_more": False, "next": "x"}, False),
        ({"paging": {"next_cursor": "x"}}, True),
        ({"paging": {"next_cursor": None}}, None),
        ({"nextLink": "https://elsewhere.invalid"}, True),
    ],
    ids=str,
)
def test_whether_a_listing_goes_on_is_not_guessed(server: Server, client: OpenAIBatches, told: dict[str, Any], more: bool | None) -> None:  # noqa: FBT001
    server.play(listing(data=[BATCH], **told))
    assert client.batch_page(None)[1] is more


def test_pages_that_say_nothing_are_followed_to_their_end_and_cursors_that_are_not_ours_prove_nothing(
    server: Server, client: OpenAIBatches
) -> None:
    batches = [{**BATCH, "id": f"batch_{number}"} for number in range(5)]

    def paged(handler: Handler) -> None:
        after = handler.path.partition("after=batch_")[2].partition("&")[0]
        begin = int(after) + 1 if after else 0
        handler.answer(200, json.dumps({"object": "list", "data": batches[begin : begin + 2]}).encode())

    now = datetime(2026, 11, 22, tzinfo=UTC)
    server.play(paged)
    assert [job.job_id for job in listed(client.batch_page, since=now, name="test")] == [batch["id"] for batch in batches]
    server.play(listing(data=batches[:2], paging={"next_cursor": "opaque"}))
    with pytest.raises(EndpointError, match="repeats itself"):
        list(listed(client.batch_page, since=now, name="test"))


def test_files_without_an_id_are_passed_over(server: Server, client: OpenAIBatches) -> None:
    server.play(listing(data=["x", None, {"filename": "i.jsonl"}, {"id": 4, "filename": "i.jsonl"}, {"id": "f", "filename": None}]))
    assert (client.files_named("i.jsonl"), list(client.files())) == ([], [("f", "")])


def test_an_upload_is_usable_when_it_was_read(server: Server, client: OpenAIBatches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks.clients.openai_client, "READY_POLL_S", 0.0)
    states = iter(["pending", "Running", "processed"])
    server.play(lambda handler: handler.answer(200, json.dumps({"id": "file_1", "status": next(states)}).encode()))
    assert client.upload("i.jsonl", b"{}\n") == "file_1"
    assert [(seen.method, seen.path) for seen in server.seen] == [("POST", "/v1/files"), *[("GET", "/v1/files/file_1")] * 2]
    states = iter(["pending", "error", "error"])
    with pytest.raises(RejectedError, match="file_refused"):
        client.upload("i.jsonl", b"{}\n")
    assert server.seen[-1].method == "DELETE"


@pytest.mark.parametrize("archived", ["", None, pytest.param("2026-11-22T03:00:00Z", id="archived")], ids=repr)
def test_a_batch_is_archived_when_it_says_since_when(server: Server, messages: AnthropicBatches, archived: Any) -> None:
    server.play(status(200, {**BATCH, "processing_status": "ended", "archived_at": archived}))
    assert messages.batch("batch_1").archived is bool(archived)


ANSWER = {"choices": [{"finish_reason": "stop", "message": {"content": "ok"}}], "usage": {"prompt_tokens": 9.0, "completion_tokens": 2}}


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param({"response": {"status_code": "200", "body": ANSWER}}, id="status as text"),
        pytest.param({"response": json.dumps({"status_code": 200, "body": ANSWER})}, id="response as text"),
        pytest.param({"response": ANSWER}, id="no body around it"),
        pytest.param({"response": {"body": ANSWER}, "error": {"code": None, "message": ""}}, id="an error of nothing"),
        pytest.param({"response": {"body": {**ANSWER, "error": {"code": "", "message": None}}}}, id="an error of nothing inside"),
    ],
)
def test_an_answer_in_another_wrapping_is_one(tree: dict[str, Any]) -> None:
    result = read_row(json.dumps({"custom_id": "a", **tree}).encode())
    assert (result.output, result.error_code, result.tokens_in, result.tokens_out) == ("ok", None, 9, 2)


@pytest.mark.parametrize(("code", "expected"), [("429", "rate_limited"), ("503", "provider_unavailable"), (500.0, "provider_unavailable")])
def test_a_status_that_is_no_integer_is_read_as_one(code: Any, expected: str) -> None:
    line = json.dumps({"custom_id": "a", "response": {"status_code": code, "body": {}}}).encode()
    assert read_row(line).error_code == expected
