"""The emulator as a child process: started, waited for, and stopped by whoever needs it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sinks import durable
from sinks.errors import EmulatorError

_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEmulator:
    """base_url ends in /v1, as the SDK wants it. Any key that is not empty is accepted."""

    base_url: str
    pid: int


@contextmanager
def start_emulator(state: Path, *, faults: Path | None = None, delay_s: float = 0.0) -> Iterator[RunningEmulator]:
    """Run an emulator over `state` while the block runs. Raises EmulatorError when it does not come up."""
    state.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sinks.emulator", "--state", str(state), "--delay-s", str(delay_s)]
    command += ["--faults", str(faults)] if faults is not None else []
    log_descriptor = os.open(state / "emulator.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, durable.PRIVATE_FILE)
    with (
        os.fdopen(log_descriptor, "ab") as log,
        subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=_environment()
        ) as child,
    ):
        try:
            yield RunningEmulator(base_url=_base_url(child, state), pid=child.pid)
        finally:
            _stop(child)


def _base_url(child: subprocess.Popen[bytes], state: Path) -> str:
    """The address that the child prints when it listens."""
    output: IO[bytes] | None = child.stdout
    if output is None:
        raise EmulatorError("the emulator has no standard output")
    readable, _, _ = select.select([output], [], [], _START_WITHIN_S)
    line = output.readline() if readable else b""
    if not line:
        raise EmulatorError(f"the emulator did not start; {state / 'emulator.log'} says why")
    address: str = json.loads(line)["base_url"]
    return address


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
