"""Which model names entities: what `ner:` in a policy may say. Cheap to import; `ner.py` does the work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BUNDLED = "bundled"
"""The pipeline that comes with this package."""
BUNDLED_PATH = Path(__file__).parent / "models" / "ner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformers:
    """A token-classification transformer, through Presidio's own engine.

    model: a folder, or a name that lies in the local Hugging Face cache. spacy: the pipeline that splits the text into tokens.
    """

    model: str
    spacy: str = BUNDLED

    def __str__(self) -> str:
        """As it is shown to people."""
        return f"transformers:{self.model}"


NerChoice = str | Transformers
"""`bundled`, the name or path of a spaCy pipeline, or a transformer."""


def bundled_exists() -> bool:
    """Whether the pipeline of this package has been built (`make model`)."""
    return (BUNDLED_PATH / "config.cfg").is_file()
