"""What a Presidio recognizer would find, hashed: its attributes and the code of its classes. Presidio's own code goes by its version."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

PASSING = frozenset({"_id", "is_loaded", "compiled_regex", "compiled_with_flags"})
"""Attributes that say where an object lies in memory, or what it has done so far, and not what it finds."""
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
DEEPEST = 6
"""Objects within objects: configuration is shallow, and a model that hangs on an attribute need not be walked to its last weight."""


def recognizer_digest(recognizer: Any) -> str:
    """Sixteen hex digits that change with attributes, patterns, flags, thresholds and source code, and with nothing else."""
    stated = json.dumps([type(recognizer).__qualname__, _stable(recognizer, DEEPEST)], sort_keys=True)
    digest = hashlib.sha256(stated.encode())
    for kind in type(recognizer).__mro__:
        if kind is not object and not kind.__module__.startswith("presidio_analyzer"):
            digest.update(_source(kind))
    return digest.hexdigest()[:16]


def _stable(value: Any, left: int) -> Any:
    """The value as JSON that is the same in every process: no addresses, no order of sets."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    return [name, _content(value, left)] if left else name


def _content(value: Any, left: int) -> Any:
    if isinstance(value, Mapping):
        return _unordered([str(key), _stable(held, left - 1)] for key, held in value.items())
    if isinstance(value, AbstractSet):
        return _unordered(_stable(held, left - 1) for held in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_stable(held, left - 1) for held in value]
    if hasattr(value, "__qualname__"):  # a class or a function, whose code is in some module
        return [value.__module__, value.__qualname__]
    if hasattr(value, "__dict__"):
        return {key: _stable(held, left - 1) for key, held in vars(value).items() if key not in PASSING}
    return ADDRESS.sub("", repr(value))


def _unordered(items: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


def _source(kind: type) -> bytes:
    """The module that defines a class, as it lies on disk; its name where there is no such file."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    try:
        return Path(file).read_bytes() if file else kind.__module__.encode()
    except OSError:
        return kind.__module__.encode()
