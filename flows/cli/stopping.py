"""Being told to stop: a command that Ctrl-C or SIGTERM ends closes what it has open, says so in one line, and ends as a shell expects."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click


class Terminated(BaseException):
    """SIGTERM has come. As little an `Exception` as KeyboardInterrupt: nobody takes it for a failure of what was being done."""


@contextmanager
def heeding_termination() -> Iterator[list[int]]:
    """Let SIGTERM unwind the command as Ctrl-C does; the list has the signal once it has come. A second one ends the process at once."""
    told: list[int] = []

    def heed(signum: int, frame: FrameType | None) -> None:
        del frame
        told.append(signum)
        signal.signal(signum, signal.SIG_DFL)
        raise Terminated

    # Python lets only the main thread handle signals; and whoever started us may want this one ignored.
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield told
        return
    signal.signal(signal.SIGTERM, heed)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def say_stopped(told: list[int]) -> int:
    """The line; returns the exit code, 128 and the signal: 143 for SIGTERM, else 130."""
    word, signum = ("terminated", told[0]) if told else ("interrupted", signal.SIGINT)
    click.echo(f"waybill: {word}; run the same command again to go on", err=True)
    return 128 + signum
