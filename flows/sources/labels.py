"""Data classes that follow from sensitivity labels in a document's metadata. They are added to what is found, and take nothing away.

A job maps the names of its own scheme (`source.declared` with `label`); names that say a class outright need no mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from detectors.labels import stated_labels
from flows.sources.globs import matches

SAID_OUTRIGHT = (
    ("PHI", re.compile(r"(?i)\bphi\b|\bhipaa\b|protected health|patient (?:data|information)")),
    ("NPI", re.compile(r"(?i)\bnpi\b|\bglba\b|nonpublic personal|non-public personal|cardholder data|\bpci\b")),
    ("PRIVILEGED", re.compile(r"(?i)attorney[- ]client|legally privileged|legal privilege|work product|^privileged\b")),
    ("TRADE_SECRET", re.compile(r"(?i)trade secret|proprietary")),
    ("PII", re.compile(r"(?i)\bpii\b|personally identifiable|\bpersonal data\b")),
)
"""Classes by what a label is called. "Confidential" alone names none of them: it raises the marker `sensitivity_label`."""


class LabelRule(Protocol):
    """What a job says of a label: `flows.job.Declared`."""

    @property
    def label(self) -> str | None:
        """A glob over names, case not counting; None where the rule is about files."""
        ...

    @property
    def data_class(self) -> str:
        """The class it stands for."""
        ...


def declared_by_labels(metadata: Mapping[str, str], rules: Iterable[LabelRule]) -> frozenset[str]:
    """The classes that the document's own labels declare."""
    names = stated_labels(metadata)
    if not names:
        return frozenset()
    outright = {data_class for data_class, said in SAID_OUTRIGHT for name in names if said.search(name)}
    mapped = {rule.data_class for rule in rules for name in names if rule.label and matches(_plain(name), (_plain(rule.label),))}
    return frozenset(outright | mapped)


def _plain(name: str) -> str:
    """For comparison: small letters, one blank; a backslash between parent and child label as the slash that globs know."""
    return " ".join(name.lower().replace("\\", "/").split())
