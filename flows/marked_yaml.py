"""YAML with a line for every key, so that an error can say FILE:LINE.

Refused: duplicate keys (YAML keeps the last one silently), keys that are not strings, structures that contain themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.errors import JobError
from policies.yaml_value import fault

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedYaml:
    """A parsed file: its value, its bytes, and the line (from 1) of each key path."""

    path: Path
    value: Any
    content: bytes
    lines: dict[KeyPath, int]

    def line(self, key_path: KeyPath) -> int:
        """The line of this key, or of the nearest key above it that is in the file."""
        while key_path and key_path not in self.lines:
            key_path = key_path[:-1]
        return self.lines.get(key_path, 1)


def read_yaml(path: Path) -> MarkedYaml:
    """Parse `path`; raises JobError with file and line when it is missing, not UTF-8, or not plain YAML."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise JobError(f"{path}:1: expected UTF-8 text, found other bytes; save the file as UTF-8") from None
    except OSError as error:
        raise JobError(f"{path}: expected a readable file, found none ({error.strerror}); check the path") from None
    try:
        value, lines = _parsed(path, text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise JobError(f"{path}:{line}: expected YAML, {fault(error.problem)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise JobError(f"{path}:1: expected YAML, {fault(str(error).splitlines()[0])}") from None
    except RecursionError:
        raise JobError(f"{path}:1: expected YAML, found nesting that is too deep") from None
    return MarkedYaml(path=path, value=value, content=content, lines=lines)


def _parsed(path: Path, text: str) -> tuple[Any, dict[KeyPath, int]]:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {(): 1}
        if node is not None:
            lines.update(_mark(path, node, (), ()))
        return None if node is None else loader.construct_document(node), lines
    finally:
        loader.dispose()


def _mark(path: Path, node: yaml.Node, key_path: KeyPath, above: tuple[int, ...]) -> Iterator[tuple[KeyPath, int]]:
    if id(node) in above:
        raise JobError(f"{path}:{node.start_mark.line + 1}: expected a plain tree, found an alias to something around it; write it out")
    inside = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or not isinstance(key.value, str):
                raise JobError(f"{path}:{line}: expected a name as key, found a structure")
            if key.value in seen:
                raise JobError(f"{path}:{line}: {_dotted((*key_path, key.value))}: expected each key once, found it twice; remove one")
            seen.add(key.value)
            yield (*key_path, key.value), line
            yield from _mark(path, value, (*key_path, key.value), inside)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*key_path, index), item.start_mark.line + 1
            yield from _mark(path, item, (*key_path, index), inside)


def _dotted(key_path: KeyPath) -> str:
    return ".".join(str(step) for step in key_path)
