"""What is done to a start from within its own process: a kill at an exact step, a disk that is full, a policy that changes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.night import Night
from sinks.ledger.segments import Ledger
from tests.chaos.layout import revise_the_policy
from tests.chaos.story import Full, Harm, Kill, Revise

FILE_STEPS = ("write", "fsync", "link", "unlink", "replace", "rename", "mkdir")
FILLING_STEPS = ("write", "fsync", "link", "mkdir")
WIRE_STEPS = ("send", "sendall", "recv", "recv_into")

_spared = False
"""Whether the campaign itself is at work in this process, which no harm is meant for."""


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """Keep harm away while the block lasts."""
    global _spared  # noqa: PLW0603 - one process, one harm
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    _spared = True
    try:
        yield
    finally:
        _spared = False
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def arm(harm: Harm | None, folder: Path) -> None:
    """Have this process, over a night's folder, come to harm."""
    match harm:
        case Kill() if harm.how != "instant":  # that one comes from outside
            _arm_kill(harm)
        case Full(most_bytes=None):
            _arm_full(harm.number)
        case Full(most_bytes=int(most)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        case Revise():
            _arm_revision(harm.number, folder)


def _around(owner: Any, names: Sequence[str], meet: Callable[[int, Callable[[], Any]], Any]) -> None:
    """Count the calls of these functions of `owner` together, and let `meet` make each."""
    counter = itertools.count(1)

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if _spared:
                return function(*arguments, **options)
            return meet(next(counter), lambda: function(*arguments, **options))

        return call

    for name in names:
        setattr(owner, name, wrapped(getattr(owner, name)))


def _arm_kill(kill: Kill) -> None:
    owner: Any
    owner, names = {"commit": (Ledger, ("commit",)), "file": (os, FILE_STEPS), "wire": (socket.socket, WIRE_STEPS)}[kill.how]

    def meet(number: int, call: Callable[[], Any]) -> Any:
        if number == kill.number and not kill.after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call()
        if number == kill.number:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    _around(owner, names, meet)


def _arm_full(first: int) -> None:
    def meet(number: int, call: Callable[[], Any]) -> Any:
        if number >= first:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call()

    _around(os, FILLING_STEPS, meet)


def _arm_revision(due: int, folder: Path) -> None:
    def meet(number: int, call: Callable[[], Any]) -> Any:
        if number == due:
            revise_the_policy(folder)
        return call()

    _around(Night, ("rulebook_now",), meet)  # what the gate is told, at each hand-over
