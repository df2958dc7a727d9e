"""Detectors of third parties: whatever stands behind an entry point of the group `waybill.detectors`.

It may be a detector, a Presidio recognizer (class or instance), the path of a Presidio no-code YAML file, a list of such things, or a
function that returns one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from detectors.detector import Detector
from detectors.errors import ConfigurationError
from detectors.presidio_plugin import from_recognizer, from_yaml, is_recognizer

ENTRY_POINTS = "waybill.detectors"
DEEPEST = 5
"""A function that returns a function that returns … ends here."""
PROVIDED = ("name", "version", "provides", "cost", "detect")


def plugged_in() -> list[tuple[str, str, tuple[Detector, ...]]]:
    """Of every registered plug-in: its entry point's value, its package's version, and its detectors.

    Raises:
        ConfigurationError: one cannot be loaded, or is none of the things above.
    """
    found = sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)
    return [(entry.value, entry.dist.version if entry.dist is not None else "", _loaded(entry)) for entry in found]


def detectors_of(plugged: Any, depth: int = 0) -> tuple[Detector, ...]:
    """The detectors that a plug-in stands for."""
    if isinstance(plugged, str | Path):
        return from_yaml(Path(plugged))
    if is_recognizer(plugged):
        return (from_recognizer(plugged),)
    if not isinstance(plugged, type) and all(hasattr(plugged, attribute) for attribute in PROVIDED):
        return (plugged,)
    if isinstance(plugged, Iterable) and not isinstance(plugged, type) and depth < DEEPEST:
        return tuple(detector for item in plugged for detector in detectors_of(item, depth + 1))
    if callable(plugged) and depth < DEEPEST:
        return detectors_of(plugged(), depth + 1)
    raise ConfigurationError(
        f"expected a detector, a Presidio recognizer, the path of a recognizer file, or a function that returns one; "
        f"found {type(plugged).__name__}"
    )


def _loaded(entry: metadata.EntryPoint) -> tuple[Detector, ...]:
    where = f"the detector plug-in {entry.name!r} ({entry.value})"
    advice = f"repair or uninstall the package that registers it under {ENTRY_POINTS!r}"
    try:
        detectors = detectors_of(entry.load())
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}; {advice}") from None
    except Exception as error:
        raise ConfigurationError(f"{where} cannot be loaded ({type(error).__name__}); {advice}") from error
    if not detectors:
        raise ConfigurationError(f"{where} gives no detector; {advice}")
    return detectors
