"""The process that scans: `python -P -m flows.scan_process DESCRIPTOR`, started and watched by `flows/scan_workers.py`.

It reads batches from one pipe and answers on it, and ends when the pipe does: when its parent closes it, or dies. Nothing is written to
any file or terminal: what the scan logs goes back with the answer, and an error ends the process with a code (invariant 5).
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from detectors import load
from detectors.scan import COMPLETE, scan
from flows.scan_messages import Answer, Started, Terms

FAILED = 70
"""EX_SOFTWARE of sysexits.h."""


class _Collected(logging.Handler):
    """Keeps messages until they are sent."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def taken(self) -> tuple[str, ...]:
        messages, self.messages = tuple(self.messages), []
        return messages


def serve(connection: Connection, nowhere: IO[str]) -> None:
    """Answer until there is nobody to answer."""
    logged = _Collected()
    logging.getLogger("detectors").addHandler(logged)
    terms: Terms = connection.recv()
    try:
        detectors = load(ner=terms.ner, participants=terms.participants)
        list(scan(terms.warm_up, detectors, COMPLETE))
    except Exception as error:  # noqa: BLE001 - whatever a plug-in or a model raises; no document has been seen yet
        connection.send(Started(problem=f"{type(error).__name__}: {error}"))
        return
    connection.send(Started(detectors_hash=detectors.hash))
    frozen = False
    while (work := connection.recv()) is not None:
        # The one timer that runs while a regular expression or a native library holds Python: it ends the process from C.
        faulthandler.dump_traceback_later(work.patience_s, exit=True, file=nowhere)
        evidence = tuple(scan(work.documents, detectors, terms.demand, limits=terms.limits))
        faulthandler.cancel_dump_traceback_later()
        connection.send(Answer(evidence=evidence, messages=logged.taken()))
        if not frozen:  # models and name lists have come with the first text, and stay: the collector need not walk them again
            gc.collect()
            gc.freeze()
            frozen = True


def main(descriptor: int) -> int:
    """Serve on this file descriptor. An exception shows its name nowhere: it might quote a document."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    with Connection(descriptor) as connection, Path(os.devnull).open("w", encoding="ascii") as nowhere:
        try:
            serve(connection, nowhere)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 0
        except BaseException:  # noqa: BLE001 - the parent sees the process end, and takes the documents back
            return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
