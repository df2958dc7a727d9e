"""The provider's state on disk: files and batches, each object one JSON file that is replaced in one step."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from sinks import durable
from sinks.emulator.wire import Tree, WireError, batch_object, file_object


class Store:
    """Files and batches. Safe to use from several threads of one process."""

    def __init__(self, folder: Path) -> None:
        self._files, self._batches = folder / "files", folder / "batches"
        for path in (folder, self._files, self._batches):
            path.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
            path.chmod(durable.PRIVATE_FOLDER)
        self._lock = threading.RLock()
        kept = [json.loads(path.read_bytes()) for parent in (self._files, self._batches) for path in parent.glob("*.json")]
        self._next = max((record["sequence"] for record in kept), default=0) + 1

    def add_file(self, content: bytes, *, name: str, purpose: str, expires_s: int | None) -> Tree:
        """Keep a new file and show it."""
        created_at, file_id = int(time.time()), f"file-{token_hex(12)}"
        expires_at = None if expires_s is None else created_at + expires_s
        shown = file_object(file_id, size=len(content), created_at=created_at, name=name, purpose=purpose, expires_at=expires_at)
        durable.replace(self._files / f"{file_id}.bin", content, mode=durable.PRIVATE_FILE)
        self._write(self._files, shown)
        return shown

    def file(self, file_id: str) -> Tree:
        """A file that has neither been deleted nor expired."""
        shown = self._read(self._files, file_id)
        if shown is None or (shown["expires_at"] is not None and shown["expires_at"] <= time.time()):
            raise WireError(404, "No such File object", param="id")
        return shown

    def files(self) -> list[Tree]:
        """All files, newest first."""
        return [shown for shown in self._all(self._files) if shown["expires_at"] is None or shown["expires_at"] > time.time()]

    def content(self, file_id: str) -> bytes:
        """A file's bytes."""
        self.file(file_id)
        return (self._files / f"{file_id}.bin").read_bytes()

    def delete_file(self, file_id: str) -> Tree:
        """Delete a file, its bytes first."""
        with self._lock:
            self.file(file_id)
            (self._files / f"{file_id}.bin").unlink(missing_ok=True)
            (self._files / f"{file_id}.json").unlink(missing_ok=True)
        return {"id": file_id, "object": "file", "deleted": True}

    def add_batch(self, *, endpoint: str, input_file_id: str, metadata: dict[str, str] | None) -> Tree:
        """Keep a new batch and show it."""
        batch_id, created_at = f"batch_{token_hex(16)}", int(time.time())
        shown = batch_object(batch_id, created_at=created_at, endpoint=endpoint, input_file_id=input_file_id, metadata=metadata)
        self._write(self._batches, shown)
        return shown

    def batch(self, batch_id: str) -> Tree:
        """A batch."""
        shown = self._read(self._batches, batch_id)
        if shown is None:
            raise WireError(404, "No batch found with this id", param="batch_id")
        return shown

    def batches(self) -> list[Tree]:
        """All batches, newest first."""
        return self._all(self._batches)

    def change_batch(self, batch_id: str, change: Callable[[Tree], None]) -> Tree:
        """Change a batch in one step, whatever other threads do."""
        with self._lock:
            shown = self.batch(batch_id)
            change(shown)
            self._write(self._batches, shown)
        return shown

    def _write(self, folder: Path, shown: Tree) -> None:
        with self._lock:
            path = folder / f"{shown['id']}.json"
            if path.exists():
                sequence = json.loads(path.read_bytes())["sequence"]
            else:
                sequence, self._next = self._next, self._next + 1
            durable.replace(path, json.dumps({"sequence": sequence, "object": shown}).encode(), mode=durable.PRIVATE_FILE)

    def _read(self, folder: Path, object_id: str) -> Tree | None:
        path = folder / f"{object_id}.json"
        if not object_id.replace("-", "").replace("_", "").isalnum() or not path.exists():
            return None
        shown: Tree = json.loads(path.read_bytes())["object"]
        return shown

    def _all(self, folder: Path) -> list[Tree]:
        with self._lock:
            records = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
        return [record["object"] for record in sorted(records, key=lambda record: -record["sequence"])]
