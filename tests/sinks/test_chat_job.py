"""A job of a server inside whose answers cannot be written, or are not what JSON can hold: it ends, and says so."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sinks.clients.chat_client import Reply
from sinks.lanes import chat_job
from sinks.lanes.chat_documents import ChatOptions
from sinks.lanes.chat_job import ChatJob
from sinks.lanes.spool_results import decode_results
from sinks.shard import LaneResult

ROWS = 4


class Answering:
    def __init__(self, logprob: float = -1.0) -> None:
        self.logprob = logprob

    def check(self) -> None:
        pass

    def complete(self, body: bytes) -> Reply:
        choice = {"message": {"content": "ok"}, "finish_reason": "stop", "logprobs": {"content": [{"logprob": self.logprob}]}}
        return Reply(status=200, tree={"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})


def job(folder: Path, server: Answering | None = None) -> ChatJob:
    content = [{"type": "text", "text": "hello", "slot": "text"}]
    body = {"kind": "summarize", "model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": content}]}
    rows = folder / "a.in.jsonl"
    rows.write_text("".join(json.dumps({"custom_id": f"r{number}", "body": body}) + "\n" for number in range(ROWS)))
    options = ChatOptions(max_model_len=1000, concurrency=2)
    return ChatJob(server or Answering(), options, rows=rows, answers=folder / "a.out.jsonl", turns=threading.BoundedSemaphore(2))


def ended(made: ChatJob) -> str:
    deadline = time.monotonic() + 20
    while (state := made.state) == "running":
        assert time.monotonic() < deadline, made.counts
        time.sleep(0.005)
    made.stop()
    return state


@pytest.mark.parametrize("logprob", [float("-inf"), float("nan")], ids=str)
def test_a_log_probability_that_is_no_number_costs_the_confidence_only(tmp_path: Path, logprob: float) -> None:
    made = job(tmp_path, Answering(logprob))
    assert (ended(made), made.counts) == ("completed", (ROWS, 0))
    assert {result.confidence for result in decode_results(tmp_path / "a.out.jsonl")} == {None}


def test_an_answer_that_cannot_be_kept_is_that_records_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_job, "answer", lambda *_: LaneResult(row_id="", output="ok", confidence=float("nan")))
    made = job(tmp_path)
    assert (ended(made), made.counts) == ("completed", (ROWS, ROWS))
    assert {result.error_code for result in decode_results(tmp_path / "a.out.jsonl")} == {"engine_error"}


class Full:
    """The answers' file on a disk that takes one line and the beginning of another; it says so at once, or writes less than was asked."""

    def __init__(self, file: Any, *, raises: bool) -> None:
        self.file, self.raises, self.lines = file, raises, 0
        self.closed = False

    def write(self, line: bytes) -> int:
        self.lines += 1
        if self.lines == 1:
            return int(self.file.write(line))
        written = int(self.file.write(line[:7]))
        if self.raises:
            raise OSError(errno.ENOSPC, "no space")
        return written

    def fileno(self) -> int:
        return int(self.file.fileno())

    def close(self) -> None:
        self.file.close()
        self.closed = True


@pytest.mark.parametrize("raises", [True, False], ids=["an error", "a short write"])
def test_a_full_disk_fails_the_job_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, raises: bool) -> None:
    opened = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *given, **named: Full(opened(*given, **named), raises=raises))
    made = job(tmp_path)
    assert ended(made) == "failed"
    assert made.counts == (1, 0)
    assert len(list(decode_results(tmp_path / "a.out.jsonl"))) == 1
    assert (tmp_path / "a.out.jsonl").read_bytes().endswith(b"}\n")
    monkeypatch.undo()  # there is space again
    again = job(tmp_path)
    assert (ended(again), again.counts) == ("completed", (ROWS, 0))


def test_rows_that_cannot_be_read_fail_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_job, "_unanswered", lambda *_: iter([{"no": "body"}]))
    assert ended(job(tmp_path)) == "failed"
