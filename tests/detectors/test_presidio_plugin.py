"""Presidio recognizers as they are: by hand, from YAML, and registered by a package that is really on the path."""

from __future__ import annotations

import importlib
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult, RemoteRecognizer
from presidio_analyzer.predefined_recognizers import SpacyRecognizer

import detectors
from detectors.document import Document, Evidence
from detectors.errors import ConfigurationError
from detectors.normalize import normalize
from detectors.plugins import detectors_of
from detectors.presidio_plugin import OVERLAP, WINDOW, from_recognizer, from_yaml
from detectors.recognizer_digest import recognizer_digest
from detectors.scan import scan

YAML = """\
recognizers:
  - name: Badge recognizer
    supported_entity: BADGE
    supported_language: en
    patterns:
      - {name: badge, regex: "\\\\bB-\\\\d{4}\\\\b", score: 0.3}
    context: [badge]
  - name: Ward recognizer
    supported_entity: WARD
    deny_list: [Heron Ward, Curlew Ward]
  - {name: UkNinoRecognizer, type: predefined}
  - {name: Off, supported_entity: OFF, deny_list: [x], enabled: false}
"""
MODULE = """\
from pathlib import Path
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult

class Crane(PatternRecognizer):
    def __init__(self):
        super().__init__(supported_entity="CRANE", patterns=[Pattern("crane", r"CR-[0-9]{3}", 0.9)])

berth = PatternRecognizer(supported_entity="BERTH", deny_list=["Berth Nine"])
recognizer_file = Path(__file__).with_name("recognizers.yaml")

def everything():
    return [Crane, berth, recognizer_file]
"""


