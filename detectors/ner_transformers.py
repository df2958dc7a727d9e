"""Named entities by a transformer, through Presidio's own `TransformersNlpEngine`.

Two habits of that engine are not kept. It would download what is missing: here a model is found on this machine or refused. And it turns
a failure of the model into a text without names: here the failure is seen and passed on, so that the document is not judged (invariant 1).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from detectors.document import Evidence, EvidenceKind
from detectors.errors import ConfigurationError
from detectors.ner import NAME, NamedEntityDetector, Stretches, folder_digest, gathered, pipeline_path, whole, windows_of
from detectors.ner_choice import Transformers
from detectors.normalized import Normalized
from detectors.presidio import quieten

NEEDED = ("transformers", "torch")
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class TransformersDetector:
    """PERSON, LOCATION and ORGANIZATION from a token-classification model."""

    name = NAME
    version = "1"
    cost = 1_000
    provides: frozenset[EvidenceKind] = NamedEntityDetector.provides

    def __init__(self, choice: Transformers, stretches: Stretches = whole) -> None:
        missing = [package for package in NEEDED if not installed(package)]
        if missing:
            raise ConfigurationError(
                f"`ner: {{transformers: {choice.model}}}` needs {' and '.join(missing)}, not installed here; "
                "install presidio-analyzer[transformers], or name a spaCy pipeline"
            )
        _go_offline()
        self._model = model_path(choice.model)
        self._tokens = pipeline_path(choice.spacy)
        self._stretches = stretches

    @property
    def digest(self) -> str:
        """SHA-256 over the files of the model and of the tokenizing pipeline, hex."""
        return folder_digest(self._model) + folder_digest(self._tokens)

    @cached_property
    def _engine(self) -> tuple[Any, _Watched]:
        quieten()
        _go_offline()
        nlp_engine = importlib.import_module("presidio_analyzer.nlp_engine")
        model = {"lang_code": "en", "model_name": {"spacy": str(self._tokens), "transformers": str(self._model)}}
        engine = nlp_engine.TransformersNlpEngine(models=[model])
        engine.load()
        factory = importlib.import_module("presidio_analyzer.nlp_engine.huggingface_token_pipe").FACTORY_NAME
        component = engine.get_nlp("en").get_pipe(factory)
        component.pipeline = watched = _Watched(component.pipeline)
        return engine, watched

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """Window by window, so that a failure is that window's."""
        windows = list(windows_of(texts, self._stretches))
        return gathered(texts, windows, [self._named(texts[index].text[start:end]) for index, start, end in windows])

    def _named(self, window: str) -> list[tuple[int, int, str, float]]:
        engine, watched = self._engine
        artifacts = engine.process_text(window, "en")
        failure, watched.failure = watched.failure, None
        if failure is not None:
            raise RuntimeError(f"the named-entity model failed: {failure}")
        pairs = zip(artifacts.entities, artifacts.scores, strict=True)
        return [(entity.start_char, entity.end_char, entity.label_, float(score)) for entity, score in pairs]


class _Watched:
    """A model's pipeline that remembers its failure, whoever catches it. failure: the name of the exception, never its text."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.failure: str | None = None

    def __call__(self, *given: Any, **options: Any) -> Any:
        try:
            return self._pipeline(*given, **options)
        except Exception as error:
            self.failure = type(error).__name__
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)


def installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def model_path(model: str) -> Path:
    """Where the model lies: a folder, or its snapshot in the local cache. It is never fetched.

    Raises:
        ConfigurationError: it is not here.
    """
    if (Path(model) / "config.json").is_file():
        return Path(model)
    hub = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.snapshot_download(model, local_files_only=True))
    except Exception as error:  # noqa: BLE001 - the hub's errors have no common base that its versions share
        raise ConfigurationError(
            f"the transformer {model!r} is not on this machine ({type(error).__name__}); copy it here and give the path of its folder"
        ) from None


def _go_offline() -> None:
    """Forbid every download, also where the hub's library has been imported before and has read its setting."""
    for name in OFFLINE:
        os.environ[name] = "1"
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
