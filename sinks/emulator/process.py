"""The emulator as a child process: started, waited for, and stopped by whoever needs it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sinks import durable
from sinks.emulator.clock import advance
from sinks.errors import EmulatorError

_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEmulator:
    """base_url: OpenAI's, ending in /v1, as the SDK wants it. Any key that is not empty is accepted."""

    base_url: str
    root: str
    pid: int
    state: Path

    @property
    def anthropic_url(self) -> str:
        """Anthropic's base URL, as the SDK wants it."""
        return f"{self.root}/anthropic"

    @property
    def bedrock_url(self) -> str:
        """The endpoint URL of Bedrock's control plane, as boto3 wants it."""
        return f"{self.root}/bedrock"

    @property
    def s3_url(self) -> str:
        """The S3 endpoint URL by way of the emulator, which hands requests on to its own."""
        return f"{self.root}/s3"

    def url_of(self, engine: str) -> str:
        """The base URL for a lane's engine."""
        return {"anthropic_batch": self.anthropic_url, "bedrock_batch": self.bedrock_url}.get(engine, self.base_url)

    def advance(self, seconds: float) -> None:
        """Move the emulator's time on."""
        advance(self.state, seconds)


@contextmanager
def start_emulator(
    state: Path, *, faults: Path | None = None, delay_s: float = 0.0, options: Sequence[str] = ()
) -> Iterator[RunningEmulator]:
    """Run an emulator over `state` while the block runs. options: more of the command line's. Raises EmulatorError if it does not start."""
    state.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sinks.emulator", "--state", str(state), "--delay-s", str(delay_s), *options]
    command += ["--faults", str(faults)] if faults is not None else []
    log_descriptor = os.open(state / "emulator.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, durable.PRIVATE_FILE)
    with (
        os.fdopen(log_descriptor, "ab") as log,
        subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=_environment()
        ) as child,
    ):
        try:
            said = _addresses(child, state)
            yield RunningEmulator(base_url=said["base_url"], root=said["root"], pid=child.pid, state=state)
        finally:
            _stop(child)


def _addresses(child: subprocess.Popen[bytes], state: Path) -> dict[str, str]:
    """The addresses that the child prints when it listens."""
    output: IO[bytes] | None = child.stdout
    if output is None:
        raise EmulatorError("the emulator has no standard output")
    readable, _, _ = select.select([output], [], [], _START_WITHIN_S)
    line = output.readline() if readable else b""
    if not line:
        raise EmulatorError(f"the emulator did not start; {state / 'emulator.log'} says why")
    addresses: dict[str, str] = json.loads(line)
    return addresses


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End our own child: by closing its standard input, else by signals."""
    if child.stdin is not None:
        child.stdin.close()
    for end in (child.terminate, child.kill):
        try:
            child.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            end()
        else:
            return
    child.wait()


def _environment() -> dict[str, str]:
    """What a Python process needs to start; no secrets, no proxies."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR") if name in os.environ}
