"""What the endpoint registry says of the endpoints in a report. The registry is no part of the ledger, and the page says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from policies.load import DEFAULT_REGISTRY, read_source
from policies.model import Endpoint
from policies.registry import parse_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The registry as it is now: its endpoints, and the digest of its bytes."""

    name: str
    digest: str
    endpoints: Mapping[str, Endpoint]


def read_registry(path: Path | None) -> Registry:
    """Read a registry; the bundled one where none is named. Raises PolicyFileError."""
    file = path or DEFAULT_REGISTRY
    source = read_source(file)
    return Registry(name=file.name, digest=hashlib.sha256(source.data).hexdigest(), endpoints=parse_registry(source))


def fact(endpoint: Endpoint, name: str) -> str:
    """A fact as the page says it: yes, no, a number, or that nobody stated it."""
    value = endpoint.facts.get(name)
    if value is None:
        return "not stated"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
