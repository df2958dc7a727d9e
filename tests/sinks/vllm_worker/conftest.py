"""A worker with a small model in a spool of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sinks.vllm_worker.worker_run import Worker


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "tokenizer.json").write_text("{}")
    return Worker(tmp_path)
