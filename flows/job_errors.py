"""What a job file's mistakes are called: FILE:LINE: key.path: expected …, found …."""

from __future__ import annotations

import difflib
import re
from typing import Any, NoReturn, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.errors import JobError
from flows.marked_yaml import KeyPath, MarkedYaml

SHOWN = 60
PLAIN_WORDS = (
    (r"a valid dictionary( or instance of \w+)?", "a mapping"),
    (r"a valid string", "a text"),
    (r"a valid integer", "a whole number"),
    (r"a valid number", "a number"),
    (r"a valid boolean", "true or false"),
    (r"a valid (tuple|list)", "a list"),
)
"""What the checker says of types, and what a person does."""

SECRET_KEYS = frozenset({"webhook", "proxy", "secret"})
"""Keys whose value is not repeated: an URL often carries a password, and `secret` may hold one by mistake."""


def raise_at(marked: MarkedYaml, key_path: KeyPath, message: str) -> NoReturn:
    """One mistake, found after the single keys were checked."""
    raise JobError(f"{marked.path}:{marked.line(key_path)}: {_dotted(key_path)}: {message}")


def explain(error: ValidationError, marked: MarkedYaml, model: type[BaseModel]) -> str:
    """The first mistake in the order of the file, and how many more there are.

    Keys that are missing come last: what stands in the file under a wrong name is why they are.
    """
    details = error.errors(include_url=False)
    lines = sorted(
        (detail["type"] == "missing", marked.line(_keys(detail)), _dotted(_keys(detail)), _sentence(detail, model)) for detail in details
    )
    _, line, key, sentence = lines[0]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return f"{marked.path}:{line}: {key}: {sentence}{more}"


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] == "missing":
        return "expected this key, found none; add it"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, _keys(detail)[:-1])
        close = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"found an unknown key; {hint}expected one of {', '.join(known)}"
    expected = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)
    for words, plain in PLAIN_WORDS:
        expected = re.sub(words, plain, expected)
    if not expected.startswith("expected"):
        expected = f"expected: {expected}"
    if SECRET_KEYS.intersection(_keys(detail)[-1:]):
        return f"{expected}, found something else"
    return f"{expected}; found {in_words(detail['input'])}"


def in_words(value: object) -> str:
    """A value as the message repeats it. Structures are named, not quoted: what is wrong is not their whole content."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, dict):
        return f"a mapping with {_cut(', '.join(map(str, value)))}" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _keys(detail: ErrorDetails) -> KeyPath:
    return tuple(detail["loc"])


def _known_keys(model: type[BaseModel], key_path: KeyPath) -> list[str]:
    for step in key_path:
        if isinstance(step, str):
            model = _models_in(next(field.annotation for name, field in model.model_fields.items() if step in {name, field.alias}))[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _dotted(key_path: KeyPath) -> str:
    return ".".join(str(step) for step in key_path)
