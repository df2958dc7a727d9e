"""Paths in a job file: relative to it, absolute from there on, so that a job means the same from every working directory."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo


def absolute(value: object, info: ValidationInfo) -> object:
    """Relative to the job file. Links stay as written: the python of a virtual environment is one."""
    if not isinstance(value, str) or not value:
        raise ValueError("expected a path")
    if re.match(r"[a-z0-9]+://", value):
        raise ValueError("expected a path on this machine; only source.path and ledger.anchors may name an object store")
    return Path(os.path.normpath(Path((info.context or {})["folder"]) / Path(value).expanduser()))


def existing(value: Path) -> Path:
    """A path at which there is something."""
    if not value.exists():
        raise ValueError(f"expected a path that exists, looked for {value}")
    return value


AnyPath = Annotated[Path, BeforeValidator(absolute)]
ExistingPath = Annotated[Path, BeforeValidator(absolute), AfterValidator(existing)]
