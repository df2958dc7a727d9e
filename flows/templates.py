"""A run keeps the template it began with: what it sent is judged, labelled and sent again under that one, whatever the job says by now.

Templates are the job's own words, not a document's. They lie beside the ledger's segments, named by the hash that the ledger states;
private, because the template of a job without a cloud lane may hold restricted words.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from flows.errors import JobError
from sinks import durable
from sinks.request import Prompt, read_prompt

FOLDER = "templates"


def keep_template(ledger: Path, prompt: Prompt) -> None:
    """Make the template durable under its hash; anew where what lies there is not it."""
    path = _path(ledger, prompt.hash)
    if not path.exists() or path.read_bytes() != prompt.canonical:
        path.parent.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        durable.replace(path, prompt.canonical, mode=durable.PRIVATE_FILE)


def kept_template(ledger: Path, template_hash: str) -> Prompt:
    """The template of this hash. Raises JobError when it is not there, or is not the one that the ledger names."""
    path = _path(ledger, template_hash)
    try:
        canonical = path.read_bytes()
    except OSError:
        canonical = b""
    if hashlib.sha256(canonical).hexdigest() != template_hash:
        raise JobError(
            f"{path}: expected the template that the run began with, found none or another; give the job that prompt and schema again"
        )
    return read_prompt(canonical)


def _path(ledger: Path, template_hash: str) -> Path:
    return ledger / FOLDER / f"{template_hash}.json"
