"""Trains the bundled named-entity pipeline with spaCy: PERSON, ORG and LOC from permitted sentences and from filled frames.

Frames carry the exact spans of the names that were put in. Names that an author wrote straight into a frame carry none, so whatever our
own name detector sees there is marked as missing: the model is taught neither that it is a name nor that it is not.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectors.identifiers import person
from detectors.normalize import normalize
from detectors.training.frames import Frame, fill
from detectors.training.noise import NOISES

LABELS = {"PERSON", "ORG", "LOC"}
SENTENCES = ("gum", "wikigold", "ewt_dev", "btc", "sec_filings")
ROLES = re.compile(
    "(?i)^(?:the )?(?:lender|borrower|bank|agent|company|guarantor|obligor|parent|holder|trustee|grantor|buyer|seller|co-borrower|lessee|"
    "lessor|executive|employee|purchaser|administrative agent|secured part(?:y|ie))s?$"
)
"""Role words that the loan agreements label as persons."""
NOISY = 0.36
"""Share of examples that go through one of the noises: nine in a hundred each."""
COPIES = 2
"""Fillings per frame: with twice as many the frames would outweigh the sentences, which were written by nobody of ours."""
HELD_OUT = 20
"""One sentence in so many is kept for choosing the best epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A text with its names; `missing` spans may be names or not."""

    text: str = field(repr=False)
    names: tuple[tuple[int, int, str], ...]
    missing: tuple[tuple[int, int], ...] = ()


def sentences(corpora: Path) -> Iterator[Example]:
    """The labelled sentences whose licences allow training."""
    for name in SENTENCES:
        for line in (corpora / "ner" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            spans = [(span["start"], span["end"], span["label"]) for span in row["spans"] if span["label"] in LABELS]
            text = row["text"]
            roles = tuple((start, end) for start, end, label in spans if label == "PERSON" and _no_name(text[start:end]))
            kept = tuple(span for span in spans if span[:2] not in roles)
            handles = tuple((start, end) for start, end in roles if text[start:end].startswith("@"))
            yield Example(text=text, names=kept, missing=handles)


def nameless(corpora: Path) -> Iterator[Example]:
    """De-identified notes: eponyms and drug brands are written like names, and these texts are known to have none."""
    for line in (corpora / "dev" / "phi.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["source"].startswith("mts-dialog") and not row["labels"]:
            yield Example(text=row["text"], names=())


def _no_name(value: str) -> bool:
    return value.startswith("@") or ROLES.match(value) is not None


def filled(frames: Iterable[Frame], *, copies: int, chance: random.Random) -> Iterator[Example]:
    """Frames as examples, each filled several times."""
    detector = person.detector()
    for frame in frames:
        for _ in range(copies):
            made = fill(frame, chance)
            found = detector.detect([normalize(made.text)])[0].findings
            loose = tuple(
                (one.start, one.end) for one in found if not any(one.start < end and start < one.end for start, end, _ in made.names)
            )
            yield Example(text=made.text, names=made.names, missing=loose)


def noisy(examples: Iterable[Example], chance: random.Random) -> Iterator[Example]:
    """The examples, some of them as they arrive in practice."""
    for example in examples:
        if chance.random() >= NOISY:
            yield example
        else:
            noise = chance.choice(NOISES)
            yield Example(text=noise(example.text, chance), names=example.names, missing=example.missing)


def as_document(nlp: Any, example: Example) -> Any:
    """A spaCy document with its entities; a span that does not fit the tokens is missing rather than wrong."""
    document = nlp.make_doc(example.text)
    entities: list[Any] = []
    missing: list[Any] = []
    taken: set[int] = set()
    for start, end, label in sorted(example.names):
        span = document.char_span(start, end, label=label)
        wide = span if span is not None else document.char_span(start, end, alignment_mode="expand")
        if wide is None or taken & set(range(wide.start, wide.end)):
            continue
        taken |= set(range(wide.start, wide.end))
        (entities if span is not None else missing).append(wide)
    for start, end in example.missing:
        wide = document.char_span(start, end, alignment_mode="expand")
        if wide is not None and not taken & set(range(wide.start, wide.end)):
            taken |= set(range(wide.start, wide.end))
            missing.append(wide)
    document.set_ents(entities, missing=missing, default="outside")
    return document


def train(corpora: Path, frames: list[Frame], output: Path, *, seed: int = 0, epochs: int = 0) -> None:
    """Train and write the pipeline to `output`. About half an hour on one core; `epochs` other than 0 overrides the configuration."""
    import spacy  # noqa: PLC0415 - heavy, as is the training loop
    from spacy.tokens import DocBin  # noqa: PLC0415

    chance = random.Random(seed)
    nlp = spacy.blank("en")
    examples = [*sentences(corpora), *nameless(corpora), *filled(frames, copies=COPIES, chance=chance)]
    chance.shuffle(examples)
    with tempfile.TemporaryDirectory() as folder:
        held = examples[: len(examples) // HELD_OUT]
        for name, part in (("dev", held), ("train", list(noisy(examples[len(held) :], chance)))):
            DocBin(docs=[as_document(nlp, example) for example in part]).to_disk(Path(folder) / f"{name}.spacy")
        _train(Path(folder), epochs)
        write(spacy.load(Path(folder) / "trained" / "model-best"), output)


def _train(work: Path, epochs: int) -> None:
    """The training loop, on the documents in `work`."""
    from spacy.cli.train import train as run  # noqa: PLC0415 - as above

    overrides: dict[str, Any] = {"paths.train": str(work / "train.spacy"), "paths.dev": str(work / "dev.spacy")}
    if epochs:
        overrides["training.max_epochs"] = epochs
    run(Path(__file__).with_name("entities.cfg"), work / "trained", overrides=overrides)


def write(nlp: Any, output: Path) -> None:
    """The pipeline without a trace of where and on what it was made.

    The training texts' words are left out of its vocabulary: they are looked up by hash, and nobody needs to read them.
    """
    import spacy  # noqa: PLC0415 - as above

    nlp.config["paths"] = dict.fromkeys(nlp.config["paths"])
    nlp.meta.update(
        name="waybill_names",
        version="1.0.0",
        author="Waybill",
        license="Apache-2.0",
        description="Persons, organisations and places in English.",
    )
    nlp.to_disk(output)
    kept = {*spacy.blank("en").vocab.strings, *LABELS}
    (output / "vocab" / "strings.json").write_text(json.dumps(sorted(kept), indent=1) + "\n", encoding="utf-8")
