"""A trained router: a small JSON file that says how much more a strong model is worth to a request, from counts over its text.

It is a logistic model: intercept + the sum of weight × (value - mean) / scale, then the logistic function. A person can read it, and
it scores a record in microseconds without any library.

- `usable` follows from the measures in the file: on subjects it had not seen, with the stated confidence, it beat chance, the length of the
  text and the best single feature. A file whose flag says more than its measures is refused.
- A score orders places that are permitted anyway; it never says where a record may go.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from policies.errors import PolicyFileError
from policies.load import read_source
from policies.strategies.complexity import VALUES, Features
from policies.strategies.json_source import JsonTable, parse_json
from policies.yaml_value import Source

KIND = "waybill router"
FARTHEST = 4.0
"""Scales from the mean: a value beyond counts as this far, for training saw none there. So no single value decides alone."""
HEX = r"[0-9a-f]{64}"
WORDS = {"random": "chance", "length": "length alone", "single": "the best single feature"}
BEATEN = tuple(WORDS)
"""What a router must beat: chance, the length of the text, and the single feature that was best on the training subjects."""
MEASURES = ("apgr", "cpt50", "cpt80", *(f"over_{name}" for name in BEATEN))
_KEYS = ("features", "weights", "means", "scales", "intercept", "trained", "metrics", "usable")
_TRAINED = ("rows", "subjects", "source", "digest", "made_on")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measured value and its interval at CONFIDENCE of the training."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a router was made from. digest: SHA-256 over the numbers and labels, no text. source: `outcomes` or `ledger`."""

    rows: int
    subjects: int
    source: str
    digest: str
    made_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """The model, what it was made from, and how it did on unseen subjects. metrics: by the names of MEASURES."""

    features: tuple[str, ...]
    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    intercept: float
    trained: Training
    metrics: Mapping[str, Measure] = field(repr=False)
    usable: bool

    def score(self, features: Features) -> float:
        """0..1: the higher, the more the strong model is worth to this request."""
        values = [VALUES[name](features) for name in self.features]
        return self.score_values(values)

    def score_values(self, values: list[float]) -> float:
        """The same for the values of `features`, in that order."""
        terms = [
            weight * min(FARTHEST, max(-FARTHEST, (value - mean) / scale))
            for value, weight, mean, scale in zip(values, self.weights, self.means, self.scales, strict=True)
        ]
        return logistic(self.intercept + math.fsum(terms))

    @property
    def text(self) -> str:
        """The file, byte for byte the same for the same router."""
        tree: dict[str, Any] = {
            "kind": KIND,
            "version": 1,
            "usable": self.usable,
            "features": list(self.features),
            "weights": list(self.weights),
            "means": list(self.means),
            "scales": list(self.scales),
            "intercept": self.intercept,
            "trained": {
                "rows": self.trained.rows,
                "subjects": self.trained.subjects,
                "source": self.trained.source,
                "digest": self.trained.digest,
                "made_on": self.trained.made_on.isoformat(),
            },
            "metrics": {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in self.metrics.items()},
        }
        return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), without overflow."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def beats(metrics: Mapping[str, Measure]) -> bool:
    """Whether every paired difference lies above zero with its whole interval."""
    return all(metrics[f"over_{name}"].low > 0 for name in BEATEN)


def load_router(path: Path) -> Router:
    """Read a router. Raises PolicyFileError."""
    return parse_router(read_source(path))


def parse_router(source: Source) -> Router:
    """Bytes → router. Pure. Raises PolicyFileError."""
    root = parse_json(source, kind=KIND)
    root.keys(_KEYS)
    names = root.names("features", VALUES)
    expected = f"a list of {len(names)} numbers, one for each feature"
    scales = root.numbers("scales", expected, length=len(names))
    if min(scales) <= 0:
        raise PolicyFileError(f"{source.name}: scales: expected numbers above 0, found another; make the file again")
    metrics = _metrics(root.table("metrics"))
    usable = root.flag("usable")
    if usable and not beats(metrics):
        unbeaten = f"by its own metrics it does not beat each of {', '.join(WORDS.values())}"
        raise PolicyFileError(f"{source.name}: usable: expected false, since {unbeaten}; train it again")
    return Router(
        features=names,
        weights=root.numbers("weights", expected, length=len(names)),
        means=root.numbers("means", expected, length=len(names)),
        scales=scales,
        intercept=root.number("intercept", "a number", low=-1e6, high=1e6),
        trained=_training(root.table("trained")),
        metrics=metrics,
        usable=usable,
    )


def _training(table: JsonTable) -> Training:
    table.keys(_TRAINED)
    return Training(
        rows=table.whole("rows", "a count", low=1),
        subjects=table.whole("subjects", "a count", low=1),
        source=table.text("source", "outcomes or ledger", pattern="outcomes|ledger"),
        digest=table.text("digest", "a SHA-256 in hex", pattern=HEX),
        made_on=table.day("made_on"),
    )


def _metrics(table: JsonTable) -> dict[str, Measure]:
    table.keys(MEASURES)
    return {name: _measure(table.table(name)) for name in MEASURES}


def _measure(table: JsonTable) -> Measure:
    table.keys(("value", "low", "high"))
    value, low, high = (table.number(key, "a number") for key in ("value", "low", "high"))
    if low > high:
        raise PolicyFileError(f"{table.file}: {table.path}: expected low <= high, found the reverse; make the file again")
    return Measure(value, low, high)
