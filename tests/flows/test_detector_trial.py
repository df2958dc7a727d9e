"""How examples are read, matched and told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from detectors.detector import NOTHING, Detector, EachText, entity_kind, marker_kind, topic_kind
from detectors.document import Evidence, EvidenceKind
from detectors.normalized import Normalized
from flows.detector_examples import read_examples
from flows.detector_trial import DetectorResult, as_json, lines, try_detector
from flows.errors import JobError

KINDS = frozenset({entity_kind("BERTH"), marker_kind("stamped"), topic_kind("ships")})


def look(text: Normalized) -> Evidence:
    """Finds `B-12` as a berth, STAMP as a marker, and a topic that grows with every ship."""
    return Evidence(
        findings=tuple(text.finding("toy", "BERTH", match.span(), 0.9) for match in re.finditer(r"B-\d+", text.text)),
        markers=frozenset({"stamped"} if "STAMP" in text.text else ()),
        topics={"ships": min(1.0, 0.2 * text.text.count("ship"))},
    )


TOY = EachText(name="toy", provides=KINDS, look=look)


class Broken:
    name = "broken"
    version = "1"
    cost = 1
    provides: frozenset[EvidenceKind] = KINDS

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        raise RuntimeError


def tried(folder: Path, examples: str, detector: Detector = TOY) -> DetectorResult:
    path = folder / "toy.yaml"
    path.write_text(examples)
    return try_detector(detector, read_examples(path, detector))


GOOD = [
    pytest.param('- text: "at B-12"\n  expect: [BERTH]', id="an entity anywhere"),
    pytest.param('- text: "at B-12 and B-14"\n  expect: [{BERTH: "B-12"}, {BERTH: "B-14"}]', id="entities at their places"),
    pytest.param('- text: "STAMP"\n  expect: [stamped]', id="a marker"),
    pytest.param('- text: "ship ship ship"\n  expect: [ships]', id="a topic"),
    pytest.param('- text: "ship ship"\n  expect: [{ships: 0.3}]', id="a topic that need not be strong"),
    pytest.param('- text: "ship ship"\n  expect: []', id="a topic below one half is no alarm"),
    pytest.param('- metadata: {berth: "B-12"}\n  expect: [{BERTH: "B-12"}]', id="metadata alone"),
    pytest.param('- text: "at A-12"\n  expect: [BERTH]\n  missed: true\n  why: other letters', id="a known miss"),
    pytest.param('- text: "at B-12"\n  expect: []\n  missed: true', id="a known false alarm"),
]


@pytest.mark.parametrize("example", GOOD)
def test_it_comes_out_as_recorded(example: str, tmp_path: Path) -> None:
    assert tried(tmp_path, example).as_recorded


OTHERWISE = [
    pytest.param('- text: "at A-12"\n  expect: [BERTH]', "missed BERTH", id="missed"),
    pytest.param('- text: "at B-123"\n  expect: [{BERTH: "B-12"}]', "missed BERTH", id="found, but not exactly there"),
    pytest.param('- text: "at B-12 and B-14"\n  expect: [{BERTH: "B-12"}]', "false alarm BERTH at text 12-16", id="one more than told"),
    pytest.param('- text: "STAMP B-12"\n  expect: []', "false alarm stamped, BERTH at text 6-10", id="false alarms"),
    pytest.param('- text: "ship ship ship"\n  expect: []', "false alarm ships", id="a topic raised without cause"),
    pytest.param('- text: "B-12"\n  expect: [BERTH]\n  missed: true', "remove the mark", id="marked as missed, but found"),
]


@pytest.mark.parametrize(("example", "said"), OTHERWISE)
def test_it_comes_out_otherwise(example: str, said: str, tmp_path: Path) -> None:
    result = tried(tmp_path, example)
    assert not result.as_recorded
    assert lines(result)[-1].startswith("  line 1: ")
    assert said in lines(result)[-1]


def test_figures(tmp_path: Path) -> None:
    result = tried(
        tmp_path,
        '- text: "B-1, A-2"\n  expect: [{BERTH: "B-1"}, {BERTH: "A-2"}]\n  missed: true\n'
        '- text: "B-3"\n  expect: []\n- text: "pier"\n  expect: []\n',
    )
    assert (result.expected, result.found, result.recall) == (2, 1, 0.5)
    assert (result.near_misses, result.false_alarms) == (2, 1)
    assert result.words_per_s > 0
    tree = as_json(result)
    assert [row["as_recorded"] for row in tree["examples"]] == [True, False, True]
    assert "B-3" not in str(tree)
    assert "pier" not in "\n".join(lines(result))


@pytest.mark.parametrize("mark", ["", "\n  missed: true"], ids=["plain", "marked as missed"])
def test_a_detector_that_fails_is_never_as_expected(mark: str, tmp_path: Path) -> None:
    result = tried(tmp_path, f'- text: "pier"\n  expect: []{mark}', Broken())
    assert not result.as_recorded
    assert "the detector failed" in lines(result)[-1]
    assert (result.words_per_s, result.recall) == (0.0, None)


BAD = [
    pytest.param("{}", "1: expected a list of examples", id="no list"),
    pytest.param("- text: 5\n  expect: []", "1: expected `text` to be a text", id="a number"),
    pytest.param("- metadata: {ssn: 5}\n  expect: []", "1: expected `text` to be a text", id="a number in metadata"),
    pytest.param("- expect: []", "1: expected `text` or `metadata`", id="nothing to look at"),
    pytest.param('- text: "x"', "1: expect: expected a list", id="no expectation"),
    pytest.param(
        '- text: "x"\n  expect: [PERSON]', "2: expected what the detector provides: one of BERTH, ships, stamped", id="foreign evidence"
    ),
    pytest.param('- text: "x"\n  expect: [{ships: "x"}]', "2: expected behind an entity", id="a text behind a topic"),
    pytest.param('- text: "x"\n  expect: []\n  mised: true', "3: unknown key; expected one of text", id="unknown key"),
    pytest.param('- text: "x"\n  expect: []\n  missed: 1', "3: expected true or false", id="missed is no flag"),
    pytest.param("- x", "1: expected an example", id="no table"),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_a_mistake_is_told_with_its_line(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        tried(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'toy.yaml'}:{said}")


def test_nothing_found_is_nothing(tmp_path: Path) -> None:
    silent = EachText(name="silent", provides=KINDS, look=lambda _: NOTHING)
    assert tried(tmp_path, '- text: "B-12 STAMP"\n  expect: []', silent).as_recorded
