"""Files that are there in full or not at all when the process is killed. Not synced: a stand-in need not outlive a power cut."""

from __future__ import annotations

import json
import os
from pathlib import Path
from secrets import token_hex
from typing import Any

from sinks import durable


def keep(path: Path, content: bytes) -> None:
    """Put these bytes at `path`, whatever was there."""
    temporary = path.with_name(f".tmp-{token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, durable.PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def append(path: Path, entry: dict[str, Any]) -> None:
    """Add one line to a log, in one write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, durable.PRIVATE_FILE)
    try:
        os.write(descriptor, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(descriptor)
