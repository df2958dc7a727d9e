"""OpenAI's files on disk: what is uploaded, and what the batches write."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from secrets import token_hex

from sinks import durable
from sinks.emulator.clock import Clock
from sinks.emulator.disk import keep
from sinks.emulator.jobs import Tree
from sinks.emulator.openai_api.wire import file_object, refusal


class FileStore:
    """Files by id, in `files/`. Safe to use from several threads of one process."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder / "files", clock
        self._folder.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._lock = threading.RLock()
        kept = sorted((json.loads(path.read_bytes()) for path in self._folder.glob("*.json")), key=lambda record: record["sequence"])
        self._next = kept[-1]["sequence"] + 1 if kept else 1
        self._files: dict[str, Tree] = {record["object"]["id"]: record["object"] for record in kept}

    def add(self, content: bytes, *, name: str, purpose: str, expires_s: int | None) -> Tree:
        """Keep a new file and show it."""
        created_at, file_id = int(self._clock.now()), f"file-{token_hex(12)}"
        expires_at = None if expires_s is None else created_at + expires_s
        shown = file_object(file_id, size=len(content), created_at=created_at, name=name, purpose=purpose, expires_at=expires_at)
        keep(self._folder / f"{file_id}.bin", content)
        with self._lock:
            record = {"sequence": self._next, "object": shown}
            self._next += 1
            keep(self._folder / f"{file_id}.json", json.dumps(record).encode())
            self._files[file_id] = shown
        return shown

    def file(self, file_id: str) -> Tree:
        """A file that has neither been deleted nor expired."""
        shown = self._files.get(file_id)
        if shown is None or self._expired(shown):
            raise refusal(404, "No such File object", param="id")
        return shown

    def newest_first(self) -> list[Tree]:
        """All files."""
        with self._lock:
            return [shown for shown in reversed(self._files.values()) if not self._expired(shown)]

    def content(self, file_id: str) -> bytes:
        """A file's bytes."""
        self.file(file_id)
        return (self._folder / f"{file_id}.bin").read_bytes()

    def delete(self, file_id: str) -> Tree:
        """Delete a file, its bytes first."""
        with self._lock:
            self.file(file_id)
            for suffix in ("bin", "json"):
                (self._folder / f"{file_id}.{suffix}").unlink(missing_ok=True)
            del self._files[file_id]
        return {"id": file_id, "object": "file", "deleted": True}

    def _expired(self, shown: Tree) -> bool:
        return shown["expires_at"] is not None and bool(shown["expires_at"] <= self._clock.now())
