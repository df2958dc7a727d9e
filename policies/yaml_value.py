"""Strict reading of YAML with line numbers: every error says FILE:LINE: key: what was expected, what was found.

Unknown and duplicate keys, anchors, aliases, tags and second documents are errors. Types are checked, never converted: `yes` is not a
name and `1` is not true. Pure; `policies/load.py` reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from typing import NoReturn

import yaml

from policies.errors import PolicyFileError

STANDARD = "tag:yaml.org,2002:"
SPOKEN = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file as it was read: its name for messages, its bytes for parsing and hashing."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValue:
    """One value of a file, with where it stands. line: of its key where it has one, counted from 1."""

    file: str
    path: str
    line: int
    node: yaml.Node

    def fail(self, expected: str, *, quote: bool = True) -> NoReturn:
        """Refuse the value; `quote=False` where it might be a secret."""
        self.refuse(f"expected {expected}, found {self._found(quote=quote)}")

    def refuse(self, message: str) -> NoReturn:
        """Refuse the key or its value, where it stands, in these words."""
        raise _error(self.file, self.line, self.path, message)

    def table(self, *, required: Collection[str] = (), optional: Collection[str] = ()) -> dict[str, YamlValue]:
        """A mapping with exactly these keys."""
        entries = self.mapping("a table")
        known = [*required, *optional]
        for key, entry in entries.items():
            if key not in known:
                raise _error(self.file, entry.line, _join(self.path, key), f"unknown key; expected one of {', '.join(known)}")
        for key in required:
            if key not in entries:
                raise _error(self.file, self.line, _join(self.path, key), "expected this key, found nothing; it is mandatory")
        return entries

    def mapping(self, expected: str) -> dict[str, YamlValue]:
        """A mapping with any keys, each a plain text, none twice."""
        if not isinstance(self.node, yaml.MappingNode):
            self.fail(expected)
        entries: dict[str, YamlValue] = {}
        for key_node, node in self.node.value:
            line = key_node.start_mark.line + 1
            key = YamlValue(file=self.file, path=self.path, line=line, node=key_node).text("a key")
            if key in entries:
                first = entries[key].line
                raise _error(self.file, line, _join(self.path, key), f"duplicate key; it is first given in line {first}")
            entries[key] = YamlValue(file=self.file, path=_join(self.path, key), line=line, node=node)
        return entries

    def is_table(self) -> bool:
        """Whether the value is a table."""
        return isinstance(self.node, yaml.MappingNode)

    def is_list(self) -> bool:
        """Whether the value is a list, empty or not."""
        return isinstance(self.node, yaml.SequenceNode)

    def is_empty_list(self) -> bool:
        """Whether the value is `[]`."""
        return isinstance(self.node, yaml.SequenceNode) and not self.node.value

    def items(self, expected: str) -> list[YamlValue]:
        """A list with at least one item."""
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            self.fail(expected)
        return [
            YamlValue(file=self.file, path=f"{self.path}[{index}]", line=node.start_mark.line + 1, node=node)
            for index, node in enumerate(self.node.value)
        ]

    def text(self, expected: str, *, pattern: str = r".*\S.*", quote: bool = True) -> str:
        """A text that matches the pattern as a whole."""
        if self._tag() != "str" or not re.fullmatch(pattern, self._scalar(), re.DOTALL):
            self.fail(expected, quote=quote)
        return self._scalar()

    def written(self, expected: str) -> str:
        """A scalar as it is written, whatever YAML takes it for: a version may look like a date or a number."""
        if not isinstance(self.node, yaml.ScalarNode) or not self._scalar().strip():
            self.fail(expected)
        return self._scalar()

    def choice(self, choices: Collection[str]) -> str:
        """One of a few words."""
        if self._tag() != "str" or self._scalar() not in choices:
            self.fail(f"one of {', '.join(choices)}")
        return self._scalar()

    def names(self, expected: str, *, pattern: str) -> tuple[str, ...]:
        """A list of names, none twice."""
        found: list[str] = []
        for item in self.items(f"a list of at least one {expected}"):
            name = item.text(expected, pattern=pattern)
            if name in found:
                item.fail(f"each {expected} once")
            found.append(name)
        return tuple(found)

    def share(self, expected: str) -> float:
        """A number above 0 and at most 1."""
        return self._number(expected, above=0.0)

    def score(self, expected: str) -> float:
        """A number from 0 to 1."""
        return self._number(expected, above=-1e-12)

    def _number(self, expected: str, *, above: float) -> float:
        if self._tag() not in {"int", "float"} or not re.fullmatch(r"[0-9]*\.?[0-9]+", self._scalar()):
            self.fail(expected)
        number = float(self._scalar())
        if not above < number <= 1.0:
            self.fail(expected)
        return number

    def whole(self, expected: str, *, at_least: int) -> int:
        """A whole number, in digits."""
        if self._tag() != "int" or not re.fullmatch(r"0|[1-9][0-9]*", self._scalar()) or int(self._scalar()) < at_least:
            self.fail(expected)
        return int(self._scalar())

    def flag(self) -> bool:
        """`true` or `false`, so spelled."""
        if self._tag() != "bool" or self._scalar() not in {"true", "false"}:
            self.fail("true or false")
        return self._scalar() == "true"

    def day(self, expected: str) -> date:
        """A calendar day, YYYY-MM-DD."""
        if not isinstance(self.node, yaml.ScalarNode) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", self._scalar()):
            self.fail(expected)
        try:
            return date.fromisoformat(self._scalar())
        except ValueError:
            self.fail(expected)

    def plain(self, expected: str) -> bool | int | float | str:
        """A setting: true or false, a number, or a text."""
        tag = self._tag()
        if tag == "bool":
            return self.flag()
        if tag == "int":
            return self.whole(expected, at_least=0)
        if tag == "float" and re.fullmatch(r"[0-9]+\.[0-9]+", self._scalar()):
            return float(self._scalar())
        return self.text(expected)

    def _tag(self) -> str:
        return str(self.node.tag).removeprefix(STANDARD) if isinstance(self.node, yaml.ScalarNode) else ""

    def _scalar(self) -> str:
        return str(self.node.value)

    def _found(self, *, quote: bool) -> str:
        if isinstance(self.node, yaml.MappingNode):
            return "a table"
        if isinstance(self.node, yaml.SequenceNode):
            return "a list" if self.node.value else "an empty list"
        if self._tag() == "null":
            return "nothing"
        kind = SPOKEN.get(self._tag(), "another type")
        return f"{kind} {self._scalar()!r}" if quote and self._tag() != "str" else repr(self._scalar()) if quote else kind


def parse(source: Source) -> YamlValue:
    """The root of a file. Raises PolicyFileError for anything that is not one plain YAML document."""
    try:
        text = source.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = source.data[: error.start].count(b"\n") + 1
        raise _error(source.name, line, "", "expected UTF-8 text, found other bytes") from None
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _error(source.name, _line(event), "", "expected no anchor or alias: write the list out where it is used")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _error(source.name, mark.line + 1 if mark else 1, "", f"expected YAML, {fault(error.problem)}") from None
    except (yaml.YAMLError, RecursionError):
        raise _error(source.name, 1, "", "expected YAML, found characters or nesting it cannot have") from None
    if node is None:
        raise _error(source.name, 1, "", "expected a table, found an empty file")
    return YamlValue(file=source.name, path="", line=node.start_mark.line + 1, node=node)


def fault(problem: str | None) -> str:
    """What the parser found, in a sentence; some of its words begin with `found`, others do not."""
    return problem if problem and problem.startswith("found ") else f"found a fault: {problem or 'something else'}"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _error(file: str, line: int, path: str, message: str) -> PolicyFileError:
    return PolicyFileError(f"{file}:{line}: {path}: {message}" if path else f"{file}:{line}: {message}")
