"""The wire form of a row with the record's own strings left out: constants, and places between them. Pure.

Two rows of one lane, template and endpoint that fill the same slots differ in nothing but their id and those strings (the protocol of
`sinks/lanes`). So the lane is asked for the form once, with marks in place of strings, and the canonical bytes are cut at the marks; a
row is then a filling of the places, and reading one is finding that it is nothing else.

A lane that does anything else with a string than to place it, as one JSON string of its own, has no mould: the form is asked for with two
sets of marks, unlike in text and length, and must come out the same. Then every row is built, and looked at, by itself.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.model import Endpoint
from sinks.lanes import Lane
from sinks.request import Prompt

ROW_ID = ""
"""The place of the row's id; no slot has an empty name."""

_MARK_BYTES = (16, 24)
"""Marks that nobody can guess: a template constant that looks like one would otherwise stand for a slot."""

_quoted = json.JSONEncoder(ensure_ascii=False).encode
_read = json.JSONDecoder().raw_decode


def canonical(tree: Any) -> bytes:
    """The one byte form of a JSON tree: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class Mould:
    """Canonical JSON text cut at its places. constants: one more than places, of which each is a slot's name or ROW_ID."""

    constants: tuple[str, ...] = field(repr=False)
    places: tuple[str, ...]

    def filled(self, strings: Mapping[str, str]) -> bytes:
        """The canonical bytes with these strings. Raises UnicodeEncodeError for a lone surrogate, as `canonical` does."""
        texts = [self.constants[0]]
        for place, constant in zip(self.places, self.constants[1:], strict=True):
            texts += _quoted(strings[place]), constant
        return "".join(texts).encode()

    def strings(self, line: bytes) -> dict[str, str] | None:
        """What fills the places of this line; None unless the line is, byte for byte, the canonical form filled with just that."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return None
        found: dict[str, str] = {}
        start = self.constants[0]
        at = len(start) if text.startswith(start) else -1
        for place, constant in zip(self.places, self.constants[1:], strict=True):
            if at < 0 or text[at : at + 1] != '"':
                return None
            try:
                string, end = _read(text, at)
            except ValueError:
                return None
            # A string has many JSON forms and one canonical one; a slot that comes twice must hold the same both times.
            if _quoted(string) != text[at:end] or found.setdefault(place, string) != string:
                return None
            at = end + len(constant) if text.startswith(constant, end) else -1
        return found if at == len(text) else None


class Moulds:
    """The moulds of one lane, template and endpoint, by the slots that a record fills; made when they are first needed."""

    def __init__(self, lane: Lane, prompt: Prompt, endpoint: Endpoint) -> None:
        self.lane, self.prompt, self.endpoint = lane, prompt, endpoint
        self._slots = prompt.slots
        self._made: dict[tuple[str, ...], tuple[Mould, Mould] | None] = {}

    def payload(self, parts: Mapping[str, str]) -> bytes:
        """The canonical wire body of one record. A clearance's `payload_hmac` is the keyed digest of exactly these bytes."""
        moulds = self._of(parts)
        return canonical(self.body(parts)) if moulds is None else moulds[0].filled(parts)

    def row(self, row_id: str, parts: Mapping[str, str]) -> bytes:
        """The canonical line of one record in the request file, without its newline."""
        moulds = self._of(parts)
        if moulds is None:
            return canonical(self.lane.row(row_id, self.body(parts), self.endpoint))
        return moulds[1].filled({**parts, ROW_ID: row_id})

    def body(self, parts: Mapping[str, str]) -> dict[str, Any]:
        """The wire body as the lane builds it."""
        return self.lane.body(self.prompt.fill(parts), self.prompt, self.endpoint)

    def row_mould(self, slots: Collection[str]) -> Mould | None:
        """The mould of a row that fills just these of the template's slots; None where the lane has none."""
        moulds = self._for(tuple(slot for slot in self._slots if slot in slots))
        return None if moulds is None else moulds[1]

    def _of(self, parts: Mapping[str, str]) -> tuple[Mould, Mould] | None:
        return self._for(tuple(slot for slot in self._slots if parts.get(slot)))

    def _for(self, slots: tuple[str, ...]) -> tuple[Mould, Mould] | None:
        if slots not in self._made:
            first, second = (self._cut(slots, secrets.token_hex(length)) for length in _MARK_BYTES)
            self._made[slots] = first if first == second else None
        return self._made[slots]

    def _cut(self, slots: tuple[str, ...], nonce: str) -> tuple[Mould, Mould] | None:
        """Of body and row; None where a slot other than the salt, which is not for every lane, or the row's id has no place."""
        # A row id is marked by one that looks like any other: a lane may write it in a way of its own, and then has no mould.
        row_mark = f"{secrets.token_hex(6)}-{secrets.randbelow(10**6):06d}"
        marks = {row_mark: ROW_ID, **{f"{nonce} {number}": slot for number, slot in enumerate(slots)}}
        body = self.body({slot: mark for mark, slot in marks.items() if slot != ROW_ID})
        found = [_mould(canonical(tree).decode(), marks) for tree in (body, self.lane.row(row_mark, body, self.endpoint))]
        wanted = set(slots) - {self.prompt.salt_slot}
        if not wanted <= set(found[0].places) or ROW_ID in found[0].places or not wanted | {ROW_ID} <= set(found[1].places):
            return None
        return found[0], found[1]


def _mould(text: str, marks: Mapping[str, str]) -> Mould:
    """Cut at every JSON string that is a mark and nothing else, unless it is a key. Other traces of a mark stay, and differ each time."""
    cut = re.split(rf'"({"|".join(marks)})"(?=[,}}\]])', text)
    return Mould(tuple(cut[::2]), tuple(marks[mark] for mark in cut[1::2]))
