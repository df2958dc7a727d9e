"""Presidio recognizers of other people, as they are: an `EntityRecognizer` (class or instance) or a no-code YAML file becomes a detector.

What Presidio's engine would add is added here, without its copies and its log of decisions: context words lift a weak result, a
recognizer's own thresholds and its own `enhance_using_context` are kept. An exception goes on to the scan, which then does not judge the
document (invariant 1), and so does a time-out that the recognizer has caught itself. Recognizers that would call out, and those that hide
their failures, are refused when they are loaded.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from detectors.detector import BELIEVED, collect, entity_kind
from detectors.document import Evidence, EvidenceKind, Finding
from detectors.errors import ConfigurationError
from detectors.normalized import Normalized
from detectors.pattern import AFTER, BEFORE
from detectors.presidio import quieten
from detectors.recognizer_digest import recognizer_digest
from detectors.timeouts import no_timeout_lost

WINDOW = 50_000
OVERLAP = 1_000
"""Characters. Recognizers of unknown cost see a long text in pieces; no identifier is longer than what two pieces share."""
CONTEXT_FACTOR = 0.35
"""What Presidio's `LemmaContextAwareEnhancer` adds for a context word."""
SUPPORTED = 0.85
"""A result with its context word is believed, as with our own detectors."""
REFUSED = {
    "RemoteRecognizer": "it calls a service, and text would leave before it was judged",
    "LMRecognizer": "it asks a language model, and text would leave before it was judged",
    "SpacyRecognizer": "it only passes on what Presidio's NLP engine found; name the pipeline under `ner:` in the policy",
    "HuggingFaceNerRecognizer": "a failure of its model looks like a text without names; use `ner: {transformers: …}` in the policy",
}
PATTERN_KEYS = frozenset(
    {
        "name", "supported_entity", "supported_entities", "supported_language", "supported_languages", "patterns", "deny_list",
        "deny_list_score", "context", "version", "country_code", "global_regex_flags", "type", "enabled", "class_name", "score_thresholds",
    }
)  # fmt: skip
NOT_PASSED = frozenset({"type", "enabled", "class_name", "supported_languages", "supported_language", "score_thresholds"})


class RecognizerDetector:
    """One recognizer. entities: what it may find, under its own names."""

    def __init__(self, recognizer: Any, *, name: str, cost: int) -> None:
        self.name = name
        self.cost = cost
        self.entities = tuple(recognizer.supported_entities)
        self.provides: frozenset[EvidenceKind] = frozenset(entity_kind(entity) for entity in self.entities)
        self.version = f"{getattr(recognizer, 'version', '')}-{recognizer_digest(recognizer)}"
        self._recognizer = recognizer
        self._context = tuple(word.lower() for word in recognizer.context or ())
        self._thresholds: Mapping[str, float] = getattr(recognizer, "score_thresholds", None) or {}

    @cached_property
    def _tokenizer(self) -> Any:
        return importlib.import_module("spacy").blank("en")

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """Each text in overlapping windows."""
        return [collect(self._found(text).values()) for text in texts]

    def _found(self, text: Normalized) -> dict[tuple[int, int, str], Finding]:
        best: dict[tuple[int, int, str], Finding] = {}
        for start in range(0, max(1, len(text.text) - OVERLAP), WINDOW - OVERLAP):
            for key, finding in self._in_window(text, start):
                if key not in best or finding.score > best[key].score:
                    best[key] = finding
        return best

    def _in_window(self, text: Normalized, start: int) -> Iterator[tuple[tuple[int, int, str], Finding]]:
        window = text.text[start : start + WINDOW]
        for result in self._results(window):
            span = start + result.start, start + result.end
            score = self._score(text, span, result)
            if score is not None and result.entity_type in self.entities:
                yield (*span, result.entity_type), text.finding(self.name, result.entity_type, span, score)

    def _results(self, window: str) -> list[Any]:
        artifacts = self._artifacts(window)
        # Presidio's own recognizers pass their time-outs on since `quieten`; those of others may do anything with theirs.
        with no_timeout_lost() if not self._recognizer.__module__.startswith("presidio_analyzer") else nullcontext():
            results = list(self._recognizer.analyze(window, list(self.entities), artifacts) or ())
            if _overridden(self._recognizer, "enhance_using_context"):
                results = list(self._recognizer.enhance_using_context(window, results, [], artifacts, []))
        return results

    def _score(self, text: Normalized, span: tuple[int, int], result: Any) -> float | None:
        """The score with its context; None below the recognizer's own threshold, or where it wants context and has none."""
        score = float(result.score)
        if not isfinite(score):  # compared with anything, it would be below every threshold
            raise ValueError(f"detector {self.name}: expected a finite score")
        if self._context and score < SUPPORTED:
            around = f"{text.lowered[max(0, span[0] - BEFORE) : span[0]]} {text.lowered[span[1] : span[1] + AFTER]} {' '.join(text.label)}"
            if any(word in around for word in self._context):
                score = max(min(1.0, score + CONTEXT_FACTOR), SUPPORTED)
            elif score < BELIEVED:
                return None
        threshold = self._thresholds.get(result.entity_type, self._thresholds.get("default", 0.0))
        return score if score >= threshold and score > 0 else None

    def _artifacts(self, window: str) -> Any:
        """Tokens for recognizers that look at them; most do not, and patterns never do."""
        if _is_a(type(self._recognizer), "PatternRecognizer") and not _overridden(self._recognizer, "analyze", "PatternRecognizer"):
            return None
        document = self._tokenizer(window)
        artifacts = importlib.import_module("presidio_analyzer.nlp_engine").NlpArtifacts
        return artifacts(
            entities=[],
            tokens=document,
            tokens_indices=[token.idx for token in document],
            lemmas=[token.lower_ for token in document],
            nlp_engine=None,
            language="en",
        )


