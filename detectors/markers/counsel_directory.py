"""Counsel by the policy's own directory: a listed address, domain or name among sender and recipients, or in a signature.

The words by which counsel is known without a directory ("General Counsel", "@…law.example") are the business of `privilege.py`; both give
the same marker.
"""

from __future__ import annotations

import re

from detectors.detector import NOTHING, Detector, EachText, marker_kind
from detectors.document import Evidence
from detectors.normalized import WORD, Normalized
from detectors.participants import Directory
from detectors.phrases import listed

HEADER_FIELDS = listed("from to cc bcc sender recipient recipients author reply participants attendees organizer")
HEADER = re.compile(
    r"(?mi)^[ \t>|*]{0,8}(?:from|to|cc|bcc|sender|sent by|reply-to|on behalf of|attendees|participants|organizer)[ \t*]{0,3}:"
    r"([^\n]{0,4000}(?:\n[ \t]{1,8}[^\n]{0,1000}){0,40})"
)
"""A header line of a message that is quoted in a text, with the lines it is folded over (RFC 5322, section 2.2.3)."""
ADDRESS = re.compile(r"[a-z0-9._%+'-]{1,64}@((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})")
SHORT_LINE = 9
"""Words: a signature has a name, an office, an address, each in a line of its own; a sentence is longer."""


def detector(directory: Directory) -> Detector:
    """counsel_participant."""
    evidence = Evidence(markers=frozenset({"counsel_participant"}))
    names = tuple(tuple(WORD.findall(name)) for name in sorted(directory.names))

    def look(text: Normalized) -> Evidence:
        return evidence if any(_listed(part, directory, names) for part in _places(text)) else NOTHING

    return EachText(name="counsel_directory", provides=frozenset({marker_kind("counsel_participant")}), look=look, cost=1)


def _places(text: Normalized) -> list[str]:
    """Where participants stand: the whole of a header field; header lines and short lines of a text."""
    if HEADER_FIELDS & set(text.label):
        return [text.lowered]
    lines = [line for line in text.lowered.split("\n") if line.strip() and len(line.split(None, SHORT_LINE)) <= SHORT_LINE]
    return [*(match.group(1) for match in HEADER.finditer(text.lowered)), *lines]


def _listed(place: str, directory: Directory, names: tuple[tuple[str, ...], ...]) -> bool:
    if "@" in place:
        for match in ADDRESS.finditer(place):
            if match.group() in directory.addresses or _below(match.group(1), directory.domains):
                return True
    words = WORD.findall(place) if names else []
    return any(_named(name, words) for name in names)


def _below(domain: str, domains: frozenset[str]) -> bool:
    labels = domain.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels) - 1))


def _named(name: tuple[str, ...], words: list[str]) -> bool:
    """The name in a row, or surname first ("Fosse, Olympia")."""
    if name[0] not in words:
        return False
    length = len(name)
    turned = (name[-1], *name[:-1])
    return any(tuple(words[start : start + length]) in {name, turned} for start in range(len(words) - length + 1))
