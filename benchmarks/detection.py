"""Detection side by side: planned and complete evidence against Presidio's batch engine, two processes against one, t(2n) against t(n).

Everything runs in one process one after the other, over the same documents with the same named-entity pipeline; medians of five.
`make bench-detect`; `CORPORA=DIR` takes the labelled JSONL files of a folder instead of the committed documents.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crafted import CRAFTED
from documents import documents, mix, sample, words_of
from report import Figure, write

from detectors import load
from detectors.detector import DetectorSet
from detectors.document import Demand, Document, Evidence
from detectors.ner_choice import BUNDLED_PATH, NerChoice, bundled_exists
from detectors.normalized import Normalized
from detectors.presidio import quieten
from detectors.scan import scan
from flows.scan_workers import ScanWorkers
from policies.demand import demand_for
from policies.load import DEFAULT_POLICY, load_policy

RUNS = 5
WIDTH, DEPTH = 96, 4
"""Of the stand-in that is used while there is no bundled pipeline: the same work a word as that one, and no sense."""
LABELS = ("PERSON", "GPE", "ORG")
PLANNED_TARGET, COMPLETE_TARGET, PROCESSES_TARGET = 10.0, 1.5, 1.8
LINEAR = 2.6
"""Doubling the text doubles the time; the rest is noise and a cache that has become too small."""
SIZES = (100_000, 200_000)
"""Characters of the crafted texts."""
SHORTEST_S = 0.05
"""Below it a ratio of two times is noise."""


class Counting:
    """A detector that counts the words it is shown."""

    def __init__(self, detector: Any) -> None:
        self.name, self.version, self.cost, self.provides = detector.name, detector.version, detector.cost, detector.provides
        self._detector = detector
        self.words = 0

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """Count, and ask."""
        self.words += sum(len(text.text.split()) for text in texts)
        found: Sequence[Evidence] = self._detector.detect(texts)
        return found


def seconds(work: Callable[[], object]) -> float:
    """The wall-clock time of one run."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def stand_in(folder: Path) -> Path:
    """An initialised but untrained pipeline of the bundled one's size."""
    spacy = importlib.import_module("spacy")
    tok2vec = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": WIDTH,
        "depth": DEPTH,
        "embed_size": 2000,
        "window_size": 1,
        "maxout_pieces": 3,
        "subword_features": True,
    }
    model = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": True,
        "tok2vec": tok2vec,
    }
    nlp = spacy.blank("en")
    component = nlp.add_pipe("ner", config={"model": model})
    for label in LABELS:
        component.add_label(label)
    nlp.initialize()
    nlp.to_disk(folder)
    return folder


def presidio(pipeline: Path) -> Callable[[list[str]], object]:
    """Presidio's batch engine with its default recognizers and this pipeline."""
    quieten()  # no connection from a benchmark either
    analyzer = importlib.import_module("presidio_analyzer")
    provider = importlib.import_module("presidio_analyzer.nlp_engine").NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": str(pipeline)}]}
    )
    engine = analyzer.BatchAnalyzerEngine(analyzer_engine=analyzer.AnalyzerEngine(nlp_engine=provider.create_engine()))
    return lambda texts: list(engine.analyze_iterator(texts, language="en", batch_size=32))


