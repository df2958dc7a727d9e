import importlib
import logging
import socket
from typing import Any

import pytest

from detectors.document import Document
from detectors.normalize import normalize
from detectors.presidio import PresidioDetector, predefined
from detectors.scan import scan

IBAN = {"IBAN_CODE": "IBAN_CODE"}


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("a detector tried to open a connection")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_recognizer_that_uses_the_public_suffix_list_downloads_nothing(offline: None) -> None:
    wrapped = PresidioDetector(
        name="e", recognizer=predefined("EmailRecognizer"), entities={"EMAIL_ADDRESS": "EMAIL_ADDRESS"}, candidates=r"\S{1,40}@\S{1,40}"
    )
    found = wrapped.detect([normalize("room 4: jane@example.co.uk")])[0].findings
    assert [(finding.detector, finding.entity, finding.start, finding.end) for finding in found] == [("e", "EMAIL_ADDRESS", 8, 26)]


def test_presidio_logs_no_text(caplog: pytest.LogCaptureFixture) -> None:
    wrapped = PresidioDetector(name="i", recognizer=predefined("IbanRecognizer"), entities=IBAN, candidates=r"[A-Z0-9 -]{10,60}")
    with caplog.at_level(logging.DEBUG):
        wrapped.detect([normalize("GB82 WEST 1234 5698 7654 32")])
        logging.getLogger("presidio-analyzer").error("Failed to validate text %s", "GB82")
    assert "GB82" not in caplog.text


class Weak:
    """A recognizer that is never sure."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object) -> list[Any]:
        from presidio_analyzer import RecognizerResult  # noqa: PLC0415 - heavy, and only here

        return [RecognizerResult("CODE", 0, len(text), 0.2)]


@pytest.mark.parametrize(
    ("text", "scores"),
    [pytest.param("badge 4417", [0.85], id="context"), pytest.param("there were 4417", [], id="no-context")],
)
def test_a_weak_result_needs_context(text: str, scores: list[float]) -> None:
    wrapped = PresidioDetector(name="w", recognizer=Weak, entities={"CODE": "BADGE"}, candidates=r"\d{4}", context=("badge",))
    assert [finding.score for finding in wrapped.detect([normalize(text)])[0].findings] == scores


@pytest.mark.parametrize(
    ("module", "recognizer", "entity", "text"),
    [
        pytest.param("pattern_recognizer", "UsItinRecognizer", "US_ITIN", "912-78-1234", id="a-pattern"),
        pytest.param(
            "predefined_recognizers.generic.iban_recognizer", "IbanRecognizer", "IBAN_CODE", "GB82WEST12345698765432", id="iban-of-its-own"
        ),
    ],
)
def test_a_pattern_that_runs_out_of_time_fails_the_document(
    monkeypatch: pytest.MonkeyPatch, module: str, recognizer: str, entity: str, text: str
) -> None:
    wrapped = PresidioDetector(name="w", recognizer=predefined(recognizer), entities={entity: entity}, candidates=r"\w[\w-]{9,30}")
    document = Document(record_id="r", text=f"number {text}", source="s")
    assert not next(scan([document], [wrapped])).failures
    given = importlib.import_module(f"presidio_analyzer.{module}")
    monkeypatch.setattr(given, "REGEX_TIMEOUT_SECONDS", 1e-9)
    (evidence,) = scan([document], [wrapped])
    assert evidence.failures == {"detector_error:w"}
