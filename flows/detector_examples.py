"""A detector's labelled examples: `detectors/examples/FAMILY/NAME.yaml`, a list.

    - text: "SSN 123-45-6789 on file"       invented, always
      expect: [{US_SSN: "123-45-6789"}]     what is to be found, and where; `[US_SSN]` where the place does not matter
    - text: "part 123-45-67890"
      expect: []                            a near miss
    - metadata: {ssn: "123456789"}          beside a text or instead of one
      expect: [US_SSN]
      missed: true                          a known shortfall: the test fails as soon as the detector comes to do what is expected

Names are those of the detector's evidence, without the `entity:`, `marker:` or `topic:` in front. A topic counts from 0.5;
`{health: 0.3}` asks for less. Pure but for `read_examples`, which reads the file; mistakes are one line, FILE:LINE.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import detectors
from detectors.detector import BELIEVED, Detector
from detectors.document import Document
from flows.errors import JobError
from flows.marked_yaml import KeyPath, MarkedYaml, read_yaml

EXAMPLES = Path(detectors.__file__).with_name("examples")
KEYS = ("text", "metadata", "expect", "missed", "why")
TOPIC = "topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One piece of evidence that is to be found. kind: entity, marker or topic. value: the text it stands at, where that is told."""

    kind: str
    name: str
    value: str | None = field(default=None, repr=False)
    at_least: float = BELIEVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One labelled text. No expectations: a near miss. missed: it is known that the detector does otherwise."""

    line: int
    document: Document
    expected: tuple[Expectation, ...]
    missed: bool = False


def example_files() -> dict[str, Path]:
    """The bundled example files by detector name."""
    return {path.stem: path for path in sorted(EXAMPLES.glob("*/*.yaml"))}


def read_examples(path: Path, detector: Detector) -> tuple[Example, ...]:
    """The examples of one detector. Raises JobError with FILE:LINE for what is not in the form above."""
    marked = read_yaml(path)
    if not isinstance(marked.value, list) or not marked.value:
        _fail(marked, (), "expected a list of examples, each with `text` and `expect`")
    kinds = {name: kind for kind, _, name in (one.partition(":") for one in detector.provides)}
    return tuple(_example(marked, index, item, kinds) for index, item in enumerate(marked.value))


def _example(marked: MarkedYaml, index: int, item: Any, kinds: dict[str, str]) -> Example:
    if not isinstance(item, dict):
        _fail(marked, (index,), "expected an example with `text` and `expect`")
    for key in item:
        if key not in KEYS:
            _fail(marked, (index, key), f"unknown key; expected one of {', '.join(KEYS)}")
    text, metadata, missed = item.get("text", ""), item.get("metadata", {}), item.get("missed", False)
    if not isinstance(text, str) or not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _fail(marked, (index,), "expected `text` to be a text and `metadata` a table of texts; put quotes around numbers")
    if not text and not metadata:
        _fail(marked, (index,), "expected `text` or `metadata`, found neither")
    if not isinstance(missed, bool):
        _fail(marked, (index, "missed"), "expected true or false")
    if not isinstance(item.get("expect"), list):
        _fail(marked, (index,), "expect: expected a list, which is empty for a near miss")
    line = marked.line((index,))
    expected = tuple(_expectation(marked, (index, "expect", place), one, kinds) for place, one in enumerate(item["expect"]))
    document = Document(record_id=f"{marked.path.name}:{line}", text=text or BLANK, source=marked.path.name, metadata=metadata)
    return Example(line=line, document=document, expected=expected, missed=missed)


BLANK = "."
"""The text of an example that has only metadata: a document without any text is held, and nobody looks at it."""


def _expectation(marked: MarkedYaml, place: KeyPath, item: Any, kinds: dict[str, str]) -> Expectation:
    name, value = next(iter(item.items())) if isinstance(item, dict) and len(item) == 1 else (item, None)
    if not isinstance(name, str) or name not in kinds:
        _fail(marked, place, f"expected what the detector provides: one of {', '.join(sorted(kinds))}")
    kind = kinds[name]
    if value is None:
        return Expectation(kind=kind, name=name)
    if kind == TOPIC and isinstance(value, float) and 0 < value <= 1:
        return Expectation(kind=kind, name=name, at_least=value)
    if kind == "entity" and isinstance(value, str) and value:
        return Expectation(kind=kind, name=name, value=value)
    return _fail(
        marked, place, "expected behind an entity the text it stands at, behind a topic a score such as 0.3, behind a marker nothing"
    )


def _fail(marked: MarkedYaml, place: KeyPath, message: str) -> NoReturn:
    raise JobError(f"{marked.path}:{marked.line(place)}: {message}")
