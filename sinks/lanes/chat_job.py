"""One job of a server inside: every row asked until it has an answer, a few at a time, each answer on disk before the next is taken.

What a failure means: a request that the server refuses is that record's own error. Where no answer comes at all, the server is asked
whether it still lives: if it does, the record is at fault and becomes an error row; if not, the job ends and its rows go back.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from sinks import durable
from sinks.clients.chat_client import Reply
from sinks.errors import EndpointError, RejectedError
from sinks.lanes.chat_documents import ChatOptions, answer
from sinks.lanes.spool_results import decode_results, encode_result
from sinks.shard import LaneResult

PAUSES_S = (0.5, 2.0, 8.0)
"""Before the second, third and fourth attempt of one request: a server that swaps models or restarts is back by then."""

STOP_S = 5.0

_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_AT_FAULT = {"timeout": "engine_timeout", "connection_lost": "engine_died", "unreachable": "engine_died"}


class Server(Protocol):
    """The two questions a job has for its server."""

    def check(self) -> None:
        """Raises RejectedError when nobody answers, EndpointError when the address must not be used."""
        ...

    def complete(self, body: bytes) -> Reply:
        """One request. Raises EndpointError when the address must not be used."""
        ...


class ServerGoneError(Exception):
    """No answer, and nobody there: the job ends."""


class ChatJob:
    """A job under way. `state`: running, completed, or failed: the server is gone or must not be used, or answers cannot be written.

    turns: how many requests all jobs of the lane may have under way together.
    """

    def __init__(self, server: Server, options: ChatOptions, *, rows: Path, answers: Path, turns: threading.Semaphore) -> None:
        self._server, self._options, self._turns = server, options, turns
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._unwritable = False
        done = _whole(answers)
        self._answered, self._failed = len(done), sum(result.error_code is not None for result in done.values())
        with rows.open("rb") as file:
            self.total = sum(1 for _ in file)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.fdopen(os.open(answers, flags, durable.PRIVATE_FILE), "ab", buffering=0)
        self._left = _unanswered(rows, frozenset(done))
        # Daemons: a request may take minutes, and nobody who stops a night should wait for it. What it would have answered is asked again.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(options.concurrency, self.total))]
        for thread in self._threads:
            thread.start()

    @property
    def state(self) -> str:
        """As the class says."""
        working = any(thread.is_alive() for thread in self._threads)  # asked first: the last thread may end in between
        if self._answered >= self.total:
            return "completed"
        return "running" if working else "failed"

    @property
    def counts(self) -> tuple[int, int]:
        """Rows answered, and how many of them with an error."""
        with self._lock:
            return self._answered, self._failed

    def stop(self) -> None:
        """Ask no more. Rows under way may still be answered within a moment; those that are not are asked again when the job goes on."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(STOP_S / len(self._threads))
        with self._lock:
            self._file.close()

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                with self._lock:
                    row = next(self._left, None)
                if row is None:
                    return
                with self._turns:
                    self._answer(row)
        except Exception:  # noqa: BLE001 - the server is gone, or the disk is full: the job ends; the message could quote a record
            self._stopped.set()

    def _answer(self, row: Mapping[str, Any]) -> None:
        try:
            result = replace(answer(row["body"], self._options, self._ask), row_id=row["custom_id"])
            line = encode_result(result)
        except (ServerGoneError, EndpointError):
            raise
        except Exception:  # noqa: BLE001 - whatever one record does, the others go on; the message could quote it
            result = LaneResult(row_id=row["custom_id"], error_code="engine_error")
            line = encode_result(result)
        with self._lock:
            if not self._file.closed and not self._unwritable:
                self._write(line)
                self._answered += 1
                self._failed += result.error_code is not None

    def _write(self, line: bytes) -> None:
        """All of it or nothing. Raises OSError, and takes no line after it."""
        end = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) == len(line):
                return
        except OSError:
            pass
        self._unwritable = True
        os.ftruncate(self._file.fileno(), end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _ask(self, body: bytes) -> Reply:
        """One request, again where that may help. A reply of status 0 is an error of this record: the server is alive."""
        for pause in (*PAUSES_S, None):
            if self._stopped.is_set():
                raise ServerGoneError
            reply = self._server.complete(body)
            if reply.status not in {0, _TOO_MANY_REQUESTS} and reply.status < _SERVER_ERROR:
                return reply
            if pause is None or reply.failure == "timeout":  # what took too long will do so again
                break
            self._stopped.wait(pause)
        try:
            self._server.check()
        except RejectedError:
            raise ServerGoneError from None
        return Reply(status=0, failure=_AT_FAULT.get(reply.failure, "engine_error"))


def _unanswered(rows: Path, done: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    with rows.open("rb") as file:
        for line in file:
            row = json.loads(line)
            if row["custom_id"] not in done:
                yield row


def _whole(answers: Path) -> dict[str, LaneResult]:
    """The answers that are there. A last line that a crash tore is cut off, so that the next begins a line of its own."""
    if not answers.exists():
        return {}
    content = answers.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(answers, whole)
    return {result.row_id: result for result in decode_results(answers)}
