"""What a job file's mistakes are called: FILE:LINE: key.path: expected …, found …."""

from __future__ import annotations

import difflib
from typing import Any, NoReturn, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.errors import JobError
from flows.marked_yaml import KeyPath, MarkedYaml

SHOWN = 60
SECRET_KEYS = frozenset({"webhook", "proxy", "secret"})
"""Keys whose value is not repeated: an URL often carries a password, and `secret` may hold one by mistake."""


def raise_at(marked: MarkedYaml, key_path: KeyPath, message: str) -> NoReturn:
    """One mistake, found after the single keys were checked."""
    raise JobError(f"{marked.path}:{marked.line(key_path)}: {_dotted(key_path)}: {message}")


def explain(error: ValidationError, marked: MarkedYaml, model: type[BaseModel]) -> str:
    """The first mistake in the order of the file, and how many more there are."""
    details = error.errors(include_url=False)
    lines = sorted((marked.line(_keys(detail)), _dotted(_keys(detail)), _sentence(detail, model)) for detail in details)
    line, key, sentence = lines[0]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return f"{marked.path}:{line}: {key}: {sentence}{more}"


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] == "missing":
        return "expected this key, found none; add it"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, _keys(detail)[:-1])
        close = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"expected one of {', '.join(known)}; found an unknown key{hint}"
    expected = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)
    if not expected.startswith("expected"):
        expected = f"expected: {expected}"
    if SECRET_KEYS.intersection(_keys(detail)[-1:]) or (isinstance(detail["input"], dict) and SECRET_KEYS.intersection(detail["input"])):
        return f"{expected}, found something else"
    shown = repr(detail["input"])
    return f"{expected}; found {shown if len(shown) <= SHOWN else shown[:SHOWN] + '…'}"


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
