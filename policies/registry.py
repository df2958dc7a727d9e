"""The endpoint registry: every place a payload can go, per provider feature, with the facts someone vouches for.

    version: 2026-11-22
    endpoints:
      NAME:
        lane: cloud
        engine: openai_batch
        provider: …, model: …
        facts: {dpa: true, training_use: false}
        evidence_link: …      where the facts are written down
        review_by: 2027-05-31 after this day they are no longer believed
        tier: small           what the model can do: small, medium, large, frontier
        tokens_per_s: 2500    declared throughput, in and out together; what was measured goes before it
        deprecated_on: …      its maker announced the end
        retires_on: …         from this day on nothing is sent there

Strict like the policy. A cloud endpoint must state its facts, their evidence and the day of review. Secrets are named, never written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from policies.errors import PolicyFileError
from policies.facts import FACTS
from policies.load import DEFAULT_REGISTRY, fact, parse_policy, policy_hash, read_source
from policies.model import TIERS, Endpoint, Lane
from policies.policy import Policy
from policies.prices import DEFAULT_PRICES, Prices, parse_prices
from policies.settings import settings_of
from policies.yaml_value import Source, YamlValue, parse

ENGINES: Mapping[str, bool] = MappingProxyType(
    {
        "extractive": True,
        "vllm_offline": True,
        "openai_compatible": False,
        "openai_batch": False,
        "bedrock_batch": False,
        "anthropic_batch": False,
    }
)
"""Every engine, and whether it works inside this machine without an address."""

NAME = r"[a-z0-9][a-z0-9_.-]{0,62}"
SECRET_PLACE = r"file:/[A-Za-z0-9_.@+=/-]{1,400}|prefect:[a-z0-9][a-z0-9-]{0,99}"  # noqa: S105 - what a place looks like
"""Where a secret may lie besides the environment: a file of an absolute path, or a Secret block of Prefect. No key looks like either."""
MANDATORY = ("lane", "engine", "provider", "model")
TEXTS = ("region", "feature", "ca_file", "revision", "evidence_link")
ROUTING = ("tier", "tokens_per_s", "deprecated_on", "retires_on")
OPTIONAL = (*TEXTS, "base_url", "proxy", "secret", "facts", "review_by", "settings", *ROUTING)


MOST_TOKENS_PER_S = 1_000_000_000
"""More than any hall of machines answers: a throughput above it is a slip of the finger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What a night goes by, each file read once: the policy, the endpoints by name, and what they cost."""

    policy: Policy
    registry: dict[str, Endpoint]
    prices: Prices


def load_registry(path: Path) -> dict[str, Endpoint]:
    """Read a registry: endpoints by name, in the file's order. Raises PolicyFileError with FILE:LINE."""
    return parse_registry(read_source(path))


def load_rulebook(policy: Path, registry: Path | None = None, prices: Path | None = None) -> Rulebook:
    """Read a policy, its registry and its prices once, so that the policy's hash covers the very bytes that are gone by.

    registry, prices: the bundled ones when None.
    """
    endpoints, amounts = read_source(registry or DEFAULT_REGISTRY), read_source(prices or DEFAULT_PRICES)
    return Rulebook(
        policy=parse_policy(read_source(policy), registry=endpoints, prices=amounts),
        registry=parse_registry(endpoints),
        prices=parse_prices(amounts),
    )


def rulebook_hash(policy: Path, registry: Path | None = None, prices: Path | None = None) -> str:
    """The hash that the policy of `load_rulebook` would have now; empty where a file cannot be read any more."""
    try:
        return policy_hash(policy, registry=registry or DEFAULT_REGISTRY, prices=prices or DEFAULT_PRICES)
    except PolicyFileError:
        return ""


def parse_registry(source: Source) -> dict[str, Endpoint]:
    """Bytes → endpoints. Pure."""
    keys = parse(source).table(required=("version", "endpoints"))
    keys["version"].written("a version, such as a date")
    entries = keys["endpoints"].mapping("a table of endpoints")
    if not entries:
        keys["endpoints"].fail("at least one endpoint")
    return {name: _endpoint(name, value) for name, value in entries.items()}


def _endpoint(name: str, value: YamlValue) -> Endpoint:
    keys = value.table(required=MANDATORY, optional=OPTIONAL)
    _check_name(name, value)
    lane, engine = Lane(keys["lane"].choice(tuple(Lane))), keys["engine"].choice(tuple(ENGINES))
    if lane is Lane.CLOUD:
        value.table(required=(*MANDATORY, "facts", "evidence_link", "review_by"), optional=OPTIONAL)
    texts = {key: keys[key].text("a text") for key in TEXTS if key in keys}
    return Endpoint(
        name=name,
        lane=lane,
        engine=engine,
        provider=keys["provider"].text("a provider", pattern=NAME),
        model=keys["model"].text("a model"),
        base_url=_url(keys.get("base_url")),
        proxy=_url(keys.get("proxy")),
        secret=_secret(keys.get("secret")),
        facts=_facts(keys.get("facts")),
        review_by=_day(keys.get("review_by")),
        settings=settings_of(keys.get("settings"), engine),
        tier=keys["tier"].choice(TIERS) if "tier" in keys else "",
        tokens_per_s=_tokens_per_s(keys["tokens_per_s"]) if "tokens_per_s" in keys else None,
        deprecated_on=_day(keys.get("deprecated_on")),
        retires_on=_retires_on(keys.get("retires_on"), _day(keys.get("deprecated_on"))),
        **texts,
    )


def _tokens_per_s(value: YamlValue) -> float:
    expected = "a number of tokens a second above 0, such as 2500"
    number = value.plain(expected)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= MOST_TOKENS_PER_S:
        value.fail(expected)
    return float(number)


def _day(value: YamlValue | None) -> date | None:
    return value.day("a day, YYYY-MM-DD") if value is not None else None


def _retires_on(value: YamlValue | None, deprecated_on: date | None) -> date | None:
    day = _day(value)
    if value is not None and day is not None and deprecated_on is not None and day < deprecated_on:
        value.fail(f"a day not before deprecated_on, {deprecated_on}: a model is announced to end before it ends")
    return day


def _check_name(name: str, value: YamlValue) -> None:
    # The name goes into file names, ledger and job metadata.
    if not re.fullmatch(NAME, name):
        value.fail("an endpoint named in lower case letters, digits, `_`, `.` and `-`", quote=False)


def _url(value: YamlValue | None) -> str:
    if value is None:
        return ""
    expected = "an address as https://host[:port][/path], without user, password or query; name the key under `secret`"
    url = value.text(expected, quote=False)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        value.fail(expected, quote=False)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        value.fail(expected, quote=False)
    return url


def _secret(value: YamlValue | None) -> str:
    expected = "the NAME of the environment variable that holds the key, file:/PATH or prefect:BLOCK; never the key itself"
    return value.text(expected, pattern=rf"[A-Z][A-Z0-9_]{{2,63}}|{SECRET_PLACE}", quote=False) if value else ""


def _facts(value: YamlValue | None) -> dict[str, bool | int | str]:
    if value is None:
        return {}
    keys = value.table(optional=tuple(name for name in FACTS if name != "region"))
    return {name: fact(name, entry) for name, entry in keys.items()}
