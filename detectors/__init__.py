"""Text in, evidence out. Pure: no network, no ledger, no policy.

A detector is one small file that makes a `Detector`; the built-in ones are listed in `registry.py`. Third parties register theirs, or
Presidio's, under the entry-point group `waybill.detectors` (`plugins.py`). Importing this package is cheap: spaCy, Presidio and the name
lists load with the first text.
"""

from __future__ import annotations

import hashlib
import platform
import unicodedata
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from detectors import registry
from detectors.detector import Detector, DetectorSet
from detectors.errors import ConfigurationError
from detectors.markers import counsel_directory
from detectors.name_sentences import name_stretches
from detectors.ner import NamedEntityDetector
from detectors.ner_choice import NerChoice, Transformers
from detectors.ner_transformers import TransformersDetector
from detectors.participants import NOBODY, Participants
from detectors.plugins import ENTRY_POINTS as ENTRY_POINTS
from detectors.plugins import plugged_in

LIBRARIES = ("detect-secrets", "names", "numpy", "phonenumbers", "presidio-analyzer", "py3langid", "regex", "spacy", "tldextract")
SOURCES = (".py", ".txt", ".gz", ".json")
APART = frozenset({"__pycache__", "examples", "training", "ner"})
"""Folders that say nothing about a verdict; the bundled names model has a digest of its own."""


def load(ner: NerChoice | None = None, participants: Participants = NOBODY) -> DetectorSet:
    """The detectors of a run: built in, plugged in, and what the policy asks for.

    ner: the model that names entities, if any. participants: the directories by which counsel is known.

    Raises:
        ConfigurationError: the model is not here, a plug-in cannot be loaded, or two detectors share a name.
    """
    detectors = registry.built_in()
    named: list[tuple[str, str]] = []
    for value, version, plugged in plugged_in():
        named += [(f"plugin:{value}", version) for _ in plugged]
        detectors += plugged
    if not participants.counsel.empty:
        detectors.append(counsel_directory.detector(participants.counsel))
        named.append(("participants", participants.digest))
    if ner is not None:
        entities = TransformersDetector(ner) if isinstance(ner, Transformers) else NamedEntityDetector(ner, name_stretches)
        detectors.append(entities)
        named.append((f"ner:{ner}", entities.digest))
    ordered = tuple(sorted(detectors, key=lambda detector: (detector.cost, detector.name)))
    _check_names(ordered)
    kinds = frozenset(kind for detector in ordered for kind in detector.provides)
    return DetectorSet(detectors=ordered, hash=_hash(ordered, named), kinds=kinds)


def _check_names(detectors: tuple[Detector, ...]) -> None:
    names = [detector.name for detector in detectors]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"detector names must be unique; found more than one of {', '.join(twice)}; rename or uninstall one")


def _hash(detectors: tuple[Detector, ...], named: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over our sources, the libraries' versions, Python's Unicode tables, and every detector's name and version; hex."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    items = [(path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in _sources(root)]
    items += [(library, metadata.version(library)) for library in LIBRARIES]
    items += [("python", platform.python_version()), ("unicode", unicodedata.unidata_version)]
    items += [(f"detector:{detector.name}", f"{detector.version}/{detector.cost}") for detector in detectors]
    for name, value in [*items, *named]:
        digest.update(f"{len(name)}:{name}={len(value)}:{value}\n".encode())
    return digest.hexdigest()


def _sources(root: Path) -> list[Path]:
    return sorted(
        path for path in root.rglob("*") if path.suffix in SOURCES and path.is_file() and APART.isdisjoint(path.relative_to(root).parts)
    )
