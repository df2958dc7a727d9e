"""The sensitivity labels that a file or a mail system states, read from metadata: Microsoft Purview (MSIP), `Sensitivity:`, `X-…-Label:`.

A Purview label is a set of pairs `MSIP_Label_<guid>_Name=…`, in one mail header or as one property each. `Enabled` says whether the
document is classified by it at all, so a label with `Enabled=false` is none, whatever its name; `Method=Privileged` says that somebody
chose it by hand, and nothing about privilege: https://learn.microsoft.com/en-us/information-protection/develop/concept-mip-metadata
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
EMPTY_PLACES = re.compile(r"(?:;[ \t\r\n]*){2,}")
Pair = tuple[str, str, str]
"""Label id, key, value."""
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
    return _enabled(_pairs("", text))


def stated_labels(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Every label that the metadata of a document state, as written there."""
    found: dict[str, None] = {}
    properties: list[Pair] = []
    for field, value in metadata.items():
        name = field.lower().replace("-", "_")
        if PAIR.fullmatch(field):
            properties += _pairs(field, value)
        elif PAIR.search(value):
            found |= dict.fromkeys(purview_labels(value))
        elif name in KEYWORD_FIELDS:
            found |= dict.fromkeys(word.strip() for word in SEPARATORS.split(value) if MARKING.fullmatch(word))
        elif LABEL_WORDS & set(name.split("_")):
            found |= dict.fromkeys(piece.strip() for piece in SEPARATORS.split(value) if piece.strip())
    return tuple(found | dict.fromkeys(_enabled(properties)))


def without_removed(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata without what they say of Purview labels that were taken off, so that the name of such a label is no marking.

    What is not there is not sent either. A label that is on in one place and off in another is on.
    """
    off = _off(pair for field, value in metadata.items() for pair in _pairs(field, value))
    if not off:
        return dict(metadata)
    kept = {field: _without(off, value) for field, value in metadata.items() if not _names(field, off)}
    return {field: value for field, value in kept.items() if value}


def _pairs(field: str, value: str) -> list[Pair]:
    """What one field says of Purview labels: as a property of its own, or in its value."""
    prop = PAIR.fullmatch(field)
    if prop is not None:
        return [(prop.group("label").lower(), prop.group("key").lower(), value)]
    return [(match.group("label").lower(), match.group("key").lower(), match.group("value") or "") for match in PAIR.finditer(value)]


def _off(pairs: Iterable[Pair]) -> frozenset[str]:
    """The ids of labels that are said to be off, and nowhere to be on."""
    said: dict[str, bool] = {}
    for label, key, value in pairs:
        if key == "enabled":
            said[label] = said.get(label, True) and value.strip().lower() in OFF
    return frozenset(label for label, off in said.items() if off)


def _names(field: str, labels: frozenset[str]) -> bool:
    prop = PAIR.fullmatch(field)
    return prop is not None and prop.group("label").lower() in labels


def _without(labels: frozenset[str], value: str) -> str:
    if PAIR.search(value) is None:
        return value
    left = PAIR.sub(lambda match: "" if match.group("label").lower() in labels else match.group(), value)
    return left if left == value else EMPTY_PLACES.sub("; ", left).strip("; \t\r\n")


def _enabled(pairs: Iterable[Pair]) -> tuple[str, ...]:
    given = list(pairs)
    off = _off(given)
    labels: dict[str, dict[str, str]] = {}
    for label, key, value in given:
        labels.setdefault(label, {})[key] = value.strip()
    return tuple(keys.get("name") or label for label, keys in labels.items() if label not in off)
