"""What arrived: every request in `received.jsonl`, its body byte for byte in `received/`. Written before anything else happens.

This is the provider's own word on what left the building, for tests and for whoever wants to see it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

from sinks import durable


class Receipts:
    """An append-only log; a restart goes on counting."""

    def __init__(self, folder: Path) -> None:
        self._log, self._bodies = folder / "received.jsonl", folder / "received"
        self._bodies.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._count = len(self._log.read_bytes().splitlines()) if self._log.exists() else 0
        self._lock = threading.Lock()

    def add(self, *, method: str, path: str, query: str, body: bytes) -> None:
        """Note one request. Headers are left out: they carry the key."""
        with self._lock:
            self._count += 1
            name = f"{self._count:04d}.bin" if body else None
            if name is not None:
                durable.replace(self._bodies / name, body, mode=durable.PRIVATE_FILE)
            entry = {
                "number": self._count,
                "method": method,
                "path": path,
                "query": query,
                "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
                "body": name and f"received/{name}",
            }
            descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, durable.PRIVATE_FILE)
            try:
                os.write(descriptor, json.dumps(entry).encode() + b"\n")
            finally:
                os.close(descriptor)
