"""A frame is a document written by hand with slots: names and numbers are filled in anew each time, so that a model learns the rest.

In a frame's text, `{p1.last}` is a slot (see `slots.py`) and `[[one|two|]]` a choice; choices do not nest. `about` says which topics the
text is about; an empty list means that it is clean, and `kind` then says what it could be mistaken for.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from detectors.training.slots import Cast, Filled

TOPICS = ("health", "care", "personal_finance", "legal_advice", "business_secrecy")
FRAMES = Path(__file__).parent / "frames"
SYMBOLS = "$£€"
CHOICE = re.compile(r"\[\[([^\[\]]*)\]\]")
SLOT = re.compile(r"\{([a-z_]+[0-9]?(?:\.[a-z]+)?)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. source: the file it stands in, which is its author. kind: the kind of clean text, or of document."""

    name: str
    source: str
    kind: str
    about: frozenset[str]
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A filled frame. names: start, end and label (PERSON, ORG, LOC) of every name that was put in."""

    text: str = field(repr=False)
    names: tuple[tuple[int, int, str], ...]


def read_frames(folder: Path = FRAMES) -> list[Frame]:
    """Every frame, in the order of its files.

    Raises:
        ValueError: a frame that is malformed, with its file and id.
    """
    frames = [frame for path in sorted(folder.glob("*.yaml")) for frame in _read(path)]
    names = [frame.name for frame in frames]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{folder}: frame ids must be unique; found twice: {', '.join(twice[:5])}")
    return frames


def _read(path: Path) -> Iterator[Frame]:
    try:
        rows = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name}: not YAML: {error}") from error
    for row in rows or ():
        where = f"{path.name}: {row.get('id')}"
        unknown = set(row) - {"id", "about", "kind", "text"}
        if unknown or not {"id", "about", "kind", "text"} <= set(row):
            raise ValueError(f"{where}: expected the keys id, about, kind and text, found {sorted(row)}")
        if strange := set(row["about"]) - set(TOPICS):
            raise ValueError(f"{where}: unknown topics {sorted(strange)}; expected some of {', '.join(TOPICS)}")
        frame = Frame(name=row["id"], source=path.stem, kind=row["kind"], about=frozenset(row["about"]), text=row["text"])
        try:
            fill(frame, random.Random(0))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
        yield frame


def fill(frame: Frame, chance: random.Random) -> Made:
    """The frame as a document: choices taken, slots filled with one cast of invented people and numbers."""
    text = CHOICE.sub(lambda match: chance.choice(match.group(1).split("|")), frame.text)
    if "[[" in text or "]]" in text:
        raise ValueError("a choice is not closed, or stands in another")
    cast = Cast(chance)
    pieces: list[str] = []
    names: list[tuple[int, int, str]] = []
    length = end = 0
    for match in SLOT.finditer(text):
        before = text[end : match.start()]
        filled: Filled = cast.fill(match.group(1))
        if before and before[-1] in SYMBOLS and filled.text[0] in SYMBOLS:
            before = before[:-1]  # the author wrote the currency, and so does the amount
        pieces += [before, filled.text]
        start = length + len(before)
        length = start + len(filled.text)
        names += [(start + first, start + last, label) for first, last, label in filled.names]
        end = match.end()
    pieces.append(text[end:])
    return Made(text="".join(pieces), names=tuple(names))


def main() -> None:
    """Check every file of frames and count them: `python -m detectors.training.frames`."""
    for path in sorted(FRAMES.glob("*.yaml")):
        try:
            own = list(_read(path))
        except ValueError as error:
            print(f"WRONG {error}")  # noqa: T201
            continue
        source = path.stem
        words = sum(len(frame.text.split()) for frame in own)
        counts = ", ".join(f"{topic} {n}" for topic in TOPICS if (n := sum(topic in frame.about for frame in own)))
        print(f"{source}: {len(own)} frames, {words} words; {counts}; about nothing {sum(not frame.about for frame in own)}")  # noqa: T201


if __name__ == "__main__":
    main()
