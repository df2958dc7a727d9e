from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
from openai.types import Batch, FileDeleted, FileObject
from openai.types.chat import ChatCompletion

from sinks.emulator.process import start_emulator
from sinks.errors import EmulatorError

LETTER = "The bridge over the Arlo is closed for repairs. The repairs of the bridge take six weeks. We had soup."
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
ENDED = {"completed", "failed", "expired", "cancelled"}


def chat_row(custom_id: str, text: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What does the following document say? Answer in at most three sentences.\n"},
                {"type": "text", "text": text},
            ],
        },
    ]
    body: dict[str, Any] = {"model": "emulated-1", "messages": messages, "max_tokens": 200, "temperature": 0.0}
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "form", "strict": True, "schema": schema}}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def jsonl(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def submit(client: openai.OpenAI, content: bytes) -> Batch:
    upload = client.files.create(file=("intent.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=upload.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"intent": "abc"}
    )


def wait_for(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline, "the emulator did not get there"
        time.sleep(0.02)


def finished(client: openai.OpenAI, batch_id: str) -> Batch:
    wait_for(lambda: client.batches.retrieve(batch_id).status in ENDED)
    return client.batches.retrieve(batch_id)


def rows_of(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id
    return [json.loads(line) for line in client.files.content(file_id).content.splitlines()]


def connect(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=30)


def assert_wire(model: Any, shown: dict[str, Any]) -> None:
    """The object has exactly the SDK type's fields, with their types."""
    model.model_validate(shown, strict=True)
    assert set(shown) <= set(model.model_fields)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    with start_emulator(tmp_path_factory.mktemp("emulator")) as emulator, connect(emulator.base_url) as connected:
        yield connected


def test_a_batch_of_five_from_upload_to_deletion(client: openai.OpenAI) -> None:
    rows = [chat_row(f"row-{number}", f"{LETTER} The number is {number}.") for number in range(3)]
    rows += [chat_row("row-3", "Name: Ines Calder", SCHEMA), chat_row("row-4", "Nothing of the kind", SCHEMA)]
    batch = finished(client, submit(client, jsonl(*rows)).id)
    assert (batch.status, batch.metadata, batch.model) == ("completed", {"intent": "abc"}, "emulated-1")
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (5, 4, 1)
    assert batch.usage is not None
    output, errors = rows_of(client, batch.output_file_id), rows_of(client, batch.error_file_id)
    answers = {row["custom_id"]: ChatCompletion.model_validate(row["response"]["body"], strict=True) for row in output}
    assert sorted(answers) == ["row-0", "row-1", "row-2", "row-3"]
    assert list(answers) != sorted(answers)  # the API promises no order
    assert "bridge" in (answers["row-0"].choices[0].message.content or "")
    assert "What does" not in (answers["row-0"].choices[0].message.content or "")
    assert json.loads(answers["row-3"].choices[0].message.content or "") == {"name": "Ines Calder"}
    assert batch.usage.total_tokens == sum(answer.usage.total_tokens for answer in answers.values() if answer.usage)
    assert [(row["custom_id"], row["response"]["status_code"]) for row in errors] == [("row-4", 400)]
    for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id):
        assert client.files.delete(file_id or "").deleted
        with pytest.raises(openai.NotFoundError):
            client.files.content(file_id or "")
    assert client.batches.retrieve(batch.id).status == "completed"


def test_wire_shapes_are_the_ones_of_the_official_types(client: openai.OpenAI) -> None:
    upload = client.files.with_raw_response.create(
        file=("a.jsonl", jsonl(chat_row("a", LETTER))), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    shown = json.loads(upload.text)
    assert_wire(FileObject, shown)
    assert (shown["filename"], shown["expires_at"] - shown["created_at"]) == ("a.jsonl", 3600)
    created = client.batches.with_raw_response.create(input_file_id=shown["id"], endpoint="/v1/chat/completions", completion_window="24h")
    batch = json.loads(created.text)
    assert_wire(Batch, batch)
    assert (batch["status"], batch["expires_at"] - batch["created_at"]) == ("validating", 86_400)
    finished(client, batch["id"])
    assert_wire(Batch, json.loads(client.batches.with_raw_response.retrieve(batch["id"]).text))
    assert_wire(FileDeleted, json.loads(client.files.with_raw_response.delete(shown["id"]).text))


def test_listings_are_paged_newest_first(client: openai.OpenAI) -> None:
    created = [submit(client, jsonl(chat_row("a", LETTER))).id for _ in range(3)]
    first = client.batches.list(limit=2)
    assert [batch.id for batch in first.data] == [created[2], created[1]]
    assert first.has_more
    assert next(iter(first.get_next_page().data)).id == created[0]
    assert client.files.list(purpose="batch").data[0].filename == "intent.jsonl"
    for batch_id in created:
        finished(client, batch_id)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "empty_file", id="empty"),
        pytest.param(b"{no json\n", "invalid_json_line", id="not JSON"),
        pytest.param(jsonl(chat_row("a", LETTER), chat_row("a", LETTER)), "duplicate_custom_id", id="duplicate id"),
        pytest.param(jsonl(chat_row("a" * 65, LETTER)), "invalid_custom_id", id="id too long"),
        pytest.param(jsonl(chat_row("a", LETTER) | {"url": "/v1/embeddings"}), "mismatched_endpoint", id="other endpoint"),
        pytest.param(jsonl(chat_row("a", LETTER), {**chat_row("b", LETTER), "body": {"model": "x"}}), "mismatched_model", id="two models"),
    ],
)
def test_a_bad_input_file_fails_the_batch(client: openai.OpenAI, content: bytes, code: str) -> None:
    batch = finished(client, submit(client, content).id)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert batch.errors.data[0].code == code
    assert batch.output_file_id is None


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(
            lambda c: c.batches.create(input_file_id="file-none", endpoint="/v1/chat/completions", completion_window="24h"),
            id="no such file",
        ),
        pytest.param(lambda c: c.batches.retrieve("batch_none"), id="no such batch"),
        pytest.param(lambda c: c.files.retrieve("..%2f..%2flock"), id="a path instead of an id"),
    ],
)
def test_what_is_not_there_is_404(client: openai.OpenAI, ask: Callable[[openai.OpenAI], object]) -> None:
    with pytest.raises(openai.NotFoundError):
        ask(client)


