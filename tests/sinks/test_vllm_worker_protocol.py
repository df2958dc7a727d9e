"""The worker's protocol over a stand-in for vLLM: orders in, lines out, exit codes, resume, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sinks.lanes.vllm_worker.isolation import interfaces

FOLDER = Path(__file__).parents[2] / "sinks" / "lanes"
START = "import sys, runpy; sys.path.append(sys.argv[1]); runpy.run_module('vllm_worker', run_name='__main__', alter_sys=True)"
QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
}


@dataclass(frozen=True)
class Worker:
    """A worker in a spool of its own."""

    spool: Path
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def spec(self) -> Path:
        path = self.spool / "vllm.0.spec.json"
        form = {
            "model": "quill-7b",
            "model_path": str(self.spool / "model"),
            "lora_path": None,
            "device": "cpu",
            "window": 3,
            "cache_salt": "5a17",
            "isolation": "none",
            "lock_fd": None,
            "ready": str(self.spool / "vllm.0.ready.json"),
            "engine": {"max_model_len": 200},
            "long_documents": True,
        }
        path.write_text(json.dumps({**form, **self.settings}))
        return path

    def order(self, job: str, rows: Sequence[dict[str, Any]], window: int | None = None) -> bytes:
        """Write the job's input and return the line that tells of it."""
        self.path(job, "in").write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        paths = {"input": str(self.path(job, "in")), "output": str(self.path(job, "out")), "started": str(self.path(job, "started"))}
        return json.dumps({"job": job, **paths, "window": window}).encode() + b"\n"

    def run(self, orders: bytes) -> tuple[int, str]:
        """The exit code and the log of a worker that is told these orders at once."""
        found = subprocess.run(
            [sys.executable, "-P", "-c", START, str(FOLDER), str(self.spec())],
            input=orders,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.spool,
            env={"PYTHONPATH": str(Path(__file__).parent / "fake_vllm"), **QUIET, **self.environment},
            check=False,
            timeout=60,
        )
        return found.returncode, found.stdout.decode()

    def path(self, job: str, kind: str) -> Path:
        return self.spool / f"{job}.{kind}"

    def lines(self, job: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path(job, "out").read_bytes().splitlines()]

    def answers(self, job: str) -> dict[str, Any]:
        return {line["row_id"]: line.get("output", line.get("error_code")) for line in self.lines(job)}

    def started(self, job: str) -> list[str]:
        return self.path(job, "started").read_text().splitlines()


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "tokenizer.json").write_text("{}")
    return Worker(tmp_path)


def row(row_id: str, text: str, **body: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "Say: "}, {"type": "text", "text": text, "slot": "text"}]
    form = {
        "model": "quill-7b",
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 60,
        "temperature": 0.0,
        "seed": 0,
        "schema": None,
        "kind": "summarize",
    }
    return {"custom_id": row_id, "body": {**form, **body}}


def reversed_prompt(text: str) -> str:
    return f"user: Say: {text}"[::-1]


def test_jobs_are_answered_one_line_a_row(worker: Worker) -> None:
    orders = worker.order("a", [row(f"r{number}", f"Text {number}.") for number in range(5)]) + worker.order("b", [row("r0", "Other.")])
    assert worker.run(orders)[0] == 0
    assert worker.answers("a") == {f"r{number}": reversed_prompt(f"Text {number}.") for number in range(5)}
    assert worker.answers("b") == {"r0": reversed_prompt("Other.")}
    assert worker.started("a") == [f"r{number}" for number in range(5)]
    line = worker.lines("b")[0]
    assert (line["model"], line["finish_reason"], line["tokens_in"], line["tokens_out"], line["confidence"]) == (
        "quill-7b",
        "stop",
        17,
        2,
        -1.5,
    )
    assert line["revision"].startswith("vllm-0.32.0+tokenizer-")
    assert len(line["weights_digest"]) == 64
    assert not {"lora_digest", "chunks", "error_code"} & set(line)
    ready = json.loads((worker.spool / "vllm.0.ready.json").read_bytes())
    assert (ready["engine"], ready["max_model_len"], ready["isolation"]) == ("vllm-0.32.0", 200, "none")


def test_the_window_is_kept_full_across_jobs_and_a_job_may_have_its_own(worker: Worker) -> None:
    def most(*windows: int | None) -> int:
        worker.spool.joinpath("most_in_flight").unlink(missing_ok=True)
        orders = [worker.order(f"{windows}-{number}", [row("r0", "a"), row("r1", "b")], window) for number, window in enumerate(windows)]
        assert worker.run(b"".join(orders))[0] == 0
        return int(worker.spool.joinpath("most_in_flight").read_text())

    assert most(None, None) == 3  # two of the first job's, one of the second's
    assert most(1, 1) == 1
    assert most(1, None) == 2  # they do not meet
    assert most(4) == 2


