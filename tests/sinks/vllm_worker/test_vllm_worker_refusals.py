"""What the worker refuses or ends at: orders, models, devices, networks, settings that could tell of prompts. Its log has no content."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from sinks.lanes.vllm_worker.isolation import interfaces
from tests.sinks.vllm_worker.worker_run import FOLDER, Worker, reversed_prompt, row


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
