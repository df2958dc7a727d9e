"""The OpenAI client against a scripted server on loopback: one request per call, nothing from the environment, no redirect followed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks.clients.connection import OpenAIOptions
from sinks.clients.openai_client import OpenAIBatches
from sinks.clients.resolve import LocalTransport, local_address, networks
from sinks.clients.webhook import Alert, WebhookOptions, send_alert
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
    with pytest.raises(EndpointError):
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


def endpoint(**changes: Any) -> Endpoint:
    plain: dict[str, Any] = {"name": "e", "lane": Lane.CLOUD, "engine": "openai_batch", "provider": "openai", "model": "m"}
    return Endpoint(**{**plain, "base_url": "https://api.invalid/v1", **changes})


@pytest.mark.parametrize(
    ("changes", "local"),
    [
        pytest.param({}, False, id="cloud over https"),
        pytest.param({"provider": "emulator", "base_url": "http://127.0.0.1:9/v1"}, True, id="emulator"),
        pytest.param({"lane": Lane.LOCAL, "base_url": "http://localhost:9/v1"}, True, id="local"),
    ],
)
def test_options_come_from_the_registry(changes: dict[str, Any], local: bool) -> None:  # noqa: FBT001
    assert OpenAIOptions.of(endpoint(**changes), "k").local is local


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"base_url": "http://api.invalid/v1"}, id="cloud without TLS"),
        pytest.param({"base_url": ""}, id="no URL"),
        pytest.param({"base_url": "file:///etc/passwd"}, id="not http"),
        pytest.param({"lane": Lane.LOCAL, "base_url": "http://localhost/v1", "proxy": "http://proxy.invalid"}, id="local through a proxy"),
    ],
)
def test_an_endpoint_that_cannot_be_trusted_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EndpointError, match=r"endpoint registry|registry entry"):
        OpenAIOptions.of(endpoint(**changes), "k")


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [
        pytest.param(["127.0.0.1"], "", id="IPv4 loopback"),
        pytest.param(["::1", "127.0.0.1"], "", id="both loopbacks"),
        pytest.param(["::ffff:127.0.0.1"], "", id="mapped loopback"),
        pytest.param(["10.1.2.3"], "10.1.2.0/24", id="allow-listed range"),
        pytest.param(["fd00::7"], "10.0.0.1, fd00::/8", id="allow-listed IPv6"),
    ],
)
def test_local_names_are_accepted(addresses: list[str], allowed: str) -> None:
    assert local_address("inside", 80, networks(allowed), lambda _host, _port: addresses) == addresses[0]


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [
        pytest.param(["203.0.113.9"], "", id="public"),
        pytest.param(["127.0.0.1", "203.0.113.9"], "", id="half local"),
        pytest.param(["10.1.2.3"], "", id="private but not allow-listed"),
        pytest.param(["10.1.3.3"], "10.1.2.0/24", id="outside the range"),
        pytest.param(["0.0.0.0"], "", id="unspecified"),  # noqa: S104 - an address to refuse
        pytest.param(["::ffff:203.0.113.9"], "", id="mapped public"),
        pytest.param([], "", id="no address"),
    ],
)
def test_names_that_are_not_local_are_refused(addresses: list[str], allowed: str) -> None:
    with pytest.raises(EndpointError, match="must be local"):
        local_address("inside", 80, networks(allowed), lambda _host, _port: addresses)


def test_a_malformed_allow_list_is_refused() -> None:
    with pytest.raises(EndpointError, match="local_networks"):
        networks("10.0.0.0/99")


@pytest.mark.parametrize("allowed", ["0.0.0.0/0", "::/0", "8.8.8.8", "10.0.0.0/7", "10.0.0.0/8, 203.0.113.0/24", "2000::/3"])
def test_a_network_that_is_not_private_is_refused(allowed: str) -> None:
    with pytest.raises(EndpointError, match="expected private networks"):
        networks(allowed)


@pytest.mark.parametrize("allowed", ["10.20.0.0/16", "172.16.0.0/12, 192.168.1.7", "fd00::/8", "127.0.0.0/8", ""])
def test_a_private_network_is_taken(allowed: str) -> None:
    assert len(networks(allowed)) == len([one for one in allowed.split(",") if one])


def test_a_name_is_checked_on_every_request_and_the_checked_address_is_used(server: Server) -> None:
    import httpx2  # noqa: PLC0415

    port = int(server.url.rpartition(":")[2])
    answers = [["127.0.0.1"], ["203.0.113.9"]]  # the name is rebound after the first request
    transport = LocalTransport(lookup=lambda _host, _port: answers.pop(0))
    with httpx2.Client(transport=transport, trust_env=False) as client:
        assert client.get(f"http://inside.invalid:{port}/").status_code == 200
        with pytest.raises(EndpointError, match="must be local"):
            client.get(f"http://inside.invalid:{port}/")
    (seen,) = server.seen
    assert seen.headers["host"] == f"inside.invalid:{port}"


def test_a_local_endpoint_that_resolves_outside_gets_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_options: [(2, 1, 6, "", ("203.0.113.9", 80))])
    client = OpenAIBatches(OpenAIOptions(name="test", base_url=f"{server.url}/v1", api_key="k", timeout_s=2.0, local=True))
    with pytest.raises(EndpointError, match="must be local"):
        client.upload("i.jsonl", b"{}\n")
    client.close()
    assert server.seen == []


def test_an_alert_is_counts_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    alert = Alert(run_id="nightly-2026-11-22", held=3, ambiguous=1)
    assert alert.needed
    send_alert(alert, WebhookOptions(url=f"{server.url}/hook"))
    (seen,) = server.seen
    body = json.loads(seen.body)
    assert body.pop("run_id") == "nightly-2026-11-22"
    assert all(type(value) is int for value in body.values())
    assert (body["held"], body["ambiguous"], body["failed"]) == (3, 1, 0)


def test_a_quiet_night_needs_no_alert() -> None:
    assert not Alert(run_id="r").needed


@pytest.mark.parametrize("script", [status(500), status(302, {}, location="/elsewhere"), drop], ids=["500", "redirect", "drop"])
def test_an_alert_that_is_not_taken_is_an_error_without_the_url(server: Server, script: Script) -> None:
    server.play(script)
    with pytest.raises(EndpointError) as caught:
        send_alert(Alert(run_id="r", failed=1), WebhookOptions(url=f"{server.url}/hook/token"))
    assert "token" not in str(caught.value)
    assert len(server.seen) == 1
