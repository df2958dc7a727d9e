"""A recognizer that catches its own time-out has not looked, and its silence is not believed."""

from __future__ import annotations

import concurrent.futures
import multiprocessing.pool
import subprocess
import sys
import threading
from typing import Any

import pytest
import regex  # type: ignore[import-untyped]  # it publishes no types
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult

from detectors.document import Document, Evidence
from detectors.presidio_plugin import from_recognizer
from detectors.scan import scan
from detectors.timeouts import no_timeout_lost


class Own(EntityRecognizer):
    """What the tests below have in common: it looks in `look`, and takes any exception for a text without anything."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["SLIP"], name="Own")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[Any]:
        try:
            return self.look(text)
        except Exception:  # noqa: BLE001 - the bad habit that this is about
            return []

    def look(self, text: str) -> list[Any]:
        raise NotImplementedError


class OfRegex(Own):
    def look(self, text: str) -> list[Any]:
        return [RecognizerResult("SLIP", match.start(), match.end(), 0.9) for match in regex.finditer(r"S\d{3}", text, timeout=1e-9)]


class OfAFuture(Own):
    def look(self, text: str) -> list[Any]:
        return concurrent.futures.Future[list[Any]]().result(timeout=0)


class OfAProgram(Own):
    def look(self, text: str) -> list[Any]:
        subprocess.run([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, timeout=0, check=False)
        return []


class OfAPool(Own):
    def look(self, text: str) -> list[Any]:
        never = threading.Event()
        with multiprocessing.pool.ThreadPool(1) as pool:
            try:
                return [pool.apply_async(never.wait).get(0)]
            finally:
                never.set()


class ReadTimeout(OSError):  # noqa: N818 - so they are called
    """As many clients have it, with no relation to `TimeoutError`."""


class OfAClient(Own):
    def look(self, text: str) -> list[Any]:
        class SlowAnswer(ReadTimeout): ...

        raise SlowAnswer


class CaughtInside(Own):
    def look(self, text: str) -> list[Any]:
        found = []
        for word in text.split():
            try:
                regex.search(r"S\d{3}", word * 1_000, timeout=1e-9)
            except TimeoutError:
                continue
            found.append(word)
        return [RecognizerResult("SLIP", 0, 4, 0.9) for _ in found]


class OfPresidio(PatternRecognizer):
    def __init__(self) -> None:
        super().__init__(supported_entity="SLIP", patterns=[Pattern("slip", r"S\d{3}", 0.9)], name="Own")

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None, regex_flags: int | None = None) -> list[Any]:
        try:
            return list(super().analyze(text, entities, nlp_artifacts, regex_flags))
        except TimeoutError:
            return []


class InTheContext(Own):
    def look(self, text: str) -> list[Any]:
        return [RecognizerResult("SLIP", 0, 4, 0.9)]

    def enhance_using_context(self, text: str, raw_recognizer_results: list[Any], *_: Any) -> list[Any]:
        try:
            return OfRegex().look(text)
        except TimeoutError:
            return []


class Dates(Own):
    """An exception that means that there is nothing, as a parser's does."""

    def look(self, text: str) -> list[Any]:
        if "S123" not in text:
            raise ValueError
        return [RecognizerResult("SLIP", 0, 4, 0.9)]


def looked_at(recognizer: Any, text: str) -> Evidence:
    (evidence,) = scan([Document(record_id="r", text=text, source="s")], [from_recognizer(recognizer, name="own")])
    return evidence


@pytest.mark.parametrize("recognizer", [OfRegex, OfAFuture, OfAProgram, OfAPool, OfAClient, CaughtInside, OfPresidio, InTheContext])
def test_a_timeout_that_was_caught_fails_the_document(recognizer: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presidio_analyzer.pattern_recognizer.REGEX_TIMEOUT_SECONDS", 1e-9)
    assert looked_at(recognizer, "S123 " * 100).failures == {"detector_error:own"}


@pytest.mark.parametrize(("text", "found"), [("S123 is here", 1), ("nothing is here", 0)])
def test_other_exceptions_are_the_recognizers_own_business(text: str, found: int) -> None:
    evidence = looked_at(Dates, text)
    assert (len(evidence.findings), evidence.failures) == (found, frozenset())


def test_whoever_traces_goes_on_tracing() -> None:
    def tracer(*_: Any) -> None:
        """Looks at nothing."""

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with no_timeout_lost():
            assert sys.gettrace() is not tracer
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is tracer
