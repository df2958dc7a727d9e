"""A Presidio `EntityRecognizer` as a detector of ours. Together with `ner.py`, the only place that imports Presidio or spaCy.

Presidio's analyzer engine is left out: its per-call copies and decision log cost half the speed and print entities. We call
`recognizer.analyze` on candidates that a linear pattern found, and score context words ourselves.

Kept here: no outbound connection (tldextract is pinned to the suffix list it ships with), and no text in logs: Presidio's
logger is switched off, since its IBAN recognizer logs what it could not validate (invariants 5 and 8). A pattern that runs out of time
fails the document (invariant 1).
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from detectors.detector import BELIEVED, NOTHING, collect, entity_kind
from detectors.document import Evidence, EvidenceKind, Finding
from detectors.normalized import Normalized
from detectors.pattern import near
from detectors.screen import Screen

Verify = Callable[[str], bool]


def quieten() -> None:
    """Silence Presidio's logger, pass on what it hides, pin tldextract to its snapshot. Idempotent; done before a recognizer is built."""
    logger: Any = logging.getLogger("presidio-analyzer")
    logger.disabled = True
    logger.warning = _pass_on_timeout
    extractor: Any = importlib.import_module("tldextract.tldextract")
    extractor.TLD_EXTRACTOR = extractor.TLDExtract(suffix_list_urls=(), cache_dir=None)


def _pass_on_timeout(*_: object, **__: object) -> None:
    """In place of a warning: a pattern that ran out of time is a failure.

    Presidio's recognizers catch the `TimeoutError`, warn, and go on as if the pattern had found nothing (invariant 1).
    """
    error = sys.exc_info()[1]
    if isinstance(error, TimeoutError):
        raise error


def predefined(class_name: str) -> Callable[[], Any]:
    """A factory for one of Presidio's own recognizers; the heavy import happens when the first text arrives."""

    def build() -> Any:
        return getattr(importlib.import_module("presidio_analyzer.predefined_recognizers"), class_name)()

    return build


class PresidioDetector:
    """Wraps a recognizer.

    candidates: a linear pattern with a digit in it; the recognizer sees only what it matches. entities: recognizer entity → ours. A result
    below `BELIEVED` needs a context word nearby. refuse: values that are well-formed and known to be
    harmless. digits: how many every candidate has. shapes: every candidate contains one of these once its digits are written `0`.
    """

    version = "1"

    def __init__(
        self,
        *,
        name: str,
        recognizer: Callable[[], Any],
        entities: dict[str, str],
        candidates: str,
        context: Iterable[str] = (),
        needs_context: bool = False,
        refuse: Verify | None = None,
        digits: int = 1,
        shapes: tuple[str, ...] = (),
        cost: int = 3,
        flags: int = 0,
    ) -> None:
        self.name = name
        self.cost = cost
        self.provides: frozenset[EvidenceKind] = frozenset(entity_kind(entity) for entity in entities.values())
        self._build = recognizer
        self._entities = entities
        self._candidates = re.compile(candidates, flags)
        self._context = frozenset(context)
        self._needs_context = needs_context
        self._refuse = refuse
        self._digits = digits
        self.screen = Screen(digits=digits, shapes=shapes)

    @cached_property
    def _recognizer(self) -> Any:
        quieten()
        return self._build()

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """Ask the recognizer about each text's candidates."""
        return [collect(self._findings(text)) if text.digit_regions else NOTHING for text in texts]

    def _findings(self, text: Normalized) -> Iterator[Finding]:
        regions = text.regions_with(self._digits)
        for candidate in (match for start, end in regions for match in self._candidates.finditer(text.text, start, end)):
            supported = bool(self._context) and near(text, *candidate.span(), self._context)
            if self._needs_context and not supported:
                continue
            for result in self._recognizer.analyze(candidate.group(), list(self._entities), None):
                score = max(float(result.score), 0.85 if supported else 0.0)
                value = candidate.group()[result.start : result.end]
                if score < BELIEVED or result.entity_type not in self._entities or (self._refuse and self._refuse(value)):
                    continue
                span = candidate.start() + result.start, candidate.start() + result.end
                yield text.finding(self.name, self._entities[result.entity_type], span, score)
