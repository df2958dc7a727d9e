"""Named entities: the seam for sentences, windows, and a transformer through Presidio's engine with a model that stands in for one."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import spacy
from presidio_analyzer.nlp_engine import huggingface_token_pipe

import detectors
from detectors import ner_transformers
from detectors.document import Document
from detectors.errors import ConfigurationError
from detectors.ner import OVERLAP, WINDOW, NamedEntityDetector, windows_of
from detectors.ner_choice import Transformers
from detectors.normalize import normalize
from detectors.scan import scan

Answer = list[dict[str, Any]]


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Xanthippe"}])
    nlp.to_disk(tmp_path / "pipeline")
    return tmp_path / "pipeline"


def test_only_the_stretches_are_shown_to_the_model(pipeline: Path) -> None:
    text = "Xanthippe came.\nXanthippe went."
    chosen = NamedEntityDetector(str(pipeline), stretches=lambda _: [(16, len(text))])
    (evidence,) = chosen.detect([normalize(text)])
    assert [(finding.start, finding.end) for finding in evidence.findings] == [(16, 25)]


@pytest.mark.parametrize("described", [True, False], ids=["by its description", "once loaded"])
def test_a_pipeline_that_names_no_people_is_refused(tmp_path: Path, *, described: bool) -> None:
    nlp = spacy.blank("en")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "CHEMICAL", "pattern": "aspirin"}])
    nlp.to_disk(tmp_path)
    if described:
        with pytest.raises(ConfigurationError, match="names no people; expected one of the labels PERSON, PER, found CHEMICAL"):
            detectors.load(ner=str(tmp_path))
        return
    (tmp_path / "meta.json").write_text('{"lang": "en", "name": "x", "version": "1"}')
    with pytest.raises(ConfigurationError, match="names no people"):
        NamedEntityDetector(str(tmp_path)).detect([normalize("aspirin")])


@pytest.mark.parametrize("length", [0, 1, WINDOW, WINDOW + 1, 3 * WINDOW])
def test_windows_cover_a_text_and_overlap(length: int) -> None:
    windows = list(windows_of([normalize("x" * length)], lambda text: [(0, len(text.text))]))
    assert (windows[0][1], windows[-1][2]) == (0, length)
    assert all(before[2] - after[1] >= OVERLAP for before, after in pairwise(windows))
    assert all(end - start <= WINDOW for _, start, end in windows)


def named(answer: Callable[[str], Answer]) -> Callable[..., Any]:
    """A stand-in for `transformers.pipeline`, which gives a callable that takes a text or a list of them."""

    def pipeline(**_: Any) -> Callable[..., Any]:
        return lambda given: [answer(text) for text in given] if isinstance(given, list) else answer(given)

    return pipeline


def people(text: str) -> Answer:
    return [
        {"entity_group": "PATIENT", "start": match.start(), "end": match.end(), "score": 0.97} for match in re.finditer("Xanthippe", text)
    ]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, pipeline: Path, model: Path) -> Callable[[Callable[[str], Answer]], detectors.DetectorSet]:
    for name in ner_transformers.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ner_transformers, "installed", lambda _: True)
    monkeypatch.setattr(huggingface_token_pipe, "_pipeline_device", lambda: -1)

    def load(answer: Callable[[str], Answer]) -> detectors.DetectorSet:
        monkeypatch.setattr(huggingface_token_pipe, "hf_pipeline", named(answer))
        return detectors.load(ner=Transformers(model=str(model), spacy=str(pipeline)))

    return load


def test_a_transformer_names_people_anywhere_in_a_long_text(engine: Callable[..., detectors.DetectorSet]) -> None:
    text = "it was a long walk and nobody minded. " * 500 + "then Xanthippe went home"
    (evidence,) = scan([Document(record_id="r", text=text, source="s")], engine(people))
    found = [(text[one.start : one.end], one.entity, one.score) for one in evidence.findings if one.detector == "named_entities"]
    assert found == [("Xanthippe", "PERSON", 0.97)]
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def failing(text: str) -> Answer:
    if "Brumley" in text:
        raise RuntimeError(text)
    return people(text)


def test_a_failure_of_the_model_is_never_a_text_without_names(
    engine: Callable[..., detectors.DetectorSet], caplog: pytest.LogCaptureFixture
) -> None:
    documents = [
        Document(record_id=name, text=text, source="s") for name, text in (("a", "Xanthippe is here"), ("b", "in Brumley it rains"))
    ]
    with caplog.at_level(logging.DEBUG):
        fine, failed = scan(documents, engine(failing))
    assert fine.failures == frozenset()
    assert failed.failures == {"detector_error:named_entities"}
    assert "Brumley" not in caplog.text


def test_the_hash_covers_the_model(engine: Callable[..., detectors.DetectorSet], model: Path) -> None:
    before = engine(people).hash
    (model / "model.safetensors").write_bytes(b"other weights")
    assert engine(people).hash != before


def test_without_the_library_one_line_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"needs transformers and torch.*install presidio-analyzer\[transformers\]"):
        detectors.load(ner=Transformers(model="some/model"))


def test_a_model_that_is_not_here_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hub:
        @staticmethod
        def snapshot_download(name: str, *, local_files_only: bool) -> str:
            assert local_files_only
            raise FileNotFoundError(name)

    monkeypatch.setattr(ner_transformers.importlib, "import_module", lambda _: Hub)
    with pytest.raises(ConfigurationError, match="'some/model' is not on this machine"):
        ner_transformers.model_path("some/model")