ERRORS = {
    "schema": (row("schema", "form", schema={"type": "nonsense"}), "invalid_schema"),
    "long extract": (row("long extract", "x" * 150, kind="extract", schema={"type": "object"}), "prompt_too_long"),
    "long for the engine": (row("long for the engine", "LONG"), "prompt_too_long"),
    "refused": (row("refused", "REFUSED"), "request_refused"),
    "cut": (row("cut", "much more than that", max_tokens=5), "max_tokens"),
    "empty": (row("empty", "EMPTY"), "empty_output"),
    "lost": (row("lost", "LOST"), "engine_error"),
    "no messages": (row("no messages", "", messages=[]), "request_refused"),
    "no text": (row("no text", "", messages=[{"role": "user", "content": [{"type": "text", "text": " "}]}]), "request_refused"),
    "role": (row("role", "", messages=[{"role": "tool", "content": [{"type": "text", "text": "x"}]}]), "request_refused"),
    "text is no text": (
        row("text is no text", "", messages=[{"role": "user", "content": [{"type": "text", "text": 7}]}]),
        "request_refused",
    ),
    "no body": ({"custom_id": "no body"}, "request_refused"),
}


def test_errors_are_rows_and_stop_no_other(worker: Worker) -> None:
    rows = [one for error, _ in ERRORS.values() for one in (error, row(f"beside {error['custom_id']}", "fine"))]
    code, log = worker.run(worker.order("a", rows))
    assert code == 0, log
    found = worker.answers("a")
    assert {name: found.pop(name) for name in ERRORS} == {name: code for name, (_, code) in ERRORS.items()}
    assert set(found.values()) == {reversed_prompt("fine")}
    assert len(worker.lines("a")) == len(rows)
    assert "REFUSED" not in log


def test_a_killed_worker_goes_on_where_it_was(worker: Worker) -> None:
    rows = [row(f"r{number}", text) for number, text in enumerate(["one", "two", "CRASH", "four", "five"])]
    orders = worker.order("a", rows)
    assert worker.run(orders)[0] == -signal.SIGKILL
    before = worker.path("a", "out").read_bytes() if worker.path("a", "out").exists() else b""
    in_flight = [row_id for row_id in worker.started("a") if row_id.encode() not in before]
    assert "r2" in in_flight
    assert len(in_flight) <= 3
    assert worker.run(orders)[0] == 0
    assert worker.path("a", "out").read_bytes().startswith(before)
    assert sorted(line["row_id"] for line in worker.lines("a")) == [f"r{number}" for number in range(5)]


@pytest.mark.parametrize(
    "torn", [b'{"row_id":"r1","outp', b'{"row_id":"r1"', b'{"row_id":7}\n{"row_id":"r1","output":"lost"}\n'], ids=["text", "end", "middle"]
)
def test_a_torn_line_is_cut_off(worker: Worker, torn: bytes) -> None:
    worker.path("a", "out").write_bytes(b'{"row_id":"r0","output":"kept"}\n' + torn)
    assert worker.run(worker.order("a", [row("r0", "one"), row("r1", "two")]))[0] == 0
    assert worker.answers("a") == {"r0": "kept", "r1": reversed_prompt("two")}
    assert worker.started("a") == ["r1"]


def test_an_engine_that_fails_ends_the_process_without_a_word_of_content(worker: Worker) -> None:
    code, log = worker.run(worker.order("a", [row("r0", "fine"), row("r1", "POISON zephyr")], window=1))
    assert (code, worker.answers("a"), worker.started("a")) == (1, {"r0": reversed_prompt("fine")}, ["r0", "r1"])
    assert "vllm_worker: the engine failed while it was working: RuntimeError" in log
    assert "zephyr" not in log


def test_a_full_disk_is_an_engine_failure(worker: Worker) -> None:
    order = json.loads(worker.order("a", [row("r0", "zephyr")]))
    code, log = worker.run(json.dumps({**order, "started": "/dev/full"}).encode() + b"\n")
    assert code == 1
    assert "cannot be written: OSError" in log
    assert "zephyr" not in log


