"""What a policy asks of the detectors: the model that names entities (`ner`), and who is counsel (`participants`)."""

from __future__ import annotations

from pathlib import Path

from detectors.ner_choice import BUNDLED, NerChoice, Transformers, bundled_exists
from detectors.participants import NOBODY, Directory, Participants
from policies.yaml_value import YamlValue

NONE = "none"
MODEL = r"[A-Za-z0-9~./][A-Za-z0-9_@~ ./-]*"
EXPECTED_MODEL = "the name of a pipeline, a path, `bundled`, `none`, or a table with `transformers`"
ADDRESS = r"[^\s@]+@[^\s@]+\.[^\s@]+"
DOMAIN = r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}"
FULL_NAME = r"[^\W\d_][\w'.-]*(?:[ ][\w'.-]+)+"
"""Two words at least: one name alone is somebody else's too."""


def parse_ner(value: YamlValue | None) -> NerChoice | None:
    """The model; the bundled one where the key is absent and that model is there."""
    if value is None:
        return BUNDLED if bundled_exists() else None
    if value.is_table():
        keys = value.table(required=("transformers",), optional=("spacy",))
        model = _model(keys["transformers"], "the name of a model, or a path")
        return Transformers(model=model, spacy=_model(keys["spacy"], "the name of a pipeline, or a path") if "spacy" in keys else BUNDLED)
    chosen = _model(value, EXPECTED_MODEL)
    return None if chosen == NONE else chosen


def _model(value: YamlValue, expected: str) -> str:
    """A name as it is; a path that begins with a dot or a tilde is the policy file's, or the home folder's."""
    written = value.text(expected, pattern=MODEL)
    if written.startswith(("./", "../")):
        return str(Path(value.file).absolute().parent / written)
    return str(Path(written).expanduser()) if written.startswith("~") else written


def parse_participants(value: YamlValue | None) -> Participants:
    """The directories, in lower case."""
    if value is None:
        return NOBODY
    counsel = value.table(required=("counsel",))["counsel"]
    keys = counsel.table(optional=("addresses", "domains", "names"))
    if not keys:
        counsel.fail("at least one of addresses, domains, names")
    return Participants(
        counsel=Directory(
            addresses=_entries(keys.get("addresses"), "e-mail address", ADDRESS),
            domains=_entries(keys.get("domains"), "domain, such as firm.example", DOMAIN),
            names=_entries(keys.get("names"), "full name", FULL_NAME),
        )
    )


def _entries(value: YamlValue | None, expected: str, pattern: str) -> frozenset[str]:
    return frozenset(entry.lower() for entry in value.names(expected, pattern=pattern)) if value is not None else frozenset()
