"""Documents in, evidence out: `scan` asks each document's open questions of the cheapest detector that can answer.

Invariants kept here:
- fail closed (1): an exception in a detector, a limit reached, an unreadable stretch or an unsupported language becomes a reason
  code in `Evidence.failures`; nothing is ever silently "not found";
- everything sendable is scanned (2): every part of a document, whatever its length;
- no text leaves (5): what is logged is a detector's name, a record id and the name of an exception class;
- evidence only grows (9).

What saves work and changes no answer: a detector sees only the texts that pass its screen; parts that are the same text in a batch are
normalised and judged once; the demand is asked when something was found, and before every dearer tier of detectors.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from detectors.answers import check_answer
from detectors.detector import EVERYTHING, NOTHING, Detector, DetectorSet
from detectors.document import Demand, Document, Evidence, EvidenceKind, ReadProblem
from detectors.inquiry import Inquiry
from detectors.language import UNSUPPORTED_LANGUAGE, unsupported
from detectors.normalize import normalize
from detectors.normalized import Normalized
from detectors.screen import Screen, screen_of

LOGGER = logging.getLogger(__name__)
LIMIT_CHARACTERS = "limit_characters"
DETECTOR_ERROR = "detector_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counted, not timed, so that a verdict is reproducible.

    max_characters: per document, over all parts; the rest is not looked at and the document fails. max_findings: per document.
    batch, batch_characters: documents whose texts go to a detector together: so many, or fewer as soon as their texts are so long.
    """

    max_characters: int = 20_000_000
    max_findings: int = 100_000
    batch: int = 32
    batch_characters: int = 500_000


DEFAULT_LIMITS = Limits()


def complete(evidence: Evidence) -> frozenset[EvidenceKind]:  # noqa: ARG001 - a demand is a function of the evidence
    """The demand for everything."""
    return frozenset({EVERYTHING})


COMPLETE: Demand = complete


def scan(
    documents: Iterable[Document],
    detectors: DetectorSet | Sequence[Detector],
    demand: Demand = COMPLETE,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Evidence]:
    """One evidence per document, in order, lazily.

    Detectors run cheapest first and only where `demand` still asks for something they provide; when it asks for nothing more, the
    rest is left out. `settled` holds the questions that every detector providing them has answered; one that failed, or that no
    detector here provides, stays open.
    """
    chosen = detectors.detectors if isinstance(detectors, DetectorSet) else detectors
    ordered = sorted(chosen, key=lambda detector: (detector.cost, detector.name))
    tiers = [[(detector, screen_of(detector)) for detector in tier] for _, tier in groupby(ordered, key=lambda detector: detector.cost)]
    providers = Counter(kind for detector in ordered for kind in detector.provides)
    for batch in batches(documents, limits):
        texts: dict[tuple[str, str], _Judged] = {}
        inquiries = [_prepare(document, limits, providers, texts) for document in batch]
        # A demand may open a new question when another is answered, so the round is repeated until nobody is asked any more.
        while _round(inquiries, tiers, demand):
            pass
        yield from (inquiry.evidence for inquiry in inquiries)


def batches(documents: Iterable[Document], limits: Limits = DEFAULT_LIMITS) -> Iterator[list[Document]]:
    """The documents in order, as many at a time as the limits of a batch let through; no further ahead than that."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) >= limits.batch or size >= limits.batch_characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _round(inquiries: Sequence[Inquiry], tiers: Sequence[Sequence[tuple[Detector, Screen | None]]], demand: Demand) -> bool:
    asked = False
    for tier in tiers:
        # Who wants nothing more before a tier wants nothing in it either: only an answer makes an inquiry think again.
        wanting_any = [inquiry for inquiry in inquiries if inquiry.ask(demand)]
        for detector, screen in tier:
            name, provides = detector.name, detector.provides
            wanting = [inquiry for inquiry in wanting_any if name not in inquiry.asked and inquiry.wants(provides, demand)]
            if wanting:
                asked = True
                _ask(detector, screen, wanting)
    return asked


def _ask(detector: Detector, screen: Screen | None, inquiries: Sequence[Inquiry]) -> None:
    """Ask about many documents at once; if that fails, one by one, so that only the document at fault pays."""
    for inquiry in inquiries:
        inquiry.asked.add(detector.name)
    try:
        found = _answers(detector, screen, inquiries)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a detector raises must become a failure, never silence
        if len(inquiries) > 1:
            for inquiry in inquiries:
                _ask(detector, screen, [inquiry])
            return
        LOGGER.warning("detector %s failed on record %s: %s", detector.name, inquiries[0].record_id, type(error).__name__)
        inquiries[0].fail(f"{DETECTOR_ERROR}:{detector.name}")
        return
    telling = {text: evidence for text, evidence in found.items() if evidence is not NOTHING}
    for inquiry in inquiries:
        inquiry.add(detector, [telling[id(text)] for text in inquiry.texts if id(text) in telling] if telling else ())


def _answers(detector: Detector, screen: Screen | None, inquiries: Sequence[Inquiry]) -> Mapping[int, Evidence]:
    """What the detector says of each text that passes its screen, by the text's identity; the same text is asked about once."""
    texts = {id(text): text for inquiry in inquiries for text in inquiry.texts}
    if screen is not None:
        texts = {known: text for known, text in texts.items() if screen.passes(text)}
    if not texts:
        return {}
    found = detector.detect(list(texts.values()))
    if len(found) != len(texts):
        raise ValueError(f"detector {detector.name}: expected {len(texts)} answers, got {len(found)}")
    for answer in found:
        check_answer(detector.name, answer)
    return dict(zip(texts, found, strict=True))


@dataclass(frozen=True, slots=True)
class _Judged:
    """A text as detectors see it, and the codes of what could not be judged in it."""

    text: Normalized
    failures: frozenset[str]


def _prepare(document: Document, limits: Limits, providers: Mapping[EvidenceKind, int], texts: dict[tuple[str, str], _Judged]) -> Inquiry:
    """Normalise every part within the limits, and settle what needs no detector: problems, language, undecodable runs."""
    failures: set[str] = set()
    if document.problem is not None:
        failures.add(str(document.problem))
    elif not document.text.strip():
        failures.add(str(ReadProblem.EMPTY))
    parts = document.parts if document.readable else {}  # without readable text the document is held, whatever its metadata
    left = limits.max_characters
    judged: list[_Judged] = []
    for part, value in parts.items():
        if not value:
            continue
        if len(value) > left:
            failures.add(LIMIT_CHARACTERS)
        if left > 0:
            key = (part, value[:left])
            if key not in texts:
                texts[key] = _judge(value[:left], part)
            judged.append(texts[key])
        left = max(0, left - len(value))
    return Inquiry(
        record_id=document.record_id,
        texts=tuple(each.text for each in judged),
        known=Evidence(failures=frozenset(failures).union(*(each.failures for each in judged)), declared=document.declared),
        most_findings=limits.max_findings,
        open=dict(providers),
    )


def _judge(value: str, part: str) -> _Judged:
    try:
        text = normalize(value, part)
        failures = text.failures | {UNSUPPORTED_LANGUAGE} if unsupported(text) else text.failures
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above: a text that cannot even be prepared is not judged clean
        LOGGER.warning("normalizing failed: %s", type(error).__name__)
        return _Judged(Normalized(text=value, part=part), frozenset({f"{DETECTOR_ERROR}:normalize"}))
    return _Judged(text, failures)
