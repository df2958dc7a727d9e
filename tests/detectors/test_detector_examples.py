"""Every detector against its labelled examples; what is marked as missed must really be missed."""

from __future__ import annotations

from pathlib import Path

import pytest

import detectors
from detectors.detector import Detector
from flows.detector_examples import EXAMPLES, example_files, read_examples
from flows.detector_trial import try_detector
from policies.load import DEFAULT_POLICY, load_policy

FEWEST = 3
INSTALLED = {detector.name: detector for detector in detectors.load(ner=load_policy(DEFAULT_POLICY).ner).detectors}


@pytest.mark.parametrize("detector", INSTALLED.values(), ids=INSTALLED.keys())
def test_it_does_with_its_examples_what_the_file_says(detector: Detector) -> None:
    file = example_files().get(detector.name)
    assert file is not None, f"write detectors/examples/FAMILY/{detector.name}.yaml: at least {FEWEST} hits and {FEWEST} near misses"
    examples = read_examples(file, detector)
    assert sum(bool(example.expected) for example in examples) >= FEWEST
    assert sum(not example.expected for example in examples) >= FEWEST
    surprises = [
        f"{file.name}:{one.example.line}: missed {one.lost}, false alarms {one.alarms}, marked {one.example.missed}"
        for one in try_detector(detector, examples, timed=False).results
        if not one.as_recorded
    ]
    assert surprises == []


def test_every_example_file_is_that_of_a_detector() -> None:
    paths = sorted(EXAMPLES.glob("*/*"))
    assert {path.stem for path in paths} == set(INSTALLED)
    assert len(paths) == len(INSTALLED)


def test_examples_are_no_part_of_the_detector_set() -> None:
    """A new example changes no verdict, so it must not make last month's decisions look as if they were made by other detectors."""
    root = Path(detectors.__file__).parent
    assert any(path.name == "ssn.py" for path in detectors._sources(root))
    assert not [path for path in detectors._sources(root) if EXAMPLES in path.parents]
