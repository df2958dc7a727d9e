"""Text in, evidence out. Pure: no network, no ledger, no policy.

A detector is one small file that makes a `Detector`; the built-in ones are listed here, third parties register a factory under the
entry-point group `waybill.detectors`. Importing this package is cheap: spaCy, Presidio and the name lists load with the first text.
"""

from __future__ import annotations

import hashlib
import platform
import unicodedata
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from detectors import credentials
from detectors.detector import Detector, DetectorSet
from detectors.errors import ConfigurationError
from detectors.identifiers import (
    bank,
    columns,
    contract_numbers,
    credit_card,
    dates,
    devices,
    email,
    iban,
    ip_address,
    itin,
    licences,
    medical_record,
    person,
    phone,
    places,
    provider_numbers,
    ssn,
    united_kingdom,
    url,
)
from detectors.markers import (
    discretion,
    footer,
    private_contact,
    privilege,
    publication,
    relation,
    secrecy,
    sensitivity,
    source_code,
    table,
)
from detectors.ner import NamedEntityDetector
from detectors.topics import business_secrecy, care, health, legal_advice, personal_finance

ENTRY_POINTS = "waybill.detectors"
Factory = Callable[[], Detector | Iterable[Detector]]

BUILT_IN: tuple[Factory, ...] = (
    bank.detectors,
    columns.detector,
    contract_numbers.detectors,
    credentials.detector,
    credit_card.detectors,
    dates.detectors,
    devices.detectors,
    email.detector,
    iban.detectors,
    ip_address.detector,
    itin.detector,
    licences.detectors,
    medical_record.detectors,
    person.detector,
    phone.detectors,
    places.detectors,
    provider_numbers.detectors,
    ssn.detectors,
    united_kingdom.detectors,
    url.detector,
    discretion.detector,
    footer.detector,
    privilege.detectors,
    private_contact.detector,
    publication.detectors,
    relation.detectors,
    secrecy.detectors,
    sensitivity.detector,
    source_code.detector,
    table.detector,
    business_secrecy.detector,
    care.detector,
    health.detector,
    legal_advice.detector,
    personal_finance.detector,
)

LIBRARIES = ("detect-secrets", "names", "phonenumbers", "presidio-analyzer", "py3langid", "regex", "spacy", "tldextract")
SOURCES = (".py", ".txt")


def load(ner: str | None = None) -> DetectorSet:
    """The detectors of a run: built in, plugged in, and named entities by the spaCy pipeline `ner` if one is given.

    Raises:
        ConfigurationError: the pipeline is not installed, a plug-in cannot be loaded, or two detectors share a name.
    """
    detectors = [detector for factory in BUILT_IN for detector in _made(factory)]
    named: list[tuple[str, str]] = []
    for entry_point in sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        plugged = _plugged(entry_point)
        named += [(f"plugin:{entry_point.value}", _version(entry_point)) for _ in plugged]
        detectors += plugged
    if ner is not None:
        entities = NamedEntityDetector(ner)
        detectors.append(entities)
        named.append((f"ner:{ner}", entities.digest))
    ordered = tuple(sorted(detectors, key=lambda detector: (detector.cost, detector.name)))
    _check_names(ordered)
    kinds = frozenset(kind for detector in ordered for kind in detector.provides)
    return DetectorSet(detectors=ordered, hash=_hash(ordered, named), kinds=kinds)


def _made(factory: Factory) -> tuple[Detector, ...]:
    made = factory()
    return tuple(made) if isinstance(made, Iterable) else (made,)


def _plugged(entry_point: metadata.EntryPoint) -> tuple[Detector, ...]:
    try:
        return _made(entry_point.load())
    except Exception as error:
        raise ConfigurationError(
            f"the detector plug-in {entry_point.name!r} ({entry_point.value}) cannot be loaded ({type(error).__name__}); "
            f"repair or uninstall the package that registers it under {ENTRY_POINTS!r}"
        ) from error


def _version(entry_point: metadata.EntryPoint) -> str:
    return entry_point.dist.version if entry_point.dist is not None else ""


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
    return sorted(path for path in root.rglob("*") if path.suffix in SOURCES and path.is_file() and "__pycache__" not in path.parts)
