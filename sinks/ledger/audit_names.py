"""Which classes and endpoints a ledger knows: a misspelt name must not be answered with a reassuring nothing."""

from __future__ import annotations

from pathlib import Path

import yaml

from policies.model import BUILT_IN_CLASSES
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

NO_CLASS = "(none)"
"""What stands for a class in `class_destination_daily` where no text could be judged."""


def known_classes(ledger: Ledger | Path) -> frozenset[str]:
    """The built-in classes, those that any registered policy declares, and those that any entry states."""
    with reading(ledger, ("policies",)) as reader:
        stated = reader.table("SELECT DISTINCT unnest(data_classes) AS name FROM entries WHERE len(data_classes) > 0")["name"].to_pylist()
        texts = reader.table("SELECT policy_text FROM policies WHERE policy_text IS NOT NULL")["policy_text"].to_pylist()
    return frozenset((*BUILT_IN_CLASSES, NO_CLASS, *stated)).union(*map(_declared, texts))


def known_endpoints(ledger: Ledger | Path) -> frozenset[str]:
    """The endpoints that any entry names."""
    with reading(ledger) as reader:
        return frozenset(reader.table("SELECT DISTINCT endpoint AS name FROM entries WHERE endpoint IS NOT NULL")["name"].to_pylist())


def _declared(policy_text: str) -> frozenset[str]:
    try:
        policy = yaml.safe_load(policy_text)
    except (yaml.YAMLError, RecursionError):
        return frozenset()
    classes = policy.get("classes") if isinstance(policy, dict) else None
    return frozenset(map(str, classes)) if isinstance(classes, dict) else frozenset()