def test_orders_that_cannot_be_followed_are_left_out(worker: Worker) -> None:
    bad = b'nonsense\n{"job":"x"}\n' + json.dumps(dict.fromkeys(("job", "input", "output", "started"), "/nowhere/x")).encode() + b"\n"
    good = worker.order("a", [row("r0", "one")])
    with worker.path("a", "in").open("ab") as file:
        file.write(b"no row\n[]\n")
    code, log = worker.run(bad + good + good[: len(good) // 2])
    assert (code, worker.answers("a")) == (0, {"r0": reversed_prompt("one")})
    assert log.count("left out") == 5
    assert "not whole" in log


LONG = "One two three. " * 20


def long_row(row_id: str, text: str) -> dict[str, Any]:
    content = [{"type": "text", "text": "BRIEF "}, {"type": "text", "text": text, "slot": "text"}]
    return row(row_id, "", messages=[{"role": "user", "content": content}])


def test_a_long_document_is_summarized_in_chunks(worker: Worker) -> None:
    code, _ = worker.run(worker.order("a", [long_row("r0", LONG), row("r1", "short"), long_row("r2", LONG)]))
    assert code == 0
    first, second = (line for line in worker.lines("a") if line["row_id"] != "r1")
    assert first.get("output") == "One two thre", first
    chunks = first["chunks"]
    assert "".join(LONG[start:end] for start, end in chunks) == LONG
    assert len(chunks) > 2
    assert first["tokens_out"] >= 2 * (len(chunks) + 1)
    assert {**first, "row_id": ""} == {**second, "row_id": ""}
    assert int(worker.spool.joinpath("most_in_flight").read_text()) == 3


def test_long_documents_may_be_switched_off(worker: Worker) -> None:
    worker.settings["long_documents"] = False
    worker.run(worker.order("a", [long_row("r0", LONG)]))
    assert worker.answers("a") == {"r0": "prompt_too_long"}


def test_a_document_that_fails_in_one_chunk_fails_and_its_other_calls_are_forgotten(worker: Worker) -> None:
    assert worker.run(worker.order("a", [long_row("r0", LONG + "EMPTY." + LONG), row("r1", "short")]))[0] == 0
    assert worker.answers("a") == {"r0": "empty_output", "r1": reversed_prompt("short")}


def test_a_record_cannot_spell_control_tokens(worker: Worker) -> None:
    text = "before</s>after"
    worker.run(worker.order("a", [row("r0", text), row("r1", "before after.")]))
    found = {line["row_id"]: line for line in worker.lines("a")}
    assert found["r0"]["output"] == reversed_prompt(text)
    assert found["r0"]["tokens_in"] == len(f"user: Say: {text}")  # plain characters: the control token would have been one


def test_lone_surrogates_are_replaced(worker: Worker) -> None:
    worker.run(worker.order("a", [row("r0", "a\ud800b")]))
    assert worker.answers("a") == {"r0": reversed_prompt("a\ufffdb")}


def test_a_model_that_takes_no_system_message_gets_it_with_the_users(worker: Worker) -> None:
    (worker.spool / "model" / "chat_template.jinja").write_text("no system")
    messages = [{"role": role, "content": [{"type": "text", "text": role.upper()}]} for role in ("system", "user")]
    worker.run(worker.order("a", [row("r0", "", messages=messages)]))
    assert worker.answers("a") == {"r0": "user: SYSTEM\n\nUSER"[::-1]}


def test_an_adapter_is_loaded_and_named(worker: Worker) -> None:
    adapter = worker.spool / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 5}')
    (adapter / "adapter_model.safetensors").write_bytes(b"adapter")
    worker.settings["lora_path"] = str(adapter)
    assert worker.run(worker.order("a", [row("r0", "one")]))[0] == 0
    assert len(worker.lines("a")[0]["lora_digest"]) == 64
    (adapter / "adapter_config.json").write_text('{"r": 4096}')
    assert worker.run(b"")[0] == 3
    (adapter / "adapter_config.json").unlink()
    code, log = worker.run(b"")
    assert (code, "expected a LoRA adapter at" in log) == (3, True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("unloadable", "", "vLLM could not load the model: RuntimeError", id="weights"),
        pytest.param("chat_template.jinja", "none", "no usable chat template", id="template"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_clear_line(worker: Worker, name: str, content: str, said: str) -> None:
    (worker.spool / "model" / name).write_text(content)
    code, log = worker.run(worker.order("a", [row("r0", "one")]))
    assert (code, said in log, len(log.splitlines())) == (3, True, 1)
    assert not (worker.spool / "vllm.0.ready.json").exists()
    assert not worker.path("a", "out").exists()


def test_a_missing_model_and_a_missing_device_are_told(worker: Worker) -> None:
    worker.settings.update(model_path=str(worker.spool / "no-model"), device="")
    assert worker.run(b"") == (
        3,
        f"vllm_worker: expected a model's folder at {worker.spool / 'no-model'}, found none; correct the endpoint's model_path\n",
    )
    worker.settings["model_path"] = str(worker.spool / "model")
    (worker.spool / "model" / "unloadable").touch()
    assert "it sees no GPU" in worker.run(b"")[1]


@pytest.mark.parametrize(
    ("environment", "engine"),
    [
        pytest.param({"VLLM_LOGGING_LEVEL": "debug"}, {}, id="debug log"),
        pytest.param({"VLLM_LOGGING_CONFIG_PATH": "/x"}, {}, id="another logging"),
        pytest.param({"VLLM_TRACE_FUNCTION": "1"}, {}, id="trace"),
        pytest.param({"https_proxy": "http://10.0.0.1"}, {}, id="proxy"),
        pytest.param({"ALL_PROXY": "http://10.0.0.1"}, {}, id="any proxy"),
        pytest.param({"HF_TOKEN": "secret-value"}, {}, id="hub token"),
        pytest.param({"HUGGING_FACE_HUB_TOKEN": "secret-value"}, {}, id="older hub token"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://10.0.0.1"}, {}, id="traces"),
        pytest.param({"HF_HUB_OFFLINE": "0"}, {}, id="hub"),
        pytest.param({"VLLM_NO_USAGE_STATS": ""}, {}, id="statistics"),
        pytest.param({}, {"enable_log_requests": True}, id="request log"),
        pytest.param({}, {"enable_log_outputs": True}, id="output log"),
        pytest.param({}, {"otlp_traces_endpoint": "http://10.0.0.1"}, id="traces of the engine"),
        pytest.param({}, {"structured_outputs_config": {"backend": "xgrammar"}}, id="another grammar engine"),
    ],
)
def test_what_could_tell_of_prompts_is_refused(worker: Worker, environment: dict[str, str], engine: dict[str, Any]) -> None:
    worker.environment.update(environment)
    worker.settings["engine"] = engine
    code, log = worker.run(worker.order("a", [row("r0", "one")]))
    assert (code, len(log.splitlines())) == (4, 1)
    assert (*environment, *engine)[0] in log
    assert "secret-value" not in log
    assert not worker.path("a", "started").exists()


def netns_is_available() -> bool:
    return subprocess.run(["/usr/bin/env", "unshare", "--net", "--map-root-user", "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not netns_is_available(), reason="this machine lets no one make a network namespace")
def test_a_network_namespace_has_loopback_alone_and_files_stay_ours(worker: Worker) -> None:
    worker.settings["isolation"] = "netns"
    probe = "import runpy, sys; sys.path.append(sys.argv[1]); from vllm_worker.isolation import isolate, interfaces; "
    probe += "isolate('netns'); import socket; socket.create_server(('127.0.0.1', 0)).close(); print(interfaces())"
    found = subprocess.run([sys.executable, "-P", "-c", probe, str(FOLDER)], capture_output=True, check=True, text=True)
    assert found.stdout == "['lo']\n"
    assert worker.run(worker.order("a", [row("r0", "one")]))[0] == 0
    assert worker.answers("a") == {"r0": reversed_prompt("one")}
    status = worker.path("a", "out").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (os.getuid(), os.getgid(), 0o600)
    assert json.loads((worker.spool / "vllm.0.ready.json").read_bytes())["isolation"] == "netns"


def test_isolation_that_does_not_help_is_refused(worker: Worker) -> None:
    assert "lo" in interfaces()
    worker.settings["isolation"] = "firewall"
    assert worker.run(b"")[0] == 4


def test_unshare_that_does_nothing_is_found_out(worker: Worker) -> None:
    probe = (
        "import sys; sys.path.append(sys.argv[1]); import vllm_worker.isolation as isolation; "
        "isolation._leave = isolation._raise_loopback = lambda library: None; isolation.interfaces = lambda: ['lo', 'eth0']\n"
        "try: isolation.isolate('netns')\n"
        "except isolation.RefusedError as error: print(error.exit_code, error)"
    )
    found = subprocess.run([sys.executable, "-P", "-c", probe, str(FOLDER)], capture_output=True, check=True, text=True)
    assert found.stdout.startswith("4 isolation netns: expected the interface lo alone, found 2")
