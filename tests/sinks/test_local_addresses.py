"""What an endpoint inside may be: options from the registry, local names and networks, each request's address looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks.clients.connection import OpenAIOptions
from sinks.clients.openai_client import OpenAIBatches
from sinks.clients.resolve import LocalTransport, local_address, networks
from sinks.errors import EndpointError
from tests.sinks.scripted_server import Server, servers, status


@pytest.fixture
def server() -> Iterator[Server]:
    with servers(status(200, {})) as start:
        yield start()


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
