"""One worker process: its start, what it is told through its stdin, and its end.

Invariants kept here:
- One engine on a device: it has the locks of its devices (`vllm_locks`) from before it exists until it ends.
- Its environment is made here, without proxies, keys or anything that asks a hub (8), and at a log level that shows no prompts (5).
- Telling a worker never blocks: what its pipe does not take yet is kept, and what is never taken still lies in the spool.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sinks import durable
from sinks.lanes.vllm_locks import TERMINATE_S, DeviceLocks

_LOOK_S = 0.02

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

# Workers that go on without us: kept to be reaped, whichever lane left them.
_left: list[subprocess.Popen[bytes]] = []


def worker_environment(device: str) -> dict[str, str]:
    """The worker's whole environment."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, **_QUIET, **(_CPU if device == "cpu" else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFiles:
    """The files of one replica's worker, content-free, in a folder of the endpoint's own within the spool.

    Not in the spool itself: what lies there belongs to a job, and is removed with it (`sinks.freeze.clean_spool`), while a worker serves
    many. `before` is the log of the worker before this one: it says why that one died.
    """

    folder: Path
    number: int

    @property
    def spec(self) -> Path:
        """What the worker has to know."""
        return self.folder / f"vllm.{self.number}.spec.json"

    @property
    def ready(self) -> Path:
        """Written by the worker once its engine is loaded."""
        return self.folder / f"vllm.{self.number}.ready.json"

    @property
    def log(self) -> Path:
        """The worker's stdout and stderr."""
        return self.folder / f"vllm.{self.number}.log"

    @property
    def before(self) -> Path:
        """The log of the worker before."""
        return self.folder / f"vllm.{self.number}.log.before"

    def delete(self) -> None:
        """Remove them, and the folder with the last of them."""
        for path in self.folder.glob(f"vllm.{self.number}.*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class WorkerProcess:
    """A worker that we started."""

    def __init__(self, process: subprocess.Popen[bytes], files: WorkerFiles) -> None:
        self._process, self._files = process, files
        self._unsent: deque[bytes] = deque()

    @classmethod
    def start(
        cls, command: Sequence[str], spec: Mapping[str, object], *, files: WorkerFiles, environment: Mapping[str, str], locks: DeviceLocks
    ) -> WorkerProcess:
        """Start it with its locks held. Raises OSError when it cannot be started."""
        reap_left()
        files.folder.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        files.ready.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            files.log.replace(files.before)
        content = json.dumps({**spec, "ready": str(files.ready), "lock_fd": locks.descriptors[0]}).encode()
        durable.replace(files.spec, content, mode=durable.PRIVATE_FILE)
        locks.name(None, files.folder)
        log = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, durable.PRIVATE_FILE)
        try:
            process = subprocess.Popen(  # noqa: S603 - the interpreter that the job or the registry names, our own program
                [*command, str(files.spec)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=files.folder.parent,
                env=environment,
                pass_fds=locks.descriptors,
                start_new_session=True,  # an interrupt at the terminal ends the run, not the shards
            )
        finally:
            os.close(log)
        locks.name(process.pid, files.folder)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        return cls(process, files)

    @property
    def loaded_at(self) -> float | None:
        """When its engine was ready (seconds since the epoch), or None."""
        try:
            return self._files.ready.stat().st_mtime
        except FileNotFoundError:
            return None

    def tell(self, order: Mapping[str, object]) -> None:
        """Tell it of rows to answer."""
        self._unsent.append(json.dumps(order).encode() + b"\n")
        self.flush()

    def flush(self) -> None:
        """Send what the pipe takes. A pipe that is broken is a worker that is dying: its end says the rest."""
        pipe = self._process.stdin
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._unsent and pipe is not None and not pipe.closed:
                # Up to PIPE_BUF (4096) the kernel takes a line whole or not at all; a longer one may go in pieces.
                sent = os.write(pipe.fileno(), self._unsent[0])
                rest = self._unsent.popleft()[sent:]
                if rest:
                    self._unsent.appendleft(rest)

    def exit_code(self) -> int | None:
        """How it ended, or None while it lives. With a dead worker whatever it had started is ended too, so that the device is free."""
        return None if self._lives() else self._end()

    def close_input(self) -> None:
        """Nothing more will be told: it ends when it has answered what it was told."""
        self.flush()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def stop(self, *, patience_s: float) -> int:
        """See it end: by itself within `patience_s`, then by SIGTERM, then by SIGKILL."""
        self.close_input()
        if not self._ends_within(patience_s):
            self._process.terminate()
            self._ends_within(TERMINATE_S)
        return self._end()

    def leave(self) -> None:
        """Let it finish without us."""
        self.close_input()
        _left.append(self._process)

    def _lives(self) -> bool:
        if self._process.returncode is not None:
            return False
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:  # somebody else has reaped it
            return False

    def _ends_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._lives() and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return not self._lives()

    def _end(self) -> int:
        # Until it is reaped, its number, and with it its group's, cannot have passed to another process.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self.close_input()
        return code


def reap_left() -> None:
    """Take notice of left workers that have ended."""
    _left[:] = [process for process in _left if process.poll() is None]
