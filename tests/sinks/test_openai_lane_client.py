"""The OpenAI client against a scripted server on loopback: one request per call, nothing from the environment, no redirect followed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest

from sinks.clients.connection import OpenAIOptions
from sinks.clients.openai_client import OpenAIBatches
from sinks.clients.webhook import WebhookOptions
from sinks.errors import AmbiguousError, EndpointError, RejectedError
from tests.sinks.scripted_server import Handler, Script, Server, drop, servers, status

BATCH = {"id": "batch_1", "object": "batch", "status": "in_progress", "created_at": 1, "endpoint": "/v1", "input_file_id": "file_1"}


@pytest.fixture
def serve() -> Iterator[Callable[[], Server]]:
    with servers(status(200, BATCH)) as start:
        yield start


@pytest.fixture
def server(serve: Callable[[], Server]) -> Server:
    return serve()


@pytest.fixture
def client(server: Server) -> Iterator[OpenAIBatches]:
    made = OpenAIBatches(OpenAIOptions(name="test", base_url=f"{server.url}/v1", api_key="sk-registry", timeout_s=2.0, local=True))
    yield made
    made.close()


def create(client: OpenAIBatches) -> str:
    return client.create("file_1", url="/v1/chat/completions", metadata={"intent": "i", "digest": "d"})


def test_create_sends_one_post_with_intent_and_digest_only(server: Server, client: OpenAIBatches) -> None:
    assert create(client) == "batch_1"
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/batches")
    assert json.loads(seen.body) == {
        "input_file_id": "file_1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"intent": "i", "digest": "d"},
    }


@pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 422])
@pytest.mark.parametrize("call", ["create", "upload"])
def test_a_definite_refusal_is_rejected(server: Server, client: OpenAIBatches, code: int, call: str) -> None:
    server.play(status(code, {"error": {"message": "quoted document"}}))
    with pytest.raises(RejectedError) as caught:
        create(client) if call == "create" else client.upload("i.jsonl", b"{}\n")
    assert caught.value.code == f"http_{code}"
    assert "quoted" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("script", "code"),
    [
        *[pytest.param(status(code), f"http_{code}", id=str(code)) for code in (408, 409, 429, 500, 502, 503)],
        pytest.param(status(429, **{"Retry-After": "0"}), "http_429", id="429 with Retry-After"),
        pytest.param(status(500, **{"x-should-retry": "true"}), "http_500", id="500 asking to retry"),
        pytest.param(status(307, location="/v1/batches"), "http_307", id="redirect"),
        pytest.param(drop, "connection_lost", id="drop"),
        pytest.param(lambda handler: handler.answer(200, b"<html>log in</html>", "text/html"), "bad_response", id="HTML with 200"),
        pytest.param(lambda handler: handler.answer(200, b"<html>log in</html>"), "bad_response", id="HTML called JSON"),
        pytest.param(status(200, {"object": "batch"}), "bad_response", id="no id"),
        pytest.param(status(200, {**BATCH, "id": ""}), "bad_response", id="empty id"),
        pytest.param(status(200, [1]), "bad_response", id="a list"),
        pytest.param(lambda handler: handler.answer(200, b'{"id": "ba', length="900"), "connection_lost", id="truncated body"),
    ],
)
def test_whatever_is_unclear_is_ambiguous_and_never_resent(server: Server, client: OpenAIBatches, script: Script, code: str) -> None:
    server.play(script)
    with pytest.raises(AmbiguousError) as caught:
        create(client)
    assert caught.value.code == code
    assert [seen.method for seen in server.seen] == ["POST"]


def test_a_timeout_is_ambiguous(server: Server) -> None:
    release = threading.Event()
    server.play(lambda _: [release.wait()].clear())
    client = OpenAIBatches(OpenAIOptions(name="test", base_url=f"{server.url}/v1", api_key="k", timeout_s=0.2, local=True))
    with pytest.raises(AmbiguousError, match="timeout"):
        create(client)
    release.set()
    client.close()
    assert len(server.seen) == 1


def test_a_connection_never_made_is_rejected_because_nothing_left() -> None:
    client = OpenAIBatches(OpenAIOptions(name="test", base_url="http://127.0.0.1:1/v1", api_key="k", timeout_s=2.0, local=True))
    with pytest.raises(RejectedError, match="unreachable"):
        create(client)
    client.close()


def test_the_environment_changes_nothing(serve: Callable[[], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    registered, stranger = serve(), serve()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, stranger.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "from-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer from-environment\nX-Route: from-environment\nHost: from-environment")
    monkeypatch.setenv("OPENAI_LOG", "debug")
    client = OpenAIBatches(OpenAIOptions(name="test", base_url=f"{registered.url}/v1", api_key="sk-registry", timeout_s=2.0, local=True))
    create(client)
    client.upload("i.jsonl", b"{}\n")
    client.batch("batch_1")
    client.close()
    assert stranger.seen == []
    assert len(registered.seen) == 3
    for seen in registered.seen:
        assert seen.headers["authorization"] == "Bearer sk-registry"
        assert seen.headers["host"] == registered.url.removeprefix("http://")
        assert "from-environment" not in json.dumps(seen.headers)


def test_a_cloud_endpoint_ignores_proxies_from_the_environment(serve: Callable[[], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = serve()
    for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, stranger.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    client = OpenAIBatches(OpenAIOptions(name="test", base_url="https://127.0.0.1:1/v1", api_key="k", timeout_s=2.0))
    with pytest.raises(RejectedError, match="unreachable"):
        create(client)
    client.close()
    assert stranger.seen == []


def test_without_a_secret_no_key_is_taken_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    client = OpenAIBatches(OpenAIOptions(name="test", base_url=f"{server.url}/v1", api_key="", timeout_s=2.0, local=True))
    create(client)
    client.close()
    assert "from-environment" not in json.dumps(server.seen[0].headers)


def test_the_registrys_proxy_is_used(serve: Callable[[], Server]) -> None:
    proxy = serve()
    options = OpenAIOptions(name="test", base_url="http://provider.invalid/v1", api_key="k", proxy=proxy.url, timeout_s=2.0)
    client = OpenAIBatches(options)
    assert create(client) == "batch_1"
    client.close()
    assert [seen.path for seen in proxy.seen] == ["http://provider.invalid/v1/batches"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused(serve: Callable[[], Server], code: int) -> None:
    registered, stranger = serve(), serve()
    registered.play(status(code, {}, location=f"{stranger.url}/v1/batches/batch_1"))
    client = OpenAIBatches(OpenAIOptions(name="test", base_url=f"{registered.url}/v1", api_key="k", timeout_s=2.0, local=True))
    with pytest.raises(EndpointError, match="redirects are not followed"):
        client.batch("batch_1")
    with pytest.raises(AmbiguousError):
        create(client)
    client.close()
    assert stranger.seen == []


def test_a_batch_that_is_gone_is_an_endpoint_error(server: Server, client: OpenAIBatches) -> None:
    server.play(status(404))
    with pytest.raises(EndpointError, match="gone"):
        client.batch("batch_1")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(status(502), id="502 on content"),
        pytest.param(drop, id="drop"),
        pytest.param(lambda handler: handler.answer(200, b"{}\n", length="900"), id="shorter than announced"),
    ],
)
def test_a_broken_download_is_an_endpoint_error(server: Server, client: OpenAIBatches, script: Script) -> None:
    server.play(script)
    with pytest.raises(EndpointError):
        client.download("file_1", BytesIO())


def test_a_download_is_streamed_whole(server: Server, client: OpenAIBatches) -> None:
    content = b"x" * 300_000
    server.play(lambda handler: handler.answer(200, content, "application/octet-stream"))
    target = BytesIO()
    assert client.download("file_1", target) == len(content)
    assert target.getvalue() == content


def test_deleting_what_is_gone_is_no_error(server: Server, client: OpenAIBatches) -> None:
    server.play(status(404))
    assert client.delete_file("file_1") is False


def test_a_listing_in_another_form_is_an_endpoint_error(server: Server, client: OpenAIBatches) -> None:
    server.play(status(200, {"message": "hello"}))
    with pytest.raises(EndpointError, match="listing"):
        client.batch_page(None)


def test_file_pages_are_followed_and_a_repeating_one_ends(server: Server, client: OpenAIBatches) -> None:
    files = [{"id": f"f{n}", "filename": name, "object": "file"} for n, name in enumerate(["a.jsonl", "i.jsonl", "i.jsonl"])]

    def script(handler: Handler) -> None:
        data = files[2:] if "after=f1" in handler.path else files[:2]
        handler.answer(200, json.dumps({"object": "list", "data": data, "has_more": True}).encode())

    server.play(script)
    assert client.files_named("i.jsonl") == ["f1", "f2"]


def test_secrets_are_not_shown() -> None:
    options = OpenAIOptions(name="test", base_url="https://x.invalid/v1", api_key="sk-secret", proxy="http://u:sk-secret@p")
    assert "sk-secret" not in repr(options)
    assert "sk-secret" not in repr(WebhookOptions(url="https://hooks.invalid/sk-secret"))
