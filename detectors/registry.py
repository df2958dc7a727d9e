"""The built-in detectors: a module that is imported here takes part, and none that is not. One line each; no directory is searched.

Such a module has a function `detector()`, or `detectors()` for several.
"""
# ruff: noqa: F401 - to import a module is to register it

from collections.abc import Iterable
from types import ModuleType

from detectors import credentials
from detectors.detector import Detector
from detectors.identifiers import (
    bank,
    bedside,
    columns,
    contract_numbers,
    credit_card,
    crypto,
    dates,
    devices,
    email,
    iban,
    ip_address,
    itin,
    licences,
    medical_record,
    national,
    other_codes,
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
from detectors.topics import trained


def built_in() -> list[Detector]:
    """The detectors of every module that is imported above."""
    return [detector for module in globals().values() if isinstance(module, ModuleType) for detector in _made(module)]


def _made(module: ModuleType) -> Iterable[Detector]:
    """Raises AttributeError for a module that is listed and makes no detector: nobody should believe that it takes part."""
    if hasattr(module, "detectors"):
        made: Iterable[Detector] = module.detectors()
        return made
    return (module.detector(),)
