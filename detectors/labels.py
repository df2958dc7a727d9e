"""The sensitivity labels that a file or a mail system states, read from metadata: Microsoft Purview (MSIP), `Sensitivity:`, `X-…-Label:`.

A Purview label is a set of pairs `MSIP_Label_<guid>_Name=…`, in one mail header or as one property each. `Enabled=false` says that it
was taken off; `Method=Privileged` says that somebody chose it by hand, and nothing about privilege.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LABEL_WORDS = frozenset({"sensitivity", "classification", "msip", "label", "labels", "confidentiality", "protective", "marking"})
KEYWORD_FIELDS = frozenset({"keywords", "category", "content_status", "tags"})
"""Fields that may hold a marking among ordinary words; only one that is nothing but a marking counts."""
PAIR = re.compile(
    r"(?i)msip_label_(?P<label>[0-9a-f][0-9a-f-]{0,40})_(?P<key>[a-z]{1,30})(?:[ \t]{0,3}=[ \t]{0,3}(?P<value>[^;\r\n]{0,200}))?"
)
OFF = frozenset({"false", "0", "no"})
SEPARATORS = re.compile(r"[;,|\n]")
RESTRICTED = re.compile(
    r"(?i)confidential|restricted|secret|internal\b|private|personal|sensitive|privileged|proprietary|protected|do not forward|encrypt"
    r"|\bphi\b|\bpii\b|\bnpi\b|hipaa|glba|need to know|eyes only|embargo"
)
NEGATED = re.compile(r"(?i)\b(?:non|not|un)[- ]?(?:confidential|restricted|sensitive|classified|protected|encrypted)\b")
MARKING = re.compile(
    r"(?i)\s*(?:(?:strictly|highly|most|company|commercial(?:ly)?|business|board) )?(?:confidential|restricted|secret|proprietary|sensitive"
    r"|privileged|trade secret|internal(?: use)?(?: only)?|attorney[- ]client(?: privileged?)?|phi|pii|embargoed)\s*"
)


def restricted(name: str) -> bool:
    """Whether a label's name keeps something in ("Highly Confidential", not "Non-confidential" or "Public")."""
    return RESTRICTED.search(NEGATED.sub("", name)) is not None


def purview_labels(text: str) -> tuple[str, ...]:
    """The names of the Purview labels in a header's value (their ids where no name is given), without those that were taken off."""
    return _enabled((match.group("label").lower(), match.group("key").lower(), match.group("value") or "") for match in PAIR.finditer(text))


def stated_labels(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Every label that the metadata of a document state, as written there."""
    found: dict[str, None] = {}
    properties = []
    for field, value in metadata.items():
        name = field.lower().replace("-", "_")
        prop = PAIR.fullmatch(field)
        if prop is not None:
            properties.append((prop.group("label").lower(), prop.group("key").lower(), value))
        elif PAIR.search(value):
            found |= dict.fromkeys(purview_labels(value))
        elif name in KEYWORD_FIELDS:
            found |= dict.fromkeys(word.strip() for word in SEPARATORS.split(value) if MARKING.fullmatch(word))
        elif LABEL_WORDS & set(name.split("_")):
            found |= dict.fromkeys(piece.strip() for piece in SEPARATORS.split(value) if piece.strip())
    return tuple(found | dict.fromkeys(_enabled(properties)))


def without_removed(properties: Mapping[str, str]) -> dict[str, str]:
    """A file's properties without those of Purview labels that were taken off."""
    off = {
        match.group("label").lower()
        for field, value in properties.items()
        if (match := PAIR.fullmatch(field)) and match.group("key").lower() == "enabled" and value.strip().lower() in OFF
    }
    return {
        field: value
        for field, value in properties.items()
        if not ((match := PAIR.fullmatch(field)) and match.group("label").lower() in off)
    }


def _enabled(pairs: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    labels: dict[str, dict[str, str]] = {}
    for label, key, value in pairs:
        labels.setdefault(label, {})[key] = value.strip()
    return tuple(keys.get("name") or label for label, keys in labels.items() if keys.get("enabled", "true").lower() not in OFF)
