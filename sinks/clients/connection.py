"""How an endpoint with the OpenAI or the Anthropic API is reached: what the registry says, and nothing from the environment.

Invariant 8. URL, proxy, CA file and key come from the registry entry and the secret passed in. The SDKs also read OPENAI_BASE_URL,
OPENAI_ORG_ID, OPENAI_PROJECT_ID, OPENAI_ADMIN_KEY, OPENAI_CUSTOM_HEADERS and Anthropic's variables of that kind, and their HTTP library
the proxy, CA and .netrc variables: none of them takes effect. Redirects are not followed, and a request to another origin is stopped.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from policies.check import is_loopback
from policies.model import EMULATOR, Endpoint, Lane
from sinks.clients.provider_clock import ProviderClock
from sinks.errors import EndpointError

if TYPE_CHECKING:  # a third of a second of imports that `waybill --help` must not pay
    import httpx2

    from sinks.clients.resolve import Lookup

NO_KEY = "none"
GENERATION_S = 600.0
"""How long a server inside may take for one answer: a model of this building's size, with other requests before ours."""

AZURE = "azure"

# Which headers may go out. An allow-list, because OPENAI_CUSTOM_HEADERS and the SDK's account variables add headers of any name.
# x-stainless-raw-response never matters to a server: the SDK reads it back from the request to know that it streams.
_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding", "x-stainless-raw-response"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions:
    """How one endpoint is reached. timeout_s: for one read or write, not for a whole transfer. local_networks: see `resolve`.

    key_header: under which the key goes besides `authorization`. api_version: of the query, where a server wants one.
    """

    name: str
    base_url: str
    api_key: str = field(repr=False)
    proxy: str = field(default="", repr=False)  # may carry a password
    ca_file: str = ""
    timeout_s: float = 60.0
    local: bool = False
    local_networks: str = ""
    key_header: str = ""
    api_version: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint, api_key: str) -> OpenAIOptions:
        """The options of a registry entry. A local endpoint and the emulator must be local; any other must use TLS, or be on this machine.

        A gateway to a provider may run here and speak plain http: then every connection is checked to stay on loopback.
        """
        inside = endpoint.lane is Lane.LOCAL or endpoint.provider == EMULATOR
        scheme = urlsplit(endpoint.base_url).scheme
        local = inside or (scheme == "http" and is_loopback(urlsplit(endpoint.base_url).hostname or ""))
        if scheme not in {"http", "https"} or not (local or scheme == "https"):
            expected = "http(s) URL" if inside else "https URL, or http on a loopback address"
            raise EndpointError(f"endpoint {endpoint.name}: base_url must be an {expected}; correct it in the endpoint registry")
        if local and endpoint.proxy:
            msg = f"endpoint {endpoint.name}: a local endpoint cannot be reached through a proxy; remove proxy from its registry entry"
            raise EndpointError(msg)
        return cls(
            name=endpoint.name,
            base_url=endpoint.base_url,
            api_key=api_key,
            proxy=endpoint.proxy,
            ca_file=endpoint.ca_file,
            timeout_s=float(endpoint.settings.get("timeout_s", GENERATION_S if endpoint.engine == "openai_compatible" else 60.0)),
            local=local,
            local_networks=str(endpoint.settings.get("local_networks", "")) if inside else "",
            key_header="api-key" if endpoint.provider == AZURE else "",
            api_version=str(endpoint.settings.get("api_version", "")),
        )


def _credentials(options: OpenAIOptions) -> dict[str, str]:
    """The key. A server that wants an API version in the query is from before keys went into `authorization`."""
    key = options.api_key or NO_KEY
    own = {options.key_header: key} if options.key_header else {}
    return own if own and options.api_version else {"authorization": f"Bearer {key}", **own}


def http_client(
    options: OpenAIOptions,
    lookup: Lookup | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    clock: ProviderClock | None = None,
) -> httpx2.Client:
    """An HTTP client that ignores the environment, follows no redirect, and sends only to the registry's origin.

    headers: what every request carries besides, names in small letters, whatever the SDK says. clock: is told what each answer says.
    """
    import httpx2  # noqa: PLC0415 - the SDK's own HTTP library

    from sinks.clients.resolve import LocalTransport, networks, system_lookup  # noqa: PLC0415

    origin = httpx2.URL(options.base_url)
    ours = {"host": origin.netloc.decode(), "user-agent": "waybill", **_credentials(options), **(headers or {})}

    def guard(request: httpx2.Request) -> None:
        if (request.url.scheme, request.url.host, request.url.port) != (origin.scheme, origin.host, origin.port):
            msg = f"endpoint {options.name}: a request to another origin was stopped; report this"
            raise EndpointError(msg)
        for name in list(request.headers):
            if name not in _HEADERS:
                del request.headers[name]
        request.headers.update(ours)

    def note(response: httpx2.Response) -> None:
        if clock is not None:
            clock.note(response.headers.get("date"))

    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else True
    transport: httpx2.BaseTransport
    if options.local:
        transport = LocalTransport(allowed=networks(options.local_networks), lookup=lookup or system_lookup, verify=verify)
    else:
        transport = httpx2.HTTPTransport(verify=verify, trust_env=False, proxy=options.proxy or None, retries=0)
    return httpx2.Client(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=options.timeout_s,
        event_hooks={"request": [guard], "response": [note]},
    )
