"""Strict reading of the small JSON files that routing uses: every error says FILE: key: what was expected. Pure; `load.py` reads files.

Unknown, missing and duplicate keys, infinities and NaN are errors. Types are checked, never converted. Values are not quoted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn

from policies.errors import PolicyFileError
from policies.yaml_value import Source

LARGEST = 1e100
"""No number of a list is beyond it: sums of products with larger ones would not stay finite, and a night would end over them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonTable:
    """An object of such a file. path: the key it stands under, empty for the file's own."""

    file: str
    path: str
    entries: Mapping[str, Any] = field(repr=False)

    def _fail(self, key: str, expected: str) -> NoReturn:
        raise PolicyFileError(f"{self.file}: {self._name(key)}: expected {expected}, found something else; make the file again")

    def _name(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def keys(self, required: Collection[str]) -> None:
        """Exactly these keys."""
        for key in required:
            if key not in self.entries:
                raise PolicyFileError(f"{self.file}: {self._name(key)}: expected this key, found nothing; make the file again")
        if len(self.entries) > len(required):
            raise PolicyFileError(
                f"{self.file}: {self.path or 'the file'}: expected no other keys than {', '.join(required)}; found others"
            )

    def number(self, key: str, expected: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number between the limits, both included."""
        value = self.entries[key]
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            self._fail(key, expected)
        return float(value)

    def whole(self, key: str, expected: str, *, low: int = 0) -> int:
        """A whole number, `low` at least."""
        value = self.entries[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            self._fail(key, expected)
        return value

    def text(self, key: str, expected: str, *, pattern: str) -> str:
        """A text that matches as a whole."""
        value = self.entries[key]
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            self._fail(key, expected)
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.entries[key]
        if not isinstance(value, bool):
            self._fail(key, "true or false")
        return value

    def day(self, key: str) -> date:
        """YYYY-MM-DD."""
        value = self.text(key, "a day, YYYY-MM-DD", pattern=r"\d{4}-\d\d-\d\d")
        try:
            return date.fromisoformat(value)
        except ValueError:
            self._fail(key, "a day, YYYY-MM-DD")

    def table(self, key: str) -> JsonTable:
        """An object inside."""
        value = self.entries[key]
        if not isinstance(value, dict):
            self._fail(key, "an object")
        return JsonTable(file=self.file, path=self._name(key), entries=value)

    def numbers(self, key: str, expected: str, *, length: int) -> tuple[float, ...]:
        """A list of that many numbers, none beyond LARGEST."""
        value = self.entries[key]
        if not isinstance(value, list) or len(value) != length:
            self._fail(key, expected)
        if any(not isinstance(one, int | float) or isinstance(one, bool) or abs(one) > LARGEST for one in value):
            self._fail(key, expected)
        return tuple(float(one) for one in value)

    def names(self, key: str, known: Collection[str]) -> tuple[str, ...]:
        """A list of at least one of the known names, none twice."""
        value = self.entries[key]
        expected = f"a list of some of {', '.join(known)}, none twice"
        if not isinstance(value, list) or not value or any(not isinstance(one, str) or one not in known for one in value):
            self._fail(key, expected)
        if len(set(value)) != len(value):
            self._fail(key, expected)
        return tuple(value)


def parse_json(source: Source, *, kind: str) -> JsonTable:
    """The outermost object, whose `kind` and `version: 1` say what it is. Raises PolicyFileError."""
    expected = f"{source.name}: expected the JSON of a {kind}"
    try:
        value = json.loads(
            source.data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError):  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise PolicyFileError(f"{expected}, each key once and finite numbers only; make the file again") from None
    if not isinstance(value, dict) or value.get("kind") != kind:
        raise PolicyFileError(f"{expected}, found none; is it the right file?")
    if value.get("version") != 1 or isinstance(value["version"], bool):
        raise PolicyFileError(f"{source.name}: version: expected 1; make the file again with this version of waybill")
    return JsonTable(file=source.name, path="", entries={key: one for key, one in value.items() if key not in {"kind", "version"}})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError
    return entries


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _whole(text: str) -> int:
    """No integer here needs more digits than these; more would become infinite as a float."""
    if len(text) > 18:  # noqa: PLR2004 - as many as 64 bits hold
        raise ValueError
    return int(text)
