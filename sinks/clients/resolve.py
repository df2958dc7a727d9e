"""Local means local: a name is resolved once, every address is checked, and the connection goes to a checked address.

Invariant 8. Checking a name and then connecting by name would leave a gap in which the name may change (DNS rebinding), so
the request is sent to the address that was checked, with the name kept in the Host header and in TLS.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence

import httpx2

from sinks.errors import EndpointError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Not `is_private` of ipaddress: it looks at a network's first and last address, and so takes 0.0.0.0/0 for private.
PRIVATE: Sequence[Network] = tuple(
    ipaddress.ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1")
)
Lookup = Callable[[str, int], Sequence[str]]
"""Name and port to the addresses of a name, in the resolver's order."""


def system_lookup(host: str, port: int) -> list[str]:
    """The system's resolver."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def networks(allowed: str) -> tuple[Network, ...]:
    """The networks of an allow-list setting: private addresses and CIDR ranges, separated by commas. An empty one allows loopback only.

    Raises EndpointError for a network that is not wholly private: a list that may hold the Internet would make any server local.
    """
    try:
        found = tuple(ipaddress.ip_network(entry.strip()) for entry in allowed.split(",") if entry.strip())
    except ValueError as error:
        msg = f"local_networks: expected addresses or CIDR ranges separated by commas ({error}); correct the endpoint registry"
        raise EndpointError(msg) from None
    for network in found:
        if not any(network.version == one.version and network.subnet_of(one) for one in PRIVATE):  # type: ignore[arg-type]  # of one version
            private = ", ".join(str(one) for one in PRIVATE)
            msg = f"local_networks: expected private networks (within {private}), found {network}; correct the endpoint registry"
            raise EndpointError(msg)
    return found


def is_local(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address is loopback or in an allowed network. An IPv4 address inside an IPv6 one counts as itself."""
    parsed: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_loopback or any(parsed in network for network in allowed)


def local_address(host: str, port: int, allowed: Sequence[Network] = (), lookup: Lookup = system_lookup) -> str:
    """One address of `host`, after all of them were found local. Raises EndpointError when any is not: a name that is half local is not."""
    try:
        addresses = lookup(host, port)
    except OSError:
        msg = f"endpoint host {host!r} cannot be resolved; check the base_url in the endpoint registry"
        raise EndpointError(msg) from None
    strangers = [address for address in addresses if not is_local(address, allowed)]
    if strangers or not addresses:
        msg = (
            f"endpoint host {host!r} must be local, but resolves to {', '.join(strangers) or 'no address'}; "
            "use a loopback address, or name its network in the endpoint's local_networks"
        )
        raise EndpointError(msg)
    return addresses[0]


class LocalTransport(httpx2.HTTPTransport):
    """Connects only to addresses that were checked for this very request; never through a proxy."""

    def __init__(self, *, allowed: Sequence[Network] = (), lookup: Lookup = system_lookup, verify: ssl.SSLContext | bool = True) -> None:
        super().__init__(verify=verify, trust_env=False, retries=0)
        self._allowed = tuple(allowed)
        self._lookup = lookup

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Resolve, check, then send to the checked address. The Host header was set from the name already."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        address = local_address(host, port, self._allowed, self._lookup)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return super().handle_request(request)
