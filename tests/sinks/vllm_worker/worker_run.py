"""A worker over a stand-in for vLLM: its folder, its orders, and what came of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "sinks" / "lanes"
START = "import sys, runpy; sys.path.append(sys.argv[1]); runpy.run_module('vllm_worker', run_name='__main__', alter_sys=True)"
QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
}


@dataclass(frozen=True)
class Worker:
    """A worker in a spool of its own."""

    spool: Path
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def spec(self) -> Path:
        path = self.spool / "vllm.0.spec.json"
        form = {
            "model": "quill-7b",
            "model_path": str(self.spool / "model"),
            "lora_path": None,
            "device": "cpu",
            "window": 3,
            "cache_salt": "5a17",
            "isolation": "none",
            "lock_fd": None,
            "ready": str(self.spool / "vllm.0.ready.json"),
            "engine": {"max_model_len": 200},
            "long_documents": True,
        }
        path.write_text(json.dumps({**form, **self.settings}))
        return path

    def order(self, job: str, rows: Sequence[dict[str, Any]], window: int | None = None) -> bytes:
        """Write the job's input and return the line that tells of it."""
        self.path(job, "in").write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        paths = {"input": str(self.path(job, "in")), "output": str(self.path(job, "out")), "started": str(self.path(job, "started"))}
        return json.dumps({"job": job, **paths, "window": window}).encode() + b"\n"

    def run(self, orders: bytes) -> tuple[int, str]:
        """The exit code and the log of a worker that is told these orders at once."""
        found = subprocess.run(
            [sys.executable, "-P", "-c", START, str(FOLDER), str(self.spec())],
            input=orders,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.spool,
            env={"PYTHONPATH": str(Path(__file__).with_name("fake_vllm")), **QUIET, **self.environment},
            check=False,
            timeout=60,
        )
        return found.returncode, found.stdout.decode()

    def path(self, job: str, kind: str) -> Path:
        return self.spool / f"{job}.{kind}"

    def lines(self, job: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path(job, "out").read_bytes().splitlines()]

    def answers(self, job: str) -> dict[str, Any]:
        return {line["row_id"]: line.get("output", line.get("error_code")) for line in self.lines(job)}

    def started(self, job: str) -> list[str]:
        return self.path(job, "started").read_text().splitlines()


def row(row_id: str, text: str, **body: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "Say: "}, {"type": "text", "text": text, "slot": "text"}]
    form = {
        "model": "quill-7b",
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 60,
        "temperature": 0.0,
        "seed": 0,
        "schema": None,
        "kind": "summarize",
    }
    return {"custom_id": row_id, "body": {**form, **body}}


def reversed_prompt(text: str) -> str:
    return f"user: Say: {text}"[::-1]
