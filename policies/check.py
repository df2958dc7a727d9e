"""`waybill policy check`: what is wrong, or doubtful, about a policy together with its registry.

Errors are refusals: with one, nothing should be scheduled. Warnings say what will be held or never happen, so that nobody is surprised in
the morning. Pure: the kinds of evidence that exist, and the day, are passed in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from detectors.document import EvidenceKind
from policies.economics.hosts import host_on
from policies.facts import unmet
from policies.model import CLEAN, EMULATOR, UNSCANNABLE, Endpoint, Lane
from policies.monotone import gains
from policies.policy import HELD, Policy
from policies.prices import Prices
from policies.registry import ENGINES

RESTRICTED = ("PHI", "NPI", "PRIVILEGED", "TRADE_SECRET", "CREDENTIALS", UNSCANNABLE)
"""Built-in classes that a policy must not let into the cloud without saying on what conditions."""

SOON = timedelta(days=30)
"""So long before a day that changes what a night does, it is spoken of."""

MANDATORY_SETTINGS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "bedrock_batch": {
            "bucket": "the bucket for inputs and outputs, in the endpoint's region",
            "role_arn": "the service role that may read and write there",
        }
    }
)
"""What an engine cannot do without, and what it is. The engine itself says what else is wrong with a setting."""


class Severity(StrEnum):
    """An error refuses the policy; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend: where (FILE:LINE: key, or the endpoint's name) and what."""

    severity: Severity
    where: str
    message: str


def check(
    policy: Policy,
    registry: Mapping[str, Endpoint],
    *,
    today: date,
    known: frozenset[EvidenceKind] | None = None,
    prices: Prices | None = None,
) -> list[Problem]:
    """Every problem found, errors first. known: the kinds of evidence that the installed detectors give. None skips a check."""
    problems = [
        *_unknown_evidence(policy, known),
        *_table(policy),
        *_classes_without_route(policy),
        *_classes_without_rule(policy),
        *_restricted_to_cloud(policy),
        *_unserved_routes(policy, registry),
        *(problem for endpoint in registry.values() for problem in _endpoint(endpoint, today)),
        *(problem for endpoint in registry.values() for problem in _price(endpoint, prices, today)),
        *_hosts(prices, registry, today),
    ]
    return sorted(problems, key=lambda problem: problem.severity is Severity.WARNING)


def _unknown_evidence(policy: Policy, known: frozenset[EvidenceKind] | None) -> Iterator[Problem]:
    for name, condition in policy.conditions:
        for kind in sorted(condition.kinds - known) if known is not None else ():
            yield _error(_class(policy, name), f"no detector gives {kind}; every document would stay UNSCANNABLE while it is asked for")


def _table(policy: Policy) -> Iterator[Problem]:
    """Routes that decide nothing, mentions that decide nothing, routes that free what they should bind."""
    for gain in gains(policy):
        yield _error(_route(policy, gain.more), gain.message)
    for index, route in enumerate(policy.routes):
        earlier = sorted(name for name in route.when if policy.rank(name) < index)
        if len(earlier) == len(route.when):
            yield _error(_route(policy, index), "is never reached: every class it names is decided by an earlier route")
            continue
        for name in earlier:
            yield _warning(_route(policy, index), f"names {name}, which routes[{policy.rank(name)}] has already decided")


def _classes_without_route(policy: Policy) -> Iterator[Problem]:
    for name in dict.fromkeys([*policy.classes, CLEAN, UNSCANNABLE]):
        if policy.rank(name) == HELD:
            where = _class(policy, name) if name in policy.classes else policy.file or "routes"
            yield _warning(where, f"{name} has no route: its documents are held")


def _classes_without_rule(policy: Policy) -> Iterator[Problem]:
    raised = {name for name, _ in policy.conditions}
    for name in RESTRICTED:
        if name not in raised and name != UNSCANNABLE:
            yield _warning(
                policy.file or "classes", f"no rule raises {name}: unless it is declared, such documents are judged as if it did not exist"
            )


def _restricted_to_cloud(policy: Policy) -> Iterator[Problem]:
    for name in RESTRICTED:
        index = policy.rank(name)
        if index == HELD or Lane.CLOUD not in policy.routes[index].lanes:
            continue
        requires = policy.routes[index].cloud_requires
        if name == UNSCANNABLE:
            yield _error(_route(policy, index), "permits the cloud to UNSCANNABLE; what could not be judged never goes there")
        elif not requires:
            yield _error(_route(policy, index), f"permits the cloud to {name} and requires nothing of the endpoint; add cloud_requires")
        elif name == "PHI" and requires.get("baa") is not True:
            yield _error(_route(policy, index), "permits the cloud to PHI without baa: true (45 CFR 164.502(e), 164.504(e))")


def _unserved_routes(policy: Policy, registry: Mapping[str, Endpoint]) -> Iterator[Problem]:
    for index, route in enumerate(policy.routes):
        for lane in route.lanes:
            of_lane = [endpoint for endpoint in registry.values() if endpoint.lane is lane]
            if not of_lane:
                yield _warning(_route(policy, index), f"permits the {lane} lane, for which the registry has no endpoint")
            elif lane is Lane.CLOUD and all(unmet(endpoint, route.cloud_requires) for endpoint in of_lane):
                names = ", ".join(route.cloud_requires)
                yield _warning(_route(policy, index), f"permits the cloud, but no endpoint satisfies all of {names}; nothing will go there")


def _endpoint(endpoint: Endpoint, today: date) -> Iterator[Problem]:
    where = f"endpoint {endpoint.name}"
    if endpoint.review_by is not None and endpoint.review_by < today:
        yield _error(where, f"its facts were to be reviewed by {endpoint.review_by}: review them, or remove it; nothing is sent to it")
    if endpoint.lane is Lane.CLOUD and endpoint.review_by is None:
        yield _error(where, "has no review_by day; a cloud endpoint's facts must have one")
    yield from _days(endpoint, where, today)
    yield from _missing_settings(endpoint, where)
    host = (urlsplit(endpoint.base_url).hostname or "") if endpoint.base_url else ""
    yield from _local_address(endpoint, host, where) if endpoint.lane is Lane.LOCAL else _cloud_address(endpoint, host, where)


def _days(endpoint: Endpoint, where: str, today: date) -> Iterator[Problem]:
    """What ends soon, or has ended. Past `review_by` is an error of its own."""
    reviewed, deprecated, retires = endpoint.review_by, endpoint.deprecated_on, endpoint.retires_on
    if reviewed is not None and today <= reviewed <= today + SOON:
        yield _warning(where, f"its facts are to be reviewed by {reviewed}, {_in(reviewed, today)}; after that day nothing is sent to it")
    if retires is not None and retires <= today:
        yield _warning(where, f"{endpoint.model} retired on {retires}: nothing is sent to it any more; name its successor")
    elif retires is not None and retires <= today + SOON:
        yield _warning(where, f"{endpoint.model} retires on {retires}, {_in(retires, today)}: name its successor before that day")
    elif deprecated is not None and deprecated <= today + SOON:
        until = f"it retires on {retires}" if retires else "set retires_on as soon as its maker names the day"
        was = f"was deprecated on {deprecated}" if deprecated <= today else f"will be deprecated on {deprecated}"
        yield _warning(where, f"{endpoint.model} {was}; {until}")


def _in(day: date, today: date) -> str:
    days = (day - today).days
    return "today" if days == 0 else "tomorrow" if days == 1 else f"in {days} days"


def _missing_settings(endpoint: Endpoint, where: str) -> Iterator[Problem]:
    for name, meaning in MANDATORY_SETTINGS.get(endpoint.engine, {}).items():
        if not endpoint.settings.get(name):
            yield _error(where, f"has no settings.{name}: {endpoint.engine} needs {meaning}")


def _price(endpoint: Endpoint, prices: Prices | None, today: date) -> Iterator[Problem]:
    """A way out that nobody knows the price of is no way out."""
    if prices is None:
        return
    price, incomplete = prices.of(endpoint, today), prices.incomplete(endpoint, today)
    if incomplete:
        yield _error(f"endpoint {endpoint.name}", incomplete)
    elif price is not None and price.review_by <= today + SOON:
        when = "was" if price.review_by < today else "is"
        where = price.where or f"endpoint {endpoint.name}"
        yield _warning(
            where, f"the price of {endpoint.name} {when} to be reviewed by {price.review_by}: look at {price.source} and set the next day"
        )


def _hosts(prices: Prices | None, registry: Mapping[str, Endpoint], today: date) -> Iterator[Problem]:
    """What the price file says of machines inside: no reason to refuse a night, but its costs would be wrong."""
    names = dict.fromkeys(host.name for host in prices.hosts) if prices is not None else {}
    for name in names:
        host = host_on(prices.hosts, name, today) if prices is not None else None
        if host is None:
            continue
        if host.review_by <= today + SOON:
            when = "was" if host.review_by < today else "is"
            yield _warning(
                host.where, f"what host {name} costs {when} to be reviewed by {host.review_by}: look at {host.source} and set the next day"
            )
        for endpoint in host.endpoints:
            if endpoint not in registry:
                yield _warning(host.where, f"host {name} runs {endpoint}, which the registry does not have: no work is ever charged to it")
            elif registry[endpoint].lane is not Lane.LOCAL:
                yield _warning(host.where, f"host {name} runs {endpoint}, which is a cloud endpoint: its work is charged by the provider")


def _local_address(endpoint: Endpoint, host: str, where: str) -> Iterator[Problem]:
    """Invariant 8: loopback, or an explicit allow-list entry; the gate checks again after name resolution."""
    if not host and not ENGINES.get(endpoint.engine, False):
        yield _error(where, f"is local, but {endpoint.engine} needs a base_url to know where that is")
    if host and not is_loopback(host) and endpoint.settings.get("allow_host") != host:
        yield _error(where, f"is local, but {host} is not this machine; set settings.allow_host to exactly this host to vouch for it")
    if endpoint.proxy:
        yield _error(where, "is local, but goes through a proxy; remove it")


def _cloud_address(endpoint: Endpoint, host: str, where: str) -> Iterator[Problem]:
    if endpoint.provider != EMULATOR and endpoint.settings.get("emulator") is True:
        yield _error(where, f"has settings.emulator, but its provider is {endpoint.provider}; the bundled emulator is provider: emulator")
    if endpoint.provider == EMULATOR:
        if host and not is_loopback(host):
            yield _error(where, f"calls itself the emulator, but {host} is not this machine")
        return
    if ENGINES.get(endpoint.engine, False):
        yield _error(where, f"is in the cloud lane, but {endpoint.engine} works inside this machine; its lane is local")
    elif not host:
        yield _error(where, "has no base_url; no address is ever taken from an SDK's defaults")
    elif urlsplit(endpoint.base_url).scheme != "https" and not is_loopback(host):
        yield _error(where, "has a base_url without TLS; use https")
    if host and not is_loopback(host) and not endpoint.secret:
        yield _error(where, "has no secret: name where its key is, such as the environment variable that holds it")


def is_loopback(host: str) -> bool:
    """Whether a host name or address, as written, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _class(policy: Policy, name: str) -> str:
    return f"{policy.file}:{policy.classes[name].line}: classes.{name}"


def _route(policy: Policy, index: int) -> str:
    return f"{policy.file}:{policy.routes[index].line}: routes[{index}]"


def _error(where: str, message: str) -> Problem:
    return Problem(severity=Severity.ERROR, where=where, message=message)


def _warning(where: str, message: str) -> Problem:
    return Problem(severity=Severity.WARNING, where=where, message=message)
