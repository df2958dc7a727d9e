"""The local lane over offline vLLM: a worker process per shard, rows and answers in the spool.

Invariants kept here:
- Local means local (8): the model is a folder on this machine, the worker's environment is made here, without proxies, keys or
  anything that asks a hub, and usage statistics are off.
- A shard is answered once: the job's lock is held by its worker from its first moment to its last, whoever started it. A worker that was
  killed is started again and goes on behind the last whole line.
- No text in logs (5): the worker's log lies in the spool, mode 0600, at a level that shows no prompts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from policies.model import Endpoint
from sinks import durable
from sinks.egress import redeem
from sinks.errors import EndpointError, RejectedError
from sinks.lanes.spool_results import decode_results
from sinks.request import Message, Prompt, TaskKind
from sinks.shard import ClearedShard, JobStatus, LaneResult

WORKER = Path(__file__).with_name("vllm_worker.py")
MAX_STARTS = 4
DEFAULT_WINDOW = 64

# Settings of an endpoint that go to the engine as they are.
ENGINE_SETTINGS = (
    "block_size",
    "distributed_executor_backend",
    "dtype",
    "enable_prefix_caching",
    "enforce_eager",
    "gpu_memory_utilization",
    "kv_cache_memory_bytes",
    "max_model_len",
    "max_num_seqs",
    "quantization",
    "tensor_parallel_size",
)

# Handed on from our own environment: where things are, and which device to use. No proxy, no token, no VLLM_LOGGING_LEVEL.
_INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "HF_HOME",
    "XDG_CACHE_HOME",
    "VLLM_CACHE_ROOT",
)
_QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_HOST_IP": "127.0.0.1",  # else it opens a UDP socket to a public address to learn its own
    "VLLM_LOGGING_LEVEL": "INFO",  # DEBUG would show prompts
}
_CPU = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCHDYNAMO_DISABLE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
_CPU_ENGINE: Mapping[str, bool | int | float | str] = {"distributed_executor_backend": "uni", "block_size": 32, "enforce_eager": True}

# Workers that this process started, by the path of their lock: kept to be reaped, whichever lane object started them.
_children: dict[Path, subprocess.Popen[bytes]] = {}

_SUFFIXES = ("in.jsonl", "out.jsonl", "spec.json", "log", "lock", "starts")


class VllmOfflineLane:
    """Offline vLLM.

    Endpoint settings: `model_path` (default: the model's name), `python` (default: the constructor's), `device` (`cpu`),
    `lora_path`, `window` (rows in flight), and those of ENGINE_SETTINGS.
    """

    def __init__(self, spool: Path, python: Path) -> None:
        self._spool, self._python = spool.absolute(), python

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """A chat. Every part is a content element of its own, so that the gate can look at it alone; the worker joins them."""
        return {
            "model": endpoint.model,
            "messages": [
                {"role": message.role, "content": [{"type": "text", "text": part.text} for part in message.parts]} for message in messages
            ],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "seed": prompt.seed,
            "schema": prompt.schema if prompt.kind is TaskKind.EXTRACT else None,
        }

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:  # noqa: ARG002 - the protocol's signature
        """One line of the shard file."""
        return {"custom_id": row_id, "body": body}

    def hand_over(self, shard: ClearedShard) -> str:
        """Put the checked rows into the spool and start the worker. The intent id is the job id."""
        redeem(shard)
        job_id = shard.intent_id
        try:
            self._spool.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
            durable.replace(self._path(job_id, "in.jsonl"), shard.content, mode=durable.PRIVATE_FILE)
            durable.replace(self._path(job_id, "spec.json"), self._spec(shard), mode=durable.PRIVATE_FILE)
            self._start(job_id)
        except OSError:
            self._delete(job_id)
            raise RejectedError("worker_unstartable") from None
        return job_id

    def find(self, intent_id: str, digest: str, since: datetime) -> Sequence[str]:  # noqa: ARG002 - the protocol's signature
        """The intent itself once its worker was about to be started: `poll` starts it again if it is not running."""
        return [intent_id] if self._path(intent_id, "spec.json").exists() else []

    def poll(self, provider_job_id: str) -> JobStatus:
        """How far the worker is. One that died is started again, MAX_STARTS times in all."""
        if not self._path(provider_job_id, "spec.json").exists():
            return JobStatus(provider_job_id=provider_job_id, state="absent", ended=False)
        results = self._results(provider_job_id)
        total = len(self._row_ids(provider_job_id))
        state = "completed" if len(results) == total else "running"
        if state == "running" and not self._alive(provider_job_id):
            if self._path(provider_job_id, "starts").stat().st_size < MAX_STARTS:
                self._start(provider_job_id)
            elif len(self._results(provider_job_id)) < total:
                state = "failed"
        failed = sum(result.error_code is not None for result in results.values())
        return JobStatus(
            provider_job_id=provider_job_id,
            state=state,
            ended=state != "running",
            total=total,
            completed=len(results) - failed,
            failed=failed,
        )

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """The answers in the order of the rows; a row that no worker could finish is an error row."""
        if not self._path(provider_job_id, "spec.json").exists():
            raise EndpointError(f"vllm_offline: job {provider_job_id} is not in the spool; its records need a new attempt")
        results = self._results(provider_job_id)
        for row_id in self._row_ids(provider_job_id):
            yield results.get(row_id) or LaneResult(row_id=row_id, error_code="worker_crashed")

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Stop the worker, if there is one, and delete the job's files."""
        self.cancel(provider_job_id)
        return self._delete(provider_job_id)

    def cancel(self, provider_job_id: str) -> None:
        """Stop the worker."""
        lock = self._path(provider_job_id, "lock")
        if lock.exists() and self._alive(provider_job_id) and (pid := lock.read_text()).isdecimal():
            # The lock is held, so the process that holds it, and no other, has this number.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        if (child := _children.pop(lock, None)) is not None:
            child.wait()

    def _spec(self, shard: ClearedShard) -> bytes:
        """All that the worker has to know, but for the number of its lock."""
        endpoint, settings, job_id = shard.endpoint, shard.endpoint.settings, shard.intent_id
        defaults = _CPU_ENGINE if settings.get("device") == "cpu" else {}
        spec = {
            "model": endpoint.model,
            "model_path": str(settings.get("model_path", endpoint.model)),
            "lora_path": settings.get("lora_path"),
            "python": str(settings.get("python", self._python)),
            "device": settings.get("device", ""),
            "window": int(settings.get("window", DEFAULT_WINDOW)),
            "input": str(self._path(job_id, "in.jsonl")),
            "output": str(self._path(job_id, "out.jsonl")),
            "engine_lock": str(self._spool / "vllm-engine.lock"),
            "engine": {
                "seed": 0,
                **({"enable_lora": True} if settings.get("lora_path") else {}),
                **defaults,
                **{name: settings[name] for name in ENGINE_SETTINGS if name in settings},
            },
        }
        return json.dumps(spec).encode()

    def _start(self, job_id: str) -> None:
        """Start a worker that holds the job's lock from the beginning; do nothing when another one holds it."""
        spec = json.loads(self._path(job_id, "spec.json").read_bytes())
        lock = os.open(self._path(job_id, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            durable.replace(self._path(job_id, "spec.json"), json.dumps({**spec, "lock_fd": lock}).encode(), mode=durable.PRIVATE_FILE)
            with self._append(job_id, "starts") as starts:
                starts.write(b".")
            with self._append(job_id, "log") as log:
                child = subprocess.Popen(  # noqa: S603 - the interpreter that the registry names, our own program
                    [spec["python"], "-P", str(WORKER), str(self._path(job_id, "spec.json"))],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._spool,
                    env=worker_environment(spec["device"]),
                    pass_fds=(lock,),
                    start_new_session=True,  # an interrupt at the terminal ends the run, not the shard
                )
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(child.pid).encode(), 0)
            _children[self._path(job_id, "lock")] = child
        except BlockingIOError:
            return
        finally:
            os.close(lock)

    def _alive(self, job_id: str) -> bool:
        """Whether some process holds the job's lock."""
        path = self._path(job_id, "lock")
        if (child := _children.get(path)) is not None and child.poll() is not None:
            del _children[path]
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.PRIVATE_FILE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _results(self, job_id: str) -> dict[str, LaneResult]:
        path = self._path(job_id, "out.jsonl")
        return {result.row_id: result for result in decode_results(path)} if path.exists() else {}

    def _row_ids(self, job_id: str) -> list[str]:
        content = self._path(job_id, "in.jsonl").read_bytes()
        return [json.loads(line)["custom_id"] for line in content.split(b"\n") if line]

    def _append(self, job_id: str, suffix: str) -> Any:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.fdopen(os.open(self._path(job_id, suffix), flags, durable.PRIVATE_FILE), "ab")

    def _delete(self, job_id: str) -> list[str]:
        paths = [path for suffix in _SUFFIXES if (path := self._path(job_id, suffix)).exists()]
        for path in paths:
            path.unlink(missing_ok=True)
        return [path.name for path in paths]

    def _path(self, job_id: str, suffix: str) -> Path:
        return self._spool / f"{job_id}.{suffix}"


def worker_environment(device: str) -> dict[str, str]:
    """The worker's whole environment."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, **_QUIET, **(_CPU if device == "cpu" else {})}
