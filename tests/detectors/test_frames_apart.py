"""What the models learn from is not what they are measured on: no frame shares a run of words with a document of the evaluation set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors.training.frames import CHOICE, FRAMES, SLOT, Frame, read_frames

DOCUMENTS = Path(__file__).parents[1] / "evaluation" / "documents.jsonl"
RUN = 10
"""Words. Shorter runs are the idiom of a kind of paper ("is required to file an answer within"); ten are somebody's sentence."""
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|\x00")
BREAK = " \x00 "
BSD = (
    "redistribution and use in source and binary forms with or without modification "
    "are permitted provided that the following conditions are met"
)
"""The licence begins with these words wherever it stands, so frames and documents about source code both have them."""


def runs(text: str) -> Iterator[tuple[str, ...]]:
    """Every run of words without a slot in it, case and punctuation apart."""
    words = WORD.findall(text.lower())
    yield from (run for place in range(len(words) - RUN + 1) if "\x00" not in (run := tuple(words[place : place + RUN])))


def variants(frame: Frame) -> Iterator[str]:
    """The frame with its first choices, its second ones, and so on; a slot is no word."""
    slotless = SLOT.sub(BREAK, frame.text)
    for turn in range(max((match.group(1).count("|") + 1 for match in CHOICE.finditer(slotless)), default=1)):
        yield CHOICE.sub(lambda match, turn=turn: (options := match.group(1).split("|"))[turn % len(options)], slotless)  # type: ignore[misc]


@pytest.fixture(scope="module")
def frames() -> dict[str, list[Frame]]:
    by_file: dict[str, list[Frame]] = {}
    for frame in read_frames():
        by_file.setdefault(frame.source, []).append(frame)
    return by_file


@pytest.fixture(scope="module")
def evaluated() -> dict[tuple[str, ...], str]:
    rows = map(json.loads, DOCUMENTS.read_text(encoding="utf-8").splitlines())
    standard = set(runs(BSD))
    return {run: row["id"] for row in rows for run in runs(row["text"]) if run not in standard}


def shared(frame: Frame, evaluated: dict[tuple[str, ...], str]) -> dict[str, str]:
    """The runs of a frame that stand in an evaluation document, and in which."""
    return {" ".join(run): evaluated[run] for text in variants(frame) for run in runs(text) if run in evaluated}


@pytest.mark.parametrize("path", sorted(FRAMES.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_frame_repeats_an_evaluation_document(path: Path, frames: dict[str, list[Frame]], evaluated: dict[tuple[str, ...], str]) -> None:
    repeated = {frame.name: found for frame in frames[path.stem] if (found := shared(frame, evaluated))}
    assert not repeated, f"write these frames anew, not the documents: {repeated}"


@pytest.mark.parametrize(
    ("around", "found"),
    [
        pytest.param("Before it. {words} And after.", True, id="word for word"),
        pytest.param("Before it. [[{words}|not]] And after.", True, id="in a choice"),
        pytest.param("Before it. {words} And after.", False, id="with a slot in the middle"),
    ],
)
def test_a_repetition_is_seen(around: str, evaluated: dict[tuple[str, ...], str], *, found: bool) -> None:
    run = list(next(iter(evaluated)))
    if not found:
        run[RUN // 2] = "{p1.last}"
    frame = Frame(name="copied", source="test", kind="copy", about=frozenset(), text=around.replace("{words}", " ".join(run)))
    assert bool(shared(frame, evaluated)) is found