@pytest.mark.parametrize(
    "metadata", [{str(number): "x" for number in range(17)}, {"k" * 65: "x"}, {"k": "x" * 513}], ids=["17 pairs", "long key", "long value"]
)
def test_metadata_limits(client: openai.OpenAI, metadata: dict[str, str]) -> None:
    upload = client.files.create(file=("a.jsonl", jsonl(chat_row("a", LETTER))), purpose="batch")
    with pytest.raises(openai.BadRequestError):
        client.batches.create(input_file_id=upload.id, endpoint="/v1/chat/completions", completion_window="24h", metadata=metadata)


def test_a_key_is_asked_for(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.batches.list(extra_headers={"Authorization": "Basic abc"})


def test_a_batch_goes_through_its_states(client: openai.OpenAI) -> None:
    batch = finished(client, submit(client, jsonl(chat_row("a", LETTER))).id)
    moments = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at]
    assert None not in moments
    assert moments == sorted(moment or 0 for moment in moments)


def test_a_batch_can_be_cancelled(tmp_path: Path) -> None:
    with start_emulator(tmp_path, delay_s=600) as emulator, connect(emulator.base_url) as client:
        submitted = submit(client, jsonl(chat_row("a", LETTER), chat_row("b", LETTER)))
        assert client.batches.retrieve(submitted.id).status == "validating"
        assert client.batches.cancel(submitted.id).status == "cancelling"
        cancelled = finished(client, submitted.id)
        assert (cancelled.status, cancelled.output_file_id) == ("cancelled", None)
        assert {row["error"]["code"] for row in rows_of(client, cancelled.error_file_id)} == {"batch_cancelled"}
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(submitted.id)


def test_a_restart_finds_everything_and_finishes_what_was_begun(tmp_path: Path) -> None:
    with start_emulator(tmp_path, delay_s=60) as emulator, connect(emulator.base_url) as client:
        batch_id = submit(client, jsonl(chat_row("a", LETTER))).id
        os.kill(emulator.pid, signal.SIGKILL)
    with start_emulator(tmp_path) as emulator, connect(emulator.base_url) as client:
        batch = finished(client, batch_id)
        assert (batch.status, batch.metadata) == ("completed", {"intent": "abc"})
        assert rows_of(client, batch.output_file_id)[0]["custom_id"] == "a"
        assert [listed.id for listed in client.batches.list().data] == [batch_id]


def test_every_byte_that_arrived_is_on_record(tmp_path: Path) -> None:
    content = jsonl(chat_row("a", "A canary: zephyr-9917."))
    with start_emulator(tmp_path) as emulator, connect(emulator.base_url) as client:
        finished(client, submit(client, content).id)
    log = [json.loads(line) for line in (tmp_path / "received.jsonl").read_text().splitlines()]
    assert [entry["number"] for entry in log] == list(range(1, len(log) + 1))
    assert [(entry["method"], entry["path"]) for entry in log[:2]] == [("POST", "/v1/files"), ("POST", "/v1/batches")]
    bodies = [(tmp_path / entry["body"]).read_bytes() if entry["body"] else b"" for entry in log]
    assert [hashlib.sha256(body).hexdigest() for body in bodies] == [entry["sha256"] for entry in log]
    assert content in bodies[0]
    assert sum(b"zephyr-9917" in body for body in bodies) == 1
    assert not any("any" in str(entry.get("headers", "")) for entry in log)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path == tmp_path, path.name


def test_the_emulator_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time\nfrom sinks.emulator.process import start_emulator\n"
        "with start_emulator(pathlib.Path(sys.argv[1])) as emulator:\n    print(emulator.pid, flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        emulator = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    wait_for(lambda: not emulator.is_running() or emulator.status() == psutil.STATUS_ZOMBIE)


def test_the_emulator_ends_with_the_block(tmp_path: Path) -> None:
    with start_emulator(tmp_path) as emulator:
        child = psutil.Process(emulator.pid)
    assert not child.is_running()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - that it is refused is the point
def test_only_loopback(tmp_path: Path, host: str) -> None:
    command = [sys.executable, "-m", "sinks.emulator", "--state", str(tmp_path), "--host", host]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "loopback only" in done.stderr
    assert done.stdout == ""


def test_a_start_that_fails_says_where_to_look(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('[{"at": "batches.create", "fault": "explode"}]')
    with pytest.raises(EmulatorError, match="did not start"), start_emulator(tmp_path / "state", faults=plan):
        pass
    assert "expected a JSON list of faults" in (tmp_path / "state" / "emulator.log").read_text()
