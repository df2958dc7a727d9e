"""Documents with the topics they are about: permitted corpora, filled frames, and program sources. What may be trained on stands here.

A topic's label is true, false, or absent where nobody knows. `source` is what leave-one-out leaves out: a batch of frames or a corpus.
"""

from __future__ import annotations

import json
import random
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from detectors.training.frames import TOPICS, Frame, fill
from detectors.training.noise import scanned

CODE_FILES = 400
CHUNK = 12
"""Sentences of a sentence corpus that make a document."""
SCANNED = 0.12
"""Share of frame copies that go through a bad scanner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A document for training. about: by topic, whether the text is about it. origin: what it shares its phrasing with."""

    text: str = field(repr=False)
    source: str
    origin: str
    about: Mapping[str, bool]


def _about(*topics: str, unknown: Iterable[str] = ()) -> dict[str, bool]:
    return {topic: topic in topics for topic in TOPICS if topic not in set(unknown)}


def from_frames(frames: Iterable[Frame], *, copies: int, chance: random.Random) -> Iterator[Labelled]:
    """Every frame, filled several times. The prefix of its name says in which batch it was written."""
    for frame in frames:
        for _ in range(copies):
            text = fill(frame, chance).text
            yield Labelled(
                text=scanned(text, chance) if chance.random() < SCANNED else text,
                source=frame.name.split("-")[0],
                origin=frame.name,
                about=_about(*frame.about),
            )


def from_corpora(corpora: Path) -> Iterator[Labelled]:
    """The labelled documents and sentences whose licences allow training: `corpora/README.md` says which."""
    dev = corpora / "dev"
    for name, read in (
        ("clean", _abstract), ("enron_ucb", _enron), ("npi", _npi), ("phi", _phi), ("privileged_templates", _privileged),
        ("trade_secret_templates", _secret),
    ):  # fmt: skip
        for row in _rows(dev / f"{name}.jsonl"):
            about = read(row)
            if about is not None:
                yield Labelled(text=row["text"], source=f"{name}:{row['source'].split('+')[0]}", origin=_origin(name, row), about=about)
    for name in ("gum", "ewt_dev", "wikigold", "sec_filings"):
        yield from _chunks(name, _rows(corpora / "ner" / f"{name}.jsonl"))


def _origin(name: str, row: dict[str, Any]) -> str:
    """A template is one origin, and so is a whole firm's mail: who writes to whom there is no term of a topic."""
    template = row["meta"].get("template")
    if name == "enron_ucb":
        return name
    return f"{name}:{template}" if template is not None else str(row["id"])


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _abstract(row: dict[str, Any]) -> dict[str, bool] | None:
    return _about("health") if row["source"] == "Medical-Abstracts-TC-Corpus" else None  # AG News is for research only


def _enron(row: dict[str, Any]) -> dict[str, bool] | None:
    labels, tier = set(row["labels"]), row["tier"]
    if tier == "hard_negative":
        return _about()
    if "PRIVILEGED" in labels:
        return _about("legal_advice", unknown=("business_secrecy",))
    if tier == "core":
        return _about("business_secrecy", unknown=("legal_advice",))
    return _about(unknown=("legal_advice", "business_secrecy", "personal_finance"))  # nobody coded them


def _npi(row: dict[str, Any]) -> dict[str, bool] | None:
    if row["labels"]:
        return _about("personal_finance")
    return _about(unknown=("personal_finance",)) if row["tier"] == "ambiguous" else _about()


def _phi(row: dict[str, Any]) -> dict[str, bool] | None:
    return _about("health", "care") if row["source"].startswith("mts-dialog") else None  # the licence of mtsamples is unclear


def _privileged(row: dict[str, Any]) -> dict[str, bool]:
    return _about("legal_advice") if row["labels"] else _about()


def _secret(row: dict[str, Any]) -> dict[str, bool]:
    return _about("business_secrecy") if row["labels"] else _about()


def _chunks(name: str, rows: list[dict[str, Any]]) -> Iterator[Labelled]:
    """A dozen sentences of one text make a document; all of these corpora are public prose. Some of it is about health."""
    for text, group in groupby(rows, key=lambda row: row["id"].rsplit("-", 1)[0]):
        sentences = [row["text"] for row in group]
        for start in range(0, len(sentences), CHUNK):
            yield Labelled(
                text=" ".join(sentences[start : start + CHUNK]),
                source=f"ner:{name}",
                origin=f"{name}:{text}",
                about=_about(unknown=("health",)),
            )


def program_sources(chance: random.Random) -> Iterator[Labelled]:
    """Python's own standard library: open source code, for which secrecy is not claimed."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("[a-z]*/*.py")) + sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    own = [path for path in files if "site-packages" not in path.parts and "test" not in path.parts]
    for path in chance.sample(own, min(CODE_FILES, len(own))):
        text = path.read_text(encoding="utf-8", errors="ignore")
        start = chance.randrange(max(1, len(text) - 4_000))
        yield Labelled(text=text[start : start + 4_000], source="code:python", origin=path.name, about=_about())