def against_presidio(chosen: list[Document], detectors: DetectorSet, pipeline: Path) -> dict[str, Figure]:
    """Words a second of each, in turns, so that what else the machine does falls on all alike."""
    words = sum(map(words_of, chosen))
    policy = load_policy(DEFAULT_POLICY)
    planned, complete = demand_for(replace(policy, evidence="planned")), demand_for(policy, complete=True)
    texts = [value for document in chosen for value in document.parts.values()]
    analyze = presidio(pipeline)
    ways: dict[str, Callable[[], object]] = {
        "planned": lambda: list(scan(chosen, detectors, planned)),
        "complete": lambda: list(scan(chosen, detectors, complete)),
        "Presidio BatchAnalyzerEngine": lambda: analyze(texts),
    }
    list(scan(chosen[:20], detectors))
    analyze(texts[:20])
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, work in ways.items():
            times[name].append(seconds(work))
    speed = {name: words / statistics.median(measured) for name, measured in times.items()}
    base = speed["Presidio BatchAnalyzerEngine"]
    figures = {f"{name}, words/s": Figure(value=value, unit="words/s") for name, value in speed.items()}
    for name, target in (("planned", PLANNED_TARGET), ("complete", COMPLETE_TARGET)):
        ratio = speed[name] / base
        figures[f"{name} over Presidio"] = Figure(value=ratio, unit="x", target=f">= {target:g}", met=ratio >= target)
    figures["words that NER sees when planned"] = Figure(value=_seen_by_the_dearest(chosen, detectors, planned) / words * 100, unit="%")
    return figures


def _seen_by_the_dearest(chosen: list[Document], detectors: DetectorSet, demand: Demand) -> int:
    *cheaper, dearest = sorted(detectors.detectors, key=lambda detector: detector.cost)
    counting = Counting(dearest)
    list(scan(chosen, [*cheaper, counting], demand))
    return counting.words


def processes(chosen: list[Document], detectors: DetectorSet, ner: NerChoice) -> dict[str, Figure]:
    """Two processes against one, complete evidence, start-up left out."""
    words = sum(map(words_of, chosen))
    demand = demand_for(load_policy(DEFAULT_POLICY), complete=True)
    speed: dict[int, float] = {}
    for count in (1, 2):
        with ScanWorkers(ner=ner, demand=demand, detectors_hash=detectors.hash, processes=count) as workers:
            list(workers.scan(chosen))
            speed[count] = words / statistics.median(seconds(lambda: list(workers.scan(chosen))) for _ in range(RUNS))
    ratio = speed[2] / speed[1]
    return {
        "complete, one process": Figure(value=speed[1], unit="words/s"),
        "complete, two processes": Figure(value=speed[2], unit="words/s"),
        "two processes over one": Figure(value=ratio, unit="x", target=f">= {PROCESSES_TARGET:g}", met=ratio >= PROCESSES_TARGET),
    }


def linearity() -> dict[str, Figure]:
    """t(2n) over t(n) for crafted texts; those that take no time are left out."""
    detectors = load()
    figures: dict[str, Figure] = {}
    for name, make in CRAFTED.items():
        once, twice = (_best(Document(record_id=name, text=make(size), source="crafted"), detectors) for size in SIZES)
        if twice < SHORTEST_S:
            continue
        ratio = twice / once
        figures[f"t(2n) / t(n), {name}"] = Figure(value=ratio, unit="x", target=f"<= {LINEAR:g}", met=ratio <= LINEAR)
    return figures


def _best(document: Document, detectors: DetectorSet) -> float:
    return min(seconds(lambda: list(scan([document], detectors))) for _ in range(3))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--ner", type=Path, help="A spaCy pipeline's folder; the bundled one when absent.")
    parser.add_argument("--words", type=int, default=60_000)
    arguments = parser.parse_args()
    found = documents(arguments.corpora)
    chosen = sample(found, arguments.words)
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = arguments.ner or (BUNDLED_PATH if bundled_exists() else stand_in(Path(scratch) / "ner"))
        print(f"{len(chosen):,} documents, {sum(map(words_of, chosen)):,} words, one draw of: {mix(chosen)}")
        print(f"named entities: {'bundled' if pipeline == BUNDLED_PATH else arguments.ner or 'an untrained stand-in of the same size'}")
        detectors = load(ner=str(pipeline))
        figures = against_presidio(chosen, detectors, pipeline)
        figures |= processes(sample(found, arguments.words * 4), detectors, str(pipeline))
    write("detection", figures | linearity())


if __name__ == "__main__":
    main()
