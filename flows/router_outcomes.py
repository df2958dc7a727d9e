"""Labelled outcomes: what a weak and a strong model made of the same requests. JSON lines in, numbers out.

Each line: `prompt` (text), `domain` (its subject), `weak_correct` and `strong_correct` (true or false); other keys are not looked at.
Of the prompt only counts are kept (`policies/strategies/complexity.py`), so nothing that is made from them holds a text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flows.errors import RouterError
from policies.strategies.complexity import VALUES, Features, judge

Floats = NDArray[np.float64]
MOST_BYTES = 1 << 30
LABELS = ("weak_correct", "strong_correct")
TEXT_FEATURES = tuple(name for name in VALUES if name not in {"findings", "finding_kinds"})
"""What can be counted without a scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Requests in a table: values[n, features] by the names, and how each model did. length: the feature that stands for length.

    gain: 1 where only the strong model was right, -1 where only the weak one was, else 0. subjects: whole numbers from 0. rules: the score
    of the complexity rules, where there was a text to judge.
    """

    names: tuple[str, ...]
    values: Floats = field(repr=False)
    weak: NDArray[np.bool_] = field(repr=False)
    strong: NDArray[np.bool_] = field(repr=False)
    subjects: NDArray[np.intp] = field(repr=False)
    rules: Floats | None = field(default=None, repr=False)
    source: Literal["outcomes", "ledger"] = "outcomes"
    length: str = "characters"

    @property
    def gain(self) -> Floats:
        """Strong minus weak."""
        return self.strong.astype(np.float64) - self.weak.astype(np.float64)

    @property
    def subject_count(self) -> int:
        """How many subjects there are."""
        return int(self.subjects.max()) + 1 if len(self.subjects) else 0

    @property
    def digest(self) -> str:
        """SHA-256 over names, values and labels; two sets with the same numbers have the same."""
        digest = hashlib.sha256(b"waybill outcomes v1")
        digest.update(json.dumps(self.names).encode())
        for part in (self.values.astype("<f8"), self.weak, self.strong, self.subjects.astype("<i8")):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def read_outcomes(path: Path) -> Outcomes:
    """Read labelled outcomes. Raises RouterError with FILE:LINE."""
    values: list[tuple[float, ...]] = []
    rules: list[float] = []
    weak, strong, subjects = [], [], []
    numbers: dict[str, int] = {}
    for features, domain, row in _rows(path):
        found = features.values
        values.append(tuple(found[name] for name in TEXT_FEATURES))
        rules.append(judge(features).score)
        weak.append(row["weak_correct"])
        strong.append(row["strong_correct"])
        subjects.append(numbers.setdefault(domain, len(numbers)))
    if not values:
        raise RouterError(f"{path}: expected one JSON object a line with prompt, domain, weak_correct, strong_correct; found no line")
    return Outcomes(
        names=TEXT_FEATURES,
        values=np.array(values, dtype=np.float64),
        weak=np.array(weak, dtype=np.bool_),
        strong=np.array(strong, dtype=np.bool_),
        subjects=np.array(subjects, dtype=np.intp),
        rules=np.array(rules, dtype=np.float64),
    )


def _rows(path: Path) -> Iterator[tuple[Features, str, Mapping[str, Any]]]:
    for number, row in json_lines(path):
        for key, kind, expected in (
            ("prompt", str, "a text"),
            ("domain", str, "a text"),
            *((key, bool, "true or false") for key in LABELS),
        ):
            if not isinstance(row.get(key), kind):
                raise RouterError(f"{path}:{number}: {key}: expected {expected}, found {'something else' if key in row else 'nothing'}")
        yield Features.of({"text": row["prompt"]}, task="", schema=None, constants_chars=0), row["domain"], row


def json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a file, one a line, with their line numbers; empty lines are passed over. Raises RouterError, which quotes none."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RouterError(f"{path}: expected at most {MOST_BYTES} bytes, found more; take a part of it, drawn at random")
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(path, number, line)
    except OSError as error:
        raise RouterError(f"{path}: expected a readable file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RouterError(f"{path}: expected UTF-8, found another encoding; save it as UTF-8") from None


def _object(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise RouterError(f"{path}:{number}: expected one JSON object, found something else") from None
    if not isinstance(row, dict):
        raise RouterError(f"{path}:{number}: expected one JSON object, found something else")
    return row


MIN_ROWS = 200
MIN_SUBJECTS = 8
MIN_EACH = 30


def check_enough(outcomes: Outcomes, where: object, *, subject: str = "subjects") -> None:
    """Refuse what nothing can be learned from, with numbers. Raises RouterError."""
    better = int(np.sum(outcomes.gain > 0))
    wanted: Sequence[tuple[int, int, str]] = (
        (len(outcomes.gain), MIN_ROWS, "requests"),
        (outcomes.subject_count, MIN_SUBJECTS, subject),
        (better, MIN_EACH, "requests that only the strong model got right"),
        (int(np.sum(outcomes.weak)), MIN_EACH, "requests that the weak model got right"),
    )
    missing = [f"{found:,} {words} (expected at least {least:,})" for found, least, words in wanted if found < least]
    if missing:
        raise RouterError(f"{where}: too little to train or to judge a router: {'; '.join(missing)}")
    if np.sum(outcomes.gain) <= 0:
        raise RouterError(
            f"{where}: the strong model was right {int(np.sum(outcomes.strong)):,} times and the weak one {int(np.sum(outcomes.weak)):,} "
            "times: there is no gap to recover, and nothing to route for"
        )