class Tokens(EntityRecognizer):  # type: ignore[misc]  # Presidio publishes no types
    """Looks at tokens, as custom recognizers do, and reports the longest."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["LONGEST"], name="Tokens")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[Any]:
        token = max(nlp_artifacts.tokens, key=len)
        return [RecognizerResult("LONGEST", token.idx, token.idx + len(token), 0.7)]


class Failing(Tokens):
    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[Any]:
        raise RuntimeError(text)


class Asking(RemoteRecognizer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(supported_entities=["X"], name="Asking", supported_language="en", version="1")

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[Any]:
        return []

    def get_supported_entities(self) -> list[str]:
        return ["X"]


def pattern(score: float, context: list[str] | None = None) -> Any:
    return PatternRecognizer(supported_entity="SLIP", patterns=[Pattern("slip", r"\bS\d{3}\b", score)], context=context)


def found(recognizer: Any, text: str) -> list[tuple[str, str, float]]:
    (evidence,) = from_recognizer(recognizer).detect([normalize(text)])
    return [(finding.entity, text[finding.start : finding.end], round(finding.score, 2)) for finding in evidence.findings]


@pytest.mark.parametrize(
    ("recognizer", "text", "expected"),
    [
        pytest.param(pattern(0.6), "take S123 along", [("SLIP", "S123", 0.6)], id="instance"),
        pytest.param(pattern(0.2), "take S123 along", [("SLIP", "S123", 0.2)], id="weak-says-so-itself"),
        pytest.param(pattern(0.2, ["slip"]), "the slip is S123", [("SLIP", "S123", 0.85)], id="context-word"),
        pytest.param(pattern(0.2, ["slip"]), "take S123 along", [], id="wants-context-and-has-none"),
        pytest.param(Tokens, "an extraordinary day", [("LONGEST", "extraordinary", 0.7)], id="class-that-needs-tokens"),
        pytest.param(pattern(0.6), "nothing here", [], id="miss"),
    ],
)
def test_a_recognizer_is_a_detector(recognizer: Any, text: str, expected: list[tuple[str, str, float]]) -> None:
    assert found(recognizer, text) == expected


def test_a_long_text_is_seen_to_its_end_and_a_match_on_a_seam_is_found_once() -> None:
    text = "x " * (WINDOW // 2 - 2) + "S123 " + "y " * WINDOW + "S456"
    assert [value for _, value, _ in found(pattern(0.6), text)] == ["S123", "S456"]
    assert text.index("S123") < WINDOW < text.index("S123") + OVERLAP


def test_offsets_are_those_of_the_text_as_it_was_written() -> None:
    (evidence,) = from_recognizer(pattern(0.6)).detect([normalize("so\u00adft S\u200b123")])
    assert [(finding.start, finding.end) for finding in evidence.findings] == [(6, 11)]


def test_a_failure_is_passed_on_and_leaves_no_text_in_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        (evidence,) = scan([Document(record_id="r", text="the secret word", source="s")], [from_recognizer(Failing)])
    assert evidence.failures == {"detector_error:presidio_tokens"}
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("recognizer", "said"),
    [
        pytest.param(Asking, "calls a service", id="remote"),
        pytest.param(SpacyRecognizer(), "ner:", id="passes-on-named-entities"),
        pytest.param(object(), "expected a Presidio EntityRecognizer", id="something-else"),
        pytest.param(PatternRecognizer, "needs arguments", id="class-with-arguments"),
    ],
)
def test_what_must_not_be_used_is_refused(recognizer: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        from_recognizer(recognizer)


def test_the_version_follows_the_configuration() -> None:
    assert len({from_recognizer(made).version for made in (pattern(0.6), pattern(0.7), pattern(0.6, ["slip"]))}) == 3
    assert from_recognizer(pattern(0.6)).version == from_recognizer(pattern(0.6)).version


class Keyed(Tokens):
    def __init__(self, key: object) -> None:
        self.key = key
        super().__init__()


def with_thresholds(thresholds: dict[str, float]) -> Any:
    made = pattern(0.6)
    made.score_thresholds = thresholds
    return made


def with_flags(flags: int) -> Any:
    return PatternRecognizer(supported_entity="SLIP", patterns=[Pattern("slip", r"S\d", 0.6)], global_regex_flags=flags)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(lambda: with_thresholds({"SLIP": 0.1}), lambda: with_thresholds({"SLIP": 0.99}), id="thresholds"),
        pytest.param(lambda: with_flags(2), lambda: with_flags(0), id="flags"),
        pytest.param(lambda: Keyed("m1"), lambda: Keyed("m2"), id="attribute"),
        pytest.param(lambda: Keyed({"a", "b"}), lambda: Keyed({"a", "c"}), id="attribute-that-is-a-set"),
        pytest.param(lambda: Keyed(pattern(0.1)), lambda: Keyed(pattern(0.2)), id="attribute-that-is-an-object"),
    ],
)
def test_the_version_follows_every_attribute(one: Callable[[], Any], other: Callable[[], Any]) -> None:
    first, second = from_recognizer(one()), from_recognizer(other())
    assert first.version != second.version
    first.detect([normalize("take S123 along")])
    assert from_recognizer(one()).version == first.version == f"{first._recognizer.version}-{recognizer_digest(first._recognizer)}"


def test_the_version_follows_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crane_module.py").write_text(MODULE.replace("berth =", "other ="))
    monkeypatch.syspath_prepend(str(tmp_path))
    crane = importlib.import_module("crane_module").Crane
    before = from_recognizer(crane).version
    (tmp_path / "crane_module.py").write_text(MODULE)
    assert from_recognizer(crane).version != before
    sys.modules.pop("crane_module")


def test_a_pattern_that_runs_out_of_time_fails_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presidio_analyzer.pattern_recognizer.REGEX_TIMEOUT_SECONDS", 1e-9)
    (evidence,) = scan([Document(record_id="r", text="S123 " * 100, source="s")], [from_recognizer(pattern(0.6))])
    assert evidence.failures == {"detector_error:presidio_pattern_recognizer"}


def test_a_score_that_is_no_number_fails_the_document() -> None:
    class Unsure(Tokens):
        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[Any]:
            return [RecognizerResult("LONGEST", 0, 3, math.nan)]

    (evidence,) = scan([Document(record_id="r", text="the river", source="s")], [from_recognizer(Unsure)])
    assert evidence.failures == {"detector_error:presidio_tokens"}


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "recognizers.yaml"
    path.write_text(YAML)
    return path


def test_a_no_code_file_gives_its_recognizers(yaml_file: Path) -> None:
    made = from_yaml(yaml_file)
    assert [(detector.name, detector.entities) for detector in made] == [
        ("presidio_badge_recognizer", ("BADGE",)),
        ("presidio_ward_recognizer", ("WARD",)),
        ("presidio_uk_nino_recognizer", ("UK_NINO",)),
    ]
    (evidence,) = scan([Document(record_id="r", text="Badge B-1234 is on Heron Ward, AB 12 34 56 C.", source="s")], made)
    assert {finding.entity for finding in evidence.findings} == {"BADGE", "WARD", "UK_NINO"}


FAULTS = {
    "no such file": (None, "expected a readable YAML file"),
    "not YAML": ("recognizers: [", "expected a readable YAML file"),
    "no list": ("recognizers: 3", "expected the key `recognizers`"),
    "empty": ("recognizers: []", "expected the key `recognizers`"),
    "unknown key": ("recognizers: [{name: a, supported_entity: A, deny_list: [x], colour: red}]", r"recognizers\[0\].colour: unknown key"),
    "nothing to find": ("recognizers: [{name: a, supported_entity: A}]", "patterns .* or a deny_list"),
    "broken pattern": ("recognizers: [{name: a, supported_entity: A, patterns: [{name: p, regex: '(', score: 1}]}]", "patterns"),
    "unknown class": ("recognizers: [Nowhere]", "no predefined recognizer 'Nowhere'"),
    "a number": ("recognizers: [3]", "expected the name of a predefined recognizer"),
}


@pytest.mark.parametrize(("content", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_no_code_file_says_where(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "faulty.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        from_yaml(path)


@pytest.mark.parametrize(
    ("target", "entities"),
    [
        pytest.param("Crane", {"CRANE"}, id="class"),
        pytest.param("berth", {"BERTH"}, id="instance"),
        pytest.param("recognizer_file", {"BADGE", "WARD", "UK_NINO"}, id="yaml"),
        pytest.param("everything", {"CRANE", "BERTH", "BADGE", "WARD", "UK_NINO"}, id="function"),
    ],
)
def test_an_installed_package_takes_part_as_it_is(
    monkeypatch: pytest.MonkeyPatch, yaml_file: Path, target: str, entities: set[str]
) -> None:
    folder = yaml_file.parent
    (folder / "harbour_recognizers.py").write_text(MODULE)
    installed = folder / "harbour_recognizers-1.2.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: harbour-recognizers\nVersion: 1.2\n")
    (installed / "entry_points.txt").write_text(f"[waybill.detectors]\nharbour = harbour_recognizers:{target}\n")
    plain = detectors.load()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "harbour_recognizers", raising=False)
    loaded = detectors.load() if "UK_NINO" not in entities else _without_own_nino(monkeypatch)
    assert {f"entity:{entity}" for entity in entities} <= loaded.kinds
    assert loaded.hash != plain.hash
    text = "Badge B-1234 lifts CR-400 at Berth Nine beside Heron Ward for AB 12 34 56 C."
    (evidence,) = scan([Document(record_id="r", text=text, source="s")], loaded)
    assert entities <= {finding.entity for finding in evidence.findings}
    sys.modules.pop("harbour_recognizers", None)


def _without_own_nino(monkeypatch: pytest.MonkeyPatch) -> detectors.DetectorSet:
    monkeypatch.setattr("detectors.registry.built_in", list)
    return detectors.load()


@pytest.mark.parametrize("plugged", [pytest.param(3, id="number"), pytest.param(lambda: lambda: 3, id="function-of-function")])
def test_anything_else_is_refused(plugged: object) -> None:
    with pytest.raises(ConfigurationError, match="expected a detector, a Presidio recognizer"):
        detectors_of(plugged)


def test_a_detector_of_ours_goes_through_untouched() -> None:
    detector = from_recognizer(pattern(0.6))
    assert detectors_of(detector) == (detector,)
    assert isinstance(detector.detect([normalize("")])[0], Evidence)