def from_recognizer(recognizer: Any, *, name: str | None = None, cost: int = 10) -> RecognizerDetector:
    """A detector of any Presidio `EntityRecognizer`: an instance, or a class that can be made without arguments.

    name: unique among the detectors; its own name in small letters when it is not given.

    Raises:
        ConfigurationError: it is no recognizer, cannot be made, finds nothing, or is of a kind that must not be used here.
    """
    quieten()
    kind = recognizer if isinstance(recognizer, type) else type(recognizer)
    if not is_recognizer(recognizer):
        raise ConfigurationError(f"{kind.__name__}: expected a Presidio EntityRecognizer, class or instance")
    for base, reason in REFUSED.items():
        if _is_a(kind, base):
            raise ConfigurationError(f"the Presidio recognizer {kind.__name__} cannot be used: {reason}")
    if isinstance(recognizer, type):
        try:
            recognizer = recognizer()
        except TypeError as error:
            raise ConfigurationError(f"the Presidio recognizer {kind.__name__} needs arguments; register an instance instead") from error
    if not recognizer.supported_entities:
        raise ConfigurationError(f"the Presidio recognizer {kind.__name__} supports no entity; give it `supported_entities`")
    return RecognizerDetector(recognizer, name=name or f"presidio_{_slug(recognizer.name)}", cost=cost)


def from_yaml(path: Path) -> tuple[RecognizerDetector, ...]:
    """The recognizers of a Presidio no-code file: https://microsoft.github.io/presidio/tutorial/08_no_code/.

    Raises:
        ConfigurationError: with the file, the entry, and what is expected.
    """
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: expected a readable YAML file of Presidio recognizers ({type(error).__name__})") from None
    entries = content.get("recognizers") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{path}: expected the key `recognizers` with a list of at least one recognizer")
    enabled = [(index, entry) for index, entry in enumerate(entries) if not (isinstance(entry, dict) and entry.get("enabled") is False)]
    return tuple(from_recognizer(_entry(entry, f"{path}: recognizers[{index}]")) for index, entry in enabled)


def is_recognizer(candidate: object) -> bool:
    """Whether this is a Presidio recognizer, told without importing Presidio."""
    return _is_a(candidate if isinstance(candidate, type) else type(candidate), "EntityRecognizer")


def _entry(entry: Any, where: str) -> Any:
    """The recognizer that one entry of the file describes."""
    if isinstance(entry, str):
        return _predefined(entry, where)
    if not isinstance(entry, dict) or not all(isinstance(key, str) for key in entry):
        raise ConfigurationError(f"{where}: expected the name of a predefined recognizer, or a table")
    unknown = entry.keys() - PATTERN_KEYS
    if unknown:
        raise ConfigurationError(f"{where}.{min(unknown)}: unknown key; expected one of {', '.join(sorted(PATTERN_KEYS))}")
    if entry.get("type") == "predefined":
        return _predefined(str(entry.get("class_name") or entry.get("name")), where)
    given = {key: value for key, value in entry.items() if key not in NOT_PASSED}
    for language in entry.get("supported_languages") or ():
        if isinstance(language, dict) and language.get("language") == "en" and language.get("context"):
            given["context"] = language["context"]
    presidio = importlib.import_module("presidio_analyzer")
    try:
        recognizer = presidio.PatternRecognizer.from_dict(given)
        for pattern in recognizer.patterns:
            re.compile(pattern.regex)
        recognizer.score_thresholds = entry.get("score_thresholds")
    except (ValueError, TypeError, KeyError, AttributeError, re.error) as error:
        expected = "expected a supported_entity with patterns (name, regex, score) or a deny_list"
        raise ConfigurationError(f"{where}: {expected} ({type(error).__name__})") from None
    return recognizer


def _predefined(name: str, where: str) -> Any:
    found = getattr(importlib.import_module("presidio_analyzer.predefined_recognizers"), name, None)
    if found is None or not is_recognizer(found):
        raise ConfigurationError(f"{where}: Presidio has no predefined recognizer {name!r}; use the name of its class")
    return found


def _is_a(kind: type, base: str) -> bool:
    return any(parent.__name__ == base and parent.__module__.startswith("presidio_analyzer") for parent in kind.__mro__)


def _overridden(recognizer: Any, method: str, base: str = "EntityRecognizer") -> bool:
    """Whether the recognizer brings its own version of a method of `base`."""
    own = next(parent for parent in type(recognizer).__mro__ if method in vars(parent))
    return own.__name__ != base or not own.__module__.startswith("presidio_analyzer")


def _slug(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "recognizer"
