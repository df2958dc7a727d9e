"""Servers that are not quite OpenAI; restarts; and senders that go away in the middle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai
import pytest

from sinks.emulator.process import start_emulator
from sinks.emulator.receipts import received, tally

Until = Callable[[Callable[[], bool]], None]
EVERY = [
    word
    for name in ("no_expiry", "error_file", "empty_id", "scheduling", "oldest_first", "no_metadata", "body_string", "no_rest")
    for word in ("--dialect", name)
]


def row(number: int, url: str) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": f"The ferry number {number} crosses the river."}]}
    return {"custom_id": f"row-{number}", "method": "POST", "url": url, "body": body}


def submit(client: openai.OpenAI) -> str:
    content = b"".join(json.dumps(row(number, "/chat/completions")).encode() + b"\n" for number in range(6))
    uploaded = client.files.create(file=("abc.jsonl", content), purpose="batch")
    create: Any = client.batches.create
    return str(create(input_file_id=uploaded.id, endpoint="/chat/completions", completion_window="24h", metadata={"intent": "abc"}).id)


def test_azure_and_its_relatives(tmp_path: Path, until: Until, make_emulated: Any) -> None:
    with start_emulator(tmp_path, delay_s=90 * 3600, options=EVERY) as running:
        emulated = make_emulated(running, tmp_path)
        client = openai.AzureOpenAI(azure_endpoint=running.root, api_key="k", api_version="2026-01-01", max_retries=0)
        first, second = submit(client), submit(client)
        shown = client.batches.retrieve(first)
        assert (shown.status, shown.metadata, shown.expires_at, shown.output_file_id) == ("scheduling", None, None, "")
        assert [batch.id for batch in client.batches.list().data] == [first, second]
        emulated.advance(45 * 3600)
        until(lambda: client.batches.retrieve(second).status == "in_progress")
        client.batches.cancel(second)
        until(lambda: client.batches.retrieve(second).status == "cancelled")
        cancelled = client.batches.retrieve(second)
        rows = client.files.content(cancelled.output_file_id or "").content.splitlines()
        assert len(rows) == 3, "half the time has gone by, and so half of the rows are there"
        assert client.files.content(cancelled.error_file_id or "").content == b"", "of the rest there is no word"
        emulated.advance(90 * 3600)
        until(lambda: client.batches.retrieve(first).status == "completed")  # a day is long over
        (one, *rest) = client.files.content(client.batches.retrieve(first).output_file_id or "").content.splitlines()
        assert (isinstance(json.loads(one)["response"]["body"], str), len(rest)) == (True, 5)
        client.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dialect", "klingon"], "invalid choice: 'klingon'"),
        (["--s3-url", "https://s3.eu-central-1.amazonaws.com"], "--s3-url: expected http on a loopback address"),
        (["--s3-url", "http://192.0.2.1:9000"], "--s3-url: expected http on a loopback address"),
    ],
    ids=["dialect", "S3 elsewhere", "S3 in the network"],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    command = [sys.executable, "-m", "sinks.emulator", "--state", str(tmp_path), *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr.splitlines()[-1]


def test_a_restart_keeps_batches_time_and_counts(tmp_path: Path, until: Until) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"random": {"seed": 3, "rate": 1, "most": 1, "kinds": ["extra_fields"]}}))
    state = tmp_path / "state"
    params: Any = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "The ferry crosses the river."}]}
    with start_emulator(state, delay_s=3600, faults=plan) as running:
        client = anthropic.Anthropic(base_url=running.anthropic_url, api_key="k", max_retries=0)
        created = client.messages.batches.create(requests=[{"custom_id": "abc-0", "params": params}])
        running.advance(1800)
        os.kill(running.pid, signal.SIGKILL)
        client.close()
    with start_emulator(state, delay_s=3600, faults=plan) as running:
        client = anthropic.Anthropic(base_url=running.anthropic_url, api_key="k", max_retries=0)
        again = client.messages.batches.retrieve(created.id)
        assert (again.created_at, again.processing_status) == (created.created_at, "in_progress")
        running.advance(1801)
        until(lambda: client.messages.batches.retrieve(created.id).processing_status == "ended")
        (result,) = client.messages.batches.results(created.id)
        assert (result.custom_id, result.result.type) == ("abc-0", "succeeded")
        client.close()
    assert len((state / "injected.jsonl").read_text().splitlines()) == 1, "the bound holds over restarts"
    assert tally(state)["anthropic"].intents == {"abc": 1}


def test_half_a_request_has_no_effect(emulated: Any, until: Until) -> None:
    address = urlsplit(emulated.running.root)
    head = "POST /anthropic/v1/messages/batches HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 1\r\ncontent-length: 900\r\n\r\n"
    before = len(list(received(emulated.state)))
    with socket.create_connection((address.hostname, address.port)) as line:
        line.sendall(head.encode() + b'{"requests": [')
        time.sleep(0.05)
    until(lambda: len(list(received(emulated.state))) > before)
    entry, body = list(received(emulated.state))[-1]
    assert (entry["operation"], entry["whole"], body) == ("anthropic.batches.create", False, b'{"requests": [')
    assert "anthropic" not in tally(emulated.state) or tally(emulated.state)["anthropic"].creates == 0


def test_paths_that_are_nothing_are_refused_in_the_providers_own_form(emulated: Any) -> None:
    headers = {"authorization": "Bearer k", "x-api-key": "k", "anthropic-version": "1"}
    with httpx2.Client(base_url=emulated.running.root, headers=headers, trust_env=False) as http:
        assert http.get("/v1/models").json()["error"]["type"] == "invalid_request_error"
        assert http.get("/anthropic/v1/models").json()["error"]["type"] == "not_found_error"
        refused = http.get("/bedrock/nothing")
        assert (refused.status_code, refused.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")
