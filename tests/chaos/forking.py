"""Work in a child that was forked from this process: what it returned, what it raised, or that it was killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

GIVE_UP_S = 300.0
"""A child that takes longer by the wall clock hangs: it is killed, and the night has failed."""

Work = Callable[[], object]

_write = os.write  # as it is, whatever the work makes of it


def forked(work: Work, log: Path, *, kill_after_s: float | None = None) -> Callable[[], tuple[bool, Any]]:
    """Do work in a child; returns what waits for it and says whether it was killed, and what it returned or `{"error": …}`."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_child(work, writing, reading, log)
    os.close(writing)

    def wait() -> tuple[bool, Any]:
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.kill(child, signal.SIGKILL)
        signal.setitimer(signal.ITIMER_REAL, GIVE_UP_S)
        before = signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGABRT))
        try:
            with os.fdopen(reading, "rb") as pipe:
                answer = pipe.read()
            _, status = os.waitpid(child, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if os.WIFSIGNALED(status):
            killed = os.WTERMSIG(status) == signal.SIGKILL
            return killed, {} if killed else {"error": "it hung, or crashed"}
        return False, json.loads(answer)

    return wait


def _be_child(work: Work, writing: int, reading: int, log: Path) -> None:
    """What the child does; it never returns."""
    os.close(reading)
    status = 0
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - told to the parent, then the child is gone
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))  # work may have made the disk full
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}", "kinds": [kind.__name__ for kind in type(error).__mro__]}
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        sys.stdout.flush()
        sys.stderr.flush()
        _write(writing, json.dumps(answer).encode())
    except BaseException:  # noqa: BLE001 - as above
        status = 1
    os._exit(status)
