"""The Anthropic client against a scripted server on loopback: one request per call, the gate's bytes, nothing from the environment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from anthropic.types.messages import MessageBatch as SdkBatch

from sinks.clients.anthropic_client import AnthropicBatches, MessageBatch
from sinks.clients.connection import OpenAIOptions
from sinks.errors import AmbiguousError, EndpointError, RejectedError
from tests.sinks.scripted_server import Handler, Script, Server, drop, servers, status

MADE = "2026-11-22T03:00:00Z"
COUNTS = {"processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": COUNTS,
    "created_at": MADE,
    "expires_at": "2026-11-23T03:00:00Z",
    "ended_at": None,
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": None,
}
# Written with spaces and in an order that no serializer here would choose: sent as they are, or not at all.
ROWS = '{"params": {"b":1,  "a":"\u2028é"}, "custom_id": "i-0"}\n{"custom_id":"i-1","params":{}}\n'.encode()


def connect(url: str, **changes: Any) -> AnthropicBatches:
    plain: dict[str, Any] = {"name": "test", "base_url": url, "api_key": "sk-registry", "timeout_s": 2.0, "local": True}
    return AnthropicBatches(OpenAIOptions(**{**plain, **changes}))


@pytest.fixture
def serve() -> Iterator[Callable[[], Server]]:
    with servers(status(200, BATCH)) as start:
        yield start


@pytest.fixture
def server(serve: Callable[[], Server]) -> Server:
    return serve()


@pytest.fixture
def client(server: Server) -> Iterator[AnthropicBatches]:
    made = connect(server.url)
    yield made
    made.close()


def test_a_create_is_one_post_of_the_rows_as_they_are(server: Server, client: AnthropicBatches) -> None:
    assert client.create(ROWS) == "msgbatch_1"
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/messages/batches")
    assert seen.body == b'{"requests":[' + ROWS.strip().replace(b"\n", b",") + b"]}"
    assert [row["custom_id"] for row in json.loads(seen.body)["requests"]] == ["i-0", "i-1"]
    assert seen.headers["authorization"] == "Bearer sk-registry"
    assert (seen.headers["anthropic-version"], seen.headers["content-type"]) == ("2026-10-21", "application/json")
    assert not [name for name in seen.headers if name.startswith("x-stainless")]
    assert seen.headers["x-api-key"] == "sk-registry"


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 422])
def test_a_definite_refusal_is_rejected(server: Server, client: AnthropicBatches, code: int) -> None:
    server.play(status(code, {"type": "error", "error": {"type": "invalid_request_error", "message": "quoted document"}}))
    with pytest.raises(RejectedError) as caught:
        client.create(ROWS)
    assert caught.value.code == f"http_{code}"
    assert "quoted" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("script", "code"),
    [
        *[pytest.param(status(code), f"http_{code}", id=str(code)) for code in (408, 409, 429, 500, 502, 503, 504, 529)],
        pytest.param(status(429, **{"Retry-After": "0"}), "http_429", id="429 with Retry-After"),
        pytest.param(status(529, **{"x-should-retry": "true"}), "http_529", id="529 asking to retry"),
        pytest.param(status(307, location="/v1/messages/batches"), "http_307", id="redirect"),
        pytest.param(drop, "connection_lost", id="drop"),
        pytest.param(lambda handler: handler.answer(200, b"<html>log in</html>", "text/html"), "bad_response", id="HTML with 200"),
        pytest.param(lambda handler: handler.answer(200, b"<html>log in</html>"), "bad_response", id="HTML called JSON"),
        pytest.param(status(200, {"type": "message_batch"}), "bad_response", id="no id"),
        pytest.param(status(200, {**BATCH, "id": "a b"}), "bad_response", id="an id that is none"),
        pytest.param(status(200, [1]), "bad_response", id="a list"),
        pytest.param(lambda handler: handler.answer(200, b'{"id": "ms', length="900"), "connection_lost", id="truncated body"),
    ],
)
def test_whatever_is_unclear_is_ambiguous_and_never_resent(server: Server, client: AnthropicBatches, script: Script, code: str) -> None:
    server.play(script)
    with pytest.raises(AmbiguousError) as caught:
        client.create(ROWS)
    assert caught.value.code == code
    assert [seen.method for seen in server.seen] == ["POST"]


def test_a_create_is_waited_for_longer_than_other_answers_and_not_for_ever(server: Server) -> None:
    release, first = threading.Event(), threading.Event()

    def script(handler: Handler) -> None:
        if first.is_set():
            release.wait()
            return
        first.set()
        release.wait(0.3)  # longer than any other call waits
        handler.answer(200, json.dumps(BATCH).encode())

    server.play(script)
    options = OpenAIOptions(name="test", base_url=server.url, api_key="k", timeout_s=0.1, local=True)
    patient, short = AnthropicBatches(options), AnthropicBatches(options, create_s=0.1)
    assert patient.create(ROWS) == "msgbatch_1"
    with pytest.raises(AmbiguousError, match="timeout"):
        short.create(ROWS)
    with pytest.raises(EndpointError, match="APITimeoutError"):
        patient.batch("msgbatch_1")
    release.set()
    patient.close()
    short.close()
    assert [seen.method for seen in server.seen] == ["POST", "POST", "GET"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"base_url": "http://127.0.0.1:1"}, id="refused"),
        pytest.param({"base_url": "https://api.invalid", "proxy": "http://127.0.0.1:1", "local": False}, id="no proxy there"),
    ],
)
def test_a_connection_never_made_is_rejected_because_nothing_left(changes: dict[str, Any]) -> None:
    client = connect("", **changes)
    with pytest.raises(RejectedError, match="unreachable"):
        client.create(ROWS)
    client.close()


def test_a_proxy_that_lets_nothing_through_is_a_refusal(serve: Callable[[], Server]) -> None:
    proxy = serve()
    proxy.play(status(403))
    client = connect("https://api.invalid", proxy=proxy.url, local=False)
    with pytest.raises(RejectedError, match="unreachable"):
        client.create(ROWS)
    client.close()
    assert [seen.method for seen in proxy.seen] == ["CONNECT"]


def test_the_environment_changes_nothing(serve: Callable[[], Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    registered, stranger = serve(), serve()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, stranger.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    for name in (
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_PROFILE",
        "ANTHROPIC_WEBHOOK_SIGNING_KEY",
        "ANTHROPIC_ORGANIZATION_ID",
    ):
        monkeypatch.setenv(name, "from-environment")
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    (tmp_path / "configs").mkdir()
    (tmp_path / "active_config").write_text("default")
    (tmp_path / "configs" / "default.json").write_text(json.dumps({"base_url": stranger.url, "workspace_id": "from-environment"}))
    monkeypatch.setenv(
        "ANTHROPIC_CUSTOM_HEADERS",
        "Authorization: Bearer from-environment\nX-Api-Key: from-environment\nAnthropic-Version: from-environment\nHost: from-environment",
    )
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE", "content")
    for key in ("sk-registry", ""):
        client = connect(registered.url, api_key=key)
        client.create(ROWS)
        client.batch("msgbatch_1")
        client.close()
    assert stranger.seen == []
    assert len(registered.seen) == 4
    for seen in registered.seen:
        assert seen.headers["host"] == registered.url.removeprefix("http://")
        assert "from-environment" not in json.dumps(seen.headers)


def test_an_endpoint_may_name_an_earlier_version_of_the_api(server: Server) -> None:
    options = OpenAIOptions(name="test", base_url=f"{server.url}/anthropic", api_key="k", timeout_s=2.0, local=True)
    client = AnthropicBatches(options, version="2023-06-01")
    client.create(ROWS)
    client.close()
    (seen,) = server.seen
    assert (seen.path, seen.headers["anthropic-version"]) == ("/anthropic/v1/messages/batches", "2023-06-01")


def test_a_local_endpoint_that_resolves_outside_gets_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_options: [(2, 1, 6, "", ("203.0.113.9", 80))])
    client = connect(server.url)
    for call in (lambda: client.create(ROWS), lambda: client.batch("msgbatch_1"), lambda: client.download("msgbatch_1", BytesIO())):
        with pytest.raises(EndpointError, match="must be local"):
            call()
    client.close()
    assert server.seen == []


def test_a_redirect_is_refused(serve: Callable[[], Server]) -> None:
    registered, stranger = serve(), serve()
    registered.play(status(307, {}, location=f"{stranger.url}/v1/messages/batches/msgbatch_1"))
    client = connect(registered.url)
    for call in (lambda: client.batch("msgbatch_1"), lambda: client.download("msgbatch_1", BytesIO()), lambda: client.delete("msgbatch_1")):
        with pytest.raises(EndpointError):
            call()
    with pytest.raises(AmbiguousError):
        client.create(ROWS)
    client.close()
    assert stranger.seen == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {}, id="running"),
        pytest.param(
            {"processing_status": "ended", "request_counts": {**COUNTS, "processing": 0, "succeeded": 1, "expired": 1, "errored": 1}},
            {"state": "ended", "succeeded": 1, "unsuccessful": 2},
            id="ended",
        ),
        pytest.param({"request_counts": {**COUNTS, "processing": 0}}, {"total": None, "unsuccessful": None}, id="counts not there yet"),
        pytest.param({"request_counts": None}, {"total": None, "succeeded": None, "unsuccessful": None}, id="no counts"),
        pytest.param({"processing_status": "thawing", "new_field": [1]}, {"state": "thawing"}, id="unknown state and field"),
        pytest.param({"processing_status": "A sentence."}, {"state": "unknown"}, id="a state that is no word"),
        pytest.param({"created_at": "yesterday"}, {"created_at": 0}, id="no time"),
        pytest.param({"archived_at": MADE}, {"archived": True}, id="archived"),
    ],
)
def test_a_batch_in_our_words(server: Server, client: AnthropicBatches, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    server.play(status(200, {**BATCH, **changes}))
    when = int(datetime(2026, 11, 22, 3, 0, tzinfo=UTC).timestamp())
    plain = {"job_id": "msgbatch_1", "state": "in_progress", "created_at": when, "total": 3, "succeeded": 0, "unsuccessful": 0}
    assert client.batch("msgbatch_1") == MessageBatch(**{**plain, "archived": False, **expected})


def test_the_batch_of_these_tests_is_one_of_the_sdk() -> None:
    SdkBatch.model_validate(BATCH)


@pytest.mark.parametrize("body", [{"message": "hello"}, {**BATCH, "id": None}, {**BATCH, "processing_status": None}, [1]])
def test_what_is_no_batch_is_an_endpoint_error(server: Server, client: AnthropicBatches, body: Any) -> None:
    server.play(status(200, body))
    with pytest.raises(EndpointError, match="without id or status"):
        client.batch("msgbatch_1")


def test_a_batch_that_is_gone_is_an_endpoint_error(server: Server, client: AnthropicBatches) -> None:
    server.play(status(404))
    with pytest.raises(EndpointError, match="gone, which means another account"):
        client.batch("msgbatch_1")
    assert client.delete("msgbatch_1") is False


def test_pages_go_back_from_the_last_id(server: Server, client: AnthropicBatches) -> None:
    page = {"data": [BATCH, {**BATCH, "id": "msgbatch_0"}], "has_more": True, "first_id": "msgbatch_1", "last_id": "msgbatch_0"}
    server.play(status(200, page))
    batches, more = client.batch_page(None)
    assert ([batch.job_id for batch in batches], more) == (["msgbatch_1", "msgbatch_0"], True)
    client.batch_page("msgbatch_0")
    assert [seen.path for seen in server.seen] == [
        "/v1/messages/batches?limit=1000",
        "/v1/messages/batches?after_id=msgbatch_0&limit=1000",
    ]


@pytest.mark.parametrize("body", [{"message": "hello"}, [1], {"data": {"a": 1}}])
def test_a_listing_in_another_form_is_an_endpoint_error(server: Server, client: AnthropicBatches, body: Any) -> None:
    server.play(status(200, body))
    with pytest.raises(EndpointError, match=r"listing|batches"):
        client.batch_page(None)


def test_results_are_streamed_whole_from_our_own_path(server: Server, client: AnthropicBatches) -> None:
    content = b"x" * 300_000
    server.play(lambda handler: handler.answer(200, content, "application/x-jsonl"))
    target = BytesIO()
    assert client.download("msgbatch_1", target) == len(content)
    assert target.getvalue() == content
    assert [seen.path for seen in server.seen] == ["/v1/messages/batches/msgbatch_1/results"]
    part = BytesIO()
    assert client.download("msgbatch_1", part, most=1000) < len(content)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(status(502), id="502"),
        pytest.param(status(404), id="archived"),
        pytest.param(drop, id="drop"),
        pytest.param(lambda handler: handler.answer(200, b"{}\n", length="900"), id="shorter than announced"),
    ],
)
def test_broken_results_are_an_endpoint_error(server: Server, client: AnthropicBatches, script: Script) -> None:
    server.play(script)
    with pytest.raises(EndpointError):
        client.download("msgbatch_1", BytesIO())
    assert len(server.seen) == 1


def test_cancelling_and_deleting_are_one_request_each(server: Server, client: AnthropicBatches) -> None:
    client.cancel("msgbatch_1")
    server.play(status(200, {"id": "msgbatch_1", "type": "message_batch_deleted"}))
    assert client.delete("msgbatch_1") is True
    server.play(status(500))
    with pytest.raises(EndpointError):
        client.delete("msgbatch_1")
    path = "/v1/messages/batches/msgbatch_1"
    assert [(seen.method, seen.path) for seen in server.seen] == [("POST", f"{path}/cancel"), ("DELETE", path), ("DELETE", path)]
